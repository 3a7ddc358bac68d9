"""Whether two models can be told apart by the queries of one search, and how many more it would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from genzoo.intervals import Floats
from genzoo.leaderboards.comparison import difference_interval, task_differences, tested
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.figures import TaskJudging, judging_of
from genzoo.leaderboards.reading.predictions import QueryKey
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.power import LEVEL, QueriesNeeded, queries_needed
from genzoo.leaderboards.statistics.resampling import QueryDifference, percentile_interval, resampled
from genzoo.leaderboards.statistics.significance import Interval

_LEAST = 10  # queries of a stratum, below which no interval is given
Pair = tuple[str, ModelKey, ModelKey]
"""A task, and two models on it."""


@dataclass(frozen=True)
class Verdict:
    """Whether two models can be told apart on one search of own data.

    Attributes:
        n: Judged queries with a relevant passage.
        interval: The difference of the scores, model minus reference, with its 95 % interval over the queries.
        needed: How many queries it takes; None for fewer than ten.
        p_value: Of the sign-flip test over the judged queries.
        p_holm: The same after Holm's correction over the pairs asked for; NaN where the models differ on too few queries.
        for_log: The difference over the whole log, where the judged queries were chosen by disagreement and at random.
        judging: How the judgements were made; None where they come from no pool.
    """

    task: str
    model: ModelKey
    reference: ModelKey
    n: int
    interval: Interval
    needed: QueriesNeeded | None
    p_value: float
    p_holm: float
    for_log: Interval | None = None
    judging: TaskJudging | None = None

    @property
    def estimate(self) -> float:
        """The difference of the scores, model minus reference."""
        return self.interval.estimate

    @property
    def is_decided(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < LEVEL


def verdicts(store: ResultStore, pairs: Iterable[Pair]) -> tuple[Verdict, ...]:
    """One for each pair of models with predictions on a search of own data, or one that was judged from a pool.

    The p-values are corrected over all of them, so give every pair that was looked at.
    """
    found = [(pair, each) for pair in pairs if (each := _difference(store, *pair)) is not None]
    tests = tested([difference for _, difference in found])
    return tuple(_verdict(store, pair, each, *p) for (pair, each), p in zip(found, tests, strict=True))


def _difference(store: ResultStore, task: str, model: ModelKey, reference: ModelKey) -> QueryDifference | None:
    if not store.tasks[task].is_own and judging_of(store, task) is None:
        return None
    for found in task_differences(store, model, reference, (task,)):
        if isinstance(found, QueryDifference) and len(found.parts) == 1:
            return found
    return None


def _verdict(store: ResultStore, pair: Pair, difference: QueryDifference, p_value: float, p_holm: float) -> Verdict:
    task, model, reference = pair
    d, weights, judging = difference.parts[0], None, judging_of(store, task)
    if judging is not None:
        weights = judging.weights(query.query for query in _shared(store, model, reference, task))
    return Verdict(
        task=task,
        model=model,
        reference=reference,
        n=difference.n,
        interval=difference_interval(store, model, reference, difference),
        needed=queries_needed(d, limit=difference.limits[1] - difference.limits[0], weights=weights),
        p_value=p_value,
        p_holm=p_holm,
        for_log=None if weights is None else log_estimate(d, weights),
        judging=judging,
    )


def _shared(store: ResultStore, model: ModelKey, reference: ModelKey, task: str) -> list[QueryKey]:
    """The queries behind a difference, in its order."""
    theirs = store.outcomes(reference, task)
    return [query for query in store.outcomes(model, task) if query in theirs]


def log_estimate(differences: Floats, weights: Floats, *, seed: int = 0) -> Interval:
    """The mean difference over the log from a stratified sample, with its 95 % interval over queries of each stratum.

    Each query stands for as many queries of the log as its weight says (the ratio estimator: Cochran 1977, Sampling Techniques,
    chapter 6): queries without a relevant passage, which an evaluation leaves out, are left out of the log as well. With
    fewer than ten queries in a stratum the interval is -1 to 1: it excludes nothing.

    Args:
        differences: ``(queries,)``.
        weights: ``(queries,)``, equal within a stratum.
        seed: Of the resampling.
    """
    kinds = np.unique(weights[weights > 0])
    parts = [differences[weights == kind] for kind in kinds]
    shares = np.array([kind * len(part) for kind, part in zip(kinds, parts, strict=True)])
    shares /= shares.sum()
    estimate = float(sum(share * part.mean() for share, part in zip(shares, parts, strict=True)))
    n = sum(map(len, parts))
    if min(map(len, parts)) < _LEAST:
        return Interval(estimate, -1.0, 1.0, n)
    draws = resampled(parts, np.random.default_rng(seed))
    low, high = percentile_interval(draws, np.array(list(map(len, parts))), weights=shares)
    return Interval(estimate, low, high, n)
