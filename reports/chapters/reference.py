"""The chapter that compares each model with its teacher, or with one reference: over tasks, and over the queries of a task."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import partial

from genzoo.leaderboards.comparison import Comparison, QueryComparison, compare_queries
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports import plots
from genzoo.reports.chapters.cells import (
    MODEL,
    SCORE,
    TASK,
    block,
    change_style,
    count_words,
    delta_cell,
    interval_text,
    model_cell,
    p_cell,
    span,
)
from genzoo.reports.render.document import Block, Drawing, Prose, Section
from genzoo.reports.render.table import Cell, Column, Table, name_column, number_cell, text_cell, text_column

_SHOWN = 3  # models that are compared in words, in a figure and query by query


def reference_section(board: Leaderboard, store: ResultStore) -> Section:
    """What changed from the reference to each model."""
    is_own = board.reference is None
    title = "Against the teacher" if is_own else "Against the reference"
    table = reference_table(board, title)
    if not table.rows:
        return Section("teacher", title, (Prose(_why_none(board)),))
    rows = {row.key: row for row in board.rows}
    found = [(row, rows[row.comparison.reference]) for row in board.rows if row.comparison is not None]
    shown = found[: _SHOWN if is_own else 1]
    drawings = (dumbbell_drawing(board, a, b, f"dumbbell-{n}") for n, (a, b) in enumerate(shown, 1))
    blocks: list[Block] = [drawing for drawing in drawings if drawing is not None]
    about = (
        "Δ is the mean difference over the tasks on which both models have a score"
        f"{', without safety tasks' * bool(board.safety.tasks)}; its interval and its p-value come from Student’s t over these tasks. "
        "Where the queries or pairs of most tasks are known, the test also takes into account how much each score varies with them."
    )
    blocks += [block(table), Prose(about, is_quiet=True)]
    for row, reference in shown:
        queries = query_table(store, row.key, reference.key, tuple(board.tasks))
        blocks += [block(queries)] if queries.rows else []
    return Section("teacher", title, tuple(blocks))


def _why_none(board: Leaderboard) -> str:
    missing = sorted({row.facts.teacher for row in board.rows if row.facts.teacher})
    if not missing:
        return "None of these models has a known teacher. Choose a reference (`--reference`) to compare all models with one of them."
    return f"This folder has no results of the teacher: run `genzoo evaluate -m {shlex.quote(missing[0])} ...` on the same tasks."


def reference_table(board: Leaderboard, title: str = "Against the reference") -> Table:
    """Every model that has a reference: mean difference, interval, tests, wins and losses."""
    labels = {row.key: row.label for row in board.rows}
    found = [(row, row.comparison) for row in board.rows if row.comparison is not None]
    mean = f"Δ mean{' without safety' * bool(board.safety.tasks)}"
    tested = "Student’s t test over tasks, with Holm’s correction over the rows with enough tasks"
    few = "too few tasks for a significant difference, whatever the scores"
    columns: list[tuple[Column, Callable[[tuple[LeaderboardRow, Comparison]], Cell]]] = [
        (MODEL, lambda pair: model_cell(pair[0])),
        (name_column("Reference"), lambda pair: text_cell(labels[pair[1].reference])),
        (Column(mean, True, 1, "Mean difference over the shared tasks"), lambda pair: delta_cell(pair[1])),
        (Column("Δ %", True, 1, "Relative to the reference's mean"),
         lambda pair: number_cell(pair[1].relative, SCORE, signed=True)),
        (text_column("95\u00a0% interval", "Student’s t over tasks; none for fewer than three"),
         lambda pair: text_cell(interval_text(pair[1]), style="fixed")),
        (Column("p (Holm)", None, 3, tested), lambda pair: p_cell(pair[1].p_holm, few, "too few tasks")),
        (text_column("Win / tie / loss"),
         lambda pair: text_cell(f"{pair[1].wins} / {pair[1].ties} / {pair[1].losses}", style="fixed")),
        (Column("Tasks", None, 0, "Tasks on which both have a score"), lambda pair: Cell(pair[1].n, str(pair[1].n))),
    ]  # fmt: skip
    return Table.of(title, found, columns)


def query_table(store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...]) -> Table:
    """The tasks with predictions of both models: does the difference carry over to other queries, or other pairs?"""
    tested = "Permutation test over the queries or pairs, with Holm’s correction over the tasks"
    columns: list[tuple[Column, Callable[[QueryComparison], Cell]]] = [
        (TASK, lambda found: text_cell(found.task)),
        (Column("Sample", None, 0, "Number of items that the interval and the test are based on"),
         lambda found: Cell(found.interval.n, _over(found))),
        (Column("Δ", True, 1, "Difference of the scores, the first model minus the second"),
         lambda found: number_cell(found.interval.estimate, SCORE, signed=True,
                                   style=change_style(found.interval.estimate, 0.0, is_significant=found.is_significant))),
        (text_column("95\u00a0% interval", "Over the queries or pairs of each split and subset"),
         lambda found: text_cell(span(SCORE, found.interval.low, found.interval.high, signed=True), style="fixed")),
        (Column("p (Holm)", None, 3, tested), _query_p_cell),
        (text_column("Better / same / worse", "Queries; a single pair has no score"),
         lambda found: text_cell(" / ".join(map(str, found.outcomes)) if found.outcomes else MISSING, style="fixed")),
    ]  # fmt: skip
    title = f"Query by query: {store.labels[model]} against {store.labels[reference]}"
    note = "The intervals and tests in this table are over the queries or pairs of one task: they say nothing about other tasks."
    compared = compare_queries(store, model, reference, tasks)
    return Table.of(title, compared, columns, sample="queries", notes=(note,))


def _over(found: QueryComparison) -> str:
    return f"{found.interval.n:,} {found.unit}"


def _query_p_cell(found: QueryComparison) -> Cell:
    few = f"the models differ on {found.n_unequal} of {_over(found)}: too few for a corrected p below 0.05, whatever the outcome"
    return p_cell(found.p_holm if found.is_testable else None, few)


def dumbbell_drawing(
    board: Leaderboard, model: LeaderboardRow, reference: LeaderboardRow, identity: str, *, by: str | None = None
) -> Drawing | None:
    """Reference to model: by type, or by task where that is asked for or types say no more than tasks."""
    what, pairs = plots.paired_scores(board, model, reference, by)
    if not pairs:
        return None
    changes = "; ".join(f"{name} {SCORE.display(a)} to {SCORE.display(b)}" for name, (a, b) in pairs.items())
    return Drawing(
        identity,
        f"{reference.label} to {model.label}, by {what}",
        f"One line per {what}, from {reference.label} to {model.label}: {changes}.",
        f"Main scores times 100, by {what}. Hollow: {reference.label}. Full: {model.label}. Right: the difference.",
        partial(plots.against_reference, board, model=model.key, by=by),
    )


def references_in_words(board: Leaderboard) -> Iterator[str]:
    """The first models against their references, for the summary."""
    labels = {row.key: row.label for row in board.rows}
    found = [(row.label, row.comparison) for row in board.rows if row.comparison is not None]
    for label, comparison in found[:_SHOWN]:
        kind = "its teacher " if board.reference is None else ""
        yield comparison_in_words(comparison, label, labels[comparison.reference], kind)
    if (others := len(found) - _SHOWN) > 0:
        yield f"{count_words(others, 'other comparison').capitalize()} {'is' if others == 1 else 'are'} in the tables below."


def comparison_in_words(found: Comparison, model: str, reference: str, kind: str = "") -> str:
    """One comparison in two or three sentences; `kind` goes before the reference's name ("its teacher ")."""
    if found.delta is None:
        return f"{model} and {reference} share no task whose scores can be averaged."
    difference = SCORE.display(abs(found.delta))
    where = "on the one task on which both have a score"
    if found.n != 1:
        where = f"over the {count_words(found.n, 'task')} on which both have a score"
    level = "level with" if not float(difference) else f"{difference} points {'above' if found.delta > 0 else 'below'}"
    text = f"{model} is on average {level} {kind}{reference} {where}"
    if found.interval is not None:
        # It may exclude zero where the tasks are too few: then the reader is owed its assumption.
        given = "" if found.can_decide else ", assuming normally distributed differences between tasks"
        text += f" (95\u00a0% interval of the difference{given}: {interval_text(found)})"
    return f"{text}. {_outcome(found)} {_verdict(found)}"


def _outcome(found: Comparison) -> str:
    numbers = (("wins", found.wins), ("ties", found.ties), ("loses", found.losses))
    *first, last = [f"{verb} {number}" for verb, number in numbers if number or verb != "ties"]
    return f"It {', '.join(first)} and {last} of {len(found.gains)}."


def _verdict(found: Comparison) -> str:
    if found.is_equal:
        return "Their scores are the same on every one of these tasks."
    if found.n < 2:
        return "One task says nothing about other tasks."
    if found.p_holm is None:
        return f"{count_words(found.n, 'task').capitalize()} are too few to distinguish this from chance, whatever the scores."
    value = "p < 0.001" if found.p_holm < 0.001 else f"p = {found.p_holm:.3f}"
    how = f"{value}{', after Holm’s correction' if found.p_holm != found.p_value else ''}"
    return f"The difference is {'significant' if found.is_significant else 'not significant'} ({how})."
