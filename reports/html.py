"""A report as one HTML file that asks for nothing: styles, script and figures are inside."""

from __future__ import annotations

from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from genzoo.reports.document import Drawing, Report
from genzoo.reports.style import NARROW, PAGE, WIDE, figure_style, to_svg
from genzoo.reports.text import breakable_html, clean, prose_html
from genzoo.words import telling

_TEMPLATES = Path(__file__).parent / "templates"
_PIXELS = 102  # per inch: text of a figure comes out at the size of the text around it
_LENS = 4  # tokens shown for each position


def render_html(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"prose": prose_html, "name": breakable_html, "clean": clean, "telling": telling}
    environment.globals |= {"svg": inline_svg, "kind": lambda block: type(block).__name__, "lens_length": _LENS}
    return environment.get_template("report.html.j2").render(report=report)


def inline_svg(drawing: Drawing, size: str) -> str:
    """A drawing as inline SVG, "wide" for a desk or "narrow" for a phone; both stand in the page, one is shown."""
    asked = WIDE if size == "wide" else NARROW
    figure = drawing.draw(asked, PAGE)
    with figure_style(PAGE):
        svg = to_svg(
            figure, title=drawing.title, description=drawing.description, identity=f"{drawing.identity}-{size}"
        )
    return svg.replace("<svg ", f'<svg style="{_box(figure, asked)}" ', 1)


def _box(figure: Figure, asked: float) -> str:
    """Natural width; a figure that could not be made as narrow as asked keeps its size and scrolls in its box."""
    width = figure.get_figwidth()
    natural = f"max-width: {width * _PIXELS:.0f}px"
    return f"{natural}; min-width: {width * _PIXELS:.0f}px" if width > asked * 1.01 else natural
