"""Intervals of shares, and of means of scores that have a lowest and a highest value.

Where all queries of a sample are answered, every resample of it is perfect too: a bootstrap cannot see what did not happen to be
in the sample. Wilson's interval can, and here it serves means over parts and scores between the limits as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def share_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """A share and the ends of its interval (Wilson).

    >>> [round(end, 3) for end in share_interval(160, 200)]
    [0.8, 0.739, 0.85]
    >>> [round(end, 3) for end in share_interval(40, 40)]
    [1.0, 0.912, 1.0]
    """
    from scipy.stats import binomtest  # a third of a second, and most commands ask for no interval

    found = binomtest(hits, n).proportion_ci(level, method="wilson")
    return hits / n, float(found.low), float(found.high)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of a few runs and the ends of its 95 % interval by Student's t.

    The ends are NaN for a single value, and where all values are equal: a few equal values are no certainty.

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    >>> mean_interval([0.5, 0.5, 0.5])
    (0.5, nan, nan)
    """
    from scipy.special import stdtrit

    n, mean = len(values), float(np.mean(values)) if len(values) else float("nan")
    spread = float(np.std(values, ddof=1)) if n > 1 else 0.0
    if spread <= 1e-9 * max(1.0, abs(mean)):
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.975)) * spread / n**0.5
    return mean, mean - half, mean + half


def expanded_tail(tail: float, n: int) -> float:
    """The tail of the percentile interval that is as wide as a t interval over n items.

    >>> round(expanded_tail(0.025, 10), 4)
    0.0086
    """
    return expanded_tail_of_parts(tail, np.ones(1), np.array([n]))


def expanded_tail_of_parts(tail: float, variances: Floats, sizes: npt.NDArray[np.int64]) -> float:
    """The same for a sum over parts, with Welch and Satterthwaite's degrees of freedom.

    Args:
        tail: What the interval leaves out on each side.
        variances: ``(parts,)`` bootstrap variances of the summands.
        sizes: ``(parts,)`` items of each part; a part with a single item has no variance and counts for nothing.
    """
    from scipy.special import ndtr, stdtrit

    counts = (sizes > 1) & (variances > 0)
    drawn, free = variances[counts], sizes[counts] - 1
    unbiased = drawn * (free + 1) / free
    if not len(drawn):
        return tail
    freedom = unbiased.sum() ** 2 / (unbiased**2 / free).sum()
    return float(ndtr((unbiased.sum() / drawn.sum()) ** 0.5 * stdtrit(freedom, tail)))


def most_frequent(values: Floats) -> float:
    """The value that occurs most often; the mean of these where there are several.

    >>> most_frequent(np.array([1.0, 0.5, 1.0, 0.0]))
    1.0
    """
    found, counts = np.unique(values.round(9), return_counts=True)
    return float(found[counts == counts.max()].mean())


def bounded_interval(
    parts: Sequence[Floats], limits: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over parts of the mean of their scores; for one part of zeros and ones Wilson's.

    Each part is split at its most frequent value into what lies above and what lies below. Either is a mean between 0 and
    1 with a score interval (see `_lowest`), and the two are put together by the square-and-add rule that Newcombe (1998)
    uses for differences of shares. So a sample of one value only has an interval, and no interval leaves the limits.

    Args:
        parts: Scores of each part, ``(items,)``, one item at least.
        limits: Lowest and highest possible score.
        level: Coverage.

    >>> [round(end, 3) for end in bounded_interval([np.ones(40)])]
    [0.912, 1.0]
    """
    from scipy.special import ndtri

    z, low, high = float(ndtri((1 + level) / 2)), *limits
    splits = [most_frequent(part) for part in parts]
    above = _Side([np.maximum(part - at, 0) for part, at in zip(parts, splits, strict=True)], high - np.array(splits))
    below = _Side([np.maximum(at - part, 0) for part, at in zip(parts, splits, strict=True)], np.array(splits) - low)
    (up_less, up_more), (down_less, down_more) = above.reach(z), below.reach(z)
    # An item lies on one side only, so what is drawn above is missing below: the two are negatively correlated.
    spread = above.variance * below.variance
    shared = (above.means * below.means / above.sizes).sum() / len(parts) ** 2
    correlation = -min(1.0, float(shared / spread**0.5)) if spread > 0 else 0.0
    mean = float(np.mean([part.mean() for part in parts]))
    return (
        max(low, mean - _together(up_less, down_more, correlation)),
        min(high, mean + _together(up_more, down_less, correlation)),
    )


def _together(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other)))


class _Side:
    """What lies on one side of the parts' most frequent values.

    Attributes:
        means: ``(parts,)`` mean distances.
        sizes: ``(parts,)`` items.
        variance: Of the mean over parts.
    """

    def __init__(self, distances: Sequence[Floats], room: Floats) -> None:
        """From ``(items,)`` distances of each part, nowhere more than its room ``(parts,)``."""
        self._room = np.maximum(room, 0)
        self.sizes = np.array([len(part) for part in distances], dtype=float)
        self.means = np.array([part.mean() for part in distances])
        self.variance = float((np.array([part.var() for part in distances]) / self.sizes).sum() / len(distances) ** 2)
        scale = np.where(self._room > 0, self._room, 1.0)
        scaled = [np.clip(part / size, 0, 1) for part, size in zip(distances, scale, strict=True)]
        self._shares = np.array([part.mean() for part in scaled])
        self._effective = self.sizes / np.array([_dispersion(part) for part in scaled])

    def reach(self, z: float) -> tuple[float, float]:
        """How far the true mean over parts may lie below and above the one found."""
        weights, found = self._room / len(self._room), float(self.means.mean())
        # Each part's share is estimated too, so a sum over parts varies more than its estimate says.
        z *= float(self.sizes.sum() / (self.sizes.sum() - len(weights) + 1)) ** 0.5
        least = _lowest(self._shares, self._effective, weights, z)
        most = float(weights.sum()) - _lowest(1 - self._shares, self._effective, weights, z)
        return max(0.0, found - least), max(0.0, most - found)


def _dispersion(scores: Floats) -> float:
    """Variance of scores between 0 and 1 in that of a share with their mean: 1 for zeros and ones, less in between.

    It is an estimate from the scores that are neither 0 nor 1; the fewer there are, the nearer it is held to 1.
    """
    inner = int(np.count_nonzero((scores > 1e-9) & (scores < 1 - 1e-9)))
    most = float(scores.mean() * (1 - scores.mean()))
    doubt = float(np.exp(-((inner / 4) ** 2)))
    return max(1e-6, doubt + (1 - doubt) * (min(1.0, float(scores.var()) / most) if most > 0 else 1.0))


def _lowest(shares: Floats, sizes: Floats, weights: Floats, z: float) -> float:
    """Lower end of the score interval of ``weights @ shares``: the lowest sum that a test with quantile z does not reject.

    The test takes the variance from the shares that fit the data best among those with that sum, which have a closed form for
    each multiplier t of the side condition: ``n (found - share) = t weight share (1 - share)``. There the sum lies ``t`` times its
    variance below the one found, so the end is where ``t^2 variance = z^2``. For one share it is Wilson's.
    """
    from scipy.optimize import brentq

    if shares @ weights <= 0:
        return 0.0

    def fitted(t: float) -> Floats:
        linear = sizes + t * weights
        return 2 * shares * sizes / (linear + np.sqrt(np.maximum(linear**2 - 4 * t * weights * shares * sizes, 0)))

    def excess(t: float) -> float:
        share = fitted(t)
        return float(t**2 * (weights**2 * share * (1 - share) / sizes).sum() - z**2)

    above = 1.0
    while excess(above) < 0:
        above *= 2
    return float(weights @ fitted(brentq(excess, 0, above)))
