"""One model against a reference, over the tasks that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genzoo.leaderboards.aggregation import averaged_tasks, relative_delta
from genzoo.leaderboards.facets import SAFETY, facet
from genzoo.leaderboards.facts import ModelKey, TaskFacts
from genzoo.leaderboards.significance import Interval, paired_bootstrap, permutation_test

# Below this many tasks an interval over tasks says little: five tasks cannot reach p < 0.05 in a sign-flip test.
FEW_TASKS = 6
# Scores closer than this are shown as equal (0.1 points at most), so they count as a tie.
TIE = 0.0005


@dataclass(frozen=True)
class Comparison:
    """Differences "model minus reference" of the main scores.

    Attributes:
        deltas: Task to difference, in the task's own direction (a lower-is-better task gains below zero).
        gains: Task to difference turned so that above zero is better; tasks without a direction and safety tasks, which a
            model wins that finds nothing, are not in it.
        delta: Mean difference over the tasks that may be averaged (higher is better).
        relative: The same relative to the reference's mean.
        interval: Bootstrap interval of `delta` over tasks; None with fewer than two tasks.
        p_value: Sign-flip permutation test over the same tasks; None with fewer than two.
        p_holm: The same after Holm's correction over the rows of one leaderboard.
    """

    model: ModelKey
    reference: ModelKey
    deltas: Mapping[str, float]
    gains: Mapping[str, float]
    delta: float | None
    relative: float | None
    interval: Interval | None
    p_value: float | None
    p_holm: float | None = None

    @classmethod
    def between(
        cls, scores: pd.DataFrame, model: ModelKey, reference: ModelKey, tasks: Mapping[str, TaskFacts], seed: int = 0
    ) -> Comparison:
        """Compare two rows of a score matrix."""
        first, second = scores.loc[model], scores.loc[reference]
        shared = [name for name in scores.columns if not (np.isnan(first[name]) or np.isnan(second[name]))]
        differences = {name: float(first[name] - second[name]) for name in shared}
        counted = [name for name in shared if facet(tasks[name]) != SAFETY]
        signs = {name: tasks[name].metric.higher_is_better for name in counted}
        gains = {
            name: differences[name] if sign else -differences[name] for name, sign in signs.items() if sign is not None
        }
        averaged = averaged_tasks(shared, tasks)
        a, b = first[averaged].to_numpy(dtype=float), second[averaged].to_numpy(dtype=float)
        enough = len(averaged) > 1
        return cls(
            model=model,
            reference=reference,
            deltas=differences,
            gains=gains,
            delta=float((a - b).mean()) if averaged else None,
            relative=relative_delta(float(a.mean()), float(b.mean())) if averaged else None,
            interval=paired_bootstrap(a, b, seed=seed) if enough else None,
            p_value=permutation_test(a, b, seed=seed) if enough else None,
        )

    @property
    def wins(self) -> int:
        """Tasks on which the model is better."""
        return sum(gain > TIE for gain in self.gains.values())

    @property
    def ties(self) -> int:
        """Tasks on which the two differ by no more than `TIE`."""
        return sum(abs(gain) <= TIE for gain in self.gains.values())

    @property
    def losses(self) -> int:
        """Tasks on which the reference is better."""
        return sum(gain < -TIE for gain in self.gains.values())

    @property
    def n(self) -> int:
        """Tasks behind `delta`, its interval and its p-value."""
        return self.interval.n if self.interval else int(self.delta is not None)

    @property
    def is_weak(self) -> bool:
        """Whether there are too few tasks for the interval to carry a claim."""
        return self.n < FEW_TASKS

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05 on enough tasks."""
        p = self.p_holm if self.p_holm is not None else self.p_value
        return p is not None and p < 0.05 and not self.is_weak
