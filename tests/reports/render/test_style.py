"""How figures look: no two colours are one, axes become as high as they need, labels keep apart."""

import itertools

import pytest
from matplotlib.figure import Figure

from genzoo.errors import InputError
from genzoo.reports.render.style import (
    GAIN,
    INK,
    LOSS,
    MUTED,
    NARROW,
    RULE,
    SERIES,
    SURFACE,
    VARIABLES,
    WIDE,
    drawing_on,
    figure_style,
    legend_label,
    new_figure,
    place_labels,
    root_figure,
    series_color,
    square,
)


def test_a_page_can_tell_every_colour_by_its_number():
    colors = (INK, MUTED, RULE, SURFACE, GAIN, LOSS, *SERIES)
    assert len(set(colors)) == len(colors) == len(set(VARIABLES.values()))
    assert set(colors) == set(VARIABLES)
    assert [series_color(0), series_color(len(SERIES))] == [SERIES[0], MUTED]


def test_a_sheet_grows_and_other_figures_stay():
    ax = new_figure(NARROW, 1.0).add_subplot()
    with drawing_on(ax, square, least=5.0):
        pass
    assert ax.figure.get_size_inches().tolist() == [5.0, 0.86 * NARROW]
    other = Figure(figsize=(4, 3)).add_subplot()
    with drawing_on(other, 9.0):
        pass
    assert other.figure.get_size_inches().tolist() == [4, 3]


def test_labels_take_the_first_place_that_is_free():
    with figure_style():
        ax = new_figure(WIDE, 3.0).add_subplot()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        left_out = place_labels(ax, [(0.5, 0.5)] * 30, [f"a label, number {n}" for n in range(30)])
        renderer = ax.figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in ax.texts]
    assert len(left_out) + len(ax.texts) == 30
    assert 2 <= len(ax.texts) < 30
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_legends_need_a_name_that_matplotlib_shows():
    assert legend_label("_hidden") == " _hidden"
    assert legend_label("plain_name") == "plain_name"


def test_axes_without_a_figure_are_refused():
    ax = Figure().add_subplot()
    ax.remove()
    with pytest.raises(InputError, match="belong to no figure"):
        root_figure(ax)
