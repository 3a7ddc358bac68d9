"""What one task says about the difference of two models: draws under "the models are alike", and under resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genzoo.intervals import Floats, bounded_interval, expanded_tail_of_parts, most_frequent
from genzoo.leaderboards.statistics.significance import Interval, blocks, sign_flip_p
from genzoo.leaderboards.statistics.ties import ROUNDING, mid_ranks, weighted_ranks


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
    x, y = (_centred(weighted_ranks(values, counts), counts, total) for values in (first, second))
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


def _centred(ranks: Floats, counts: Floats, total: Floats) -> Floats:
    return ranks - (counts * ranks).sum(axis=1, keepdims=True) / total


QUERY_RESAMPLES = 10_000
LEAST_VARIED = 10  # items of a part that a bootstrap needs, beside those of its most frequent value
BLOCK = 2_000_000  # numbers held at once


@dataclass(frozen=True, eq=False)
class QueryDifference:
    """The difference "model minus reference" on a task whose score is the mean over its parts of the mean over their queries.

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
        return sum(int(np.count_nonzero(np.abs(part) > ROUNDING)) for part in self.parts)

    @property
    def estimate(self) -> float:
        """The difference of the two scores."""
        return mean_of_parts(self.parts)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Queries with a higher, the same and a lower score than the reference's."""
        differences = np.concatenate(self.parts)
        wins, losses = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
        return wins, len(differences) - wins - losses, losses

    def interval(self, *, seed: int = 0) -> Interval:
        """The difference with its interval: see `items_interval`."""
        width = self.limits[1] - self.limits[0]
        return items_interval(self.parts, (-width, width), seed=seed)

    def p_value(self, *, n_resamples: int = QUERY_RESAMPLES, seed: int = 0) -> float:
        """Two-sided, of the sign-flip test of the difference."""
        total, count = self.n, len(self.parts)
        # The sum of these is the mean of the parts' means, as often as there are queries.
        weighed = np.concatenate([part * total / (count * len(part)) for part in self.parts])
        weighed = weighed[np.abs(weighed) > ROUNDING]  # a tie has no sign, and without ties more tests are exact
        return float(sign_flip_p(weighed[None], n_resamples=n_resamples, seed=seed)[0]) if len(weighed) else 1.0


def mean_of_parts(parts: Sequence[Floats]) -> float:
    """The mean over parts of the mean of their items."""
    return float(np.mean([part.mean() for part in parts]))


def items_interval(parts: Sequence[Floats], limits: tuple[float, float], *, seed: int = 0) -> Interval:
    """The mean over parts of their items' mean, with the 95 % interval that comes from resampling items within each part.

    Shares, and parts in which nearly all items have one value, get the interval of `bounded_interval` instead: a bootstrap
    of these is too narrow, or a point.

    Args:
        parts: Items of each part, ``(items,)``: scores, or differences of scores.
        limits: Lowest and highest value that an item can have.
        seed: Of the samples; the same seed gives the same interval.
    """
    sizes = np.array(list(map(len, parts)))
    if min(_n_varied(part, limits) for part in parts) < LEAST_VARIED:
        low, high = bounded_interval(parts, limits)
    else:
        low, high = percentile_interval(resampled(parts, np.random.default_rng(seed)), sizes)
    return Interval(mean_of_parts(parts), low, high, int(sizes.sum()))


def percentile_interval(
    draws: Floats, sizes: npt.NDArray[np.int64], *, weights: Floats | None = None
) -> tuple[float, float]:
    """The ends of the 95 % expanded percentile interval of a mean over parts (Hesterberg 2015, section 5.3).

    The plain percentile interval is too narrow on few items (ten items: 90 % where 95 % are promised), so its level is raised
    to what a t interval would need.

    Args:
        draws: ``(parts, n_resamples)`` each part's score over its resampled items.
        sizes: ``(parts,)`` items of each part.
        weights: ``(parts,)`` what each part counts for, 1 in all; equal by default.
    """
    shares = np.full(len(draws), 1 / len(draws)) if weights is None else weights
    tail = expanded_tail_of_parts(0.025, shares**2 * draws.var(axis=1), sizes)
    low, high = np.quantile(shares @ draws, [tail, 1 - tail])
    return float(low), float(high)


def _n_varied(part: Floats, limits: tuple[float, float]) -> int:
    """Items that are neither zero, nor at a limit, nor equal to the most frequent value: only these give a bootstrap its spread."""
    usual = np.array([0.0, *limits, most_frequent(part)])
    return int(np.count_nonzero((np.abs(part[:, None] - usual) > ROUNDING).all(axis=1)))


def resampled(parts: Sequence[Floats], rng: np.random.Generator, n_draws: int = QUERY_RESAMPLES) -> Floats:
    """``(parts, n_draws)`` means of items drawn with replacement."""
    return np.concatenate([_bootstrap_means(part[None], n_draws, rng) for part in parts])


def _bootstrap_means(values: Floats, n_draws: int, rng: np.random.Generator) -> Floats:
    n, means = values.shape[1], []
    for rows in blocks(n_draws, n, BLOCK):
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means.append(values @ (counts.T / n))
    return np.concatenate(means, axis=1)
