"""Figures of a leaderboard or a study: Axes in, Axes out.

Each function draws on `ax` and returns it. Without `ax` it makes a figure through pyplot, so that a notebook shows it; the figure is
`ax.figure`. Scores between 0 and 1 are drawn times 100, as tables show them. Where there is nothing to draw, `InputError` says why.

>>> import genzoo
>>> board = genzoo.open_results("results").leaderboard()  # doctest: +SKIP
>>> genzoo.plots.rank_intervals(board).figure.savefig("ranks.pdf")  # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from genzoo.errors import InputError, UnknownNameError
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import format_count, metric
from genzoo.leaderboards.reading.studies import MEAN, StudyResults
from genzoo.leaderboards.safety import MAIN_UTILITY, UTILITIES, PairFigures, operating_curve
from genzoo.leaderboards.statistics.aggregation import averaged_tasks
from genzoo.leaderboards.statistics.ties import TIE
from genzoo.reports.render.style import (
    GAIN,
    INK,
    LOSS,
    MARKERS,
    MUTED,
    NARROW,
    RULE,
    SURFACE,
    drawing_on,
    is_wide,
    legend_above,
    legend_label,
    name_rows,
    place_labels,
    series_color,
    square,
)
from genzoo.text import clean, shorten

__all__ = [
    "ablation",
    "against_reference",
    "operating_curves",
    "quality_against_layers",
    "rank_intervals",
    "safety",
    "score_against_size",
    "tasks",
    "training_curves",
]

MOST_SERIES = 6  # as many as the palette tells apart
MOST_RANKS = 40
DEEPEST = 10
"""Rank down to which `found_within` counts."""
LOSSES = {"align": "Alignment loss", "recon": "Reconstruction loss, nats per token"}
_SCORE = metric("mean_task")
_WRITTEN_CELLS = 800  # a heat map with more cells shows colours alone
_DASHES = ("-", "--", "-.", ":")


class Point(NamedTuple):
    """One model of a scatter plot; `y` is between 0 and 1."""

    label: str
    x: float
    y: float


def rank_intervals(board: Leaderboard, ax: Axes | None = None) -> Axes:
    """Ranks by Mean (task) with their 95 % intervals, one row per model, the best on top; at most `MOST_RANKS` models.

    Rank 1 is the best. Models that cannot be told apart from the leader have its colour.
    """
    rows = ranked_rows(board)
    _need(rows, board.undecided or "this board has fewer than two models with a mean")
    standings = [board.standings[row.key] for row in rows]
    with drawing_on(ax, 0.7 + 0.22 * len(rows)) as ax:
        places = np.arange(len(rows))
        low, high = (np.array([getattr(each, side) for each in standings]) for side in ("low", "high"))
        colors = [series_color(0 if each.tied_for_first else 1) for each in standings]
        ax.hlines(places, low - 0.12, high + 0.12, colors=colors, linewidth=5, alpha=0.35, zorder=2)
        ax.scatter([each.rank for each in standings], places, s=30, color=colors, zorder=3)
        name_rows(ax, [row.label for row in rows])
        ax.set_xlabel("Rank, 95\u00a0% interval")
        ax.set_xlim(0.4, max(high) + 0.6)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def ranked_rows(board: Leaderboard) -> list[LeaderboardRow]:
    """The models that `rank_intervals` draws."""
    return [row for row in board.rows if row.key in board.standings][:MOST_RANKS]


def tasks(board: Leaderboard, ax: Axes | None = None) -> Axes:
    """Main scores, times 100, of all models on all tasks.

    Up to `MOST_SERIES` models are marks in one row per task. More models are rows of a heat map: its colour compares the models
    within one task and never across tasks, light is better in the task's own direction; safety tasks, which a model wins that
    finds nothing, and tasks without a direction have no colour.
    """
    names, n = list(board.tasks), len(board.rows)
    if n > MOST_SERIES:
        # Each column needs its room: a heat map does not become narrower than that.
        with drawing_on(ax, 1.5 + 0.19 * n, least=2.6 + 0.24 * len(names)) as ax:
            _heat_map(ax, board, names)
        return ax
    with drawing_on(ax, lambda width: 1.0 + 0.26 * len(names) + (0.16 * n if width <= NARROW else 0)) as ax:
        values = np.array([[row.scores[name] for name in names] for row in board.rows], float) * 100
        some = np.isfinite(values).any(axis=0)
        ax.hlines(
            np.flatnonzero(some), np.nanmin(values[:, some], axis=0), np.nanmax(values[:, some], axis=0),
            colors=RULE, linewidth=1.4, zorder=1,
        )  # fmt: skip
        for place, row in enumerate(board.rows):
            ax.scatter(
                values[place], np.arange(len(names)), s=36, marker=MARKERS[place % len(MARKERS)], color=series_color(place),
                edgecolor=SURFACE, linewidth=0.6, zorder=n + 2 - place, label=legend_label(row.label),
            )  # fmt: skip
        name_rows(ax, names)
        ax.set_xlabel("Main score")
        legend_above(ax)
    return ax


def task_sign(board: Leaderboard, name: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where neither makes a model better: without a direction, and safety."""
    if name in board.safety.tasks:
        return 0
    return {True: 1, False: -1, None: 0}[board.tasks[name].metric.higher_is_better]


def _heat_map(ax: Axes, board: Leaderboard, names: Sequence[str]) -> None:
    values = np.array([[row.scores[name] for name in names] for row in board.rows], float)
    oriented = values * np.array([float(task_sign(board, name)) or np.nan for name in names])
    low, high = np.nanmin(oriented, axis=0, initial=np.inf), np.nanmax(oriented, axis=0, initial=-np.inf)
    spread = np.where(np.isfinite(high - low) & (high > low), high - low, 1.0)
    shades = np.where(np.isfinite(oriented), (oriented - np.where(np.isfinite(low), low, 0.0)) / spread, np.nan)
    ax.imshow(np.ma.masked_invalid(shades), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    if shades.size <= _WRITTEN_CELLS:
        _write_cells(ax, values, shades)
    ax.set_xticks(
        range(len(names)), [shorten(name, 26) for name in names], rotation=60, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(len(board.rows)), [shorten(row.label, 30) for row in board.rows])
    ax.spines[:].set_visible(False)


def _write_cells(ax: Axes, values: np.ndarray, shades: np.ndarray) -> None:
    for (row, column), shade in np.ndenumerate(shades):
        # Coloured cells bring their own background, so their text must not follow the page's theme.
        color = MUTED if not np.isfinite(shade) else "#ffffff" if shade < 0.55 else "#14171a"
        value = values[row, column]
        shown = f"{value * 100:.0f}" if np.isfinite(value) else "–"
        text = ax.text(column, row, shown, ha="center", va="center", color=color, size=6.5)
        text.set_in_layout(False)  # inside of the axes for certain, and many would slow the layout down


def against_reference(
    board: Leaderboard,
    ax: Axes | None = None,
    *,
    model: str | ModelKey | None = None,
    by: str | None = None,
) -> Axes:
    """Main scores, times 100, of a model and of its reference, with the difference, model minus reference, on the right.

    One row per task type or task, the largest loss below: a hollow mark for the reference, a full one for the model.

    Args:
        board: Made with a reference, or of models whose teachers are on the board.
        ax: Where to draw.
        model: Label or full name; by default the first model that has a reference.
        by: "type" or "task"; by default types, where they say more than tasks.
    """
    row, reference = _compared_rows(board, model)
    _, pairs = paired_scores(board, row, reference, by)
    _need(pairs, f"{row.label} and {reference.label} share no task whose scores can be averaged")
    with drawing_on(ax, 0.9 + 0.27 * len(pairs)) as ax:
        rows, length = np.arange(len(pairs)), 40 if is_wide(ax) else 30
        before, after = np.array([*pairs.values()], float).T * 100
        colors = [_change_color(end - start) for start, end in zip(before, after, strict=True)]
        ax.hlines(rows, before, after, colors=colors, linewidth=2.2, zorder=2)
        ax.scatter(before, rows, s=38, facecolor=SURFACE, edgecolor=MUTED, linewidth=1.4, zorder=3,
                   label=legend_label(reference.label, length))  # fmt: skip
        ax.scatter(after, rows, s=44, color=colors, zorder=4)
        # A legend entry of its own, as the marks take the colour of gain or loss.
        ax.scatter([], [], s=44, color=INK, label=legend_label(row.label, length))
        for place, (start, end, color) in enumerate(zip(before, after, colors, strict=True)):
            difference = _SCORE.display((end - start) / 100, signed=True)
            ax.text(1.02, place, difference, transform=ax.get_yaxis_transform(), va="center", color=color)
        name_rows(ax, list(pairs))
        ax.set_xlabel("Main score")
        ax.margins(x=0.06)
        legend_above(ax, columns=1)
    return ax


def _compared_rows(board: Leaderboard, model: str | ModelKey | None) -> tuple[LeaderboardRow, LeaderboardRow]:
    """A model and its reference."""
    found = [
        (row, other)
        for row in board.rows
        if row.comparison is not None and (other := board.row(row.comparison.reference)) is not None
    ]
    _need(found, "no model of this board has a reference: name one, as in results.leaderboard(reference=...)")
    chosen = [pair for pair in found if model in (None, pair[0].key, pair[0].label, pair[0].key.model)]
    if not chosen:
        labels = ", ".join(row.label for row, _ in found)
        raise UnknownNameError(f"{model!r} is not a model with a reference on this board; models with one: {labels}")
    return chosen[0]


def paired_scores(
    board: Leaderboard, model: LeaderboardRow, reference: LeaderboardRow, by: str | None = None
) -> tuple[str, dict[str, tuple[float, float]]]:
    """What `against_reference` draws: "task type" or "task", and for each the two scores, between 0 and 1."""

    def shared(first: Mapping[str, float | None], second: Mapping[str, float | None]) -> dict[str, tuple[float, float]]:
        pairs = {name: (first.get(name), second.get(name)) for name in first}
        found = {name: (a, b) for name, (a, b) in pairs.items() if a is not None and b is not None}
        return dict(sorted(found.items(), key=lambda item: item[1][0] - item[1][1]))

    averaged = averaged_tasks(board.tasks, board.tasks)
    by_task = shared({name: reference.scores.get(name) for name in averaged}, model.scores)
    by_type = shared(reference.types, model.types)
    if by == "type" or (by is None and 1 < len(by_type) < len(by_task)):
        return "task type", by_type
    return "task", by_task


def score_against_size(board: Leaderboard, ax: Axes | None = None) -> Axes:
    """Mean (task), times 100, against the number of parameters on a log axis: up and to the left is better.

    A line joins the models that no smaller or equally small one beats. Names without room are left out.
    """
    points = sized_points(board)
    _need(points, "no model of this board has both a mean and a known number of parameters")
    with drawing_on(ax, square) as ax:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
        sizes = [point.x for point in points]
        spread = max(2.0, (max(sizes) / min(sizes)) ** 0.25)
        ax.set_xlim(min(sizes) / spread, max(sizes) * spread)
        decades = math.log10(max(sizes) / min(sizes) * spread**2)
        is_roomy = decades < (3.4 if is_wide(ax) else 1.5)
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_roomy else (1.0,)))
        ax.set_xlabel("Parameters")
        ax.set_ylabel("Mean over tasks" if len(board.tasks) > 1 else "Score")
        front = pareto_front(points)
        if 1 < len(front) < len(points):
            x, y = [*(p.x for p in front), ax.get_xlim()[1]], [*(p.y * 100 for p in front), front[-1].y * 100]
            ax.plot(x, y, drawstyle="steps-post", color=MUTED, lw=1, zorder=1)
        _scatter(ax, points)
    return ax


def sized_points(board: Leaderboard) -> list[Point]:
    """The models that `score_against_size` draws, with their parameters."""
    return [
        Point(row.label, float(row.facts.n_parameters), row.mean_task)
        for row in board.rows
        if row.facts.n_parameters and row.mean_task is not None
    ]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no smaller or equally small one beats, by size.

    >>> [p.label for p in pareto_front([Point("a", 1, 0.4), Point("b", 2, 0.3), Point("c", 3, 0.6)])]
    ['a', 'c']
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def found_within(ranks: Mapping[str, Sequence[int | None]], ax: Axes | None = None) -> Axes:
    """The share of searches whose first relevant passage is at each rank or above it, one line per model; at most `MOST_SERIES` models.

    Args:
        ranks: Model -> rank of the first relevant passage of each search, None where none was found.
        ax: Where to draw.
    """
    shown = {label: own for label, own in list(ranks.items())[:MOST_SERIES] if own}
    _need(shown, "no search has its rank")
    depths = np.arange(1, DEEPEST + 1)
    with drawing_on(ax, 3.0) as ax:
        for place, (label, own) in enumerate(shown.items()):
            ax.plot(
                depths, 100 * within(own), color=series_color(place), marker=MARKERS[place % len(MARKERS)], markersize=4.5,
                linestyle=_DASHES[place % len(_DASHES)], label=legend_label(label),
            )  # fmt: skip
        ax.set_xlabel("Rank")
        ax.set_ylabel("Searches, %")
        ax.set_ylim(0, 103)
        ax.set_xticks(depths)
        legend_above(ax)
    return ax


def within(ranks: Sequence[int | None]) -> np.ndarray:
    """The share of searches with a rank of at most 1, 2, ..., `DEEPEST`.

    >>> within([1, 3, None, 12])[[0, 2, 9]].tolist()
    [0.25, 0.5, 0.5]
    """
    known = np.array([math.inf if rank is None else rank for rank in ranks])
    return np.array([(known <= depth).mean() for depth in range(1, DEEPEST + 1)])


def safety(board: Leaderboard, ax: Axes | None = None, *, pair: int = 0) -> Axes:
    """Safety on harmful requests (up) against help with their harmless twins (to the right), both main scores times 100.

    Only the right end of the safer side is good: a model that finds nothing is perfectly safe. `pair` counts the safety tasks
    that have a twin on the board from 0; names without room are left out.
    """
    found = _pair(board, pair)
    points = safety_points(board, found)
    _need(points, f"no model has a score on both {found.pair.safety} and {found.pair.twin}")
    up, across = (board.tasks[name].metric for name in found.pair)
    with drawing_on(ax, square) as ax:
        ax.set_xlabel(clean(f"{across.label} on harmless twins"))
        ax.set_ylabel(clean(f"{up.label} on harmful requests"))
        ax.margins(0.14)
        _scatter(ax, points)
        place, side, arrow = (0.98, "top", "↗") if up.higher_is_better else (0.02, "bottom", "↘")
        ax.text(
            0.99, place, f"safe and helpful {arrow}",
            transform=ax.transAxes, ha="right", va=side, color=MUTED, size=7.5,
        )  # fmt: skip
    return ax


def safety_points(board: Leaderboard, figures: PairFigures) -> list[Point]:
    """The models that `safety` draws: help with the harmless twins, times 100, and safety, between 0 and 1."""
    both = [(row.label, row.scores.get(figures.pair.twin), row.scores.get(figures.pair.safety)) for row in board.rows]
    return [Point(label, x * 100, y) for label, x, y in both if x is not None and y is not None]


def operating_curves(board: Leaderboard, ax: Axes | None = None, *, pair: int = 0) -> Axes:
    """Share of harmless requests answered (x) against share of harmful ones not served (y), as the threshold falls, in %.

    Up and to the right is better. The `MOST_SERIES` models that are safest at `MAIN_UTILITY` are drawn. `pair` counts the safety
    tasks that have a twin on the board from 0.
    """
    found = _pair(board, pair)
    rows = measured_rows(board, found)[:MOST_SERIES]
    _need(rows, f"no model has predictions of both {found.pair.safety} and {found.pair.twin}")
    with drawing_on(ax, lambda width: square(width) + 0.16 * len(rows)) as ax:
        # In the board's order, so that a model has one colour in all figures of a report.
        for place, row in enumerate(row for row in board.rows if row in rows):
            points = operating_curve(*found.requests[row.key])
            # From "answer nothing" on: perfectly safe, perfectly useless.
            x, y = [0.0, *(point.utility * 100 for point in points)], [100.0, *(point.safety * 100 for point in points)]
            ax.plot(
                x, y, _DASHES[place % len(_DASHES)], drawstyle="steps-post", color=series_color(place), linewidth=1.8,
                label=legend_label(row.label),
            )  # fmt: skip
        ax.set_xlim(-2, 102)
        ax.set_ylim(-2, 104)
        ax.set_xlabel("Harmless twins answered, %")
        ax.set_ylabel("Harmful requests not served, %")
        ax.grid(visible=True)
        legend_above(ax)
    return ax


def measured_rows(board: Leaderboard, figures: PairFigures) -> list[LeaderboardRow]:
    """The models with predictions of both tasks of a pair, the safest at `MAIN_UTILITY` first."""
    place = UTILITIES.index(MAIN_UTILITY)
    rows = [row for row in board.rows if row.key in figures.requests]
    return sorted(rows, key=lambda row: figures.models[row.key][place].order, reverse=True)


def _pair(board: Leaderboard, place: int) -> PairFigures:
    n = len(board.safety.pairs)
    if not 0 <= place < n:
        raise InputError(f"pair {place} of {n}: this board has {n} safety tasks with a harmless twin, counted from 0")
    return board.safety.pairs[place]


def ablation(study: StudyResults, ax: Axes | None = None, *, metric: str = MEAN) -> Axes:
    """One metric of a study, one row per variant: mean over seeds with its 95 % interval, scores times 100.

    The hollow mark and the line are the base, which the variants change in one point each; `study.metric(metric)` gives the
    metric's direction.
    """
    if metric not in study.effects:
        raise UnknownNameError(f"{study.name} has no metric {metric!r}; it has {', '.join(study.effects)}")
    known, effects = study.metric(metric), study.effects[metric]
    scale = 100.0 if known.percent else 1.0
    with drawing_on(ax, 0.75 + 0.24 * len(effects)) as ax:
        rows = np.arange(len(effects))
        means = np.array([each.value.mean for each in effects]) * scale
        ax.axvline(means[0], color=RULE, linewidth=1.2, zorder=1)
        for row, each in enumerate(effects):
            low, high = each.value.low, each.value.high
            if low is not None and high is not None:
                ax.hlines(row, low * scale, high * scale, colors=series_color(0), linewidth=2, alpha=0.5, zorder=2)
        ax.scatter(means[:1], rows[:1], s=38, facecolor=SURFACE, edgecolor=INK, linewidth=1.4, zorder=3)
        ax.scatter(means[1:], rows[1:], s=38, color=series_color(0), zorder=3)
        name_rows(ax, [each.variant for each in effects])
        ax.margins(x=0.1)
        ax.set_xlabel(clean(known.label + (", times 100" if known.percent else "")))
    return ax


def quality_against_layers(study: StudyResults, ax: Axes | None = None, *, metric: str = MEAN) -> Axes:
    """One metric of a study of exit layers against the layers that embed a text: up and to the left is better.

    A point for each variant, its mean over seeds with its 95 % interval, scores times 100. A line joins the variants that none of
    fewer or as many layers beats.
    """
    points = layered_points(study, metric)
    _need(points, f"{study.name} does not compare exit layers in {metric!r}")
    known, values = study.metric(metric), {each.variant: each.value for each in study.effects[metric]}
    scale = 100.0 if known.percent else 1.0
    with drawing_on(ax, square) as ax:
        for low, high, x in ((values[p.label].low, values[p.label].high, p.x) for p in points):
            if low is not None and high is not None:
                ax.vlines(x, low * scale, high * scale, colors=MUTED, linewidth=2, alpha=0.5, zorder=2)
        front = pareto_front(points)
        ax.plot([p.x for p in front], [p.y * scale for p in front], color=MUTED, linewidth=1, zorder=1)
        _scatter(ax, points, scale)
        ax.margins(x=0.14)
        ax.set_xlabel("Layers that embed a text")
        ax.set_ylabel(clean(known.label + (", times 100" if known.percent else "")))
    return ax


def layered_points(study: StudyResults, name: str) -> list[Point]:
    """The variants that `quality_against_layers` draws, from the deepest one."""
    layers = {each.variant: each.value.mean for each in study.effects.get("layers_run", ())}
    found = [
        Point(each.variant, layers[each.variant], each.value.mean)
        for each in study.effects.get(name, ())
        if each.variant in layers
    ]
    return sorted(found, key=lambda point: -point.x) if len({point.x for point in found}) > 1 else []


def training_curves(study: StudyResults, ax: Axes | None = None, *, loss: str = "align") -> Axes:
    """One loss over the training steps, one line per variant (its first seed, `MOST_SERIES` at most); lower is better.

    Faint: each logged batch. Strong: a running median over a twentieth of the run. `loss` is "align" (cosine or squared distance,
    as the recipe has it) or "recon" (nats per token).
    """
    curves = [curve for curve in study.curves if curve.loss == loss][:MOST_SERIES]
    _need(curves, f"{study.name} has no curve of the loss {loss!r}; the losses are {', '.join(LOSSES)}")
    with drawing_on(ax, square) as ax:
        for place, curve in enumerate(curves):
            color, values = series_color(place), np.asarray(curve.values)
            ax.plot(curve.steps, values, color=color, linewidth=0.6, alpha=0.25)
            ax.plot(curve.steps, _median(values), color=color, linewidth=1.6, label=legend_label(curve.label))
        ax.set_xlabel("Step")
        ax.set_ylabel(LOSSES[loss])
        ax.grid(visible=True)
        legend_above(ax)
    return ax


def _median(values: np.ndarray) -> np.ndarray:
    """Running median over about a twentieth of the curve."""
    half = max(1, len(values) // 40)
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


def _need(found: Sequence[object] | Mapping[str, object], why: str) -> None:
    if not found:
        raise InputError(f"nothing to draw: {why}")


def _scatter(ax: Axes, points: Sequence[Point], scale: float = 100.0) -> None:
    for place, point in enumerate(points):
        ax.scatter(
            [point.x], [point.y * scale], s=46, marker=MARKERS[place % len(MARKERS)], color=series_color(place),
            edgecolor=SURFACE, linewidth=0.6, zorder=3,
        )  # fmt: skip
    ax.grid(visible=True)
    heights = [point.y * scale for point in points]
    pad = max(0.02 * scale, 0.22 * (max(heights) - min(heights)))
    ax.set_ylim(min(heights) - pad, max(heights) + pad)
    spots = [(point.x, point.y * scale) for point in points]
    length = 40 if is_wide(ax) else 26
    place_labels(ax, spots, [shorten(point.label, length) for point in points])


def _change_color(difference: float) -> str:
    if abs(difference) <= TIE * 100:
        return MUTED
    return GAIN if difference > 0 else LOSS
