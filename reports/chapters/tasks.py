"""The chapters on tasks: every task, the reasoning tasks apart, and what a score costs to run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from genzoo.leaderboards.facts import REASONING, tasks_of
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import format_count, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports import plots
from genzoo.reports.chapters.cells import (
    MINI,
    MODEL,
    SCORE,
    TASK,
    block,
    count_cell,
    crowded,
    heading,
    metric_cell,
    model_cell,
    score_cell,
    whole_cell,
)
from genzoo.reports.render.document import Block, Drawing, Prose, Section, TableBlock
from genzoo.reports.render.table import Column, Table, number_cell, text_cell, text_column

_FEW_MODELS = 6  # up to here a table has the models as columns
_NAMED = 12  # tasks whose leader the alternative text names


def tasks_section(board: Leaderboard, store: ResultStore) -> Section:
    """Every task."""
    drawings = [_task_drawing(board)] if board.total > 1 else []
    table = task_table(board, store, list(board.tasks), "Main score by task")
    return Section("tasks", "Task by task", (*drawings, block(table)))


def reasoning_section(board: Leaderboard, store: ResultStore) -> Section:
    """Tasks whose answer is an inference away."""
    names = tasks_of(REASONING, board.tasks)
    if not names:
        return Section("reasoning", "Reasoning", (Prose(f"No reasoning task was measured. {MINI} includes one."),))
    lead = "In these tasks the relevant passage shares few words with the query, so finding it takes an inference."
    table = task_table(board, store, names, "Reasoning tasks")
    return Section("reasoning", "Reasoning", (Prose(lead), TableBlock(table)))


def cost_section(board: Leaderboard) -> Section:
    """What a score costs to run."""
    drawings = [_size_drawing(board)] if len(plots.sized_points(board)) > 1 else []
    blocks: list[Block] = [*drawings, block(_cost_table(board))]
    if not board.is_own and not _has_speed(board):
        blocks.append(Prose("No speed was recorded with these results.", is_quiet=True))
    return Section("cost", "Cost", tuple(blocks))


def task_table(board: Leaderboard, store: ResultStore, names: Sequence[str], title: str) -> Table:
    """Main scores of some tasks: tasks in rows while there are few models, else models in rows."""
    columns = [column for column in board.columns_of("task") if column.key in set(names)]
    if len(board.rows) > _FEW_MODELS:
        rows = tuple(
            (model_cell(row), *(score_cell(board, row, column, store, is_shaded=True) for column in columns))
            for row in board.rows
        )
        return Table(title, (MODEL, *map(heading, columns)), rows)
    heads = (TASK, text_column("Metric"), *(Column(row.label, is_name=True) for row in board.rows))
    rows = tuple(
        (
            text_cell(column.key, note=facts.type or "", description=facts.description),
            metric_cell(column.metric),
            *(score_cell(board, row, column, store) for row in board.rows),
        )
        for column in columns
        for facts in (board.tasks[column.key],)
    )
    return Table(title, heads, rows, best_of="row")


def _task_drawing(board: Leaderboard) -> Drawing:
    """All models over all tasks: marks while they can be told apart, else a heat map."""
    is_few = len(board.rows) <= plots.MOST_SERIES
    leaders = "; ".join(f"{name}: {best}" for name in list(board.tasks)[:_NAMED] if (best := _leader(board, name)))
    what = "One row per task, one mark per model" if is_few else "Heat map, models by tasks"
    caption = "Main scores, multiplied by 100. "
    if not is_few:
        caption += "Colour compares the models within one task, from dark (worst) to light (best) in the metric’s own direction; – marks a "
        caption += "missing score."
        if not all(plots.task_sign(board, name) for name in board.tasks):
            caption += " Safety tasks, which a model that finds nothing would win, and metrics without a direction have no colour."
    fill = partial(plots.tasks, board)
    return Drawing("tasks", "Every task, every model", f"{what}. Best: {leaders}.", caption, fill)


def _leader(board: Leaderboard, name: str) -> str:
    found, sign = board.tasks[name].metric, plots.task_sign(board, name)
    scored = [(sign * value, row.label) for row in board.rows if (value := row.scores[name]) is not None]
    if not scored or not sign:
        return ""
    value, label = max(scored)
    return f"{label} {found.display(sign * value)}"


def _size_drawing(board: Leaderboard) -> Drawing:
    """Mean over tasks against parameters."""
    points = plots.sized_points(board)
    listed = "; ".join(f"{p.label}: {format_count(p.x)} parameters, {SCORE.display(p.y)}" for p in points)
    front = plots.pareto_front(points)
    listed += f". Not beaten by any smaller model: {', '.join(p.label for p in front)}"
    score = "Mean over tasks" if len(board.tasks) > 1 else "Score"
    caption = f"{score}, multiplied by 100, against the number of parameters (log scale)."
    caption += " Models without such a number, as bm25, are not in the figure." if len(points) < len(board.rows) else ""
    caption += " The mean leaves out safety tasks." if board.safety.tasks else ""
    caption += " The line joins the models that no smaller one beats." if len(front) > 1 else ""
    caption += crowded(len(points))
    fill = partial(plots.score_against_size, board)
    return Drawing("size", "Score against size", f"Scatter plot. {listed}.", caption, fill)


def _cost_table(board: Leaderboard) -> Table:
    """Parameters, dimension and speed next to the mean."""
    means = [column for column in board.columns_of("mean") if column.key == "mean_task"]
    about = "As measured while evaluating, on the machine under Provenance"
    speed = (
        Column("Texts/s", True, 1, about),
        lambda row: number_cell(row.facts.texts_per_second, metric("texts_per_second")),
    )
    return Table.of("Cost", board.rows, [
        (MODEL, model_cell),
        *((heading(column), lambda row: number_cell(row.mean_task, SCORE)) for column in means),
        (Column("Parameters", None, 0), lambda row: count_cell(row.facts.n_parameters)),
        (Column("Trained", None, 0, "Parameters that training changed"),
         lambda row: count_cell(row.facts.n_trained_parameters)),
        (Column("Dimensions", None, 0, "Width of the embedding"), lambda row: whole_cell(row.facts.embed_dim, "")),
        *([speed] if _has_speed(board) or not board.is_own else []),
        (text_column("Device"), lambda row: text_cell(" ".join(filter(None, (row.facts.device, row.facts.dtype))))),
    ])  # fmt: skip


def _has_speed(board: Leaderboard) -> bool:
    return any(row.facts.texts_per_second for row in board.rows)
