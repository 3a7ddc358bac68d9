"""The public names of genzoo.leaderboards, each with the module that holds it."""

from genzoo.leaderboards.leaderboard import Leaderboard as Leaderboard
from genzoo.leaderboards.metrics import Metric as Metric
from genzoo.leaderboards.metrics import metric as metric
from genzoo.leaderboards.reading.revisions import join_revisions as join_revisions
from genzoo.leaderboards.reading.store import ResultStore as ResultStore
