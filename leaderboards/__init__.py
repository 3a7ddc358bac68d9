"""What the results say: a tidy frame, aggregates, tests of significance and the leaderboard. Needs no torch; names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genzoo import lazy

_HOMES = {
    "Leaderboard": "leaderboard",
    "Metric": "metrics",
    "ResultStore": "reading.store",
    "join_revisions": "reading.revisions",
    "metric": "metrics",
}
__all__ = [*_HOMES]

if TYPE_CHECKING:
    from genzoo.leaderboards.leaderboard import Leaderboard as Leaderboard
    from genzoo.leaderboards.metrics import Metric as Metric
    from genzoo.leaderboards.metrics import metric as metric
    from genzoo.leaderboards.reading.revisions import join_revisions as join_revisions
    from genzoo.leaderboards.reading.store import ResultStore as ResultStore


def __getattr__(name: str) -> Any:
    return lazy(name, __name__, _HOMES)
