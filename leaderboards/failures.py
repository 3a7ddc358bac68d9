"""The searches of a task that went wrong for a model, worst first, and what the texts and the grades say about the reason."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from genzoo.duplicates import NEAR, resemblance
from genzoo.errors import InputError, UnknownNameError
from genzoo.frames import to_frame, to_html
from genzoo.leaderboards.facts import SAFETY, Decoded, ModelKey, TaskFacts, facet
from genzoo.leaderboards.reading.predictions import SHOWN, Hit, Outcome
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches import Search, searches_of
from genzoo.text import shared_words

if TYPE_CHECKING:
    import pandas as pd

_RIGHT = 5  # relevant passages that are shown of a search
_PERFECT = 0.5  # a search of harm is good above, where nothing harmful was found


@dataclass(frozen=True)
class PlacedPassage:
    """A passage of one search.

    Attributes:
        document: Its id.
        text: Its text, at most 1,200 characters; the id where the results folder does not hold it.
        rank: Its place in the ranking, 1 is the first; None where it is not among the passages that were kept.
        similarity: To the query; None likewise.
        grade: How relevant it is; None where it was not judged. Below 0 it must not be found.
        shared: Words that it has in common with the query, as written.
        twin: Id of the relevant passage that it is nearly the same text as, "" where there is none.
        decoded: What the model's embedding of it decodes to; None where it was not decoded.
    """

    document: str
    text: str
    rank: int | None
    similarity: float | None
    grade: int | None
    shared: tuple[str, ...] = ()
    twin: str = ""
    decoded: str | None = None


@dataclass(frozen=True)
class ExplainedSearch:
    """One search of a model: what was found, what was right, and what may be the reason.

    Attributes:
        query: Id of the query.
        split: Split and subset that the query is of.
        text: The query.
        score: By the main metric of the task, between 0 and 1.
        rank: Rank of the first relevant passage, None where none is among the passages that were kept.
        is_harm: Whether the task is one of safety, so that the judged passages are those that must not be found.
        has_zeros: Whether the task's judgements also name passages of grade 0, so that one without a grade was not judged.
        found: The passages on top, as far as the first one of the best grade; at most `SHOWN`.
        right: The relevant passages, the best grade first; at most five.
        barred: The passages among the first `SHOWN` whose grade is below 0: they must not be found.
        decoded: What the model's embedding of the query decodes to; None where it was not decoded.
    """

    query: str
    split: tuple[str, str]
    text: str
    score: float
    rank: int | None
    is_harm: bool
    has_zeros: bool
    found: tuple[PlacedPassage, ...]
    right: tuple[PlacedPassage, ...]
    barred: tuple[PlacedPassage, ...] = ()
    decoded: str | None = None

    @property
    def is_decoded(self) -> bool:
        """Whether the query, the passage found first and the best relevant one are decoded."""
        return self.decoded is not None and all(each.decoded is not None for each in (*self.found[:1], *self.right[:1]))

    @property
    def is_first(self) -> bool:
        """Whether a passage of the best grade was found first."""
        best = max((each.grade or 0 for each in self.right), default=0)
        return bool(self.found) and (self.found[0].grade or 0) >= best > 0

    @property
    def is_unjudged(self) -> bool:
        """Whether nobody judged the passage found first, where that can be told."""
        return self.has_zeros and bool(self.found) and self.found[0].grade is None

    @property
    def twins(self) -> tuple[PlacedPassage, ...]:
        """Passages found above the best relevant one that are nearly the same text as a relevant one: perhaps relevant too."""
        return tuple(each for each in self.found if each.twin)

    @property
    def verdict(self) -> str:
        """What happened and what to look at, in a few sentences."""
        return " ".join(_verdict(self))

    def as_row(self) -> dict[str, Any]:
        """For a table: the query, its score, what was found first, what should have been found, and the notes on it."""
        first, right = (each[0] if each else None for each in (self.found, self.right))
        return {
            "query": self.query,
            "text": self.text,
            "score": self.score,
            "rank": self.rank,
            "found first": first.text if first else "",
            "found id": first.document if first else "",
            "grade": first.grade if first else None,
            "should be found": right.text if right else "",
            "right id": right.document if right else "",
            "nearly the same": ", ".join(each.document for each in self.twins),
            "must not be found": ", ".join(each.document for each in self.barred),
            "verdict": self.verdict,
        }


def _verdict(search: ExplainedSearch) -> Iterator[str]:
    """The sentences of a verdict."""
    if search.is_harm:
        yield f"The harmful passage is at rank {search.rank}." if search.rank else "The harmful passage was not found."
        return
    if not search.right:
        yield "No passage of this query has a grade above 0."
    elif search.rank is None:
        yield "No relevant passage is among those that were found."
    elif search.is_first:
        yield "The best relevant passage was found first."
    elif search.rank == 1:
        yield "The passage found first is relevant, but one of a better grade is below it."
    else:
        yield f"The first relevant passage is at rank {search.rank}."
    if search.is_unjudged:
        yield "Nobody judged the passage that was found first."
    for each in search.twins:
        yield (
            f"{each.document}, at rank {each.rank}, is nearly the same text as the relevant {each.twin}: a missing judgement, "
            "or an outdated version of it."
        )
    for each in search.barred:
        yield f"{each.document}, at rank {each.rank}, must not be found (grade {each.grade})."


def went_wrong(search: ExplainedSearch) -> bool:
    """Whether a passage of the best grade is not on top, or a passage that must not be found is among the first `SHOWN`."""
    if search.is_harm:
        return search.score <= _PERFECT
    return bool(search.barred) or not search.is_first


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
        total: How many searches the task has.
        asked: Id of the query that was asked for, None where all are meant.
    """

    task: str
    model: str
    metric: str
    searches: tuple[ExplainedSearch, ...]
    total: int
    asked: str | None = None

    def __len__(self) -> int:
        return len(self.searches)

    def __iter__(self) -> Iterator[ExplainedSearch]:
        return iter(self.searches)

    def __getitem__(self, place: int) -> ExplainedSearch:
        return self.searches[place]

    def counts(self) -> dict[str, int]:
        """How many searches went wrong, and how many of them show each reason; a search may show several."""
        return {
            "searches": self.total,
            "went wrong": sum(map(went_wrong, self.searches)),
            "no relevant passage found": sum(search.rank is None for search in self.searches),
            "passage found first not judged": sum(search.is_unjudged for search in self.searches),
            "nearly the same text above": sum(bool(search.twins) for search in self.searches),
            "must not be found, among the first ten": sum(bool(search.barred) for search in self.searches),
        }

    @property
    def summary(self) -> str:
        """The counts in words."""
        found, is_harm = self.counts(), any(search.is_harm for search in self.searches)
        head = f"{self.model} on {self.task}: {found['went wrong']:,} of {self.total:,} searches went wrong"
        if not found["went wrong"]:
            return f"{head}."
        if is_harm:
            return f"{head}: the harmful passage was found."
        reasons = (
            ("no relevant passage was found", found["no relevant passage found"]),
            ("nobody judged the passage found first", found["passage found first not judged"]),
            (
                "a passage that is nearly the same text as a relevant one is above it",
                found["nearly the same text above"],
            ),
            (
                "a passage that must not be found is among the first ten",
                found["must not be found, among the first ten"],
            ),
        )
        told = [f"in {count:,} {reason}" for reason, count in reasons if count]
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
    total, is_harm = len(found), facet(facts) == SAFETY
    if query is not None:
        _check_query(query, found, task)
        found = [search for search in found if search.query.query == query]
    has_zeros = not is_harm and any(0 in grades.values() for grades in found[0].judgements.relevance.values())
    readings = store.readings.get(key, {})
    explained = [explained_search(search, key, readings, is_harm=is_harm, has_zeros=has_zeros) for search in found]
    if query is None:
        explained = sorted(filter(went_wrong, explained), key=_badness)
    return FailedSearches(task, label, facts.main_score, tuple(explained), total, query)


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


def explained_search(
    search: Search, key: ModelKey, readings: Mapping[str, Decoded], *, is_harm: bool = False, has_zeros: bool = False
) -> ExplainedSearch:
    """What a model's ranking of one query says.

    Args:
        search: The search.
        key: The model.
        readings: What the model decodes, by text.
        is_harm: Whether the judged passages are those that must not be found.
        has_zeros: Whether judges also gave the grade 0 on this task.
    """
    outcome, grades = search.outcomes[key], search.judgements.relevance[search.query]
    hits = {hit.document: hit for hit in (*outcome.judged, *outcome.top)}
    best = max(grades.values(), default=0)
    right = tuple(_placed(search, name, hits.get(name), readings) for name in search.right[:_RIGHT])
    place = functools.partial(_placed, search, readings=readings)
    found = _with_twins([place(hit.document, hit) for hit in _until_best(outcome, grades, best)], right)
    barred = tuple(place(hit.document, hit) for hit in outcome.top if grades.get(hit.document, 0) < 0)
    return ExplainedSearch(
        query=search.query.query,
        split=(search.query.part.split, search.query.part.subset),
        text=search.text,
        score=outcome.score,
        rank=outcome.right.rank if outcome.right else None,
        is_harm=is_harm,
        has_zeros=has_zeros,
        found=found,
        right=right,
        barred=barred,
        decoded=_decoded(search.text, readings),
    )


def _until_best(outcome: Outcome, grades: Mapping[str, int], best: int) -> Iterator[Hit]:
    """The passages on top, as far as the first of the best grade."""
    for hit in outcome.top[:SHOWN]:
        yield hit
        if grades.get(hit.document, 0) >= best > 0:
            return


def _placed(search: Search, name: str, hit: Hit | None, readings: Mapping[str, Decoded]) -> PlacedPassage:
    text = search.document(name)
    return PlacedPassage(
        document=name,
        text=text,
        rank=hit.rank if hit else None,
        similarity=hit.similarity if hit else None,
        grade=search.judgements.relevance[search.query].get(name),
        shared=shared_words(search.text, text),
        decoded=_decoded(text, readings),
    )


def _decoded(text: str, readings: Mapping[str, Decoded]) -> str | None:
    return readings[text].decoded if text in readings else None


def _with_twins(passages: Sequence[PlacedPassage], right: Sequence[PlacedPassage]) -> tuple[PlacedPassage, ...]:
    """The passages, each that is not relevant with the relevant one that it is nearly the same text as, if there is one."""
    pairs = [(each, other) for each in passages if not (each.grade and each.grade > 0) for other in right]
    found = resemblance([each.text for each, _ in pairs], [other.text for _, other in pairs]) if pairs else ()
    alike = sorted((-value, each.document, other.document) for (each, other), value in zip(pairs, found, strict=True))
    twins = {document: twin for value, document, twin in reversed(alike) if -value >= NEAR}
    return tuple(dataclasses.replace(each, twin=twins.get(each.document, "")) for each in passages)
