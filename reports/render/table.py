"""One table type for every format: the value, what is shown, and where it comes from stay together."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from genzoo.errors import InputError
from genzoo.leaderboards.metrics import MISSING, Metric
from genzoo.text import (
    breakable_html,
    clean,
    escape_csv,
    escape_html,
    escape_latex,
    escape_markdown,
    prose_html,
    prose_markdown,
    told_apart,
)

Value = float | int | str | None
Item = TypeVar("Item")


@dataclass(frozen=True)
class Column:
    """A heading.

    Attributes:
        label: The table makes it unique, as JSON rows are keyed by it and tasks may be called anything.
        higher_is_better: Direction of its values, None where there is none.
        digits: Decimals of a number when a format has no display of its own; None leaves numbers as they are.
        description: A sentence for a tooltip.
        is_text: Left-aligned and sorted as text.
        is_name: Its cells are names of models or tasks and may be long.
    """

    label: str
    higher_is_better: bool | None = None
    digits: int | None = None
    description: str = ""
    is_text: bool = False
    is_name: bool = False

    @property
    def arrow(self) -> str:
        """An arrow towards the better side, empty where there is none."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        value: What machines read and what sorts; None is missing.
        display: What people read.
        description: A longer account for a tooltip.
        href: Link target; an anchor of the same page or an https address.
        style: Space-separated marks: best, gain, loss, strong, quiet, shade-0 to shade-9.
        provenance: Sources of the value: files, versions, revisions.
        note: A short second line under the display.
    """

    value: Value
    display: str
    description: str = ""
    href: str | None = None
    style: str = ""
    provenance: tuple[str, ...] = ()
    note: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to show."""
        return self.value is None or (isinstance(self.value, float) and math.isnan(self.value))


@dataclass(frozen=True)
class Table:
    """Columns and rows of equal length; the first column names the row.

    Attributes:
        best_of: Whether a cell marked "best" is the best of its "column" or of its "row".
        notes: Sentences under the table.
        sample: The sample of its significance tests: "tasks" or "queries".
        rule: The rule by which its means were computed, so that means of another rule are not mistaken for them.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    best_of: str = "column"
    notes: tuple[str, ...] = ()
    sample: str = "tasks"
    rule: str = ""

    @classmethod
    def of(
        cls, title: str, items: Iterable[Item], columns: Iterable[tuple[Column, Callable[[Item], Cell]]], **options: Any
    ) -> Table:
        """One row for each item; a column is its heading and what makes an item's cell."""
        heads, makers = zip(*columns, strict=True)
        return cls(title, heads, tuple(tuple(make(item) for make in makers) for item in items), **options)

    @property
    def marks(self) -> set[str]:
        """The styles that occur in its cells; a format says what it makes of them."""
        return {mark for row in self.rows for cell in row for mark in cell.style.split()}

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"table {self.title!r}: a row of {len(row)} cells under {len(self.columns)} columns")
        labels = told_apart(column.label for column in self.columns)
        columns = [replace(column, label=label) for column, label in zip(self.columns, labels, strict=True)]
        object.__setattr__(self, "columns", tuple(columns))

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown: italic for the best, bold for what is significant."""

        def shown(cell: Cell) -> str:
            text = escape_markdown(cell.display)
            marks = cell.style.split()
            text = f"**{text}**" if "strong" in marks else f"*{text}*" if "best" in marks else text
            return f"{text} ({escape_markdown(cell.note)})" if cell.note else text

        heads = [f"{escape_markdown(column.label)} {column.arrow}".strip() for column in self.columns]
        rules = ["---" if column.is_text else "---:" for column in self.columns]
        lines = [heads, rules, *([shown(cell) for cell in row] for row in self.rows)]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([text, *(prose_markdown(note) for note in self._legend("Italic"))]) + "\n"

    def to_csv(self) -> str:
        """Raw values at full precision; a missing value is empty."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([escape_csv(column.label) for column in self.columns])
        for row in self.rows:
            writer.writerow([escape_csv(cell.value) if isinstance(cell.value, str) else _raw(cell) for cell in row])
        return buffer.getvalue()

    def to_json(self) -> str:
        """Rows keyed by column label; strict JSON, so that a missing or non-finite value is null."""
        columns = [
            {
                "label": column.label,
                "direction": _DIRECTIONS[column.higher_is_better],
                "description": column.description,
            }
            for column in self.columns
        ]
        labels = [column.label for column in self.columns]
        rows = [dict(zip(labels, map(_raw, row), strict=True)) for row in self.rows]
        provenance = [
            {label: list(cell.provenance) for label, cell in zip(labels, row, strict=True) if cell.provenance}
            for row in self.rows
        ]
        content = {"title": self.title, "columns": columns, "rows": rows, "provenance": provenance, "notes": self.notes}
        content |= {"rule": self.rule} if self.rule else {}
        return json.dumps(content, ensure_ascii=True, indent=2, allow_nan=False) + "\n"

    def to_html(self, *, is_filterable: bool = False) -> str:
        """A fragment: scrollable region, caption, sortable headings, values to sort by in `data-v`."""
        heads = "".join(_head_html(column) for column in self.columns)
        rows = "".join(f"<tr>{_row_html(row, self.columns)}</tr>\n" for row in self.rows)
        title = escape_html(self.title)
        search = (
            f'<label class="filter"><span class="hidden">Filter the rows of {title}</span>'
            '<input type="search" placeholder="Filter rows" autocomplete="off" spellcheck="false">'
            '<output class="count" aria-live="polite"></output></label>'
            if is_filterable
            else ""
        )
        notes = "".join(f'<p class="note">{prose_html(note)}</p>' for note in self._legend("Underlined"))
        return (
            f'<div class="table">{search}<div class="scroll" role="region" aria-label="{title}" tabindex="0">'
            f'<table><caption class="hidden">{title}</caption>'
            f"<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>{notes}</div>"
        )

    def to_latex(self) -> str:
        r"""A booktabs tabular (`\usepackage{booktabs}`); the best is underlined, the significant bold; notes are comments."""

        def shown(cell: Cell) -> str:
            text, marks = escape_latex(cell.display), cell.style.split()
            text = rf"\underline{{{text}}}" if "best" in marks else text
            text = rf"\textbf{{{text}}}" if "strong" in marks else text
            is_number = isinstance(cell.value, int | float)
            return rf"{text} {{\scriptsize {escape_latex(cell.note)}}}" if cell.note and is_number else text

        align = "".join("l" if column.is_text else "r" for column in self.columns)
        heads = " & ".join(escape_latex(f"{column.label} {column.arrow}".strip()) for column in self.columns)
        body = "\n".join(" & ".join(shown(cell) for cell in row) + r" \\" for row in self.rows)
        comments = "".join(f"% {clean(line)}\n" for line in (self.title, *self.notes, self.rule) if line)
        return (
            f"{comments}\\begin{{tabular}}{{{align}}}\n\\toprule\n{heads} \\\\\n\\midrule\n"
            f"{body}\n\\bottomrule\n\\end{{tabular}}\n"
        )

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame: a row for each row under the name in its first column, raw values, NaN where one is missing."""
        first, *others = self.columns
        index = pd.Index([row[0].value for row in self.rows], name=first.label)
        columns = {
            column.label: [_raw(row[place], None if column.is_text else math.nan) for row in self.rows]
            for place, column in enumerate(others, 1)
        }
        return pd.DataFrame(columns, index=index).infer_objects()

    def _repr_html_(self) -> str:
        """The table in a notebook, without script or style sheet; of a long one the first rows."""
        heads = "".join(f"<th>{escape_html(f'{column.label} {column.arrow}'.strip())}</th>" for column in self.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_plain_html(cell)}</td>' for cell in row)}</tr>" for row in self.rows[:_SHOWN_ROWS]
        )
        cut = [f"{_SHOWN_ROWS} of {len(self.rows)} rows; to_frame() has all."] if self.rows[_SHOWN_ROWS:] else []
        notes = "".join(f"<p><small>{prose_html(note)}</small></p>" for note in [*cut, *self._legend("Underlined")])
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{notes}"

    def _legend(self, best: str) -> list[str]:
        """What the marks of a table mean, where it has them, and its notes; `best` is how the format shows the best."""
        lines = []
        if "best" in self.marks:
            lines.append(f"{best}: the best of its {self.best_of}, whether or not the difference is significant.")
        if "strong" in self.marks:
            lines.append(
                f"Bold: a difference that is significant at 5\u00a0% over {self.sample} after Holm's correction."
            )
        return [*lines, *self.notes]


def name_column(label: str) -> Column:
    """A column of names of models or tasks."""
    return Column(label, is_text=True, is_name=True)


def text_column(label: str, description: str = "") -> Column:
    """A column of any other text."""
    return Column(label, description=description, is_text=True)


def text_cell(text: str, *, style: str = "", description: str = "", note: str = "", href: str | None = None) -> Cell:
    """A cell of text; empty text is missing."""
    return Cell(text or None, text or MISSING, description, href, style if text else "quiet", note=note)


def number_cell(
    value: float | None,
    metric: Metric,
    *,
    signed: bool = False,
    style: str = "",
    description: str = "",
    provenance: tuple[str, ...] = (),
    note: str = "",
) -> Cell:
    """A cell of a metric: display, range check and exact value in the tooltip."""
    if value is None or math.isnan(value):
        return Cell(None, MISSING, description or "no value", style="quiet", provenance=provenance, note=note)
    display = metric.display(value, signed=signed)
    details = [f"{value:.6g}", description, *provenance]
    if not signed and not metric.contains(value):
        display, details = f"{display} (!)", ["outside the metric's range", *details]
    return Cell(value, display, " · ".join(part for part in details if part), None, style, provenance, note)


def shade(value: float | None, values: list[float]) -> str:
    """The mark `shade-0` (lowest) to `shade-9` (highest) of a value in its column; empty where all are equal."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if value is None or high - low < 1e-9:
        return ""
    return f"shade-{min(9, int(10 * (value - low) / (high - low)))}"


# An anchor of the page, a page beside it, or an address: never a script.
_SAFE_LINK = re.compile(r"#|https://|[a-z0-9-]+\.html$")
_SHOWN_ROWS = 60  # of a table in a notebook
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: None}


def _raw(cell: Cell, missing: float | None = None) -> float | int | str | None:
    is_missing = cell.value is None or (isinstance(cell.value, float) and not math.isfinite(cell.value))
    return missing if is_missing else cell.value


def _plain_html(cell: Cell) -> str:
    shown, marks = escape_html(cell.display), cell.style.split()
    shown = f"<u>{shown}</u>" if "best" in marks else shown
    shown = f"<b>{shown}</b>" if "strong" in marks else shown
    return f"{shown} <small>{escape_html(cell.note)}</small>" if cell.note else shown


def _head_html(column: Column) -> str:
    direction = _DIRECTIONS[column.higher_is_better]
    arrow = f'<span class="arrow" aria-hidden="true">{column.arrow}</span>' if direction else ""
    spoken = f'<span class="hidden">, {direction}</span>' if direction else ""
    title = f' title="{escape_html(column.description)}"' if column.description else ""
    kind = "text" if column.is_text else "number"
    return (
        f'<th scope="col" class="{kind}" aria-sort="none"><button type="button"{title}>'
        f'{breakable_html(column.label)}{arrow}{spoken}<span class="sorted" aria-hidden="true"></span></button></th>'
    )


def _row_html(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> str:
    parts = []
    for place, (cell, column) in enumerate(zip(row, columns, strict=True)):
        tag = "th" if place == 0 else "td"
        classes = " ".join(part for part in (("text" if column.is_text else "number"), cell.style) if part)
        value = "" if cell.is_missing else str(cell.value)
        shown = breakable_html(cell.display) if column.is_name else escape_html(cell.display)
        if cell.href and _SAFE_LINK.match(cell.href):
            shown = f'<a href="{escape_html(cell.href)}">{shown}</a>'
        note = f"<small>{escape_html(cell.note)}</small>" if cell.note else ""
        title = f' title="{escape_html(cell.description)}"' if cell.description else ""
        scope = ' scope="row"' if tag == "th" else ""
        parts.append(f'<{tag}{scope} class="{classes}" data-v="{escape_html(value)}"{title}>{shown}{note}</{tag}>')
    return "".join(parts)
