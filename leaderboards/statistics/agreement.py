"""How far judges agree beyond chance: Cohen's kappa for two of them, Krippendorff's alpha for any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grades = Mapping[str, Mapping[str, int | None]]
"""Judge -> item -> grade, None where the judge could not tell."""
_RESAMPLES = 2_000
_LEAST = 10  # items with two grades, below which no interval is given
READINGS = ((0.8, "reliable"), (0.667, "enough for tentative conclusions"), (-1.0, "too low to rely on"))
"""Krippendorff's advice (2004, Content Analysis, p. 241) on alpha."""


@dataclass(frozen=True)
class Agreement:
    """How far judges agree.

    Attributes:
        n_items: Items that two judges or more gave a grade.
        n_judges: Judges with such an item.
        equal: Share of the pairs of grades of one item that are equal.
        kappa: Cohen's kappa of two judges; None for more, and where both gave one grade alone.
        alpha: Krippendorff's alpha for ordinal grades; None where all grades are equal, as there is nothing to agree on then.
        low: Lower end of alpha's 95 % interval, over the items; None with fewer than ten.
        high: Upper end.
    """

    n_items: int
    n_judges: int
    equal: float
    kappa: float | None
    alpha: float | None
    low: float | None = None
    high: float | None = None

    @property
    def reading(self) -> str:
        """Alpha in words, by Krippendorff's advice."""
        if self.alpha is None:
            return "cannot be told, as all grades are equal"
        return next(words for least, words in READINGS if self.alpha >= least)


def agreement(grades: Grades, *, seed: int = 0) -> Agreement | None:
    """The agreement of judges on the items that two or more of them graded; None where there is no such item."""
    table = _table(grades)
    if not table.size:
        return None
    present = ~np.isnan(table)
    judges = present.any(axis=1)
    counts = _counts(table)
    n_per_item = counts.sum(axis=1)
    pairs = n_per_item * (n_per_item - 1)
    alpha = krippendorff_alpha(counts)
    low, high = _interval(counts, seed) if len(counts) >= _LEAST and alpha is not None else (None, None)
    return Agreement(
        n_items=len(counts),
        n_judges=int(judges.sum()),
        equal=float((counts * (counts - 1)).sum() / pairs.sum()),
        kappa=cohen_kappa(*table[judges]) if judges.sum() == 2 else None,
        alpha=alpha,
        low=low,
        high=high,
    )


def cohen_kappa(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """Cohen's kappa (1960) of two judges on the same items, each difference counted alike; None where both gave one grade alone.

    >>> cohen_kappa([0, 1, 1, 0], [0, 1, 0, 0])
    0.5
    """
    from sklearn.metrics import cohen_kappa_score

    both = np.column_stack([np.asarray(one, dtype=float), np.asarray(other, dtype=float)])
    both = both[~np.isnan(both).any(axis=1)].astype(int)
    return float(cohen_kappa_score(both[:, 0], both[:, 1])) if len(np.unique(both)) > 1 else None


def krippendorff_alpha(counts: npt.NDArray[np.float64]) -> float | None:
    """Krippendorff's alpha for ordinal data, 1 for perfect agreement and 0 for agreement by chance.

    Krippendorff 2011, "Computing Krippendorff's alpha-reliability", with its ordinal metric: the distance of two grades is the number
    of grades given between them, half of those at the ends.

    Args:
        counts: ``(items, grades)`` how many judges gave an item a grade, the grades in order; each item has two or more.

    Returns:
        None where only one grade was given.
    """
    found = _alphas(counts[None])
    return None if np.isnan(found[0]) else float(found[0])


def _alphas(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Alpha of each of ``(samples, items, grades)`` counts, NaN where only one grade was given."""
    per_item = counts.sum(axis=2, keepdims=True)
    # An item without two grades, as a column of zeros is, says nothing.
    weights = np.divide(1, per_item - 1, out=np.zeros_like(per_item), where=per_item > 1)
    pairs = np.einsum("sig,sih->sgh", counts * weights, counts)
    diagonal = np.arange(counts.shape[2])
    pairs[:, diagonal, diagonal] -= (counts * weights).sum(axis=1)
    totals = pairs.sum(axis=2)
    n = totals.sum(axis=1)
    running = np.cumsum(totals, axis=1)
    # Between g and h: all of g to h, less half of both ends.
    middle = running - totals / 2
    distance = (middle[:, :, None] - middle[:, None, :]) ** 2
    observed = (pairs * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    return np.divide(-(n - 1) * observed, expected, out=np.full(len(n), np.nan), where=expected > 0) + 1


def _interval(counts: npt.NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    """Percentile interval of alpha over items drawn with replacement."""
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(0, _RESAMPLES, 100):
        places = rng.integers(0, len(counts), size=(100, len(counts)))
        drawn.append(_alphas(counts[places]))
    known = np.concatenate(drawn)
    known = known[~np.isnan(known)]
    if len(known) < _RESAMPLES / 2:
        return None, None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _table(grades: Grades) -> npt.NDArray[np.float64]:
    """``(judges, items)`` grades, NaN where there is none, of the items with two grades or more."""
    items = sorted({item for own in grades.values() for item in own})
    rows = [[own.get(item) for item in items] for own in grades.values()]
    table = np.array(rows, dtype=float).reshape(len(grades), len(items))  # None becomes NaN
    return table[:, (~np.isnan(table)).sum(axis=0) > 1]


def _counts(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``(items, grades)`` how many judges gave an item a grade."""
    known = np.unique(table[~np.isnan(table)])
    return (table.T[:, :, None] == known).sum(axis=1).astype(float)
