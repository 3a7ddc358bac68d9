"""How results are shown: tables, figures, one self-contained HTML report. Needs no torch; names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genzoo import lazy

_HOMES = {
    "Cell": "render.table",
    "Column": "render.table",
    "Table": "render.table",
    "build_report": "report",
    "build_site": "site",
    "compare": "comparison",
    "leaderboard_table": "chapters.leaderboard",
    "write_leaderboard": "report",
}
__all__ = [*_HOMES]

if TYPE_CHECKING:
    from genzoo.reports.chapters.leaderboard import leaderboard_table as leaderboard_table
    from genzoo.reports.comparison import compare as compare
    from genzoo.reports.render.table import Cell as Cell
    from genzoo.reports.render.table import Column as Column
    from genzoo.reports.render.table import Table as Table
    from genzoo.reports.report import build_report as build_report
    from genzoo.reports.report import write_leaderboard as write_leaderboard
    from genzoo.reports.site import build_site as build_site


def __getattr__(name: str) -> Any:
    return lazy(name, __name__, _HOMES)
