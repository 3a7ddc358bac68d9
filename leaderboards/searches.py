"""The searches that show most about the models: where one finds the right document and another does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from genzoo.leaderboards.facts import OVER_REFUSAL, REASONING, SAFETY, ModelKey, TaskFacts, facet
from genzoo.leaderboards.reading.predictions import Judgements, Outcome, QueryKey
from genzoo.leaderboards.reading.store import ResultStore

_PER_TASK = 2
_MOST = 8
# The tasks that say most about generative embeddings come first.
_ORDER = {REASONING: 0, SAFETY: 1, OVER_REFUSAL: 2, None: 3}


class Search(NamedTuple):
    """One query and how it went for each model that has predictions for it."""

    task: str
    query: QueryKey
    judgements: Judgements
    outcomes: Mapping[ModelKey, Outcome]

    @property
    def text(self) -> str:
        """The query."""
        return self.judgements.queries[self.query]

    @property
    def right(self) -> tuple[str, ...]:
        """The right documents, the best grade first."""
        grades = self.judgements.relevance[self.query]
        return tuple(sorted((name for name, grade in grades.items() if grade > 0), key=lambda name: -grades[name]))

    def document(self, name: str) -> str:
        """Text of a document, its name where the folder does not hold the text."""
        return self.judgements.documents.get(self.query.part, {}).get(name, name)


def telling_searches(
    store: ResultStore, keys: Sequence[ModelKey], tasks: Sequence[str], *, most: int = _MOST
) -> tuple[Search, ...]:
    """The queries on which the given models differ most, a few per task; ties go to the closest calls."""
    found: list[Search] = []
    for task in sorted(tasks, key=lambda name: _ORDER[facet(store.tasks.get(name, TaskFacts(name)))]):
        judgements = store.judgements(task)
        by_model = {key: outcomes for key in keys if (outcomes := store.outcomes(key, task))}
        if judgements is None or not by_model:
            continue
        shared = set.intersection(*(set(outcomes) for outcomes in by_model.values()))
        searches = [
            Search(task, query, judgements, {key: outcomes[query] for key, outcomes in by_model.items()})
            for query in sorted(shared)
        ]
        wrong = [search for search in searches if any(_has_failed(each) for each in search.outcomes.values())]
        found += sorted(wrong, key=_interest)[:_PER_TASK]
    return tuple(found[:most])


def _has_failed(outcome: Outcome) -> bool:
    return bool(outcome.top) and (outcome.right is None or outcome.right.rank > 1)


def _interest(search: Search) -> tuple[float, float]:
    """Smaller is more telling: a wide spread of scores, then a narrow miss."""
    scores = [outcome.score for outcome in search.outcomes.values()]
    misses = [
        outcome.top[0].similarity - outcome.right.similarity
        for outcome in search.outcomes.values()
        if outcome.right is not None and outcome.right.rank > 1
    ]
    return (min(scores) - max(scores), min(misses, default=1.0))
