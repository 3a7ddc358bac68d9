"""Is a difference more than luck? Paired bootstrap, sign-flip permutation test and Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genzoo.errors import InputError

Values = npt.ArrayLike
_BLOCK = 4_000_000  # random numbers held at once: bounds the memory for long arrays


@dataclass(frozen=True)
class Interval:
    """A mean difference with its percentile interval over `n` pairs."""

    estimate: float
    low: float
    high: float
    n: int
    level: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    a: Values, b: Values, *, n_resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of mean(a - b), resampling pairs with replacement.

    Args:
        a: Scores of one system, `(n,)`.
        b: Scores of the other on the same items in the same order, `(n,)`.
        n_resamples: Bootstrap samples.
        level: Coverage that the interval aims at, between 0 and 1.
        seed: Of the numpy Generator; the same seed gives the same interval.
    """
    difference = _difference(a, b)
    if not 0 < level < 1:
        raise InputError(f"level is {level}: a coverage between 0 and 1 is needed, for example 0.95")
    n, rng = len(difference), np.random.default_rng(seed)
    means = np.concatenate(
        [difference[rng.integers(0, n, size=(rows, n))].mean(axis=1) for rows in _blocks(n_resamples, n)]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high), n, level)


def permutation_test(a: Values, b: Values, *, n_resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of mean(a - b) = 0 when the sign of every pair is a coin flip.

    All sign patterns are enumerated while there are no more than `n_resamples` of them (the observed one is among
    them, so p is never 0). Otherwise patterns are drawn and p = (hits + 1) / (draws + 1), for the same reason.
    """
    difference = _difference(a, b)
    n = len(difference)
    observed = abs(difference.sum())
    # The observed pattern comes out of another order of summation: equal sums must count as equal.
    threshold = observed - 1e-12 * max(1.0, float(np.abs(difference).sum()))
    if n < 63 and 2**n <= n_resamples:
        patterns = np.arange(2**n)[:, None] >> np.arange(n) & 1
        sums = np.abs((1 - 2 * patterns) @ difference)
        return float((sums >= threshold).mean())
    rng, hits = np.random.default_rng(seed), 0
    for rows in _blocks(n_resamples, n):
        signs = 1 - 2 * rng.integers(0, 2, size=(rows, n), dtype=np.int8)
        hits += int((np.abs(signs @ difference) >= threshold).sum())
    return (hits + 1) / (n_resamples + 1)


def holm(p_values: Values) -> npt.NDArray[np.float64]:
    """Holm's step-down adjusted p-values, in the given order; NaN stays NaN and counts as no test.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if np.any((p < 0) | (p > 1)):
        raise InputError(f"p-values must lie between 0 and 1, got {p[(p < 0) | (p > 1)].tolist()}")
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def _difference(a: Values, b: Values) -> npt.NDArray[np.float64]:
    """Pairwise a - b, after checking that the two are pairs of finite numbers."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(f"paired scores need two arrays of one length, got shapes {first.shape} and {second.shape}")
    if not len(first):
        raise InputError("paired scores are empty: at least one pair is needed")
    difference = first - second
    if not np.isfinite(difference).all():
        raise InputError(
            f"{int((~np.isfinite(difference)).sum())} of {len(first)} pairs are not finite: drop them first"
        )
    return difference


def _blocks(total: int, n: int) -> Iterator[int]:
    """Row counts that add up to `total`, each of at most `_BLOCK` numbers."""
    if total < 1:
        raise InputError(f"n_resamples is {total}: at least 1 is needed")
    step = max(1, _BLOCK // n)
    for start in range(0, total, step):
        yield min(step, total - start)
