"""How figures look: colours, sizes, the axes that all of them share, and labels that do not overlap."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genzoo.errors import InputError
from genzoo.text import clean, shorten

WIDE, NARROW = 7.2, 3.5  # inches: two columns and one column of a paper, a desk and a phone on the page
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")

# After Okabe and Ito, darkened until each has 3:1 against white; the series differ in lightness and not in hue alone, so that they
# survive colour blindness. No two are the same: a page replaces each with its own custom property, which knows the theme.
INK, MUTED, RULE, SURFACE, GAIN, LOSS = "#1d2126", "#616971", "#dcd9d2", "#fffffe", "#0a6a9d", "#c04f15"
SERIES = ("#0a6a9c", "#c9701a", "#15805c", "#a4478b", "#5d5fb8", "#8a7a14")
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", SURFACE: "--surface", GAIN: "--gain", LOSS: "--loss"}
VARIABLES |= {color: f"--series-{place}" for place, color in enumerate(SERIES)}
_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "svg.fonttype": "none",  # text stays text: it can be selected, read aloud and takes the page's colour
    "svg.hashsalt": "genzoo",  # the same data give the same bytes
    "text.parse_math": False,  # a $ in a name is a dollar sign
    "text.usetex": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
}


def series_color(place: int) -> str:
    """The colour of the n-th series; after the last one the rest is muted."""
    return SERIES[place] if place < len(SERIES) else MUTED


@contextmanager
def figure_style() -> Iterator[None]:
    """The rc settings under which figures are drawn and saved."""
    settings: Any = _RC  # matplotlib types the keys as one long literal
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Emoji and scripts that DejaVu lacks stay text in the SVG: the reader's fonts draw them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


class Sheet(Figure):
    """A figure that is made for one drawing, which gives it the height that it needs."""


def new_figure(width: float, height: float) -> Figure:
    """A figure without pyplot: no backend, no global state, nothing to close."""
    figure = Sheet(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # measures text, for placing labels
    return figure


def to_svg(figure: Figure) -> str:
    """The `<svg>` element on a transparent ground, without prolog, date and metadata: the same data give the same text."""
    buffer = io.StringIO()
    with figure_style():
        settle_layout(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    return svg[svg.index("<svg") :].strip() + "\n"


def settle_layout(figure: Figure) -> None:
    """Lay the figure out; a sheet once and for all, as saving it would do so twice again."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        if isinstance(figure, Sheet):
            figure.set_layout_engine(None)


@contextmanager
def drawing_on(ax: Axes | None, height: float | Callable[[float], float], *, least: float = 0.0) -> Iterator[Axes]:
    """The given axes, or new ones of pyplot, which a notebook shows by itself.

    Args:
        ax: A `Sheet` around it becomes as high as is needed, any other figure stays as it is.
        height: Of the figure in inches, or what gives it from the width.
        least: Width in inches below which a sheet does not go.
    """
    with ExitStack() as stack:
        if ax is None:
            import matplotlib.pyplot as plt

            stack.enter_context(figure_style())
            ax = plt.figure(FigureClass=Sheet, figsize=(WIDE, 1.0), layout="constrained").add_subplot()
        figure = root_figure(ax)
        if isinstance(figure, Sheet):
            width = figure.get_figwidth()
            figure.set_size_inches(max(width, least), height(width) if callable(height) else height)
        yield ax


def square(width: float) -> float:
    """The height of a figure whose two axes matter alike."""
    return 0.52 * width if width > NARROW else 0.86 * width


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Rows from the top, named on the left."""
    ax.set_yticks(range(len(names)), [shorten(clean(name), 34 if is_wide(ax) else 24) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=True, axis="x")


def legend_label(name: str, length: int = 34) -> str:
    """A name for a legend: matplotlib leaves out those that begin with an underscore."""
    return shorten(name, length).replace("_", " _", 1) if clean(name)[:1] == "_" else shorten(name, length)


def legend_above(ax: Axes, columns: int | None = None) -> None:
    """Above the axes and as wide as the figure: inside of the axes it would squeeze a narrow figure."""
    handles, labels = ax.get_legend_handles_labels()
    root_figure(ax).legend(
        handles, labels, loc="outside upper left", ncols=columns or (2 if is_wide(ax) else 1), frameon=False,
        handletextpad=0.3, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip


def root_figure(ax: Axes) -> Figure:
    """The figure around some axes."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("these axes belong to no figure: make them with figure.add_subplot()")
    return figure


def is_wide(ax: Axes) -> bool:
    """Whether the figure is wider than one column."""
    return bool(root_figure(ax).get_figwidth() > NARROW)


_BEFORE = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}  # share of a text before its anchor
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


def place_labels(ax: Axes, spots: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[str]:
    """Write each text beside its spot, at the first place that is free; axis limits must be final.

    Returns:
        The texts for which no place was free: they are not drawn.
    """
    figure = root_figure(ax)
    settle_layout(figure)
    canvas = figure.canvas
    renderer = (canvas if isinstance(canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)).get_renderer()
    scale, inside = figure.dpi / 72, ax.get_window_extent(renderer).extents
    marks = ax.transData.transform(spots) if spots else np.empty((0, 2))
    taken = np.concatenate([marks - _RADIUS * scale, marks + _RADIUS * scale], axis=1)
    left_out = []
    for place, (mark, spot, text) in enumerate(zip(marks, spots, texts, strict=True)):
        label = ax.annotate(text, spot, (0, 0), textcoords="offset points", color=INK, size=7.5, annotation_clip=False)
        label.set_in_layout(False)  # the layout is settled: labels live inside of the axes
        size, others = np.array(label.get_window_extent(renderer).size), np.delete(taken, place, axis=0)
        for dx, dy, horizontal, vertical in _PLACES:
            offset = np.array([dx, dy]) * _GAP
            low = mark + offset * scale - size * np.array([_BEFORE[horizontal], _BEFORE[vertical]])
            box = np.concatenate([low, low + size])
            fits = (inside[:2] <= box[:2]).all() and (box[2:] <= inside[2:]).all()
            if fits and not ((box[:2] <= others[:, 2:]) & (others[:, :2] <= box[2:])).all(axis=1).any():
                label.set(position=offset, ha=horizontal, va=vertical)
                taken = np.concatenate([taken, box[None]])
                break
        else:
            label.remove()
            left_out.append(text)
    return left_out
