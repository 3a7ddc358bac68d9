"""How far scores move with the items of their tasks: the lower of the two levels of a test over tasks.

Items are the queries of a retrieval task or the pairs of a task on pairs, where predictions are kept beside the results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genzoo.leaderboards.aggregation import Part
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.store import ResultStore

Floats = npt.NDArray[np.float64]
MOST_TASKS = 12
"""Beyond that many tasks the spread between tasks alone says enough, and predictions are not read."""
_RESAMPLES = 200  # of a task on pairs: a variance to a tenth of itself


def score_noise(store: ResultStore, keys: Sequence[ModelKey], tasks: Sequence[str]) -> Floats | None:
    """Covariance of the models' scores over the items of a task, averaged over the tasks, ``(n_models, n_models)``.

    A task without predictions of all models adds nothing, so the average is too small rather than too large. None where that is
    more than half of the tasks, or where there are more than `MOST_TASKS`.
    """
    if not 2 <= len(tasks) <= MOST_TASKS:
        return None
    total, measured = np.zeros((len(keys), len(keys))), 0
    for task in tasks:
        deviations = [_deviations(store, key, task) for key in keys]
        if any(each is None or each.shape != deviations[0].shape for each in deviations):  # type: ignore[union-attr]
            continue
        matrix = np.array(deviations)
        total += matrix @ matrix.T
        measured += 1
    return total / len(tasks) if 2 * measured >= len(tasks) else None


def _deviations(store: ResultStore, key: ModelKey, task: str) -> Floats | None:
    """Numbers whose products, summed, are the covariance of two models' scores over the items of a task."""
    if outcomes := store.outcomes(key, task):
        parts: dict[Part, list[float]] = {}  # in the order of the parts, as queries are sorted by part first
        for query, outcome in sorted(outcomes.items()):
            parts.setdefault(query.part, []).append(outcome.score)
        centred = [np.array(scores) - np.mean(scores) for scores in parts.values()]
        # The score is the mean of the parts' means: each part's variance is s² / n, and a share of 1 / (number of parts)².
        return np.concatenate([each / (max(1, len(each) - 1) * len(each)) ** 0.5 / len(parts) for each in centred])
    if (pairs := store.pairs(key, task)) is not None:
        drawn = pairs.resampled(_RESAMPLES, seed=0)
        return (drawn - drawn.mean()) / (_RESAMPLES - 1) ** 0.5
    return None
