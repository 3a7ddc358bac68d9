"""Figures of places, thresholds, studies and training: Axes in, Axes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from genzoo.leaderboards.operating_point import OperatingPoint
from genzoo.leaderboards.standing import Standing
from genzoo.leaderboards.studies import Curve, Effect
from genzoo.reports.figures import legend_above, legend_label, name_rows
from genzoo.reports.style import Palette
from genzoo.reports.text import clean

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
