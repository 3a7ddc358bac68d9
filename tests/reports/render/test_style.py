"""Figures as SVG: ids of their own, colours that follow the page's theme, the same bytes every time."""

import re
import xml.etree.ElementTree as ET

from genzoo.reports.render.style import (
    NARROW,
    PAGE,
    PAPER,
    WIDE,
    figure_style,
    for_page,
    for_paper,
    new_figure,
    place_labels,
    to_svg,
)


def scatter(names, palette, width=WIDE):
    """A figure with a mark and a text for each name."""
    with figure_style(palette):
        ax = (figure := new_figure(width, 3)).add_subplot()
        for place, name in enumerate(names):
            ax.scatter([place], [place], color=palette.color(place), edgecolor=palette.surface)
            ax.text(place, place, name, color=palette.ink)
    return figure


def svg_of(names, **options):
    figure = scatter(names, PAGE)
    with figure_style(PAGE):
        return for_page(to_svg(figure), **options)


def test_svg_for_the_page_has_own_ids_and_follows_the_theme():
    svg = svg_of(["<script>&", "b $x$ 🦜"], title="T <1>", description="D & more", identity="fig")
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
        figure = scatter(["a", "b"], PAPER, NARROW)
        with figure_style(PAPER):
            return for_paper(to_svg(figure))

    assert draw() == draw()
    assert "<dc:date>" not in draw()


def test_names_in_a_figure_stay_as_they_are():
    name = 'a "#010001" url(#b) id="c" font: 8px d; <style>e</style> $x$'
    svg = svg_of([name[:30], name[30:]], title=name, description=name, identity='../x" onload="y')
    found = ET.fromstring(svg)  # noqa: S314  (our own output)
    texts = "".join(found.itertext())
    assert name[:30] in texts
    assert name[30:] in texts
    assert all(
        re.fullmatch(r"[a-z0-9-]+(-[\w.-]+)?", each.attrib["id"]) for each in found.iter() if "id" in each.attrib
    )
    assert "onload" not in found.attrib


def test_a_figure_in_stand_in_colours_is_the_one_in_the_colours_of_paper():
    def drawn(palette):
        figure = scatter(["#010001", "b"], palette)
        with figure_style(palette):
            return re.sub(r"\bm[0-9a-f]{10}\b", "m", for_paper(to_svg(figure)))  # ids are digests of colours too

    assert drawn(PAGE) == drawn(PAPER)
    assert ">#010001</text>" in drawn(PAGE)


def test_labels_lie_where_they_were_placed():
    """Their places are computed from their size alone; what matplotlib then draws must be there."""
    spots = [(0.1, 0.5), (0.5, 0.5), (0.51, 0.5), (0.9, 0.5), (0.5, 0.98)]
    with figure_style(PAPER):
        ax = (figure := new_figure(WIDE, 3)).add_subplot()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        assert place_labels(ax, spots, ["left", "middle", "near", "right", "top"], color="k") == []
        boxes = [text.get_window_extent() for text in ax.texts]
    inside = ax.get_window_extent()
    for place, box in enumerate(boxes):
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
        marks = ax.transData.transform(spots)
        assert not any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for x, y in marks)
    assert len(boxes) == len(figure.axes[0].texts) == 5
