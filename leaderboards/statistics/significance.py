"""Is a difference more than luck? A t test over tasks, a sign-flip test over items, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.errors import InputError

Values = npt.ArrayLike
_BLOCK = 4_000_000  # random signs held at once
_UPPER = 0.975  # quantile of a two-sided 95 % interval
_NO_SPREAD = 1e-9  # standard deviations below it are rounding


@dataclass(frozen=True)
class Interval:
    """A score, or a difference of scores, with its interval over `n` items or tasks."""

    estimate: float
    low: float
    high: float
    n: int


class MeanTest(NamedTuple):
    """Whether a mean difference over tasks is zero: `interval` leaves zero out exactly where `p_value` is below 0.05.

    The one exception: p is never below `least_p` where nothing but the differences is known.
    """

    interval: Interval | None
    p_value: float | None


def least_p(n: int) -> float:
    """The smallest two-sided p-value that n signs can give, 2^(1-n): n tasks all favour one of two equal models that often.

    >>> least_p(5), least_p(6)
    (0.0625, 0.03125)
    """
    return 2.0 ** (1 - n)


def mean_test(differences: Values, noise: Values | None = None, *, limit: float = math.inf) -> MeanTest:
    """Student's t test and interval of a mean over tasks, on two levels: the tasks differ, and each was measured on few items.

    A task's difference is the true one, plus how that task departs from the mean of all tasks, plus the noise of its items. The
    spread between tasks holds both parts, so it is the variance of the test, with n - 1 degrees of freedom; where the noise
    of the items is known, the variance is never taken to be smaller than that noise alone, and p may be smaller than the
    signs of n tasks can make it. Skewed differences widen the side of the interval on which their tail lies, by the
    third-moment term of Johnson (1978, J. Am. Stat. Assoc. 73), taken at the normal quantile (at the observed one, where it is
    smaller, for p).

    Args:
        differences: One per task, ``(n,)``.
        noise: Variance of each difference over the items of its task, ``(n,)``, 0 where it is not known; None if no task has items.
        limit: Largest difference that the scores allow, in either direction; the interval ends there.

    Returns:
        No test for fewer than two tasks; no interval for fewer than three, or where all differences are equal and no noise
        is known: such a spread says nothing.
    """
    from scipy.special import ndtri, stdtr, stdtrit

    d = np.asarray(differences, dtype=float)
    n, mean = len(d), float(d.mean()) if len(d) else math.nan
    if n < 2:
        return MeanTest(None, None)
    spread = float(d.var(ddof=1))
    variance = max(spread, 0.0 if noise is None else float(np.mean(np.asarray(noise, dtype=float))))
    bound = least_p(n) if noise is None else 0.0
    if variance < _NO_SPREAD**2:
        return MeanTest(None, 1.0 if abs(mean) < _NO_SPREAD else bound or None)
    error, z = (variance / n) ** 0.5, float(ndtri(_UPPER))
    third = float(((d - mean) ** 3).mean()) * n * n / ((n - 1) * (n - 2)) if n > 2 else 0.0

    def shift(quantile: float) -> float:
        return third / (variance * n) * (1 + 2 * quantile**2) / 6

    # A tail on the left (a shift below zero) makes the lower end uncertain, and so weakens a mean above zero.
    towards_zero = max(0.0, -math.copysign(1.0, mean) * shift(min(z, abs(mean) / error)))
    p = max(bound, 2 * float(stdtr(n - 1, -max(0.0, abs(mean) - towards_zero) / error)))
    half = float(stdtrit(n - 1, _UPPER)) * error
    low, high = max(-limit, mean - half + min(shift(z), 0.0)), min(limit, mean + half + max(shift(z), 0.0))
    return MeanTest(Interval(mean, low, high, n) if n > 2 else None, p)


def sign_flip_p(
    differences: npt.NDArray[np.float64], *, n_resamples: int = 10_000, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Two-sided p-values, `(m,)`, that the rows of `(m, n)` paired differences have mean zero; rows share their signs.

    All sign patterns are enumerated while there are no more than `n_resamples` of them (the observed one is among
    them, so p is never 0). Otherwise patterns are drawn and p = (hits + 1) / (draws + 1), for the same reason.
    """
    n = differences.shape[1]
    # The observed pattern comes out of another order of summation: equal sums must count as equal.
    slack = 1e-12 * np.maximum(1.0, np.abs(differences).sum(axis=1))
    whole = differences.sum(axis=1)[:, None]
    threshold = np.abs(whole) - slack[:, None]
    if n < 63 and 2**n <= n_resamples:
        patterns = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return (np.abs(differences @ patterns.T) >= threshold).mean(axis=1)
    # Hoeffding: a random sum is as large with probability 2 exp(-whole^2 / (2 sum of squares)) at most. Where not even one hit
    # in a million runs is to be expected, none is looked for.
    squares = np.square(differences).sum(axis=1)
    near = np.flatnonzero(np.square(whole[:, 0]) <= 2 * squares * np.log(2e6 * n_resamples))
    # A sum in which some signs are flipped is the whole sum less twice the flipped part: these parts are hits.
    low, high = (whole[near] - threshold[near]) / 2, (whole[near] + threshold[near]) / 2
    rng, hits = np.random.default_rng(seed), np.zeros(len(differences))
    for rows in blocks(n_resamples, max(n, len(differences)), _BLOCK):
        flips = np.unpackbits(np.frombuffer(rng.bytes(-(-rows * n // 8)), np.uint8), count=rows * n).reshape(rows, n)
        flipped = differences[near] @ flips.T.astype(float)
        hits[near] += np.count_nonzero((flipped <= low) | (flipped >= high), axis=1)
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


def can_reject(least_p: Values, level: float = 0.05) -> npt.NDArray[np.bool_]:
    """Which tests of a family can reject at all once the family is corrected for (Tarone 1990), `(m,)`.

    A test over a few items has a smallest p-value that no data can go below. Where that is above what Holm's correction
    asks of the first rejection, the test decides nothing, and leaving it out makes room for the others.

    Args:
        least_p: The smallest p-value that each test can give; it must not depend on which of two models is ahead.
        level: The error that the whole family may have.

    >>> can_reject([0.001, 0.001, 0.03, 0.25]).tolist()
    [True, True, False, False]
    """
    least, size = np.asarray(least_p, dtype=float), 1
    while np.count_nonzero(least <= level / size) > size:
        size += 1
    return least <= level / size


def blocks(total: int, n: int, most: int) -> Iterator[int]:
    """Numbers of rows that add up to `total`, so that no block of rows of `n` numbers holds more than `most` of them."""
    step = max(1, most // max(1, n))
    return (min(step, total - at) for at in range(0, total, step))
