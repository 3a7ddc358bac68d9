"""One model against a reference, over the tasks that both have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from genzoo.leaderboards.aggregation import averaged_tasks, relative_delta
from genzoo.leaderboards.facets import SAFETY, facet
from genzoo.leaderboards.facts import ModelKey, TaskFacts
from genzoo.leaderboards.significance import Interval, can_reject, holm, least_p, mean_test
from genzoo.leaderboards.standing import LEVEL, can_decide

# Scores closer than this are shown as equal (0.1 points at most), so they count as a tie.
TIE = 0.0005
_ROUNDING = 1e-9
Noise = Callable[[list[ModelKey], list[str]], npt.NDArray[np.float64] | None]
"""Models and tasks -> covariance of the models' scores over the items of the tasks, where there are any."""


@dataclass(frozen=True)
class Comparison:
    """Differences "model minus reference" of the main scores.

    Attributes:
        deltas: Task to difference, in the task's own direction (a lower-is-better task gains below zero).
        gains: Task to difference turned so that above zero is better; tasks without a direction and safety tasks, which a
            model wins that finds nothing, are not in it.
        delta: Mean difference over the tasks that may be averaged (higher is better).
        relative: The same relative to the reference's mean.
        n: Tasks behind `delta`, its interval and its p-value.
        interval: Of `delta` over tasks (`mean_test`); None with fewer than three tasks, or where all differences are equal.
        p_value: Of the same test; None with fewer than two tasks.
        has_items: Whether the queries or pairs of the tasks took part in the test.
        p_holm: The p-value after Holm's correction over the comparisons of one leaderboard that can be decided; None for the others.
    """

    model: ModelKey
    reference: ModelKey
    deltas: Mapping[str, float]
    gains: Mapping[str, float]
    delta: float | None
    relative: float | None
    n: int
    interval: Interval | None
    p_value: float | None
    has_items: bool = False
    p_holm: float | None = None

    @classmethod
    def between(
        cls,
        scores: pd.DataFrame,
        model: ModelKey,
        reference: ModelKey,
        tasks: Mapping[str, TaskFacts],
        noise: Noise = lambda models, names: None,
    ) -> Comparison:
        """Compare two rows of a score matrix; `noise` is asked for the covariance of the two over the items of the tasks."""
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
        items = noise([model, reference], averaged)
        over_items = None if items is None else np.full(len(a), items[0, 0] + items[1, 1] - 2 * items[0, 1])
        spans = [high - low for low, high in (tasks[name].metric.limits for name in averaged)]
        tested = mean_test(a - b, over_items, limit=float(np.mean(spans)) if spans else math.inf)
        return cls(
            model=model,
            reference=reference,
            deltas=differences,
            gains=gains,
            delta=float((a - b).mean()) if averaged else None,
            relative=relative_delta(float(a.mean()), float(b.mean())) if averaged else None,
            n=len(averaged),
            interval=tested.interval,
            p_value=tested.p_value,
            has_items=items is not None,
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
    def is_equal(self) -> bool:
        """Whether the two have the same scores, as copies of one model do."""
        return self.n > 0 and all(abs(gain) < _ROUNDING for gain in self.gains.values())

    @property
    def can_decide(self) -> bool:
        """Whether the tasks can tell the two apart at all, after the correction."""
        return self.p_holm is not None

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm is not None and self.p_holm < LEVEL


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's correction over those that can be decided; one that cannot be does not burden the others."""

    def least(found: Comparison) -> float:
        if found.p_value is None or not can_decide(found.n, 2, has_items=found.has_items):
            return 1.0
        return 0.0 if found.has_items else least_p(found.n)

    decided = can_reject([least(found) for found in comparisons])
    p_values = [found.p_value if can else math.nan for found, can in zip(comparisons, decided, strict=True)]
    adjusted = holm([math.nan if p is None else p for p in p_values])
    return [
        replace(found, p_holm=None if math.isnan(p) else float(p))
        for found, p in zip(comparisons, adjusted, strict=True)
    ]
