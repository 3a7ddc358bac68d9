"""What the results say: a tidy frame, aggregates, tests of significance and the leaderboard. Needs no torch.

Names are loaded on first use, so that a folder can be listed while pandas is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.leaderboards.leaderboard import Leaderboard
    from genzoo.leaderboards.metrics import Metric, metric
    from genzoo.leaderboards.reading.revisions import join_revisions
    from genzoo.leaderboards.reading.store import ResultStore
    from genzoo.leaderboards.reading.tree import Listing

_HOMES = {
    "Leaderboard": "leaderboard",
    "Listing": "reading.tree",
    "Metric": "metrics",
    "ResultStore": "reading.store",
    "join_revisions": "reading.revisions",
    "metric": "metrics",
}
__all__ = ["Leaderboard", "Listing", "Metric", "ResultStore", "join_revisions", "metric"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
