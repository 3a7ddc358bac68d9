"""Two models side by side: task by task, over all tasks, and in what their embeddings say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from genzoo.errors import InputError, ZooError
from genzoo.leaderboards.columns import BoardColumn
from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.facts import current_tasks
from genzoo.leaderboards.judging.verdicts import verdicts
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.aggregation import relative_delta
from genzoo.leaderboards.statistics.ties import TIE
from genzoo.reports.chapters.cells import SCORE, TASK, block, change_style, metric_cell
from genzoo.reports.chapters.failures import failures_in_words, failures_sections, searched
from genzoo.reports.chapters.judging import judging_sections, verdicts_in_words
from genzoo.reports.chapters.provenance import caveats_section, provenance_section
from genzoo.reports.chapters.reference import comparison_in_words, dumbbell_drawing, query_table
from genzoo.reports.chapters.safety import safety_difference_in_words, safety_section
from genzoo.reports.chapters.searches import evidence_section
from genzoo.reports.chapters.tasks import cost_section
from genzoo.reports.render.document import Block, Prose, Report, Section
from genzoo.reports.render.table import Cell, Column, Table, number_cell, text_cell, text_column
from genzoo.reports.report import PAGE_FORMATS, checked_formats, footer, measured_on, write_report
from genzoo.text import safe_name

_MANY = 13  # rows, from where on a table has a search field
_NAME_LENGTH = 60  # of each model in the file name


def compare(
    store: ResultStore, a: str, b: str, output_dir: Path | str, *, formats: Iterable[str] = PAGE_FORMATS
) -> list[Path]:
    """Write `compare-<a>-<b>.html` and `.md`, and return every file written.

    Args:
        store: The results.
        a: The model of interest: full name, short name, or `name@revision`.
        b: What it is compared with, differences are a minus b.
        output_dir: Is made if it is not there.
        formats: Of "html" and "md".
    """
    wanted = checked_formats(formats, PAGE_FORMATS)
    pair, board, row, reference = pair_board(store, a, b)
    name = f"compare-{_file_part(row.label)}-{_file_part(reference.label)}"
    return write_report(_report(board, pair, row, reference), Path(output_dir), name, wanted)


def pair_board(store: ResultStore, a: str, b: str) -> tuple[ResultStore, Leaderboard, LeaderboardRow, LeaderboardRow]:
    """The two models alone: their results, their board, and their rows; the first is compared with the second."""
    first, second = store.find(a), store.find(b)
    if first == second:
        raise InputError(
            f"{a!r} and {b!r} are the same model: give two different models, or name@revision for two revisions of one"
        )
    # A pair meets on the splits and subsets that the two share, whatever other models have.
    pair = store.only([first, second])
    board = Leaderboard.from_store(pair, reference=f"{second.model}@{second.revision}")
    row, reference = board.row(first), board.row(second)
    if row is None or reference is None or row.comparison is None or not row.comparison.deltas:
        raise ZooError(
            f"{first.model} and {second.model} share no task in {store.root}: "
            f"run `genzoo evaluate -m {shlex.quote(first.model)} -m {shlex.quote(second.model)} {_measured_by(pair)} -o {store.root}`"
        )
    return pair, board, row, reference


def _measured_by(store: ResultStore) -> str:
    """The options of `genzoo evaluate` that measure the tasks of a store again: only the user knows where own data are."""
    known = {name: facts for name in store.task_names() if (facts := store.tasks.get(name)) is not None}
    own = {facts.earlier_of or name: None for name, facts in current_tasks(known).items() if facts.is_own}
    return " ".join(f"-t {shlex.quote(name)}=PATH" for name in own) or "-b BENCHMARK"


def _report(board: Leaderboard, store: ResultStore, row: LeaderboardRow, reference: LeaderboardRow) -> Report:
    found = row.comparison
    if found is None:
        raise InputError("a comparison needs a row with a reference")
    drawing = dumbbell_drawing(board, row, reference, "dumbbell", by="task")
    blocks: list[Block] = [drawing] if drawing else []
    blocks.append(block(comparison_table(board, found, row, reference), _MANY))
    about = (
        "Δ is the first model’s score minus the second’s. A win is a difference of more than 0.05 points in the better direction; "
        f"intervals and tests are over {'tasks' if board.own_task is None else 'its queries'}."
    )
    if board.safety.tasks:
        about += " Safety tasks are neither won nor lost and left out of the mean, because a model that finds nothing is perfectly safe."
    queries = query_table(store, found.model, found.reference, tuple(board.tasks))
    blocks += [block(queries, _MANY)] if queries.rows else []
    compared = verdicts(store, [(task, row.key, reference.key) for task in board.tasks])
    wrong = searched(board, store)
    sections = (
        Section("tasks", "Task by task" if len(board.tasks) > 1 else "Scores", (*blocks, Prose(about, is_quiet=True))),
        *(() if board.is_own else (safety_section(board, store), cost_section(board))),
        *judging_sections(board, store, compared),
        *failures_sections(wrong, store),
        cost_section(board) if board.is_own else evidence_section(board, store),
        provenance_section(board, store),
        caveats_section(board.caveats, store.problems),
    )
    shared = f"{len(found.deltas)} of {board.total} tasks shared" if board.own_task is None else board.own_task
    parts = [shared, measured_on(board)]
    subtitle = " · ".join(part for part in parts if part)
    title = f"{row.label} against {reference.label}"
    summary = (
        *verdicts_in_words(store, compared),
        *(() if board.own_task and compared else [comparison_in_words(found, row.label, reference.label)]),
        *(failures_in_words(wrong) if board.is_own else ()),
        *safety_difference_in_words(board, row, reference),
    )
    return Report(title, subtitle, summary, sections, footer())


def comparison_table(board: Leaderboard, found: Comparison, model: LeaderboardRow, reference: LeaderboardRow) -> Table:
    """Task by task: both scores, the difference, relative difference and outcome."""

    def outcome(column: BoardColumn) -> Cell:
        if column.key not in found.deltas:
            return text_cell("one score is missing", style="quiet")
        gain = found.gains.get(column.key)
        if gain is None:
            return text_cell("not counted" if column.key in board.safety.tasks else "no direction", style="quiet")
        return text_cell("tie" if abs(gain) <= TIE else "win" if gain > 0 else "loss", style=style(column) or "quiet")

    def style(column: BoardColumn) -> str:
        return change_style(found.gains.get(column.key))

    def scores(column: BoardColumn) -> tuple[float | None, float | None]:
        return model.scores.get(column.key), reference.scores.get(column.key)

    def relative(column: BoardColumn) -> float | None:
        value, other = scores(column)
        return None if value is None or other is None else relative_delta(value, other, column.metric)

    def delta(column: BoardColumn) -> Cell:
        return number_cell(found.deltas.get(column.key), column.metric, signed=True, style=style(column))

    return Table.of(f"{model.label} against {reference.label}", board.columns_of("task"), [
        (TASK, lambda column: text_cell(column.key, note=board.tasks[column.key].type or "")),
        (text_column("Metric"), lambda column: metric_cell(column.metric)),
        (Column(model.label, is_name=True), lambda column: number_cell(scores(column)[0], column.metric)),
        (Column(reference.label, is_name=True), lambda column: number_cell(scores(column)[1], column.metric)),
        (Column("Δ", None, 1, "First minus second"), delta),
        (Column("Δ %", None, 1, "Relative to the second"),
         lambda column: number_cell(relative(column), SCORE, signed=True)),
        (text_column("Outcome"), outcome),
    ])  # fmt: skip


def _file_part(label: str) -> str:
    """A label as a part of a file name on any system; a digest tells apart what lost characters on the way.

    >>> _file_part("bge-base-en-v1.5 @ 1f2e3d4"), _file_part("a/b<c>")
    ('bge-base-en-v1.5-1f2e3d4', 'a-b-c-4d2cdecb')
    """
    label = label.replace(" @ ", "-")  # before a revision
    is_safe = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", label) and len(label) <= _NAME_LENGTH
    return label if is_safe else safe_name(label)
