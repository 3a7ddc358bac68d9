"""One table type for every format: the value, what is shown, and where it comes from stay together."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from genzoo.errors import InputError
from genzoo.escaping import clean
from genzoo.leaderboards.metrics import MISSING, Metric

Value = float | int | str | None


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
        best_of: What a cell marked "best" is the best of, "column" or "row".
        notes: Sentences under the table.
        sample: What its tests of significance are over, "tasks" or "queries".
        rule: By what rule its means were made, so that means of another rule are never taken for these.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    best_of: str = "column"
    notes: tuple[str, ...] = ()
    sample: str = "tasks"
    rule: str = ""

    @property
    def marks(self) -> set[str]:
        """The styles that occur in its cells; a format says what it makes of them."""
        return {mark for row in self.rows for cell in row for mark in cell.style.split()}

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"table {self.title!r}: a row of {len(row)} cells under {len(self.columns)} columns")
        object.__setattr__(self, "columns", _distinct(self.columns))

    def to_markdown(self) -> str:
        """A GitHub-flavoured Markdown table."""
        from genzoo.reports import exporters

        return exporters.to_markdown(self)

    def to_csv(self) -> str:
        """Comma-separated raw values."""
        from genzoo.reports import exporters

        return exporters.to_csv(self)

    def to_json(self) -> str:
        """Columns with directions, and rows of raw values with their provenance."""
        from genzoo.reports import exporters

        return exporters.to_json(self)

    def to_html(self, *, is_filterable: bool = False) -> str:
        """An HTML fragment that the report's stylesheet and script bring to life."""
        from genzoo.reports import exporters

        return exporters.to_html(self, is_filterable=is_filterable)

    def to_latex(self) -> str:
        """A booktabs tabular."""
        from genzoo.reports import exporters

        return exporters.to_latex(self)


def _distinct(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    seen: set[str] = set()
    result = []
    for column in columns:
        label, number = column.label, 2
        while clean(label) in seen:  # as a format shows it
            label, number = f"{column.label} ({number})", number + 1
        seen.add(clean(label))
        result.append(column if label == column.label else dataclasses.replace(column, label=label))
    return tuple(result)


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
        display, details = f"{display} (!)", ["outside of the metric's range", *details]
    return Cell(value, display, " · ".join(part for part in details if part), None, style, provenance, note)


def shade(value: float | None, values: list[float]) -> str:
    """The mark `shade-0` (lowest) to `shade-9` (highest) of a value in its column; empty where all are equal."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if value is None or high - low < 1e-9:
        return ""
    return f"shade-{min(9, int(10 * (value - low) / (high - low)))}"
