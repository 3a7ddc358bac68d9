"""How many queries it takes to tell two models apart, from the differences on the queries that were judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from genzoo.intervals import Floats
from genzoo.leaderboards.statistics.resampling import items_interval
from genzoo.leaderboards.statistics.significance import sign_flip_p
from genzoo.leaderboards.statistics.ties import ROUNDING

POWER, LEVEL = 0.8, 0.05
MOST = 1_000_000
"""More queries than that nobody judges: their number is not given."""
LEAST = 10
"""Queries, below which nothing is tested and no number is given."""
_SIMULATED = 1_000  # comparisons for each number of queries
_FLIPS = 1_999  # of each simulated test
_EXACT = 1_500  # queries up to which the number is settled by simulation; above, the sum of so many is normal
_ROUNDS = 4


@dataclass(frozen=True)
class QueriesNeeded:
    """How many queries tell two models apart, if their true difference is the one observed.

    Attributes:
        n: Judged queries that count.
        estimate: Mean difference on them.
        needed: Queries in all with which 80 % of comparisons find the difference at p < 0.05; None where more than a million would be.
        low: The same for the largest difference that the 95 % interval of the estimate allows.
        high: The same for the smallest; None where the interval includes zero, so that no number may be enough.
    """

    n: int
    estimate: float
    needed: int | None
    low: int | None
    high: int | None

    @property
    def more(self) -> int | None:
        """Queries that have to be judged beside those that are, 0 where they suffice; None where no number is known."""
        return None if self.needed is None else max(0, self.needed - self.n)


def queries_needed(differences: Floats, *, limit: float = 1.0, seed: int = 0) -> QueriesNeeded | None:
    """Plan a comparison from the differences observed so far.

    The number comes from simulation with the test that a comparison uses, the two-sided sign-flip test: queries are drawn from
    the observed ones with replacement, and the number is the one at which 80 % of such samples give p < 0.05. Above 1,500 queries the normal
    approximation takes its place. The largest uncertainty is the observed difference itself: `low` and `high` carry its interval over.

    Args:
        differences: Score of the one model minus the other's on each judged query, ``(n,)``.
        limit: Largest difference that a query can have.
        seed: Of the samples.

    Returns:
        None for fewer than ten queries.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) < LEAST:
        return None
    mean, spread = float(d.mean()), float(d.std())
    interval = items_interval([d], (-limit, limit), seed=seed)
    # The test asks for the mean over the spread about zero, which the mean itself is part of.
    ends = sorted((abs(interval.low), abs(interval.high)))
    includes_zero = interval.low <= 0 <= interval.high
    return QueriesNeeded(
        n=len(d),
        estimate=mean,
        needed=_settled(d, _approximate(mean, spread), seed),
        low=_approximate(ends[1], spread),
        high=None if includes_zero else _approximate(ends[0], spread),
    )


def _approximate(mean: float, spread: float) -> int | None:
    """Queries by the normal approximation; a test needs five differences of one sign to give p < 0.05 at all, six to reject."""
    from scipy.special import ndtri

    if abs(mean) <= ROUNDING:
        return None
    quantiles = float(ndtri(1 - LEVEL / 2) + ndtri(POWER))
    n = math.ceil((quantiles * spread / mean) ** 2)
    return None if n > MOST else max(n, 6)


def _settled(d: Floats, guess: int | None, seed: int) -> int | None:
    """The number near a guess at which simulated comparisons have the power that is asked for."""
    from scipy.special import ndtri

    n = guess
    for turn in range(_ROUNDS):
        if n is None or n > _EXACT:
            return n
        power = simulated_power(d, n, seed=seed + turn)
        # The quantile of the power grows with the square root of n, less that of the level.
        reached = float(ndtri(min(max(power, 0.01), 0.99))) + float(ndtri(1 - LEVEL / 2))
        wanted = float(ndtri(POWER) + ndtri(1 - LEVEL / 2))
        if abs(power - POWER) < 0.01:
            break
        n = max(LEAST, math.ceil(n * min(4.0, (wanted / reached) ** 2)))
    return n


def simulated_power(differences: Floats, n: int, *, n_simulated: int = _SIMULATED, seed: int = 0) -> float:
    """The share of samples of n of the differences, drawn with replacement, in which the sign-flip test gives p < 0.05."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.asarray(differences, dtype=float), size=(n_simulated, n))
    return float((sign_flip_p(drawn, n_resamples=_FLIPS, seed=seed + 1) < LEVEL).mean())
