"""Labels beside the points of a scatter plot that overlap neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from genzoo.errors import InputError

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
