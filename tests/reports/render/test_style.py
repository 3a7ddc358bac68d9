"""Figures as SVG: ids of their own, colours that follow the page's theme, the same bytes every time."""

import re
import xml.etree.ElementTree as ET

from genzoo.reports.render.style import NARROW, PAGE, PAPER, WIDE, figure_style, new_figure, to_svg, to_svg_file


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
        return to_svg(figure, **options)


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
            return to_svg_file(figure)

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
