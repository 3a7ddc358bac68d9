"""How sure a place on the board is: rank intervals, and groups of models that cannot be told apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.leaderboards.significance import bootstrap_means, holm, sign_flip_p

_RESAMPLES = 2_000
_LEAST_DRAWS, _MOST_DRAWS = 10_000, 40_000


class Standing(NamedTuple):
    """Where a model stands by Mean (task).

    Attributes:
        rank: 1 is best.
        low: Best rank of the 95 % interval.
        high: Worst rank of it.
        group: 1 for the leader and all that cannot be told apart from it, 2 for the next of these, and so on.
    """

    rank: int
    low: int
    high: int
    group: int


def rank_standings(scores: npt.NDArray[np.float64], *, seed: int = 0) -> list[Standing]:
    """The standing of each model.

    Ranks are those of the means over bootstrap samples of the tasks. A group is led by its best model and holds those
    whose difference to it is not significant at 5 % in a sign-flip test over the tasks, Holm-corrected over all models
    behind the leader.

    Args:
        scores: ``(n_models, n_tasks)``, higher is better, nothing missing.
        seed: Of the bootstrap and the tests.
    """
    n_models = len(scores)
    order = np.argsort(-scores.mean(axis=1), kind="stable")
    means = bootstrap_means(scores, _RESAMPLES, seed).round(12)  # equal models stay equal on every machine
    # Rank 1 for the highest mean of each sample, ties in the order of the rows.
    ranks = np.empty(means.shape, dtype=np.int64)
    np.put_along_axis(ranks, np.argsort(-means, axis=0, kind="stable"), np.arange(1, n_models + 1)[:, None], axis=0)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=1, method="inverted_cdf").astype(int)
    groups = _groups(scores[order], seed)
    standings: list[Standing | None] = [None] * n_models
    for place, model in enumerate(order.tolist()):
        standings[model] = Standing(place + 1, int(low[model]), int(high[model]), groups[place])
    return [standing for standing in standings if standing is not None]


def _groups(ordered: npt.NDArray[np.float64], seed: int) -> list[int]:
    """Group number of each model, best first."""
    groups: list[int] = []
    while len(groups) < len(ordered):
        leader, behind = ordered[len(groups)], ordered[len(groups) + 1 :]
        draws = min(max(_LEAST_DRAWS, 40 * len(behind)), _MOST_DRAWS)  # or no p-value could survive the correction
        p = holm(sign_flip_p(leader - behind, n_resamples=draws, seed=seed)) if len(behind) else np.zeros(0)
        apart = np.flatnonzero(p < 0.05)
        size = 1 + (int(apart[0]) if len(apart) else len(behind))
        groups += [groups[-1] + 1 if groups else 1] * size
    return groups
