"""What the results say: a tidy frame, aggregates, tests of significance and the leaderboard. Needs no torch."""

from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import Metric, metric
from genzoo.leaderboards.revisions import join_revisions
from genzoo.leaderboards.store import ResultStore

__all__ = ["Leaderboard", "Metric", "ResultStore", "join_revisions", "metric"]
