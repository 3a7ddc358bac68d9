"""One search of a model, explained: what was found, what was right, and what the texts and the grades say about the reason."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genzoo.duplicates import NEAR, resemblance
from genzoo.leaderboards.facts import Decoded, ModelKey
from genzoo.leaderboards.reading.predictions import SHOWN, Hit, Outcome
from genzoo.leaderboards.searches.telling import Search
from genzoo.text import shared_words

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
        barred_rank: Rank of the first such passage among all that were kept, None if there is none.
        has_barred: Whether some passage must not be found for this query.
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
    barred_rank: int | None = None
    has_barred: bool = False
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
    def went_wrong(self) -> bool:
        """Whether no passage of the best grade is on top, or a passage that must not be found is among the first `SHOWN`."""
        return self.score <= _PERFECT if self.is_harm else bool(self.barred) or not self.is_first

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


def explained_searches(
    searches: Sequence[Search],
    key: ModelKey,
    readings: Mapping[str, Decoded],
    *,
    is_harm: bool = False,
    has_zeros: bool = False,
) -> tuple[ExplainedSearch, ...]:
    """What a model's rankings of some queries say, in their order.

    Args:
        searches: The searches.
        key: The model.
        readings: What the model decodes, by text.
        is_harm: Whether the judged passages are those that must not be found.
        has_zeros: Whether judges also gave the grade 0 on this task.
    """
    found = [_explained(search, key, readings, is_harm, has_zeros) for search in searches]
    return tuple(found if is_harm else _with_twins(found))


def _explained(
    search: Search, key: ModelKey, readings: Mapping[str, Decoded], is_harm: bool, has_zeros: bool
) -> ExplainedSearch:
    outcome, grades = search.outcomes[key], search.judgements.relevance[search.query]
    hits = {hit.document: hit for hit in (*outcome.judged, *outcome.top)}
    best = max(grades.values(), default=0)
    right = tuple(_placed(search, name, hits.get(name), readings) for name in search.right[:_RIGHT])
    place = functools.partial(_placed, search, readings=readings)
    found = tuple(place(hit.document, hit) for hit in _until_best(outcome, grades, best))
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
        barred_rank=next((hit.rank for hit in outcome.judged if grades[hit.document] < 0), None),
        has_barred=any(grade < 0 for grade in grades.values()),
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


def _with_twins(searches: Sequence[ExplainedSearch]) -> Iterator[ExplainedSearch]:
    """The searches, each passage above a relevant one with the relevant one that it is nearly the same text as, if there is one."""
    pairs = {(each.text, right.text): None for search in searches for each in _others(search) for right in search.right}
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    alike = dict(zip(pairs, resemblance(firsts, seconds).tolist() if pairs else (), strict=True))
    for search in searches:
        twins = {}
        for each in _others(search):
            value, name = max(
                ((alike[each.text, right.text], right.document) for right in search.right), default=(0.0, "")
            )
            if value >= NEAR:
                twins[each.document] = name
        found = (dataclasses.replace(each, twin=twins.get(each.document, "")) for each in search.found)
        yield dataclasses.replace(search, found=tuple(found)) if twins else search


def _others(search: ExplainedSearch) -> Iterator[PlacedPassage]:
    """The passages on top that are not known to be relevant."""
    return (each for each in search.found if not (each.grade and each.grade > 0))
