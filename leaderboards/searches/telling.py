"""Single searches: how each went for the models of a results folder, and which of them say most about the models."""

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


def searches_of(store: ResultStore, keys: Sequence[ModelKey], task: str) -> list[Search]:
    """The queries of a task, in order, for the models that have predictions for it; empty without judgements."""
    judgements = store.judgements(task)
    by_model = {key: outcomes for key in keys if (outcomes := store.outcomes(key, task))}
    if judgements is None or not by_model:
        return []
    shared = set.intersection(*(set(outcomes) for outcomes in by_model.values()))
    return [
        Search(task, query, judgements, {key: outcomes[query] for key, outcomes in by_model.items()})
        for query in sorted(shared)
    ]


def telling_searches(
    store: ResultStore, keys: Sequence[ModelKey], tasks: Sequence[str], *, most: int = _MOST, has_chosen: bool = False
) -> tuple[Search, ...]:
    """The failed searches that say most about some models, a few per task.

    Those that were chosen when the task was first measured come first, as all models measured since have decoded them; then those
    that most of the given zoo models have decoded; then those on which the models differ most, and the closest calls.

    Args:
        store: The results.
        keys: The models.
        tasks: The tasks.
        most: The number of searches of all tasks together.
        has_chosen: Whether the chosen searches are given in addition, failed or not: for an evaluation, which decodes them.
    """
    found: list[Search] = []
    for task in sorted(tasks, key=lambda name: _ORDER[facet(store.tasks.get(name, TaskFacts(name)))]):
        searches = searches_of(store, keys, task)
        wrong = [search for search in searches if any(_has_failed(each) for each in search.outcomes.values())]
        picked = sorted(wrong, key=lambda search: _order(search, store))[:_PER_TASK]
        if has_chosen:
            chosen = [search for search in searches if search.query in search.judgements.chosen]
            picked = [*chosen, *(search for search in picked if search not in chosen)]
        found += picked
    return tuple(found[:most])


def _order(search: Search, store: ResultStore) -> tuple[bool, int, tuple[float, float]]:
    """Smaller comes first: whether the models can be compared by what they decode, and then how telling the search is."""
    zoo = [key for key in search.outcomes if store.models[key].role == "zoo"]
    lacking = sum(search.text not in store.readings.get(key, {}) for key in zoo)
    return search.query not in search.judgements.chosen, lacking, _interest(search)


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
