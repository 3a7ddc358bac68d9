"""How many queries it takes to tell two models apart, from the differences on the queries that were judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from genzoo.intervals import Floats
from genzoo.leaderboards.statistics.resampling import items_interval
from genzoo.leaderboards.statistics.significance import blocks, sign_flip_p
from genzoo.leaderboards.statistics.ties import ROUNDING

POWER, LEVEL = 0.8, 0.05
MOST = 1_000_000
"""More queries than that nobody judges: their number is not given."""
LEAST = 10
"""Queries, below which nothing is tested and no number is given."""
_SIMULATED = 1_000  # comparisons for each number of queries
_FLIPS = 1_999  # of each simulated test
_EXACT = 1_500  # queries up to which the number is settled by simulation; above, the sum of so many is normal
_TOGETHER = 100
_ROUNDS = 5


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


def queries_needed(
    differences: Floats, *, limit: float = 1.0, weights: Floats | None = None, seed: int = 0
) -> QueriesNeeded | None:
    """Plan a comparison from the differences observed so far.

    The number comes from simulation with the test that a comparison uses, the two-sided sign-flip test: queries are drawn from
    the observed ones with replacement, and the number is the one at which 80 % of such samples give p < 0.05. Above 1,500 queries the normal
    approximation takes its place. The largest uncertainty is the observed difference itself: `low` and `high` carry its interval over.

    Args:
        differences: Score of the one model minus the other's on each judged query, ``(n,)``.
        limit: Largest difference that a query can have.
        weights: How many queries of the log each stands for, ``(n,)``, where they were not drawn at random: the number is then one of
            queries that are.
        seed: Of the samples.

    Returns:
        None for fewer than ten queries.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) < LEAST:
        return None
    shares = np.full(len(d), 1 / len(d)) if weights is None else weights / weights.sum()
    mean = float(shares @ d)
    spread = float(shares @ (d - mean) ** 2) ** 0.5
    low, high = _ends(d, shares, mean, spread, limit, seed)
    near, far = sorted((abs(low), abs(high)))
    return QueriesNeeded(
        n=len(d),
        estimate=mean,
        needed=_settled(d, shares, _approximate(mean, spread), seed),
        low=_approximate(far, spread),
        high=None if low <= 0 <= high else _approximate(near, spread),
    )


def _ends(d: Floats, shares: Floats, mean: float, spread: float, limit: float, seed: int) -> tuple[float, float]:
    """The 95 % interval of the mean; normal where the queries count unequally."""
    if np.ptp(shares) < ROUNDING:
        interval = items_interval([d], (-limit, limit), seed=seed)
        return interval.low, interval.high
    half = 1.96 * spread * float(np.square(shares).sum()) ** 0.5
    return max(-limit, mean - half), min(limit, mean + half)


def _approximate(mean: float, spread: float) -> int | None:
    """Queries by the normal approximation."""
    from scipy.special import ndtri

    if abs(mean) <= ROUNDING:
        return None
    quantiles = float(ndtri(1 - LEVEL / 2) + ndtri(POWER))
    n = math.ceil((quantiles * spread / mean) ** 2)
    return None if n > MOST else max(n, LEAST)


def _settled(d: Floats, shares: Floats, guess: int | None, seed: int) -> int | None:
    """The number near a guess at which simulated comparisons have the power that is asked for.

    The quantile of the power grows with the square root of the number, less that of the level; each round adds an estimate of how fast.
    """
    from scipy.special import ndtri

    if guess is None or guess > _EXACT:
        return guess
    level, wanted, n, slopes = float(ndtri(1 - LEVEL / 2)), float(ndtri(POWER)), guess, list[float]()
    for turn in range(_ROUNDS):
        power = simulated_power(d, n, shares=shares, seed=seed + turn)
        if not 0.3 <= power <= 0.97:  # too far off to tell the slope
            n = max(LEAST, n // 2 if power > 0.9 else 2 * n)
            if n == LEAST or n > _EXACT:
                break
            continue
        slopes.append((float(ndtri(power)) + level) / n**0.5)
        n = max(LEAST, math.ceil(((wanted + level) / float(np.mean(slopes))) ** 2))
    return n


def simulated_power(
    differences: Floats, n: int, *, shares: Floats | None = None, n_simulated: int = _SIMULATED, seed: int = 0
) -> float:
    """The share of samples of n of the differences, drawn with replacement by their shares, in which the sign-flip test gives p < 0.05."""
    rng, d, found = np.random.default_rng(seed), np.asarray(differences, dtype=float), 0
    for rows in blocks(n_simulated, 1, _TOGETHER):  # the tests of a block share their signs
        drawn = rng.choice(d, size=(rows, n), p=shares)
        found += int((sign_flip_p(drawn, n_resamples=_FLIPS, seed=int(rng.integers(1 << 31))) < LEVEL).sum())
    return found / n_simulated
