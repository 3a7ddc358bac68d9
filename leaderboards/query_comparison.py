"""Two models query by query, or pair by pair: does a difference on a task carry over to others of its kind?"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from genzoo.leaderboards.aggregation import Part
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.pairs import PairDifference, pair_difference
from genzoo.leaderboards.resampling import QueryDifference, TaskDifference
from genzoo.leaderboards.significance import Interval, holm, paired_bootstrap, permutation_test
from genzoo.leaderboards.store import ResultStore

_LEAST = 10  # queries or pairs, below which nothing is tested


@dataclass(frozen=True)
class QueryComparison:
    """One task: the difference "model minus reference" over its queries or pairs, in the task's own direction.

    Attributes:
        interval: Paired bootstrap over the queries or pairs; its estimate is the difference of the scores.
        p_value: Of a permutation test: over queries the sign of each difference is flipped, over pairs the two models'
            similarities are exchanged.
        p_holm: The same after Holm's correction over the tasks compared.
        outcomes: Queries with a higher, the same and a lower score than the reference's; None for pairs, which have no
            score of their own.
        unit: What was resampled, ``queries`` or ``pairs``.
    """

    task: str
    interval: Interval
    p_value: float
    p_holm: float
    outcomes: tuple[int, int, int] | None
    unit: str = "queries"

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < 0.05


def compare_queries(
    store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...], seed: int = 0
) -> tuple[QueryComparison, ...]:
    """The tasks for which both models have predictions, per query or per pair, that give the scores they report."""
    compared = (
        _over_queries(store, model, reference, task, seed) or _over_pairs(store, model, reference, task, seed)
        for task in tasks
    )
    found = [each for each in compared if each is not None]
    corrected = holm([each.p_value for each in found])
    return tuple(dataclasses.replace(each, p_holm=float(p)) for each, p in zip(found, corrected, strict=True))


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
    return QueryDifference(task, tuple(np.array(part) for _, part in sorted(parts.items()))) if parts else None


def _pair_difference(store: ResultStore, model: ModelKey, reference: ModelKey, task: str) -> PairDifference | None:
    ours, theirs = store.pairs(model, task), store.pairs(reference, task)
    return None if ours is None or theirs is None else PairDifference(task, ours, theirs)


def _over_queries(
    store: ResultStore, model: ModelKey, reference: ModelKey, task: str, seed: int
) -> QueryComparison | None:
    ours, theirs = store.outcomes(model, task), store.outcomes(reference, task)
    shared = [query for query in ours if query in theirs]
    if len(shared) < _LEAST:
        return None
    a, b = (np.array([outcomes[query].score for query in shared]) for outcomes in (ours, theirs))
    interval, p = paired_bootstrap(a, b, seed=seed), permutation_test(a, b, seed=seed)
    wins, losses = int((a > b + 1e-9).sum()), int((a < b - 1e-9).sum())
    return QueryComparison(task, interval, p, math.nan, (wins, len(shared) - wins - losses, losses))


def _over_pairs(
    store: ResultStore, model: ModelKey, reference: ModelKey, task: str, seed: int
) -> QueryComparison | None:
    ours, theirs = store.pairs(model, task), store.pairs(reference, task)
    if ours is None or theirs is None or ours.n < _LEAST:
        return None
    interval, p = pair_difference(ours, theirs, seed=seed)
    return QueryComparison(task, interval, p, math.nan, None, "pairs")
