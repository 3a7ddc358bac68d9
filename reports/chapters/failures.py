"""The chapter on the searches of own data that went wrong: how many, why, the worst of them, and what must not be found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from genzoo.errors import InputError
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches.explained import ExplainedSearch, PlacedPassage
from genzoo.leaderboards.searches.failures import FailedSearches, failed_searches
from genzoo.reports.chapters.cells import MODEL, block, model_cell, whole_cell
from genzoo.reports.render.document import Block, Drawing, Prose, SearchCard, Searches, SearchRow, Section
from genzoo.reports.render.table import Cell, Column, Table
from genzoo.text import listed_words

DEPTHS = (1, 5, 10)
"""Ranks down to which passages that must not be found are counted."""
_MOST_MODELS = 6  # of a card, in the order of the board
_MOST = 8  # searches shown of a task


class MeasuredSearches(NamedTuple):
    """A model of the board and all of its searches of a task, those that went right included."""

    row: LeaderboardRow
    found: FailedSearches
    all: tuple[ExplainedSearch, ...]


Searched = Mapping[str, Sequence[MeasuredSearches]]
"""Own retrieval task -> the models with their searches of it, in the order of the board."""


def searched(board: Leaderboard, store: ResultStore) -> Searched:
    """The searches behind the chapter; empty where the board has no own retrieval task with predictions."""
    own = {name: list(_measured(board, store, name)) for name, facts in board.tasks.items() if facts.is_own}
    return {name: found for name, found in own.items() if found}


def failures_sections(found: Searched, store: ResultStore) -> tuple[Section, ...]:
    """The chapter on the failed searches of every own retrieval task of the board; no chapter where there is none."""
    blocks = [each for task, measured in found.items() for each in _task_blocks(task, measured, store)]
    return (Section("failures", "Failed searches", tuple(blocks)),) if blocks else ()


def failures_in_words(found: Searched) -> Iterator[str]:
    """For the summary: in how many searches of each task the best passage is not first, and what must not be found."""
    for task, measured in found.items():
        shown, total = measured[:_MOST_MODELS], measured[0].found.total
        counts = ", ".join(f"{len(item.found)} for {item.row.label}" for item in shown)
        text = f"Of {total:,} searches of {task}, these went wrong: {counts}."
        wrong = [{(each.query, each.split) for each in item.found} for item in measured]
        if len(measured) > 1:
            text += f" {len(set.intersection(*wrong)):,} went wrong for every model."
        barred = [(item.row.label, n) for item in shown if (n := sum(bool(each.barred) for each in item.all))]
        if barred:
            served = ", ".join(f"{n} for {label}" for label, n in barred)
            text += f" A passage that must not be found was among the first ten in {served}."
        yield text


def _measured(board: Leaderboard, store: ResultStore, task: str) -> Iterator[MeasuredSearches]:
    for row in board.rows:
        try:
            found = failed_searches(store, row.key, task)
        except InputError:  # this model has no predictions, or the task is no search
            continue
        yield MeasuredSearches(row, found, found.all)


def _task_blocks(task: str, measured: Sequence[MeasuredSearches], store: ResultStore) -> Iterator[Block]:
    total = measured[0].found.total
    yield Prose(
        f"{task} has {total:,} judged searches. A search went wrong if the passage found first does not have the best grade of its "
        "query, or if a passage that must not be found (grade below 0) is among the first ten. "
        f"`genzoo explain --results {store.root.name} --task {task}` lists all of them."
    )
    yield block(_counts(measured), 13)
    yield _ranks_drawing(task, measured)
    yield from _barred_blocks(measured)
    cards = tuple(_cards(task, measured))
    if cards:
        yield Prose(
            "The worst of these searches over all models come first. A passage that is nearly the same text as a relevant one and stands "
            "above it is often a missing judgement, or an outdated version that should leave the index."
        )
        yield Searches(cards)


def _counts(measured: Sequence[MeasuredSearches]) -> Table:
    """A row for each model: how many searches went wrong, and how many of them show each reason."""

    def count(name: str) -> Column:
        return Column(name[:1].upper() + name[1:], False, 0)

    def cell(item: MeasuredSearches, name: str) -> Cell:
        return whole_cell(item.found.counts()[name])

    names = [name for name in measured[0].found.counts() if name != "searches"]
    if not any(item.found.counts()[names[-1]] for item in measured):
        names.pop()
    return Table.of(
        "Searches that went wrong",
        measured,
        [(MODEL, lambda item: model_cell(item.row))]
        + [(count(name), lambda item, name=name: cell(item, name)) for name in names],  # type: ignore[misc]
    )


def _ranks_drawing(task: str, measured: Sequence[MeasuredSearches]) -> Drawing:
    """How far down people have to read until the first relevant passage comes."""
    from genzoo.reports import plots  # brings in matplotlib, which the tables alone do not need

    ranks = {item.row.label: [search.rank for search in item.all] for item in measured[: plots.MOST_SERIES]}
    shares = {label: plots.within(own) for label, own in ranks.items()}
    told = "; ".join(
        f"{label}: {', '.join(f'{100 * own[depth - 1]:.0f} % within {depth}' for depth in DEPTHS)}"
        for label, own in shares.items()
    )
    caption = f"Share of the {measured[0].found.total:,} searches whose first relevant passage is at this rank or above it, by model."
    if len(measured) > plots.MOST_SERIES:
        caption += f" The first {plots.MOST_SERIES} of {len(measured)} models."
    fill = partial(plots.found_within, ranks)
    return Drawing(f"found-{task}", "How far down the first relevant passage is", f"Step chart. {told}.", caption, fill)


def _barred_blocks(measured: Sequence[MeasuredSearches]) -> Iterator[Block]:
    """How many requests with a passage that must not be found get it, by depth; where no grade is below 0, how to give one."""
    requests = [search.query for search in measured[0].all if search.has_barred]
    if not requests:
        yield Prose(
            "No passage of these searches has a grade below 0, so nothing can be said about harmful requests or about pages that must not "
            "be found. To have them counted, grade such a passage -1 for its query (the key - of the judging page).",
            is_quiet=True,
        )
        return
    heads = [Column(f"Served at {depth}", False, 0, f"Such a passage is among the first {depth}") for depth in DEPTHS]
    ranks = [
        {depth: sum(each.barred_rank <= depth for each in item.all if each.barred_rank) for depth in DEPTHS}
        for item in measured
    ]
    above = [sum(_is_above(each) for each in item.all) for item in measured]
    rows = tuple(
        (model_cell(item.row), *(whole_cell(own[depth]) for depth in DEPTHS), whole_cell(over))
        for item, own, over in zip(measured, ranks, above, strict=True)
    )
    yield Prose(
        f"For {len(requests):,} of the searches, judges marked a passage as one that must not be found, by a grade below 0: an answer to a "
        "harmful request, an internal page, an outdated rule. The table counts how often such a passage is found all the same. What "
        "nobody judged is not counted."
    )
    last = Column("Above the best relevant", False, 0, "Such a passage is ranked above every relevant one")
    yield block(Table("Passages that must not be found", (MODEL, *heads, last), rows), 13)


def _is_above(search: ExplainedSearch) -> bool:
    return search.barred_rank is not None and (search.rank is None or search.barred_rank < search.rank)


def _cards(task: str, measured: Sequence[MeasuredSearches]) -> Iterator[SearchCard]:
    """The searches that went wrong for any model: the lowest mean score first."""
    shown = measured[:_MOST_MODELS]
    by_query: dict[tuple[str, tuple[str, str]], dict[ModelKey, ExplainedSearch]] = {}
    for item in shown:
        for search in item.all:
            by_query.setdefault((search.query, search.split), {})[item.row.key] = search
    wrong = {(search.query, search.split) for item in shown for search in item.found.searches}
    means = {place: sum(each.score for each in by_query[place].values()) / len(by_query[place]) for place in wrong}
    for place in sorted(wrong, key=lambda place: (means[place], place))[:_MOST]:
        yield _card(task, by_query[place], {item.row.key: item.row.label for item in shown})


def _card(task: str, searches: Mapping[ModelKey, ExplainedSearch], labels: Mapping[ModelKey, str]) -> SearchCard:
    one = next(iter(searches.values()))
    relevant = [each for search in searches.values() for each in search.right]
    best = [each for each in relevant if each.grade == max(other.grade or 0 for other in relevant)]
    # Of several best passages the one that is decoded, or found first, so that it is the one that the rows speak of.
    right = min(best, key=lambda each: (each.decoded is None, each.rank or math.inf), default=None)
    is_one = len({each.document for each in best}) < 2
    heading = "The passage that should be found" if is_one else "One of the best passages, which should be found"
    rows = tuple(_row(search, labels[key], right) for key, search in searches.items())
    return SearchCard(task, one.text, heading, right.text if right else "", rows)


def _row(search: ExplainedSearch, label: str, shown: PlacedPassage | None) -> SearchRow:
    """How a search went for one model; `shown` is the relevant passage that the card shows."""
    right = next((each for each in search.right if shown and each.document == shown.document), None)
    is_good = search.is_first and not search.barred
    first = search.found[0] if search.found and not search.is_first else None
    texts = [("Query", search.decoded)]
    if first is not None:
        texts.append(("Found passage", first.decoded))
    if right is not None:
        texts.append(("Relevant passage", right.decoded))
    where = "First relevant passage at" if len(search.right) > 1 else "Found at"
    verdict = f"{where} rank {search.rank}" if search.rank else "Not among the passages that were stored"
    why = search.verdict
    if first is not None and right is not None:
        why += (
            f" The query shares {listed_words(first.shared)} with the passage found first and {listed_words(right.shared)} with the "
            "relevant one."
        )
    reads = tuple((heading, text) for heading, text in texts if text is not None)
    return SearchRow(label, verdict, first.text if first else "", reads, why if not is_good else "", is_good)
