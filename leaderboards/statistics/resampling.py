"""What one task says about the difference of two models: draws under "the models are alike", and under resampling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from genzoo.intervals import Floats, bounded_interval, expanded_tail_of_parts, most_frequent
from genzoo.leaderboards.statistics.significance import Interval, bootstrap_means, sign_flip_p


def score_of_ranks(name: str, gold: Floats, ranks: Floats) -> Floats:
    """The score of each of ``(m, n)`` rankings, which are mid-ranks already: higher is nearer; ``(m,)``."""
    if name == "spearman":
        said = mid_ranks(gold) - (len(gold) + 1) / 2
        own = ranks - ranks.mean(axis=1, keepdims=True)
        spread = np.linalg.norm(said) * np.linalg.norm(own, axis=1)
        return np.divide(own @ said, spread, out=np.zeros(len(ranks)), where=spread > 0)
    order, n = np.argsort(-ranks, axis=1), len(gold)
    right, ordered = gold[order] > 0, np.take_along_axis(ranks, order, axis=1)
    # Pairs of one rank come together: each has the precision at the last of them, so the order of the file is nothing.
    last = np.ones(ranks.shape, dtype=bool)
    last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.minimum.accumulate(np.where(last, np.arange(n), n)[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(np.cumsum(right, axis=1), ends, axis=1) / (ends + 1)
    return (precision * right).sum(axis=1) / max(1, int((gold > 0).sum()))


def weighted_spearman(first: Floats, second: Floats, counts: Floats) -> Floats:
    """Spearman's correlation of samples in which pair i occurs ``counts[., i]`` times: ``(n,), (n,), (m, n) -> (m,)``.

    >>> one = np.array([1.0, 2.0, 3.0, 4.0])
    >>> weighted_spearman(one, np.array([1.0, 3.0, 2.0, 4.0]), np.ones((1, 4))).round(6).tolist()
    [0.8]
    """
    total = counts.sum(axis=1, keepdims=True)
    x, y = (_centred(_weighted_ranks(values, counts), counts, total) for values in (first, second))
    spread = np.sqrt((counts * x * x).sum(axis=1) * (counts * y * y).sum(axis=1))
    return np.divide((counts * x * y).sum(axis=1), spread, out=np.zeros(len(counts)), where=spread > 0)


def weighted_ap(gold: Floats, similarity: Floats, counts: Floats) -> Floats:
    """Average precision of such samples, as scikit-learn defines it: ``(n,), (n,), (m, n) -> (m,)``; gold is 1 or 0.

    >>> weighted_ap(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.8, 0.7]), np.ones((1, 3))).round(4).tolist()
    [0.8333]
    """
    order = np.argsort(-similarity, kind="stable")
    last = np.append(similarity[order][1:] != similarity[order][:-1], True)  # pairs of one similarity come together
    drawn = counts[:, order]
    right = np.cumsum(drawn * (gold[order] > 0), axis=1)[:, last]
    seen = np.cumsum(drawn, axis=1)[:, last]
    precision = np.divide(right, seen, out=np.zeros_like(seen), where=seen > 0)
    total = np.maximum(right[:, -1], 1)
    return (np.diff(right, axis=1, prepend=0) * precision).sum(axis=1) / total


def _weighted_ranks(values: Floats, counts: Floats) -> Floats:
    """Mid-ranks within each sample, ``(m, n)``."""
    _, group = np.unique(values, return_inverse=True)
    size = group.max() + 1
    offsets = (np.arange(len(counts)) * size)[:, None]
    sums = np.bincount((group + offsets).ravel(), weights=counts.ravel(), minlength=len(counts) * size)
    sums = sums.reshape(len(counts), size)
    return (np.cumsum(sums, axis=1) - (sums - 1) / 2)[:, group]


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1 on, ``(n,)``; equal values share the mean of theirs."""
    return _weighted_ranks(values, np.ones((1, len(values))))[0]


def _centred(ranks: Floats, counts: Floats, total: Floats) -> Floats:
    return ranks - (counts * ranks).sum(axis=1, keepdims=True) / total


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
    """The ends of the expanded percentile interval of a mean over parts: see `genzoo.leaderboards.statistics.significance.paired_bootstrap`.

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
