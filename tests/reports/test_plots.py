"""Figures are tested by what stands on their axes."""

import itertools
import math
import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports import plots
from genzoo.reports.chapters import drawings
from genzoo.reports.plots import Point, Series
from genzoo.reports.render.document import Drawing, Report, Section
from genzoo.reports.render.style import NARROW, PAGE, PAPER, WIDE, figure_style, new_figure, to_svg, to_svg_file


@pytest.fixture
def ax():
    with figure_style(PAPER):
        yield new_figure(WIDE, 3).add_subplot()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_dumbbell(ax):
    before, after = Series("teacher", [0.5, 0.6, 0.7]), Series("student", [0.6, 0.4, 0.7])
    assert plots.dumbbell(ax, ["A", "B", "C"], before, after, palette=PAPER) is ax
    assert texts(ax) == ["+10.0", "−20.0", "0.0"]
    assert [text.get_color() for text in ax.texts] == [PAPER.gain, PAPER.loss, PAPER.muted]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B", "C"]
    assert ax.collections[1].get_offsets()[:, 0].tolist() == [50, 60, 70]
    assert ax.collections[2].get_offsets()[:, 0].tolist() == [60, 40, 70]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row stands on top


def test_task_profile_leaves_missing_scores_out(ax):
    series = [Series("a", [0.1, math.nan, math.nan]), Series("b", [0.3, 0.4, math.nan])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.task_profile(ax, ["T", "U", "V"], series, palette=PAPER)
        ax.get_figure().draw_without_rendering()
    drawn = ax.collections[1].get_offsets()
    assert np.ma.compressed(np.ma.masked_invalid(drawn[:, 0])).tolist() == [10]


def test_heat_map_compares_within_a_task(ax):
    series = [
        Series("a", [0.1, 0.9, math.nan]),
        Series("b", [0.3, 0.8, math.nan]),
        Series("c", [0.2, math.nan, math.nan]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.heat_map(ax, ["T", "U", "V"], series, palette=PAPER)
    shades = ax.images[0].get_array()
    assert shades[:, 0].tolist() == pytest.approx([0, 1, 0.5])
    assert shades[0, 1] == 1
    assert shades.mask[2, 1]
    assert texts(ax) == ["10", "90", "–", "30", "80", "–", "20", "–", "–"]


def test_heat_map_is_light_at_the_better_end_and_bare_without_one(ax):
    series = [Series("a", [0.1, 0.1, 0.1]), Series("b", [0.3, 0.3, 0.3])]
    plots.heat_map(ax, ["Up", "Down", "Safety"], series, palette=PAPER, signs=[1, -1, 0])
    shades = ax.images[0].get_array()
    assert shades[:, :2].tolist() == [[0, 1], [1, 0]]
    assert shades.mask[:, 2].all()
    assert texts(ax) == ["10", "10", "10", "30", "30", "30"]


def overlaps(ax):
    figure = ax.get_figure()
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in ax.texts]
    return [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_scatter_labels_never_overlap(width, n):
    rng = np.random.default_rng(n)
    points = [
        Point(f"organisation-model-{i}-base-v1.5", 10 ** rng.uniform(7, 10), rng.uniform(0.4, 0.7)) for i in range(n)
    ]
    with figure_style(PAPER):
        ax = new_figure(width, 3.5).add_subplot()
        ax, left_out = plots.score_against_size(ax, points, palette=PAPER)
        ax.get_figure().draw_without_rendering()
        assert overlaps(ax) == []
        assert len(ax.texts) + len(left_out) == n
        assert len(ax.texts) >= min(n, 5)


def test_tick_labels_of_sizes_do_not_overlap():
    points = [Point("a", 8e6, 0.4), Point("b", 9e9, 0.6)]
    with figure_style(PAPER):
        ax, _ = plots.score_against_size(new_figure(NARROW, 3).add_subplot(), points, palette=PAPER)
        ax.get_figure().draw_without_rendering()
        renderer = ax.get_figure().canvas.get_renderer()
        low, high = ax.get_xlim()
        ticks = [t for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if low <= x <= high]
        boxes = [tick.get_window_extent(renderer) for tick in ticks]
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_equal_sizes_and_scores_can_be_drawn():
    with figure_style(PAPER):
        plots.score_against_size(new_figure(WIDE, 3).add_subplot(), [Point("a", 1e8, 0.5)] * 3, palette=PAPER)


def test_svg_for_the_page_has_own_ids_and_follows_the_theme():
    with figure_style(PAGE):
        figure = new_figure(WIDE, 3)
        plots.safety_against_over_refusal(
            figure.add_subplot(), [Point("<script>&", 60, 0.8), Point("b $x$ 🦜", 70, 0.5)], palette=PAGE,
            x_label="nDCG@10", y_label="Safety@5",
        )  # fmt: skip
        svg = to_svg(figure, title="T <1>", description="D & more", identity="fig")
    root = ET.fromstring(svg)  # noqa: S314  (our own output)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "fig-title fig-desc"
    assert [child.text for child in root[:2]] == ["T <1>", "D & more"]
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("fig-") for name in ids)
    references = re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg)
    assert set(references) <= set(ids)
    assert "var(--ink)" in svg
    assert "var(--series-1)" in svg
    assert "#0100" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg
    assert {"<script>&", "b $x$ 🦜"} <= {element.text for element in root.iter()}


def test_svg_is_the_same_every_time():
    def draw():
        with figure_style(PAPER):
            figure = new_figure(NARROW, 2)
            plots.dumbbell(figure.add_subplot(), ["A"], Series("t", [0.5]), Series("s", [0.6]), palette=PAPER)
            return to_svg_file(figure)

    assert draw() == draw()
    assert "<dc:date>" not in draw()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_drawings_of_a_board_fit_their_figure(full_tree, width):
    board = Leaderboard.from_store(ResultStore.load(full_tree.root))
    rows = {row.label: row for row in board.rows}
    student, teacher = rows["SmolLM2-135M-Instruct-LLM2Vec-Gen"], rows["all-MiniLM-L6-v2"]
    made = [
        drawings.dumbbell_drawing(student, teacher, board, "a"),
        drawings.dumbbell_drawing(student, teacher, board, "b", is_by_task=True),
        drawings.task_drawing(board),
        drawings.size_drawing(board),
        drawings.safety_drawing(board, board.safety.pairs[0]),
    ]
    for drawing in made:
        figure = drawing.draw(width, PAPER)
        with figure_style(PAPER):
            figure.draw_without_rendering()
        assert figure.get_figwidth() == width
        renderer = figure.canvas.get_renderer()
        box = figure.get_tightbbox(renderer)
        assert box.x0 >= -0.02
        assert box.x1 <= width + 0.02
        (ax,) = figure.axes
        assert ax.get_position().width > 0.35, drawing.identity
        assert "SmolLM2" in drawing.description


def test_no_drawing_without_data(tree, builder):
    tree.task("T")
    tree.score(builder.OTHER, "T", 0.5)
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    assert drawings.task_drawing(board) is None
    assert drawings.size_drawing(board) is None
    assert board.safety.pairs == ()


def test_dumbbell_goes_by_type_unless_asked(full_tree):
    board = Leaderboard.from_store(ResultStore.load(full_tree.root))
    first, second = board.rows[:2]
    assert "by type" not in drawings.dumbbell_drawing(first, second, board, "x", is_by_task=True).title
    assert "by task type" in drawings.dumbbell_drawing(first, second, board, "x").title


def test_legends_show_names_that_begin_with_an_underscore(ax):
    with figure_style(PAPER):
        plots.dumbbell(ax, ["A"], Series("_before", [0.5]), Series("__after", [0.6]), palette=PAPER)
    (legend,) = ax.figure.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_before", "__after"]


def test_names_in_a_figure_stay_as_they_are():
    name = 'a "#010001" url(#b) id="c" font: 8px d; <style>e</style> $x$'
    with figure_style(PAPER):
        figure = new_figure(WIDE, 2)
        plots.dumbbell(
            figure.add_subplot(), [name[:30], name[30:]], Series("t", [0.5] * 2), Series("s", [0.6] * 2), palette=PAPER
        )
        svg = to_svg(figure, title=name, description=name, identity='../x" onload="y')
    found = ET.fromstring(svg)  # noqa: S314  (our own output)
    texts = "".join(found.itertext())
    assert name[:30] in texts
    assert name[30:] in texts
    assert all(
        re.fullmatch(r"[a-z0-9-]+(-[\w.-]+)?", each.attrib["id"]) for each in found.iter() if "id" in each.attrib
    )
    assert "onload" not in found.attrib


def test_drawings_of_a_report_never_share_an_anchor_or_a_file():
    drawn = [
        Drawing(identity, "T", "D", "C", lambda width, palette: None) for identity in ("a", "a", "a-2", "../a", "A")
    ]
    report = Report("T", "", (), (Section("one", "1", tuple(drawn[:2])), Section("two", "2", tuple(drawn[2:]))))
    found = [block.identity for section in report.sections for block in section.blocks]
    assert len(set(found)) == 5
    assert all(re.fullmatch("[a-z0-9-]+", identity) for identity in found)
