"""Cells, headings and words that several chapters share."""

from __future__ import annotations

from collections.abc import Sequence

from genzoo.leaderboards.columns import BoardColumn
from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING, Metric, format_count, metric
from genzoo.leaderboards.naming import short_revision
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.ties import TIE
from genzoo.reports.render.document import TableBlock
from genzoo.reports.render.table import Cell, Column, Table, name_column, number_cell, shade, text_cell

SCORE = metric("mean_task")  # differences of main scores are shown like it
MODEL, TASK = name_column("Model"), name_column("Task")
MINI = '`genzoo evaluate -m MODEL -b "GenZoo(mini, v1)" -o RESULTS`'  # what measures a bit of everything
_ROLES = {"zoo": "zoo", "teacher": "teacher", "baseline": "baseline", "other": ""}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count_words(n: int, noun: str) -> str:
    """A small number in words with its noun.

    >>> count_words(1, "task"), count_words(40, "model")
    ('one task', '40 models')
    """
    return f"{_WORDS[n] if n < len(_WORDS) else n} {noun}{'' if n == 1 else 's'}"


def join_names(names: Sequence[str]) -> str:
    """A few names, and how many more there are.

    >>> join_names(["a", "b"]), join_names(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    shown = [*names[:3], f"{len(names) - 3} more"] if len(names) > 3 else [*names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def span(known: Metric, low: float, high: float, *, signed: bool = False) -> str:
    """The two ends of an interval."""
    return f"{known.display(low, signed=signed)} to {known.display(high, signed=signed)}"


def interval_text(found: Comparison) -> str:
    """The interval of a comparison, "" where there is none."""
    return "" if found.interval is None else span(SCORE, found.interval.low, found.interval.high, signed=True)


def block(table: Table, least: int = 8) -> TableBlock:
    """A table with a search field from some number of rows on."""
    return TableBlock(table, len(table.rows) >= least)


def heading(column: BoardColumn) -> Column:
    """The heading of a column of the board."""
    known = column.metric
    description = known.direction if column.kind == "mean" else f"{known.label}, {known.direction}"
    return Column(column.label, known.higher_is_better, known.digits, description)


def model_cell(row: LeaderboardRow) -> Cell:
    """The model's label with its marks; the tooltip has its full name and revision."""
    description = f"{row.key.model} @ {revision_in_words(row)}"
    return Cell(row.label, row.label, description, None, "model", (row.key.model, row.key.revision), row_mark(row))


def row_mark(row: LeaderboardRow) -> str:
    """What a reader must know about a row at first sight: role, reported, joined from several revisions."""
    marks = ["reported" if row.facts.is_reported else _ROLES[row.facts.role]]
    used = [share for share in row.facts.revisions if share.used]
    if len(used) > 1:
        marks.append(f"{len(used)} revisions")
    elif row.facts.revisions:
        marks.append(f"one of {len(row.facts.revisions)} revisions")
    if not row.facts.is_reported and any(share.is_reported for share in used):
        marks.append("partly reported")
    return ", ".join(filter(None, marks))


def revision_in_words(row: LeaderboardRow) -> str:
    """The revision, and of a joined row what each of its revisions gives."""
    if not row.facts.revisions:
        return short_revision(row.key.revision)
    return "; ".join(f"{share.revision}: {share.used} of its {share.held} tasks" for share in row.facts.revisions)


def whole_cell(value: int | None, separator: str = ",") -> Cell:
    """A whole number, with a separator of thousands."""
    return Cell(value, MISSING if value is None else f"{value:,}".replace(",", separator))


def count_cell(value: int | None) -> Cell:
    """A large number, rounded: 135M."""
    return Cell(value, MISSING if value is None else format_count(value), "" if value is None else f"{value:,}")


def metric_cell(known: Metric) -> Cell:
    """A metric's name with an arrow towards its better side."""
    return text_cell(f"{known.label}\u00a0{known.arrow}".strip(), description=known.direction)


def score_cell(
    board: Leaderboard,
    row: LeaderboardRow,
    column: BoardColumn,
    store: ResultStore | None = None,
    *,
    is_shaded: bool = False,
) -> Cell:
    """A model's value in a column of the board, marked where it is the best; `store` adds the files behind a task's score."""
    value = row.value(column)
    best = board.best(column)
    styles = ["best"] if value is not None and best is not None and abs(value - best) < 1e-12 else []
    if is_shaded and column.metric.higher_is_better is not None and column.key not in board.safety.tasks:
        sign = 1 if column.metric.higher_is_better else -1
        styles.append(shade(None if value is None else sign * value, [sign * each for each in board.values(column)]))
    is_task = column.kind == "task"
    note = "seen" if is_task and value is not None and row.facts.has_seen(column.key) else ""
    sources = store.sources(row.key, column.key) if store is not None and is_task else ()
    return number_cell(value, column.metric, style=" ".join(filter(None, styles)), provenance=sources, note=note)


def change_style(gain: float | None, tie: float = TIE, *, is_significant: bool = False) -> str:
    """How a difference is marked; `gain` is turned so that above zero is better."""
    style = "" if gain is None or abs(gain) <= tie else "gain" if gain > 0 else "loss"
    return f"{style} strong".strip() if is_significant else style


def delta_cell(found: Comparison, *, note: str = "") -> Cell:
    """The mean difference of a comparison."""
    style = change_style(found.delta, is_significant=found.is_significant)
    return number_cell(found.delta, SCORE, signed=True, style=style, note=note)


def p_cell(p: float | None, reason: str, note: str = "") -> Cell:
    """A corrected p-value; None where nothing could be decided, for the `reason`."""
    if p is None:
        return Cell(None, MISSING, reason, style="quiet", note=note)
    return Cell(p, "<0.001" if p < 0.001 else f"{p:.3f}", f"{p:.6g}")


def crowded(n: int) -> str:
    """What the caption of a scatter plot of n models adds where names may not all have room."""
    return " Labels that do not fit are left out; the table lists every model." if n > 6 else ""
