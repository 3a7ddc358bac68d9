"""How results are shown: tables, figures, one self-contained HTML report. Needs no torch.

Names are loaded on first use, so that importing the package does not import matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.reports.chapters.score_tables import leaderboard_table
    from genzoo.reports.comparison import compare
    from genzoo.reports.render.table import Cell, Column, Table
    from genzoo.reports.report import build_report, write_leaderboard
    from genzoo.reports.site import build_site

_HOMES = {
    "Cell": "render.table",
    "Column": "render.table",
    "Table": "render.table",
    "build_report": "report",
    "build_site": "site",
    "compare": "comparison",
    "leaderboard_table": "chapters.score_tables",
    "write_leaderboard": "report",
}
__all__ = ["Cell", "Column", "Table", "build_report", "build_site", "compare", "leaderboard_table", "write_leaderboard"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"genzoo.reports.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
