"""What one task says about the difference of two models: draws of it under "the models are alike", and under resampling.

A task's score is the mean of its parts' scores (splits and subsets), so items are flipped and resampled within each part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from genzoo.intervals import Floats, bounded_interval, expanded_tail_of_parts, most_frequent
from genzoo.leaderboards.significance import Interval, bootstrap_means, sign_flip_p

QUERY_RESAMPLES = 10_000
LEAST_VARIED = 10  # items of a part that a bootstrap needs, beside those of its most frequent value
TIE = 1e-9
_BLOCK = 2_000_000  # numbers held at once


class TaskDifference(Protocol):
    """The difference "model minus reference" on one task, in the score's own direction, with draws of it.

    Two generators of one seed give two models the same draws, as long as their tasks have parts of the same sizes.
    """

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def unit(self) -> str:
        """What is flipped and resampled, ``queries`` or ``pairs``."""

    @property
    def n_resamples(self) -> int:
        """How many draws a test takes at least."""

    @property
    def n(self) -> int:
        """Items in all parts."""

    @property
    def n_unequal(self) -> int:
        """Items on which the models differ: no test can give a p-value below ``2 ** (1 - n_unequal)``."""

    @property
    def estimate(self) -> float:
        """The difference of the two scores."""

    def null(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences if it were a coin flip for each item which model did what."""

    def bootstrap(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences over items drawn with replacement within each part."""

    def interval(self, *, level: float = 0.95, seed: int = 0) -> Interval:
        """The difference with its interval over items."""

    def p_value(self, *, n_resamples: int, seed: int = 0) -> float:
        """Two-sided, of the exchange test of the difference."""


@dataclass(frozen=True, eq=False)
class QueryDifference:
    """A task whose score is the mean over its parts of the mean over their queries: see `TaskDifference`.

    Attributes:
        parts: For each part the differences of the two models' scores, ``(queries,)``.
        limits: The lowest and the highest score that a query can have.
    """

    task: str
    parts: tuple[Floats, ...]
    limits: tuple[float, float] = (0.0, 1.0)
    unit: str = "queries"
    n_resamples: int = QUERY_RESAMPLES

    @property
    def n(self) -> int:
        """Queries in all parts."""
        return sum(map(len, self.parts))

    @property
    def n_unequal(self) -> int:
        """Queries on which the two scores differ."""
        return sum(int(np.count_nonzero(np.abs(part) > TIE)) for part in self.parts)

    @property
    def estimate(self) -> float:
        """The difference of the two scores."""
        return mean_of_parts(self.parts)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Queries with a higher, the same and a lower score than the reference's."""
        differences = np.concatenate(self.parts)
        wins, losses = int((differences > TIE).sum()), int((differences < -TIE).sum())
        return wins, len(differences) - wins - losses, losses

    def null(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences with a coin flip for the sign of each query."""
        return np.mean([_flipped(part, rng, n_draws) for part in self.parts], axis=0)

    def bootstrap(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences over queries drawn with replacement within each part."""
        return resampled(self.parts, rng, n_draws).mean(axis=0)

    def interval(self, *, n_resamples: int = QUERY_RESAMPLES, level: float = 0.95, seed: int = 0) -> Interval:
        """The difference with its interval: see `items_interval`."""
        width = self.limits[1] - self.limits[0]
        return items_interval(self.parts, (-width, width), n_resamples=n_resamples, level=level, seed=seed)

    def p_value(self, *, n_resamples: int = QUERY_RESAMPLES, seed: int = 0) -> float:
        """Two-sided, of the sign-flip test of the difference."""
        total, count = self.n, len(self.parts)
        # The sum of these is the mean of the parts' means, as often as there are queries.
        weighed = np.concatenate([part * total / (count * len(part)) for part in self.parts])
        weighed = weighed[np.abs(weighed) > TIE]  # a tie has no sign, and without ties more tests are exact
        return float(sign_flip_p(weighed[None], n_resamples=n_resamples, seed=seed)[0]) if len(weighed) else 1.0


def mean_of_parts(parts: Sequence[Floats]) -> float:
    """The mean over parts of the mean of their items."""
    return float(np.mean([part.mean() for part in parts]))


def items_interval(
    parts: Sequence[Floats],
    limits: tuple[float, float],
    *,
    n_resamples: int = QUERY_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean over parts of their items' mean, with the interval that comes from resampling items within each part.

    Shares, and parts in which nearly all items have one value, get the interval of `bounded_interval` instead: a bootstrap
    of these is too narrow, or a point.

    Args:
        parts: Items of each part, ``(items,)``: scores, or differences of scores.
        limits: Lowest and highest value that an item can have.
        n_resamples: Bootstrap samples.
        level: Coverage that the interval aims at.
        seed: Of the samples; the same seed gives the same interval.
    """
    sizes = np.array(list(map(len, parts)))
    if min(_n_varied(part, limits) for part in parts) < LEAST_VARIED:
        low, high = bounded_interval(parts, limits, level)
    else:
        low, high = percentile_interval(resampled(parts, np.random.default_rng(seed), n_resamples), sizes, level=level)
    return Interval(mean_of_parts(parts), low, high, int(sizes.sum()), level)


def percentile_interval(
    draws: Floats, sizes: npt.NDArray[np.int64], *, weights: Floats | None = None, level: float = 0.95
) -> tuple[float, float]:
    """The ends of the expanded percentile interval of a mean over parts: see `genzoo.leaderboards.significance.paired_bootstrap`.

    Args:
        draws: ``(parts, n_resamples)`` each part's score over its resampled items.
        sizes: ``(parts,)`` items of each part.
        weights: ``(parts,)`` what each part counts for, 1 in all; equal by default.
        level: Coverage that the interval aims at.
    """
    shares = np.full(len(draws), 1 / len(draws)) if weights is None else weights
    tail = expanded_tail_of_parts((1 - level) / 2, shares**2 * draws.var(axis=1), sizes)
    low, high = np.quantile(shares @ draws, [tail, 1 - tail])
    return float(low), float(high)


def _n_varied(part: Floats, limits: tuple[float, float]) -> int:
    """Items that are neither zero, nor at a limit, nor equal to the most frequent value: only these give a bootstrap its spread."""
    usual = np.array([0.0, *limits, most_frequent(part)])
    return int(np.count_nonzero((np.abs(part[:, None] - usual) > TIE).all(axis=1)))


def resampled(parts: Sequence[Floats], rng: np.random.Generator, n_draws: int = QUERY_RESAMPLES) -> Floats:
    """``(parts, n_draws)`` means of items drawn with replacement."""
    return np.concatenate([bootstrap_means(part[None], n_draws, rng) for part in parts])


def _flipped(values: Floats, rng: np.random.Generator, n_draws: int) -> Floats:
    """Means under random signs."""
    n, means = len(values), []
    for rows in steps(n_draws, n):
        flips = np.unpackbits(np.frombuffer(rng.bytes(-(-rows * n // 8)), np.uint8), count=rows * n).reshape(rows, n)
        means.append(values.mean() - 2 * (flips @ values) / n)
    return np.concatenate(means)


def steps(total: int, n: int) -> Iterator[int]:
    """Row counts that add up to ``total``, so that a block of rows of n numbers fits into memory."""
    step = max(1, _BLOCK // max(1, n))
    return (min(step, total - at) for at in range(0, total, step))
