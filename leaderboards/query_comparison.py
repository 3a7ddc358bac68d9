"""Two models query by query: does a difference on a task carry over to other queries of its kind?"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.significance import Interval, holm, paired_bootstrap, permutation_test
from genzoo.leaderboards.store import ResultStore

_LEAST = 10  # queries, below which nothing is tested


@dataclass(frozen=True)
class QueryComparison:
    """One task: differences "model minus reference" over its queries, in the task's own direction.

    Attributes:
        interval: Paired bootstrap over the queries; its estimate is the difference of the means.
        p_value: Sign-flip permutation test over the queries.
        p_holm: The same after Holm's correction over the tasks compared.
        wins: Queries with a higher score than the reference's; with `ties` and `losses` they are all.
    """

    task: str
    interval: Interval
    p_value: float
    p_holm: float
    wins: int
    ties: int
    losses: int

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < 0.05


def compare_queries(
    store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...], seed: int = 0
) -> tuple[QueryComparison, ...]:
    """The tasks for which both models have per-query predictions that give the scores they report."""
    found = []
    for task in tasks:
        ours, theirs = store.outcomes(model, task), store.outcomes(reference, task)
        shared = [query for query in ours if query in theirs]
        if len(shared) < _LEAST:
            continue
        a, b = (np.array([outcomes[query].score for query in shared]) for outcomes in (ours, theirs))
        interval, p = paired_bootstrap(a, b, seed=seed), permutation_test(a, b, seed=seed)
        wins, losses = int((a > b + 1e-9).sum()), int((a < b - 1e-9).sum())
        found.append(QueryComparison(task, interval, p, math.nan, wins, len(shared) - wins - losses, losses))
    corrected = holm([each.p_value for each in found])
    return tuple(dataclasses.replace(each, p_holm=float(p)) for each, p in zip(found, corrected, strict=True))
