"""A report as Markdown, with its figures as files beside it."""

from __future__ import annotations

from genzoo.reports.document import Block, Drawing, Example, Listing, Prose, Report, SearchCard, Searches, TableBlock
from genzoo.reports.style import PAPER, WIDE, figure_style, to_svg_file
from genzoo.reports.text import escape_markdown, prose_markdown
from genzoo.words import telling

_LENS = 3  # tokens shown for each position


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
    figure = drawing.draw(WIDE, PAPER)
    figure.patch.set(facecolor=PAPER.surface, alpha=1.0)  # a viewer may be dark, this palette is not
    with figure_style(PAPER):
        figures[path] = to_svg_file(figure)
    return f"![{escape_markdown(drawing.description)}]({path})\n\n*{escape_markdown(drawing.caption)}*"


def _example(example: Example) -> str:
    lines = [f"> {escape_markdown(example.text)}"]
    for label, reading in example.readings:
        words = filter(None, map(telling, reading.logit_lens))
        lens = " · ".join("/".join(escape_markdown(token) for token in found[:_LENS]) for found in words)
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
