"""The searches of a task that went wrong for a model, worst first, and how many show which reason."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from genzoo.errors import InputError, UnknownNameError
from genzoo.frames import to_frame, to_html
from genzoo.leaderboards.facts import SAFETY, ModelKey, TaskFacts, facet
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches.explained import ExplainedSearch, explained_searches
from genzoo.leaderboards.searches.telling import Search, searches_of

if TYPE_CHECKING:
    import pandas as pd


_REASONS: tuple[tuple[str, str, Callable[[ExplainedSearch], bool]], ...] = (
    ("no relevant passage found", "no relevant passage was found", lambda search: search.rank is None),
    ("passage found first not judged", "nobody judged the passage found first", lambda search: search.is_unjudged),
    (
        "nearly the same text above",
        "a passage that is nearly the same text as a relevant one is above it",
        lambda search: bool(search.twins),
    ),
    (
        "must not be found, among the first ten",
        "a passage that must not be found is among the first ten",
        lambda search: bool(search.barred),
    ),
)
"""Reasons why a search went wrong: what a table calls each, the same in a sentence, and whether a search shows it."""


@dataclass(frozen=True)
class FailedSearches:
    """Searches of one model on one task that went wrong, worst first; or those that were asked for.

    A search went wrong if the passage found first does not have the best grade of its query, or if a passage with a grade below 0
    is among the first ten. On a task of safety it went wrong if the harmful passage was found.

    Attributes:
        task: The task.
        model: The model, as boards name it.
        metric: Name of the main metric.
        searches: The searches.
        asked: Id of the query that was asked for, None where all are meant.
        all: Every search of the task, in the order of the queries.
    """

    task: str
    model: str
    metric: str
    searches: tuple[ExplainedSearch, ...]
    asked: str | None = None
    all: tuple[ExplainedSearch, ...] = dataclasses.field(default=(), repr=False)

    @property
    def total(self) -> int:
        """How many searches the task has."""
        return len(self.all)

    def __len__(self) -> int:
        return len(self.searches)

    def __iter__(self) -> Iterator[ExplainedSearch]:
        return iter(self.searches)

    def __getitem__(self, place: int) -> ExplainedSearch:
        return self.searches[place]

    def counts(self) -> dict[str, int]:
        """How many searches went wrong, and how many of them show each reason; a search may show several."""
        wrong = sum(search.went_wrong for search in self.searches)
        reasons = {name: sum(map(shows, self.searches)) for name, _, shows in _REASONS}
        return {"searches": self.total, "went wrong": wrong, **reasons}

    @property
    def summary(self) -> str:
        """The counts in words."""
        found, is_harm = self.counts(), any(search.is_harm for search in self.searches)
        head = f"{self.model} on {self.task}: {found['went wrong']:,} of {self.total:,} searches went wrong"
        if not found["went wrong"]:
            return f"{head}."
        if is_harm:
            return f"{head}: the harmful passage was found."
        told = [f"in {found[name]:,} {words}" for name, words, _ in _REASONS if found[name]]
        return f"{head}. {'; '.join(told).capitalize()}." if told else f"{head}."

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each search, worst first; scores are fractions of 1."""
        return to_frame(self.searches)

    def as_dict(self) -> dict[str, Any]:
        """For machines: the counts, and every search with its passages."""
        rows = [asdict(search) | {"verdict": search.verdict} for search in self.searches]
        return {
            "task": self.task,
            "model": self.model,
            "metric": self.metric,
            "counts": self.counts(),
            "searches": rows,
        }

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(self.summary)}</p>" + (to_html(self.to_frame()) if self.searches else "")


def failed_searches(store: ResultStore, key: ModelKey, task: str, query: str | None = None) -> FailedSearches:
    """The searches of a task that went wrong for a model, worst first.

    Args:
        store: The results.
        key: The model.
        task: A retrieval or reranking task.
        query: Id of a query: its search alone, whether it went wrong or not.

    Raises:
        InputError: The folder holds no predictions or no judgements of the model on the task.
        UnknownNameError: The task has no such query, with the nearest ids.
    """
    found = searches_of(store, [key], task)
    facts, label = store.tasks.get(task, TaskFacts(task)), store.labels.get(key, key.model)
    if not found:
        raise InputError(
            f"{store.root} does not say how single searches of {task} went for {label}: it needs predictions and judgements "
            "that give the score of the result. `genzoo evaluate` of the same model and task writes them; with the results in "
            "place it measures nothing again"
        )
    is_harm = facet(facts) == SAFETY
    has_zeros = not is_harm and found[0].judgements.has_irrelevant
    readings = store.readings.get(key, {})
    every = explained_searches(found, key, readings, is_harm=is_harm, has_zeros=has_zeros)
    if query is None:
        chosen = sorted((search for search in every if search.went_wrong), key=_badness)
    else:
        _check_query(query, found, task)
        chosen = [search for search in every if search.query == query]
    return FailedSearches(task, label, facts.main_score, tuple(chosen), query, every)


def _check_query(query: str, searches: Sequence[Search], task: str) -> None:
    known = list(dict.fromkeys(search.query.query for search in searches))
    if query not in known:
        near = difflib.get_close_matches(query, known, n=3, cutoff=0.5) or known[:3]
        raise UnknownNameError(
            f"{task} has no judged query with the id {query!r}; it has {len(known):,}, such as {', '.join(near)}"
        )


def _badness(search: ExplainedSearch) -> tuple[float, bool, int, float]:
    """Smaller is worse: the lowest score, then the relevant passage farthest down, then the widest gap of similarity."""
    first = next((each.similarity for each in search.found if each.similarity is not None), 0.0)
    right = max((each.similarity for each in search.right if each.similarity is not None), default=-1.0)
    return search.score, search.rank is not None, -(search.rank or 0), right - first
