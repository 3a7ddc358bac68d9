"""What a report is made of, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from genzoo.leaderboards.facts import Decoded
from genzoo.reports.render.table import Table
from genzoo.text import safe_name, told_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Prose:
    """A paragraph of plain text in which `backticks` mark code."""

    text: str
    is_quiet: bool = False


@dataclass(frozen=True)
class Listing:
    """Points with a short title each."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableBlock:
    """A table; a filterable one gets a search field, a folded one opens on demand."""

    table: Table
    is_filterable: bool = False
    fold: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn at any width.

    Attributes:
        identity: An anchor and the name of its file, so it becomes one that is safe; the report makes it unique.
        title: A few words.
        description: The alternative text: what is drawn and what it shows.
        caption: What a reader needs to read it right.
        fill: Draws on the axes that it is given, as the functions of `genzoo.plots` do.
    """

    identity: str
    title: str
    description: str
    caption: str
    fill: Callable[[Axes], object]
    _drawn: dict[float, tuple[Figure, str]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", safe_name(self.identity))

    def figure(self, width: float) -> Figure:
        """The figure, `width` inches wide unless it needs more; drawn once, whatever it is saved as."""
        return self._draw(width)[0]

    def svg(self, width: float) -> str:
        """The same figure as an SVG element on a transparent ground."""
        return self._draw(width)[1]

    def _draw(self, width: float) -> tuple[Figure, str]:
        from genzoo.reports.render.style import (  # with matplotlib, which no table needs
            figure_style,
            new_figure,
            to_svg,
        )

        if width not in self._drawn:
            with figure_style():
                figure = new_figure(width, 1.0)
                self.fill(figure.add_subplot())
            self._drawn[width] = figure, to_svg(figure)
        return self._drawn[width]


@dataclass(frozen=True)
class DecodedExample:
    """One text and what each model's embedding of it decodes to."""

    text: str
    readings: tuple[tuple[str, Decoded], ...]


@dataclass(frozen=True)
class Examples:
    """Decoded texts; the first `shown` are open, the rest is folded."""

    items: tuple[DecodedExample, ...]
    shown: int = 6


@dataclass(frozen=True)
class SearchRow:
    """How one search went for one model.

    Attributes:
        model: Its label.
        verdict: What happened, in a few words.
        found: The document on top, "" where it is the right one.
        reads: What the query's embedding, and those of the documents, decode to, each with a heading such as "Query".
        why: A sentence from the similarities and the decoded words.
        is_good: Whether this is what one hopes for.
    """

    model: str
    verdict: str
    found: str
    reads: tuple[tuple[str, str], ...]
    why: str
    is_good: bool


@dataclass(frozen=True)
class SearchCard:
    """One query, what it should have found, and what each model did."""

    task: str
    query: str
    heading: str
    right: str
    rows: tuple[SearchRow, ...]


@dataclass(frozen=True)
class Searches:
    """Single searches; the first `shown` are open, the rest is folded."""

    items: tuple[SearchCard, ...]
    shown: int = 4


Block = Prose | Listing | TableBlock | Drawing | Examples | Searches


@dataclass(frozen=True)
class Section:
    """A chapter: `identity` is its anchor, `blocks` may be empty only if it is dropped."""

    identity: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A title, a line under it, the summary at the top, and the sections.

    `links` are label and address of pages beside this one.
    """

    title: str
    subtitle: str
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: str = ""
    links: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        # Drawings that share an identity are told apart: their anchors and files would be one.
        blocks = (block for section in self.sections for block in section.blocks)
        own = iter(told_apart((block.identity for block in blocks if isinstance(block, Drawing)), "{}-{}"))
        sections = []
        for section in self.sections:
            named = (
                replace(each, identity=next(own)) if isinstance(each, Drawing) else each for each in section.blocks
            )
            sections.append(replace(section, blocks=tuple(named)))
        object.__setattr__(self, "sections", tuple(sections))
