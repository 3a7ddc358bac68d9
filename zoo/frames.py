"""Rows that show themselves as a table: in pandas and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from genzoo.text import clean

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


def to_frame(rows: Iterable[Any]) -> pd.DataFrame:
    """A DataFrame of dataclasses: their ``as_row()`` where they have one, else all their fields."""
    import pandas as pd

    return pd.DataFrame([row.as_row() if hasattr(row, "as_row") else asdict(row) for row in rows])


def to_html(frame: pd.DataFrame) -> str:
    """An HTML table for a notebook: nothing cut off, every text escaped."""
    import pandas as pd

    shown = frame.map(lambda value: clean(value) if isinstance(value, str) else value)
    with pd.option_context("display.max_colwidth", None):
        return shown.to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.4g}")


def facts_to_html(facts: Iterable[tuple[str, str]]) -> str:
    """An HTML table of one thing for a notebook: a line for each fact."""
    rows = (f"<tr><th>{html.escape(what)}</th><td>{html.escape(clean(value))}</td></tr>" for what, value in facts)
    return f"<table>{''.join(rows)}</table>"


class Rows(tuple[T, ...]):
    """A sequence of dataclasses of one kind.

    >>> from genzoo.backbones.generation import Query
    >>> rows = Rows([Query("q1", "why is the sky blue?")])
    >>> rows[0].id, list(rows.to_frame().columns)
    ('q1', ['id', 'text'])
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each."""
        return to_frame(self)

    def _repr_html_(self) -> str:
        return to_html(self.to_frame())
