"""One model against another: over the tasks that both have, and query by query or pair by pair within a task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from genzoo.leaderboards.facts import SAFETY, ModelKey, TaskFacts, facet
from genzoo.leaderboards.metrics import UNIT, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.aggregation import Part, averaged_tasks, relative_delta
from genzoo.leaderboards.statistics.pairs import PairDifference
from genzoo.leaderboards.statistics.resampling import QueryDifference
from genzoo.leaderboards.statistics.significance import Interval, can_reject, holm, least_p, mean_test
from genzoo.leaderboards.statistics.standing import LEVEL, can_decide
from genzoo.leaderboards.statistics.ties import ROUNDING, TIE

Noise = Callable[[list[ModelKey], list[str]], npt.NDArray[np.float64] | None]
"""Models and tasks -> covariance of the models' scores over the items of the tasks, where there are any."""

TaskDifference = QueryDifference | PairDifference


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
        signs = {name: {True: 1, False: -1, None: 0}[tasks[name].metric.higher_is_better] for name in counted}
        gains = {name: sign * differences[name] for name, sign in signs.items() if sign}
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
        return self.n > 0 and all(abs(gain) < ROUNDING for gain in self.gains.values())

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


_LEAST = 10  # queries or pairs, below which nothing is tested
_DRAWS_PER_TEST = 100  # the smallest p-value is that of one draw, and has to survive the correction


@dataclass(frozen=True)
class QueryComparison:
    """One task: the difference "model minus reference" over its queries or pairs, in the task's own direction.

    Attributes:
        interval: Over the queries or pairs of each split and subset; its estimate is the difference of the scores.
        p_value: Of a permutation test: over queries the sign of each difference is flipped, over pairs the two models'
            similarities are exchanged.
        p_holm: The same after Holm's correction over the tasks that can be told apart; NaN where this one cannot.
        outcomes: Queries with a higher, the same and a lower score than the reference's; None for pairs, which have no
            score of their own.
        unit: Number of items that the interval and the test are based on, ``queries`` or ``pairs``.
        n_unequal: Queries or pairs on which the two models differ.
    """

    task: str
    interval: Interval
    p_value: float
    p_holm: float
    outcomes: tuple[int, int, int] | None
    unit: str = "queries"
    n_unequal: int = 0

    @property
    def is_testable(self) -> bool:
        """Whether the models differ on enough queries or pairs for a test among those of the other tasks to decide."""
        return not math.isnan(self.p_holm)

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < 0.05


def compare_queries(
    store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...], seed: int = 0
) -> tuple[QueryComparison, ...]:
    """The tasks for which both models have predictions, per query or per pair, that give the scores they report."""
    found = task_differences(store, model, reference, tasks)
    return tuple(
        QueryComparison(
            task=each.task,
            interval=difference_interval(store, model, reference, each, seed=seed),
            p_value=p,
            p_holm=p_holm,
            outcomes=each.outcomes if isinstance(each, QueryDifference) else None,
            unit=each.unit,
            n_unequal=each.n_unequal,
        )
        for each, (p, p_holm) in zip(found, tested(found, seed), strict=True)
    )


def tested(found: Sequence[TaskDifference], seed: int = 0) -> list[tuple[float, float]]:
    """The p-value of each difference, and the same after Holm's correction over those that can be told apart; NaN for the others."""
    draws = _DRAWS_PER_TEST * len(found)
    p_values = [each.p_value(n_resamples=max(each.n_resamples, draws), seed=seed) for each in found]
    is_tested = can_reject([least_p(each.n_unequal) for each in found])
    adjusted = holm([p if can else math.nan for p, can in zip(p_values, is_tested, strict=True)])
    return [(p, float(each)) for p, each in zip(p_values, adjusted, strict=True)]


def difference_interval(
    store: ResultStore, model: ModelKey, reference: ModelKey, found: TaskDifference, seed: int = 0
) -> Interval:
    """The interval of a task's difference, about the difference of the scores that a leaderboard shows.

    The items give these scores up to rounding and ties.
    """
    interval = found.interval(seed=seed)
    ours, theirs = (store.value(key, found.task, "main_score") for key in (model, reference))
    if ours is None or theirs is None:
        return interval
    shown = ours - theirs
    return dataclasses.replace(interval, estimate=shown, low=min(interval.low, shown), high=max(interval.high, shown))


def task_differences(
    store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...]
) -> tuple[TaskDifference, ...]:
    """The tasks for which both models have predictions that give their scores, with the items behind each difference.

    Differences are in the score's own direction. Tasks with fewer than ten queries or pairs are left out.
    """
    found = (
        _query_difference(store, model, reference, task) or _pair_difference(store, model, reference, task)
        for task in tasks
    )
    return tuple(each for each in found if each is not None and each.n >= _LEAST)


def _query_difference(store: ResultStore, model: ModelKey, reference: ModelKey, task: str) -> QueryDifference | None:
    ours, theirs = store.outcomes(model, task), store.outcomes(reference, task)
    parts: dict[Part, list[float]] = {}
    for query in ours:
        if query in theirs:
            parts.setdefault(query.part, []).append(ours[query].score - theirs[query].score)
    if not parts:
        return None
    limits = metric(store.tasks[task].main_score).range or UNIT
    return QueryDifference(task, tuple(np.array(part) for _, part in sorted(parts.items())), limits)


def _pair_difference(store: ResultStore, model: ModelKey, reference: ModelKey, task: str) -> PairDifference | None:
    ours, theirs = store.pairs(model, task), store.pairs(reference, task)
    return None if ours is None or theirs is None else PairDifference(task, ours, theirs)
