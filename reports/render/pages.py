"""A report as one HTML file that asks for nothing, as Markdown, and its figures as files for a paper."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import jinja2

from genzoo.reports.render.document import (
    Block,
    Drawing,
    Example,
    Listing,
    Prose,
    Report,
    SearchCard,
    Searches,
    TableBlock,
)
from genzoo.reports.render.style import NARROW, PAPER, WIDE, figure_style, for_page, for_paper, to_svg
from genzoo.text import breakable_html, clean, escape_markdown, prose_html, prose_markdown, telling

FIGURE_FORMATS = ("png", "svg", "pdf")
_WIDTHS = {"one-column": NARROW, "two-columns": WIDE}
_DPI = 300


def render_figures(report: Report, formats: Sequence[str]) -> dict[str, bytes | str]:
    """`<identity>-one-column.<format>` and `-two-columns` of every figure, by the name of its file."""
    drawings = [block for section in report.sections for block in section.blocks if isinstance(block, Drawing)]
    return {
        f"{drawing.identity}-{name}.{kind}": content
        for drawing in drawings
        for name, width in _WIDTHS.items()
        for kind, content in render_figure(drawing, width, formats).items()
    }


def render_figure(drawing: Drawing, width: float, formats: Sequence[str]) -> dict[str, bytes | str]:
    """One figure, `width` inches wide, on white, in each format; the same data give the same bytes."""
    files: dict[str, bytes | str] = {}
    if not formats:
        return files
    figure = drawing.draw(width, PAPER)
    with figure_style(PAPER):
        for kind in formats:
            if kind == "svg":
                files[kind] = for_paper(to_svg(figure))
                continue
            buffer = io.BytesIO()
            metadata = (
                {"CreationDate": None, "Creator": None, "Producer": None} if kind == "pdf" else {"Software": None}
            )
            figure.patch.set(facecolor=PAPER.surface, alpha=1.0)
            figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
            files[kind] = buffer.getvalue()
    return files


_TEMPLATES = Path(__file__).parent / "templates"
_PIXELS = 102  # per inch: text of a figure comes out at the size of the text around it
_LEAST = 0.98  # share of its natural width that leaves the smallest text legible
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
    """A drawing as inline SVG; where the page is narrower than its text is legible at, it scrolls in its box."""
    svg = for_page(
        drawing.svg, title=drawing.title, description=drawing.description, identity=f"{drawing.identity}-figure"
    )
    width = float(svg.partition('viewBox="0 0 ')[2].partition(" ")[0]) / 72
    least = width * (_LEAST if width < WIDE * 1.01 else 1.0)
    style = f"max-width: {width * _PIXELS:.0f}px; min-width: {least * _PIXELS:.0f}px"
    return svg.replace("<svg ", f'<svg style="{style}" ', 1)


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
    figures[path] = for_paper(drawing.svg)
    return f"![{escape_markdown(drawing.description)}]({path})\n\n*{escape_markdown(drawing.caption)}*"


def _example(example: Example) -> str:
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
        found = f" On top: {escape_markdown(row.found)}" if row.found else ""
        lines.append(f"- **{escape_markdown(row.model)}.** {escape_markdown(row.verdict)}.{found}")
        lines += [f"  - {escape_markdown(row.why)}"] if row.why else []
        lines += [f"  - Decoded, {heading}: {escape_markdown(text)}" for heading, text in row.reads]
    return "\n".join(lines)
