"""Figures: Axes in, Axes out. Scores between 0 and 1 are drawn times 100, as tables show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from genzoo.errors import InputError
from genzoo.leaderboards.comparison import TIE
from genzoo.leaderboards.metrics import format_count, metric
from genzoo.leaderboards.reading.studies import Curve, Effect
from genzoo.leaderboards.safety import OperatingPoint
from genzoo.leaderboards.statistics.standing import Standing
from genzoo.reports.render.style import MARKERS, NARROW, Palette
from genzoo.reports.render.text import clean, shorten

_GAP = 6.0  # points between a mark and its label
_RADIUS = 5.0  # points around a mark that stay free
# (dx, dy, horizontal, vertical alignment), in order of preference
_PLACES = (
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
    (0.7, 0.7, "left", "bottom"),
    (0.7, -0.7, "left", "top"),
    (-0.7, 0.7, "right", "bottom"),
    (-0.7, -0.7, "right", "top"),
    (0.7, 1.8, "left", "bottom"),
    (0.7, -1.8, "left", "top"),
    (-0.7, 1.8, "right", "bottom"),
    (-0.7, -1.8, "right", "top"),
)


def place_labels(ax: Axes, spots: Sequence[tuple[float, float]], texts: Sequence[str], *, color: str) -> list[str]:
    """Write each text beside its spot, at the first place that is free; axis limits must be final.

    Returns:
        The texts for which no place was free: they are not drawn.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("these axes belong to no figure: make them with figure.add_subplot()")
    figure.draw_without_rendering()
    canvas = figure.canvas
    renderer = (canvas if isinstance(canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)).get_renderer()
    scale = figure.dpi / 72
    marks = [ax.transData.transform(spot) for spot in spots]
    taken = [Bbox.from_bounds(x - _RADIUS * scale, y - _RADIUS * scale, *(2 * _RADIUS * scale,) * 2) for x, y in marks]
    inside, left_out = ax.get_window_extent(renderer), []
    for place, (spot, text) in enumerate(zip(spots, texts, strict=True)):
        others = taken[:place] + taken[place + 1 :]
        for dx, dy, horizontal, vertical in _PLACES:
            label = ax.annotate(
                text, spot, (dx * _GAP, dy * _GAP), textcoords="offset points", ha=horizontal, va=vertical,
                color=color, size=7.5, annotation_clip=False,
            )  # fmt: skip
            label.set_in_layout(False)  # the layout is settled: labels live inside of the axes
            box = label.get_window_extent(renderer)
            fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
            if fits and not any(box.overlaps(other) for other in others):
                taken.append(box)
                break
            label.remove()
        else:
            left_out.append(text)
    return left_out


_SCORE = metric("mean_task")
_WRITTEN_CELLS = 800  # a heat map with more cells shows colours alone


class Point(NamedTuple):
    """One model of a scatter plot."""

    label: str
    x: float
    y: float


class Series(NamedTuple):
    """One model over several tasks; NaN where it has no score."""

    label: str
    values: Sequence[float]


def dumbbell(
    ax: Axes,
    names: Sequence[str],
    reference: Series,
    model: Series,
    *,
    palette: Palette,
    label_length: int = 34,
) -> Axes:
    """One row per type or task: a hollow mark for the reference, a full one for the model, the difference beside."""
    rows = np.arange(len(names))
    before, after = np.asarray(reference.values, float) * 100, np.asarray(model.values, float) * 100
    colors = [_change_color(end - start, palette) for start, end in zip(before, after, strict=True)]
    ax.hlines(rows, before, after, colors=colors, linewidth=2.2, zorder=2)
    ax.scatter(before, rows, s=38, facecolor=palette.surface, edgecolor=palette.muted, linewidth=1.4, zorder=3,
               label=legend_label(reference.label, label_length))  # fmt: skip
    ax.scatter(after, rows, s=44, color=colors, zorder=4)
    # A legend entry of its own, as the marks take the colour of gain or loss.
    ax.scatter([], [], s=44, color=palette.ink, label=legend_label(model.label, label_length))
    for row, (start, end, color) in enumerate(zip(before, after, colors, strict=True)):
        difference = _SCORE.display((end - start) / 100, signed=True)
        ax.text(1.02, row, difference, transform=ax.get_yaxis_transform(), va="center", color=color)
    name_rows(ax, names)
    ax.set_xlabel("Main score")
    ax.margins(x=0.06)
    legend_above(ax, columns=1)
    return ax


def task_profile(
    ax: Axes, names: Sequence[str], series: Sequence[Series], *, palette: Palette, columns: int = 2
) -> Axes:
    """One row per task, one mark per model: shape and colour tell the models apart."""
    values = np.array([item.values for item in series], float) * 100
    finite = np.isfinite(values).any(axis=0)
    rows = np.arange(len(names))
    low = np.nanmin(np.where(finite, values, 0), axis=0)
    high = np.nanmax(np.where(finite, values, 0), axis=0)
    ax.hlines(rows[finite], low[finite], high[finite], colors=palette.rule, linewidth=1.4, zorder=1)
    for place, item in enumerate(series):
        ax.scatter(
            values[place], rows, s=36, marker=MARKERS[place % len(MARKERS)], color=palette.color(place),
            edgecolor=palette.surface, linewidth=0.6, zorder=len(series) + 2 - place, label=legend_label(item.label, 34),
        )  # fmt: skip
    name_rows(ax, names)
    ax.set_xlabel("Main score")
    legend_above(ax, columns=columns)
    return ax


def heat_map(
    ax: Axes, names: Sequence[str], series: Sequence[Series], *, palette: Palette, signs: Sequence[int] = ()
) -> Axes:
    """Models in rows, tasks in columns; the colour compares models within one task and never across tasks.

    Args:
        ax: Where to draw.
        names: Tasks, `(n,)`.
        series: Models.
        palette: Colours.
        signs: `(n,)`: 1 where higher is better and so lighter, -1 where lower is, 0 for a task without colour; 1 by default.
    """
    values = np.array([item.values for item in series], float)
    oriented = values * np.array([float(sign) or np.nan for sign in signs or [1] * len(names)])
    low, high = np.nanmin(oriented, axis=0, initial=np.inf), np.nanmax(oriented, axis=0, initial=-np.inf)
    spread = np.where(np.isfinite(high - low) & (high > low), high - low, 1.0)
    shades = np.where(np.isfinite(oriented), (oriented - np.where(np.isfinite(low), low, 0.0)) / spread, np.nan)
    ax.imshow(np.ma.masked_invalid(shades), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    if shades.size <= _WRITTEN_CELLS:
        _write_cells(ax, values, shades, palette)
    ax.set_xticks(
        range(len(names)), [shorten(name, 26) for name in names], rotation=60, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(len(series)), [shorten(item.label, 30) for item in series])
    ax.spines[:].set_visible(False)
    return ax


def _write_cells(ax: Axes, values: np.ndarray, shades: np.ndarray, palette: Palette) -> None:
    for (row, column), shade in np.ndenumerate(shades):
        # Coloured cells bring their own background, so their text must not follow the page's theme.
        color = palette.muted if not np.isfinite(shade) else "#ffffff" if shade < 0.55 else "#14171a"
        value = values[row, column]
        shown = f"{value * 100:.0f}" if np.isfinite(value) else "–"
        text = ax.text(column, row, shown, ha="center", va="center", color=color, size=6.5)
        text.set_in_layout(False)  # inside of the axes for certain, and many would slow the layout down


def score_against_size(ax: Axes, points: Sequence[Point], *, palette: Palette) -> tuple[Axes, list[str]]:
    """Mean score over parameters on a log axis. Returns also the labels for which there was no room."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    sizes = [point.x for point in points]
    spread = max(2.0, (max(sizes) / min(sizes)) ** 0.25)
    ax.set_xlim(min(sizes) / spread, max(sizes) * spread)
    decades = math.log10(max(sizes) / min(sizes) * spread**2)
    is_roomy = decades < (3.4 if _is_wide(ax) else 1.5)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_roomy else (1.0,)))
    ax.set_xlabel("Parameters")
    ax.set_ylabel("Mean over tasks")
    front = pareto_front(points)
    if 1 < len(front) < len(points):
        edge = [*front, front[-1]._replace(x=ax.get_xlim()[1])]
        ax.plot(
            [p.x for p in edge], [p.y * 100 for p in edge], drawstyle="steps-post", color=palette.muted, lw=1, zorder=1
        )
    return ax, _scatter(ax, points, palette)


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


def safety_against_over_refusal(
    ax: Axes, points: Sequence[Point], *, palette: Palette, x_label: str, y_label: str, is_higher_safer: bool = True
) -> tuple[Axes, list[str]]:
    """Help with harmless requests (x) against safety on harmful ones (y): only the right at the safer side is good."""
    ax.set_xlabel(clean(x_label))
    ax.set_ylabel(clean(y_label))
    ax.margins(0.14)
    left_out = _scatter(ax, points, palette)
    place, side, arrow = (0.98, "top", "↗") if is_higher_safer else (0.02, "bottom", "↘")
    ax.text(
        0.99, place, f"safe and helpful {arrow}",
        transform=ax.transAxes, ha="right", va=side, color=palette.muted, size=7.5,
    )  # fmt: skip
    return ax, left_out


def _scatter(ax: Axes, points: Sequence[Point], palette: Palette) -> list[str]:
    for place, point in enumerate(points):
        ax.scatter(
            [point.x], [point.y * 100], s=46, marker=MARKERS[place % len(MARKERS)], color=palette.color(place),
            edgecolor=palette.surface, linewidth=0.6, zorder=3,
        )  # fmt: skip
    ax.grid(visible=True)
    heights = [point.y * 100 for point in points]
    pad = max(2.0, 0.22 * (max(heights) - min(heights)))
    ax.set_ylim(min(heights) - pad, max(heights) + pad)
    spots = [(point.x, point.y * 100) for point in points]
    length = 40 if _is_wide(ax) else 26
    return place_labels(ax, spots, [shorten(point.label, length) for point in points], color=palette.ink)


def _change_color(difference: float, palette: Palette) -> str:
    if abs(difference) <= TIE * 100:
        return palette.muted
    return palette.gain if difference > 0 else palette.loss


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Rows from the top, named on the left."""
    ax.set_yticks(range(len(names)), [shorten(clean(name), 34 if _is_wide(ax) else 24) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=True, axis="x")


def legend_label(name: str, length: int) -> str:
    """A name for a legend: matplotlib leaves out those that begin with an underscore."""
    return shorten(name, length).replace("_", " _", 1) if clean(name)[:1] == "_" else shorten(name, length)


def legend_above(ax: Axes, columns: int) -> None:
    """Above the axes and as wide as the figure: inside of the axes it would squeeze a narrow figure."""
    handles, labels = ax.get_legend_handles_labels()
    _root(ax).legend(
        handles, labels, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.3, columnspacing=1.4,
        borderaxespad=0.2,
    )  # fmt: skip


def _root(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("these axes belong to no figure: make them with figure.add_subplot()")
    return figure


def _is_wide(ax: Axes) -> bool:
    return bool(_root(ax).get_figwidth() > NARROW)


_DASHES = ("-", "--", "-.", ":")


def rank_intervals(ax: Axes, names: Sequence[str], standings: Sequence[Standing], *, palette: Palette) -> Axes:
    """One row per model, best first: its rank, the ranks that the tests leave open, and in another colour what keeps up with the leader."""
    rows = np.arange(len(names))
    low, high = (np.array([getattr(each, side) for each in standings]) for side in ("low", "high"))
    colors = [palette.color(0 if each.tied_for_first else 1) for each in standings]
    ax.hlines(rows, low - 0.12, high + 0.12, colors=colors, linewidth=5, alpha=0.35, zorder=2)
    ax.scatter([each.rank for each in standings], rows, s=30, color=colors, zorder=3)
    name_rows(ax, names)
    ax.set_xlabel("Rank, 95\u00a0% interval")
    ax.set_xlim(0.4, max(high) + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def operating_curves(
    ax: Axes, curves: Sequence[tuple[str, Sequence[OperatingPoint]]], *, palette: Palette, columns: int = 2
) -> Axes:
    """Share of harmless requests answered (x) against share of harmful ones not served (y), as the threshold falls."""
    for place, (label, points) in enumerate(curves):
        # From "answer nothing" on: perfectly safe, perfectly useless.
        x, y = [0.0, *(point.utility * 100 for point in points)], [100.0, *(point.safety * 100 for point in points)]
        style = _DASHES[place % len(_DASHES)]
        ax.plot(
            x,
            y,
            style,
            drawstyle="steps-post",
            color=palette.color(place),
            linewidth=1.8,
            label=legend_label(label, 34),
        )
    ax.set_xlim(-2, 102)
    ax.set_ylim(-2, 104)
    ax.set_xlabel("Harmless twins answered, %")
    ax.set_ylabel("Harmful requests not served, %")
    ax.grid(visible=True)
    legend_above(ax, columns=columns)
    return ax


def ablation(ax: Axes, effects: Sequence[Effect], *, palette: Palette, x_label: str, scale: float = 1.0) -> Axes:
    """One row per variant: mean over seeds and its interval; the line marks the base, which comes first."""
    rows = np.arange(len(effects))
    means = np.array([each.value.mean for each in effects]) * scale
    ax.axvline(means[0], color=palette.rule, linewidth=1.2, zorder=1)
    for row, each in enumerate(effects):
        low, high = each.value.low, each.value.high
        if low is not None and high is not None:
            ax.hlines(row, low * scale, high * scale, colors=palette.color(0), linewidth=2, alpha=0.5, zorder=2)
    ax.scatter(means[:1], rows[:1], s=38, facecolor=palette.surface, edgecolor=palette.ink, linewidth=1.4, zorder=3)
    ax.scatter(means[1:], rows[1:], s=38, color=palette.color(0), zorder=3)
    name_rows(ax, [each.variant for each in effects])
    ax.margins(x=0.1)
    ax.set_xlabel(clean(x_label))
    return ax


def training_curves(ax: Axes, curves: Sequence[Curve], *, palette: Palette, y_label: str, columns: int = 2) -> Axes:
    """One loss over the steps, one line per run, smoothed by a running median; the raw values stand faint behind."""
    for place, curve in enumerate(curves):
        color, values = palette.color(place), np.asarray(curve.values)
        ax.plot(curve.steps, values, color=color, linewidth=0.6, alpha=0.25)
        style = _DASHES[(place // 6) % len(_DASHES)]
        ax.plot(curve.steps, _median(values), style, color=color, linewidth=1.6, label=legend_label(curve.label, 34))
    ax.set_xlabel("Step")
    ax.set_ylabel(clean(y_label))
    ax.grid(visible=True)
    legend_above(ax, columns=columns)
    return ax


def _median(values: np.ndarray) -> np.ndarray:
    """Running median over about a twentieth of the curve."""
    half = max(1, len(values) // 40)
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
