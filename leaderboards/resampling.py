"""What one task says about the difference of two models: draws of it under "the models are alike", and under resampling.

A task's score is the mean of its parts' scores (splits and subsets), so items are flipped and resampled within each part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
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


@dataclass(frozen=True, eq=False)
class QueryDifference:
    """A task whose score is the mean over its parts of the mean over their queries: see `TaskDifference`.

    Attributes:
        parts: For each part the differences of the two models' scores, ``(queries,)``.
    """

    task: str
    parts: tuple[Floats, ...]
    unit: str = "queries"

    @property
    def n(self) -> int:
        """Queries in all parts."""
        return sum(map(len, self.parts))

    @property
    def n_unequal(self) -> int:
        """Queries on which the two scores differ."""
        return sum(int(np.count_nonzero(np.abs(part) > 1e-9)) for part in self.parts)

    @property
    def estimate(self) -> float:
        """The difference of the two scores."""
        return float(np.mean([part.mean() for part in self.parts]))

    def null(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences with a coin flip for the sign of each query."""
        return np.mean([_flipped(part, rng, n_draws) for part in self.parts], axis=0)

    def bootstrap(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences over queries drawn with replacement within each part."""
        return np.mean([_resampled(part, rng, n_draws) for part in self.parts], axis=0)


def _flipped(values: Floats, rng: np.random.Generator, n_draws: int) -> Floats:
    """Means under random signs."""
    n, means = len(values), []
    for rows in steps(n_draws, n):
        flips = np.unpackbits(np.frombuffer(rng.bytes(-(-rows * n // 8)), np.uint8), count=rows * n).reshape(rows, n)
        means.append(values.mean() - 2 * (flips @ values) / n)
    return np.concatenate(means)


def _resampled(values: Floats, rng: np.random.Generator, n_draws: int) -> Floats:
    """Means of samples drawn with replacement."""
    n = len(values)
    return np.concatenate([values[rng.integers(0, n, (rows, n))].mean(axis=1) for rows in steps(n_draws, n)])


def steps(total: int, n: int) -> Iterator[int]:
    """Row counts that add up to ``total``, so that a block of rows of n numbers fits into memory."""
    step = max(1, _BLOCK // max(1, n))
    return (min(step, total - at) for at in range(0, total, step))
