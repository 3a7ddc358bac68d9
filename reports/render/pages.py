"""A report as one HTML file that asks for nothing, as Markdown, and its figures as files for a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

from genzoo.reports.render.document import (
    Block,
    DecodedExample,
    Drawing,
    Listing,
    Prose,
    Report,
    SearchCard,
    Searches,
    TableBlock,
)
from genzoo.reports.render.style import NARROW, VARIABLES, WIDE, figure_style
from genzoo.text import breakable_html, clean, escape_html, escape_markdown, prose_html, prose_markdown, telling

FIGURE_FORMATS = ("png", "svg", "pdf")
_WIDTHS = {"one-column": NARROW, "two-columns": WIDE}
_DPI = 300


def render_figures(report: Report, formats: Sequence[str]) -> dict[str, bytes | str]:
    """`<identity>-one-column.<format>` and `-two-columns` of every figure, by the name of its file."""
    drawings = [block for section in report.sections for block in section.blocks if isinstance(block, Drawing)]
    return {
        f"{drawing.identity}-{name}.{each}": render_figure(drawing, width, each)
        for drawing in drawings
        for name, width in _WIDTHS.items()
        for each in formats
    }


def render_figure(drawing: Drawing, width: float, kind: str) -> bytes | str:
    """One figure, `width` inches wide, on white; the same data give the same bytes."""
    if kind == "svg":
        opening, rest = drawing.svg(width).split(">", 1)
        return (
            f'<?xml version="1.0" encoding="utf-8"?>\n{opening}><rect width="100%" height="100%" fill="#ffffff"/>{rest}'
        )
    buffer = io.BytesIO()
    metadata = {"CreationDate": None, "Creator": None, "Producer": None} if kind == "pdf" else {"Software": None}
    with figure_style():
        drawing.figure(width).savefig(buffer, format=kind, dpi=_DPI, metadata=metadata, facecolor="#ffffff")
    return buffer.getvalue()


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


def inline_svg(drawing: Drawing) -> str:
    """A drawing as inline SVG: ids of its own, alternative text, the page's font and colours.

    It keeps the size at which its text is legible: on a narrower page it scrolls in its box, as tables do.
    """
    identity = f"figure-{drawing.identity}"
    style = f"width: {drawing.figure(WIDE).get_figwidth() * _PIXELS:.0f}px"
    svg = re.sub(r"<style.*?</style>", "", drawing.svg(WIDE), flags=re.DOTALL)
    # Only within tags: the text between them is names, which stay as they are.
    opening, rest = re.sub(r"<[^>]+>", lambda tag: _adapted(tag[0], identity), svg).split(">", 1)
    opening = re.sub(r' (?:width|height|version)="[^"]*"', "", opening).removeprefix("<svg")
    return (
        f'<svg style="{style}" role="img" aria-labelledby="{identity}-title {identity}-desc"{opening}>'
        f'<title id="{identity}-title">{escape_html(drawing.title)}</title>'
        f'<desc id="{identity}-desc">{escape_html(drawing.description)}</desc>{rest}'
    )


def _adapted(tag: str, identity: str) -> str:
    """One tag of a figure for the page."""
    tag = re.sub(r'(\bid=")', rf"\g<1>{identity}-", tag)
    tag = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{identity}-", tag)
    for color, variable in VARIABLES.items():
        tag = tag.replace(color, f"var({variable})")
    # The page's own font; DejaVu, which the layout was measured in, is wider than nearly all of them.
    tag = re.sub(r"font: (?:\w+ )?([\d.]+px) [^;\"]+;", r"font-size: \g<1>;", tag)
    return re.sub(r"font-family: [^;\"]+; ?", "", tag)


_MARKDOWN_LENS = 3  # tokens shown for each position


def render_markdown(report: Report, figure_folder: str) -> tuple[str, dict[str, str]]:
    """The text, and the content of each figure file by its path relative to the text."""
    figures: dict[str, str] = {}
    parts = [f"# {escape_markdown(report.title)}", escape_markdown(report.subtitle)]
    parts += [prose_markdown(paragraph) for paragraph in report.summary]
    for section in report.sections:
        parts.append(f"## {escape_markdown(section.title)}")
        parts += [_block(block, section.title, figure_folder, figures) for block in section.blocks]
    parts += [escape_markdown(report.footer)] if report.footer else []
    return "\n\n".join(part.strip() for part in parts) + "\n", figures


def _block(block: Block, heading: str, folder: str, figures: dict[str, str]) -> str:
    if isinstance(block, Prose):
        return prose_markdown(block.text)
    if isinstance(block, Listing):
        return "\n".join(f"- **{escape_markdown(title)}.** {prose_markdown(text)}" for title, text in block.items)
    if isinstance(block, TableBlock):
        title = "" if block.table.title == heading else f"**{escape_markdown(block.table.title)}**\n\n"
        return title + block.table.to_markdown()
    if isinstance(block, Drawing):
        return _drawing(block, folder, figures)
    if isinstance(block, Searches):
        return "\n\n".join(_search(card) for card in block.items)
    return "\n\n".join(_example(example) for example in block.items)


def _drawing(drawing: Drawing, folder: str, figures: dict[str, str]) -> str:
    path = f"{folder}/{drawing.identity}.svg"
    figures[path] = str(render_figure(drawing, WIDE, "svg"))
    return f"![{escape_markdown(drawing.description)}]({path})\n\n*{escape_markdown(drawing.caption)}*"


def _example(example: DecodedExample) -> str:
    lines = [f"> {escape_markdown(example.text)}"]
    for label, reading in example.readings:
        words = filter(None, map(telling, reading.logit_lens))
        lens = " · ".join("/".join(escape_markdown(token) for token in found[:_MARKDOWN_LENS]) for found in words)
        lines.append(f"- {escape_markdown(label)}: {escape_markdown(reading.decoded) or '(nothing)'}")
        lines += [f"  - logit lens: {lens}"] if lens else []
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])


def _search(card: SearchCard) -> str:
    lines = [
        f"> {escape_markdown(card.query)}",
        "",
        f"*{escape_markdown(card.task)}*. {card.heading}: {escape_markdown(card.right)}",
        "",
    ]
    for row in card.rows:
        found = f" Ranked first: {escape_markdown(row.found)}" if row.found else ""
        lines.append(f"- **{escape_markdown(row.model)}.** {escape_markdown(row.verdict)}.{found}")
        lines += [f"  - {escape_markdown(row.why)}"] if row.why else []
        lines += [f"  - {heading}, decoded: {escape_markdown(text)}" for heading, text in row.reads]
    return "\n".join(lines)
