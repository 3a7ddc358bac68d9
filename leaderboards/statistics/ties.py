"""The rules for ties: when two numbers count as equal, and which rank equal numbers get.

- Places on a board: equal means (`DECIMALS`) share the better rank, Borda ranks too (`genzoo.leaderboards.statistics.standing`,
  `genzoo.leaderboards.statistics.aggregation`). Within a task, Borda points go by the mean of the tied ranks, as in mteb.
- Wins and losses over tasks: a difference of at most `TIE` is a tie (`genzoo.leaderboards.comparison`).
- Tests over queries and pairs: a difference of at most `ROUNDING` has no sign and takes no part.
- Rankings of documents: equal similarities go by descending id, as in mteb (`genzoo.leaderboards.reading.predictions`).
- Correlations: equal similarities share the mean of their ranks (`mid_ranks`).
"""

from __future__ import annotations

import numpy as np

from genzoo.intervals import Floats

DECIMALS = 10
"""Means are rounded to so many decimals where they are made: sums in another order must not tell equal models apart."""
TIE = 0.0005
"""Scores of tasks that are closer than this are shown as equal (0.1 points at most)."""
ROUNDING = 1e-9
"""Differences of items below it are rounding."""


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1 on, ``(n,)``; equal values share the mean of theirs.

    >>> mid_ranks(np.array([0.2, 0.5, 0.5, 0.9])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    return weighted_ranks(values, np.ones((1, len(values))))[0]


def weighted_ranks(values: Floats, counts: Floats) -> Floats:
    """Mid-ranks within each of m samples in which value i occurs ``counts[., i]`` times: ``(n,), (m, n) -> (m, n)``."""
    _, group = np.unique(values, return_inverse=True)
    size = group.max() + 1
    offsets = (np.arange(len(counts)) * size)[:, None]
    sums = np.bincount((group + offsets).ravel(), weights=counts.ravel(), minlength=len(counts) * size)
    sums = sums.reshape(len(counts), size)
    return (np.cumsum(sums, axis=1) - (sums - 1) / 2)[:, group]
