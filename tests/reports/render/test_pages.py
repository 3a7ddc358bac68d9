"""Figures on a page and as files: drawn once for each width, with ids of their own, in the colours of page or paper."""

import re
import xml.etree.ElementTree as ET

import pytest

from genzoo.reports.render.document import Drawing, Report, Section
from genzoo.reports.render.pages import inline_svg, render_figure, render_figures, render_html, render_markdown
from genzoo.reports.render.style import NARROW, SURFACE, VARIABLES, WIDE, series_color


def drawing_of(names, identity="fig", title="T", description="D"):
    """A figure with a mark and a text for each name, and how often it was drawn."""
    drawn = []

    def fill(ax):
        drawn.append(ax)
        for place, name in enumerate(names):
            ax.scatter([place], [place], color=series_color(place), edgecolor=SURFACE)
            ax.text(place, place, name)

    return Drawing(identity, title, description, "C", fill), drawn


def test_svg_for_the_page_has_own_ids_and_follows_the_theme():
    drawing, _ = drawing_of(["<script>&", "b $x$ 🦜"], title="T <1>", description="D & more")
    svg = inline_svg(drawing)
    root = ET.fromstring(svg)  # noqa: S314  (our own output)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "figure-fig-title figure-fig-desc"
    assert [child.text for child in root[:2]] == ["T <1>", "D & more"]
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("figure-fig-") for name in ids)
    references = re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg)
    assert set(references) <= set(ids)
    assert "var(--ink)" in svg
    assert "var(--series-1)" in svg
    assert not [color for color in VARIABLES if color in svg]
    assert "font-family" not in svg
    assert "<style" not in svg
    assert {"<script>&", "b $x$ 🦜"} <= {element.text for element in root.iter()}


def test_names_in_a_figure_stay_as_they_are():
    name = 'a "#1d2126" url(#b) id="c" font: 8px d; <style>e</style> $x$'
    drawing, _ = drawing_of([name[:30], name[30:]], '../x" onload="y', name, name)
    found = ET.fromstring(inline_svg(drawing))  # noqa: S314  (our own output)
    texts = "".join(found.itertext())
    assert name[:30] in texts
    assert name[30:] in texts
    assert all(
        re.fullmatch(r"[a-z0-9-]+(-[\w.-]+)?", each.attrib["id"]) for each in found.iter() if "id" in each.attrib
    )
    assert "onload" not in found.attrib


def test_a_report_draws_a_figure_once_and_once_more_for_one_column_of_a_paper():
    drawing, drawn = drawing_of(["a", "b"])
    report = Report("T", "", (), (Section("one", "One", (drawing,)),))
    page = render_html(report)
    text, files = render_markdown(report, "figures")
    assert len(drawn) == 1
    assert set(render_figures(report, ("png", "svg", "pdf"))) == {
        f"fig-{width}.{kind}" for width in ("one-column", "two-columns") for kind in ("png", "svg", "pdf")
    }
    assert len(drawn) == 2
    assert page.count("<svg ") == 1
    assert "(figures/fig.svg)" in text and list(files) == ["figures/fig.svg"]


@pytest.mark.parametrize(("kind", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_are_the_same_every_time(kind, head):
    first, again = (render_figure(drawing_of(["a"])[0], NARROW, kind) for _ in range(2))
    assert first.startswith(head)
    assert first == again


def test_an_svg_file_stands_on_white_and_is_the_same_every_time():
    first, again = (render_figure(drawing_of(["a"])[0], WIDE, "svg") for _ in range(2))
    assert first == again
    root = ET.fromstring(first.split("?>", 1)[1])  # noqa: S314  (our own output)
    assert root[0].attrib == {"width": "100%", "height": "100%", "fill": "#ffffff"}
    assert "var(--" not in first and "<dc:date>" not in first


def test_a_figure_that_needs_more_room_scrolls_in_its_box():
    def fill(ax):
        ax.figure.set_size_inches(9.0, 3.0)

    svg = inline_svg(Drawing("d", "T", "D", "C", fill))
    assert 'style="width: 918px"' in svg
    assert 'style="width: 734px"' in inline_svg(drawing_of(["a"])[0])
