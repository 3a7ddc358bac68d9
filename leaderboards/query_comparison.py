"""Two models query by query, or pair by pair: does a difference on a task carry over to others of its kind?"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from genzoo.leaderboards.aggregation import Part
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.metrics import UNIT, metric
from genzoo.leaderboards.pairs import PairDifference
from genzoo.leaderboards.resampling import QueryDifference, TaskDifference
from genzoo.leaderboards.significance import Interval, can_reject, holm, least_p
from genzoo.leaderboards.store import ResultStore

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
        unit: What the interval and the test are over, ``queries`` or ``pairs``.
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
    draws = _DRAWS_PER_TEST * len(found)
    compared = [(each, each.p_value(n_resamples=max(each.n_resamples, draws), seed=seed)) for each in found]
    is_tested = can_reject([least_p(each.n_unequal) for each in found])
    corrected = holm([p if tested else math.nan for (_, p), tested in zip(compared, is_tested, strict=True)])
    return tuple(
        QueryComparison(
            task=each.task,
            interval=difference_interval(store, model, reference, each, seed=seed),
            p_value=p,
            p_holm=float(holms),
            outcomes=each.outcomes if isinstance(each, QueryDifference) else None,
            unit=each.unit,
            n_unequal=each.n_unequal,
        )
        for (each, p), holms in zip(compared, corrected, strict=True)
    )


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
