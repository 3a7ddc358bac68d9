"""The tables of a report, from a leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

from genzoo.leaderboards.columns import BoardColumn
from genzoo.leaderboards.comparison import TIE, Comparison
from genzoo.leaderboards.facts import RULE
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING, Metric, format_count, metric
from genzoo.leaderboards.naming import short_revision
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.aggregation import relative_delta
from genzoo.leaderboards.statistics.standing import Standing
from genzoo.reports.chapters.operating_table import safety_columns, safety_notes
from genzoo.reports.render.table import Cell, Column, Table, number_cell, shade, text_cell

ROLES = {"zoo": "zoo", "teacher": "teacher", "baseline": "baseline", "other": ""}
_DIFFERENCE = metric("mean_task")


def leaderboard_table(board: Leaderboard, store: ResultStore | None = None, *, is_full: bool = False) -> Table:
    """Models in rows: means, Borda, difference to the reference, coverage, safety, types; with `is_full` also tasks.

    Args:
        board: The leaderboard.
        store: Gives the files behind task scores as provenance; without it cells have none.
        is_full: Whether every task gets a column, as CSV and JSON want it.
    """
    types = board.columns_of("type")
    columns = [Column("Model", is_text=True, is_name=True)]
    columns += [_heading(column) for column in board.columns_of("mean")]
    has_reference = any(row.comparison for row in board.rows)
    if has_reference:
        against = "teacher" if board.reference is None else "reference"
        columns.append(
            Column(
                f"Δ {against}{' without safety' * bool(board.safety.tasks)}",
                True,
                1,
                f"Mean difference to the {against} over the tasks, with its 95\u00a0% interval",
            )
        )
    standing = _standing_columns(board, is_full=is_full)
    columns += [heading for heading, _ in standing]
    columns.append(Column("Tasks", None, 0, "Tasks with a score"))
    has_seen = {row.key: seen_tasks(board, row) for row in board.shown}
    shows_seen = any(seen or seen is None for seen in has_seen.values())
    if shows_seen:
        columns.append(Column("Seen", None, 0, "Tasks whose data the model states to have been trained on"))
    safety = list(safety_columns(board, is_full=is_full))
    columns += [heading for heading, _ in safety]
    columns += [Column(column.label, True, 1, f"Mean over the tasks of type {column.key}") for column in types]
    tasks = board.columns_of("task") if is_full else ()
    columns += [_heading(column) for column in tasks]
    if is_full:
        columns = [*columns, *(Column(label, is_text=True) for label in ("Name", "Revision", "Role", "Rule"))]
    rows = []
    for place, row in enumerate(board.shown):
        cells = [_model_cell(row), *(_score(board, row, column) for column in board.columns_of("mean"))]
        if has_reference:
            cells.append(_difference_cell(row, board))
        cells += [own[place] for _, own in standing]
        cells.append(
            Cell(row.covered, f"{row.covered}/{board.total}", style="" if row.covered == board.total else "loss")
        )
        cells += [_seen_cell(has_seen[row.key])] if shows_seen else []
        cells += [own[place] for _, own in safety]
        cells += [_score(board, row, column, is_shaded=True) for column in types]
        cells += [_score(board, row, column, store) for column in tasks]
        if is_full:
            cells += map(text_cell, (row.key.model, row.key.revision, row.facts.role, RULE))
        rows.append(tuple(cells))
    ranks = _RANKS if board.standings else board.undecided
    notes = (ranks, _STRICTER if _is_tied_and_below(board) else "", *safety_notes(board))
    return Table("Leaderboard", tuple(columns), tuple(rows), notes=tuple(filter(None, notes)), rule=RULE)


_RANKS = (
    "Rank interval: the ranks by Mean (task) that tests between all pairs of models leave open. With 95\u00a0% confidence every "
    "interval holds its model’s rank over all tasks of this kind. A model marked “tied for first” cannot be told apart from the "
    "leader."
)

_STRICTER = (
    "A model can be significantly below the leader in Δ and still be tied for first: ranks rest on tests of all pairs of models, which "
    "are corrected for more of them than the tests against one reference."
)


def _is_tied_and_below(board: Leaderboard) -> bool:
    """Whether a model that is tied for first is significantly below another such model."""
    first = {key for key, each in board.standings.items() if each.tied_for_first}
    found = [row.comparison for row in board.rows if row.comparison is not None and row.key in first]
    return any(each.is_significant and (each.delta or 0) < 0 and each.reference in first for each in found)


def seen_tasks(board: Leaderboard, row: LeaderboardRow) -> list[str] | None:
    """The tasks of the board that a model states to have been trained on; None where it states nothing."""
    return None if row.facts.training_datasets is None else row.facts.seen_of(board.tasks)


def task_table(board: Leaderboard, store: ResultStore, names: Sequence[str], title: str) -> Table:
    """Main scores of some tasks: tasks in rows while there are few models, else models in rows."""
    columns = [column for column in board.columns_of("task") if column.key in set(names)]
    if len(board.rows) > 6:
        heads = (Column("Model", is_text=True, is_name=True), *(_heading(column) for column in columns))
        rows = tuple(
            (_model_cell(row), *(_score(board, row, column, store, is_shaded=True) for column in columns))
            for row in board.rows
        )
        return Table(title, heads, rows)
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Metric", is_text=True),
        *(Column(row.label, is_name=True) for row in board.rows),
    )
    rows = tuple(
        (
            text_cell(
                column.key, note=board.tasks[column.key].type or "", description=board.tasks[column.key].description
            ),
            text_cell(f"{column.metric.label}\u00a0{column.metric.arrow}".strip(), description=column.metric.direction),
            *(_score(board, row, column, store) for row in board.rows),
        )
        for column in columns
    )
    return Table(title, heads, rows, best_of="row")


def comparison_table(board: Leaderboard, found: Comparison, model: LeaderboardRow, reference: LeaderboardRow) -> Table:
    """Task by task: both scores, the difference, relative difference and outcome."""
    labels = (model.label, reference.label)
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Metric", is_text=True),
        Column(labels[0], is_name=True),
        Column(labels[1], is_name=True),
        Column("Δ", None, 1, "First minus second"),
        Column("Δ %", None, 1, "Relative to the second"),
        Column("Outcome", is_text=True),
    )
    rows = []
    for column in board.columns_of("task"):
        a, b = model.scores.get(column.key), reference.scores.get(column.key)
        delta, gain = found.deltas.get(column.key), found.gains.get(column.key)
        style = "" if gain is None or abs(gain) <= TIE else ("gain" if gain > 0 else "loss")
        uncounted = "not counted" if column.key in board.safety.tasks else "no direction"
        outcome = "only one has it" if delta is None else uncounted if gain is None else _outcome(gain)
        rows.append(
            (
                text_cell(column.key, note=board.tasks[column.key].type or ""),
                text_cell(
                    f"{column.metric.label}\u00a0{column.metric.arrow}".strip(), description=column.metric.direction
                ),
                number_cell(a, column.metric),
                number_cell(b, column.metric),
                number_cell(delta, column.metric, signed=True, style=style),
                number_cell(_relative(a, b, column.metric), _DIFFERENCE, signed=True),
                text_cell(outcome, style=style or "quiet"),
            )
        )
    return Table(f"{labels[0]} against {labels[1]}", heads, tuple(rows))


def _relative(value: float | None, reference: float | None, known: Metric) -> float | None:
    return None if value is None or reference is None else relative_delta(value, reference, known)


def reference_table(board: Leaderboard, title: str = "Against the reference") -> Table:
    """Every model that has a reference: mean difference, interval, tests, wins and losses."""
    labels = {row.key: row.label for row in board.rows}
    heads = (
        Column("Model", is_text=True, is_name=True),
        Column("Reference", is_text=True, is_name=True),
        Column(
            f"Δ mean{' without safety' * bool(board.safety.tasks)}", True, 1, "Mean difference over the shared tasks"
        ),
        Column("Δ %", True, 1, "Relative to the reference's mean"),
        Column("95\u00a0% interval", None, None, "Student’s t over tasks; none for fewer than three", is_text=True),
        Column("p (Holm)", None, 3, "Student’s t test over tasks, Holm-corrected over the rows that can be decided"),
        Column("Win / tie / loss", None, None, is_text=True),
        Column("Tasks", None, 0, "Tasks that both have"),
    )
    rows = []
    for row in board.rows:
        found = row.comparison
        if found is None:
            continue
        style = "" if found.delta is None or abs(found.delta) <= TIE else ("gain" if found.delta > 0 else "loss")
        rows.append(
            (
                _model_cell(row),
                text_cell(labels[found.reference]),
                number_cell(
                    found.delta,
                    _DIFFERENCE,
                    signed=True,
                    style=f"{style} {'strong' if found.is_significant else ''}".strip(),
                ),
                number_cell(found.relative, _DIFFERENCE, signed=True),
                text_cell(interval_text(found), style="fixed"),
                _p_cell(found),
                text_cell(f"{found.wins} / {found.ties} / {found.losses}", style="fixed"),
                Cell(found.n, str(found.n)),
            )
        )
    return Table(title, heads, tuple(rows))


def cost_table(board: Leaderboard) -> Table:
    """Parameters, dimension, speed, beside the mean."""
    means = [column for column in board.columns_of("mean") if column.key == "mean_task"]
    heads = (
        Column("Model", is_text=True, is_name=True),
        *map(_heading, means),
        Column("Parameters", None, 0),
        Column("Trained", None, 0, "Parameters that training changed"),
        Column("Dimensions", None, 0, "Width of the embedding"),
        Column("Texts/s", True, 1, "As measured while evaluating, on the machine under Provenance"),
        Column("Device", is_text=True),
    )

    def count(value: int | None) -> Cell:
        return Cell(value, MISSING if value is None else format_count(value), "" if value is None else f"{value:,}")

    rows = []
    for row in board.rows:
        facts = row.facts
        dim = Cell(facts.embed_dim, MISSING if facts.embed_dim is None else str(facts.embed_dim))
        speed = number_cell(facts.texts_per_second, metric("texts_per_second"))
        mean = [number_cell(row.mean_task, column.metric) for column in means]
        device = text_cell(" ".join(part for part in (facts.device, facts.dtype) if part))
        rows.append(
            (_model_cell(row), *mean, count(facts.n_parameters), count(facts.n_trained_parameters), dim, speed, device)
        )
    return Table("Cost", heads, tuple(rows))


def interval_text(found: Comparison) -> str:
    """The interval of a comparison, "" where there is none."""
    if found.interval is None:
        return ""
    low, high = (_DIFFERENCE.display(value, signed=True) for value in (found.interval.low, found.interval.high))
    return f"{low} to {high}"


def _heading(column: BoardColumn) -> Column:
    known = column.metric
    description = known.direction if column.kind == "mean" else f"{known.label}, {known.direction}"
    return Column(column.label, known.higher_is_better, known.digits, description)


def _model_cell(row: LeaderboardRow) -> Cell:
    description = f"{row.key.model} @ {revision_in_words(row)}"
    return Cell(row.label, row.label, description, None, "model", (row.key.model, row.key.revision), row_mark(row))


def row_mark(row: LeaderboardRow) -> str:
    """What a reader must know about a row at first sight: role, reported, joined from several revisions."""
    facts = row.facts
    marks = ["reported" if facts.is_reported else ROLES[facts.role]]
    used = [share for share in facts.revisions if share.used]
    if len(used) > 1:
        marks.append(f"{len(used)} revisions")
    elif facts.revisions:
        marks.append(f"one of {len(facts.revisions)} revisions")
    if not facts.is_reported and any(share.is_reported for share in used):
        marks.append("partly reported")
    return ", ".join(filter(None, marks))


def revision_in_words(row: LeaderboardRow) -> str:
    """The revision, and of a joined row what each of its revisions gives."""
    if not row.facts.revisions:
        return short_revision(row.key.revision)
    return "; ".join(f"{share.revision}: {share.used} of its {share.held} tasks" for share in row.facts.revisions)


def _standing_columns(board: Leaderboard, *, is_full: bool) -> list[tuple[Column, list[Cell]]]:
    """Ranks with a cell for each of `board.shown`: one column for people; rank, both ends and the verdict apart for machines."""
    found = [board.standings.get(row.key) for row in board.shown]
    if not board.standings:
        return []
    is_shared = sum(each.tied_for_first for each in board.standings.values()) > 1
    if not is_full:
        heading = Column("Rank interval", None, None, "Ranks that the tests leave open, at 95\u00a0%", is_text=True)
        return [(heading, [_standing_cell(each, is_shared=is_shared) for each in found])]
    ends = {"low": "Best rank that the tests leave open, at 95\u00a0%", "high": "Worst rank that they leave open"}
    numbers = {"rank": Column("Rank", False, 0, "By Mean (task); equal means share the better rank")}
    numbers |= {end: Column(f"Rank interval, {end}", None, 0, about) for end, about in ends.items()}
    tied = Column("Tied for first", None, None, "Whether it cannot be told apart from the leader", is_text=True)
    return [
        *((head, [_rank_cell(each and getattr(each, name)) for each in found]) for name, head in numbers.items()),
        (
            tied,
            [text_cell("" if each is None else "yes" if is_shared and each.tied_for_first else "no") for each in found],
        ),
    ]


def _standing_cell(found: Standing | None, *, is_shared: bool) -> Cell:
    if found is None:
        return Cell(None, MISSING, "no mean, so no rank", style="quiet")
    shown = str(found.low) if found.low == found.high else f"{found.low} to {found.high}"
    is_tied = found.tied_for_first and is_shared
    return Cell(found.rank, shown, f"rank {found.rank}", style="fixed", note="tied for first" if is_tied else "")


def _rank_cell(rank: int | None) -> Cell:
    return Cell(rank, MISSING if rank is None else str(rank))


def _seen_cell(seen: list[str] | None) -> Cell:
    if seen is None:
        return Cell(None, "unknown", "its training data are not stated, which is not the same as clean", style="quiet")
    return Cell(len(seen), str(len(seen)), ", ".join(seen) or "none of them", style="loss" if seen else "")


def _score(
    board: Leaderboard,
    row: LeaderboardRow,
    column: BoardColumn,
    store: ResultStore | None = None,
    *,
    is_shaded: bool = False,
) -> Cell:
    value = row.value(column)
    best = board.best(column)
    styles = ["best"] if value is not None and best is not None and abs(value - best) < 1e-12 else []
    if is_shaded and column.metric.higher_is_better is not None and column.key not in board.safety.tasks:
        sign = 1 if column.metric.higher_is_better else -1
        styles.append(shade(None if value is None else sign * value, [sign * each for each in board.values(column)]))
    note = "seen" if column.kind == "task" and value is not None and row.facts.has_seen(column.key) else ""
    sources: tuple[str, ...] = ()
    if store is not None and column.kind == "task":
        sources = store.sources(row.key, column.key)
    return number_cell(value, column.metric, style=" ".join(filter(None, styles)), provenance=sources, note=note)


def _difference_cell(row: LeaderboardRow, board: Leaderboard) -> Cell:
    found = row.comparison
    if found is None or found.delta is None:
        return Cell(None, MISSING, "no reference with a score", style="quiet")
    n_shared, n = sum(name in found.deltas for name in board.counted), len(board.counted)
    if n_shared < n:
        shared = f"{n_shared} of {n} tasks are shared: {_DIFFERENCE.display(found.delta, signed=True)}"
        return Cell(None, MISSING, shared, style="quiet", note=f"{n_shared}/{n} shared")
    style = "gain" if found.delta > TIE else "loss" if found.delta < -TIE else ""
    style += " strong" if found.is_significant else ""
    return number_cell(found.delta, _DIFFERENCE, signed=True, style=style.strip(), note=interval_text(found))


def _p_cell(found: Comparison) -> Cell:
    p = found.p_holm
    if p is None:
        return Cell(
            None, MISSING, "so few tasks cannot decide, whatever the scores", style="quiet", note="cannot decide"
        )
    return Cell(p, "<0.001" if p < 0.001 else f"{p:.3f}", f"{p:.6g}")


def _outcome(gain: float) -> str:
    return "tie" if abs(gain) <= TIE else "win" if gain > 0 else "loss"
