"""How certain ranks are: which models can be distinguished, and which ranks are possible for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import scores_by_part
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.significance import blocks, holm, least_p, mean_test
from genzoo.leaderboards.statistics.ties import DECIMALS

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
        parts = scores_by_part(dict(sorted(outcomes.items())))  # queries are sorted by part first
        centred = [np.array(scores) - np.mean(scores) for scores in parts]
        # The score is the mean of the parts' means: each part's variance is s² / n, and a share of 1 / (number of parts)².
        return np.concatenate([each / (max(1, len(each) - 1) * len(each)) ** 0.5 / len(parts) for each in centred])
    if (pairs := store.pairs(key, task)) is not None:
        drawn = pairs.resampled(_RESAMPLES, seed=0)
        return (drawn - drawn.mean()) / (_RESAMPLES - 1) ** 0.5
    return None


_Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
LEVEL = 0.05
_DRAWS, _BLOCK = 2_000, 500_000  # numbers held at once: a block that fits into the cache is four times as fast
_MOST_DRAWN = 256
"""Models up to which pairs are tested jointly by resampling: the cost grows with the square of their number, to 130 MB and 2 s."""
_MANY_PAIRS = 2_016
"""Beyond that half of the draws have to do, and the variances of so many pairs stand for all."""
_DRAWN_LEVEL = 0.04
"""Of the joint test: its distribution is itself estimated from the tasks, which at 5 % errs in up to 5.5 % of boards."""


class Standing(NamedTuple):
    """The rank of a model by Mean (task).

    Attributes:
        rank: 1 is best; equal means share the better rank.
        low: Best rank that the tests leave open.
        high: Worst rank that they leave open.
        tied_for_first: Whether the model cannot be told apart from the leader (which is tied itself).
    """

    rank: int
    low: int
    high: int
    tied_for_first: bool


def can_decide(n_tasks: int, n_models: int, *, has_items: bool) -> bool:
    """Whether tests over this many tasks can tell this many models apart, whatever the scores.

    Without the items behind the scores only the tasks speak: were all models alike, one of the rivals would fall behind the leader on
    every task with a probability of 2^(1-n) for each rival. With items (queries, pairs) three tasks are enough to estimate a spread.

    >>> can_decide(6, 2, has_items=False), can_decide(6, 3, has_items=False), can_decide(6, 3, has_items=True)
    (True, False, True)
    """
    if n_models < 2:
        return False
    return n_tasks >= 3 if has_items else least_p(n_tasks) * (n_models - 1) < LEVEL


def rank_standings(scores: Floats, noise: Floats | None = None, *, seed: int = 0) -> list[Standing]:
    """The standing of each model, from a test of all pairs: with 95 % confidence every interval holds its model's true rank.

    Args:
        scores: ``(n_models, n_tasks)``, higher is better, nothing missing.
        noise: Covariance of the models' scores over the items of a task, averaged over the tasks, ``(n_models, n_models)``; None if
            unknown. Pairs are never taken to be surer than it allows.
        seed: Of the resampling.
    """
    means = scores.mean(axis=1).round(DECIMALS)
    apart = told_apart(scores, noise, seed=seed)
    ahead = means[:, None] > means[None, :]  # row is ahead of column
    better, worse = (apart & ahead).sum(axis=0), (apart & ahead).sum(axis=1)
    leaders = np.flatnonzero(means == means.max())
    behind = np.logical_and.reduce(apart[leaders], axis=0).tolist()
    ranks = 1 + ahead.sum(axis=0)
    return [
        Standing(int(ranks[model]), 1 + int(better[model]), len(scores) - int(worse[model]), not behind[model])
        for model in range(len(scores))
    ]


def told_apart(scores: Floats, noise: Floats | None = None, *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Which pairs of models differ, ``(n_models, n_models)``; one of them wrongly so in at most 5 % of boards.

    The statistic is the mean difference over its standard error over tasks, with the median pair's variance added to each pair's own
    (Tusher, Tibshirani and Chu 2001, PNAS 98): with few tasks a pair of nearly constant difference would otherwise rule the maximum.
    Its distribution, were all models alike, comes from normal scores with the covariance of the models over the tasks, and pairs that
    were told apart leave the family of the others (Romano and Wolf 2005, step-down max-T). More than 256 models are tested pair by
    pair, with Student's t and Holm's correction over all pairs; two models alone by `mean_test`.
    """
    n_models, n_tasks = scores.shape
    apart = np.zeros((n_models, n_models), dtype=bool)
    if n_models < 2 or n_tasks < 2:
        return apart
    pairs = np.triu_indices(n_models, 1)
    floor = 0.0 if noise is None else _of_pairs(noise, pairs)
    difference, variance = _moments(scores, pairs)
    variance = np.maximum(variance, floor)
    if n_models == 2:
        p = mean_test(scores[0] - scores[1], None if noise is None else np.full(n_tasks, floor)).p_value
        differs = np.array([p is not None and p < LEVEL])
    elif n_models > _MOST_DRAWN:
        differs = _by_student(difference, variance, n_tasks) < LEVEL
    else:
        differs = _by_resampling(scores, pairs, _moderated(difference, variance, n_models, n_tasks), seed)
    apart[pairs] = differs
    return apart | apart.T


def _by_student(difference: Floats, variance: Floats, n: int) -> Floats:
    """Holm-corrected p-values of the pairs, each no smaller than what the signs of n tasks can give: far tails are not normal."""
    from scipy.special import stdtr

    return holm(np.maximum(2 * stdtr(n - 1, -_over_error(difference, variance, n)), least_p(n)))


def _by_resampling(scores: Floats, pairs: _Pairs, observed: Floats, seed: int) -> npt.NDArray[np.bool_]:
    m, n = scores.shape
    # Normal scores with the covariance of the models over tasks; its factor is as wide as its rank.
    left, size, _ = np.linalg.svd(scores - scores.mean(axis=1, keepdims=True), full_matrices=False)
    factor = (left * size)[:, size > 0] / (n - 1) ** 0.5
    n_draws = _DRAWS if len(observed) <= _MANY_PAIRS else _DRAWS // 2
    rng, width = np.random.default_rng(seed), max(scores.size, len(observed))
    samples = (factor @ rng.standard_normal((rows, factor.shape[1], n)) for rows in blocks(n_draws, width, _BLOCK))
    drawn = np.concatenate([_moderated(*_moments(each, pairs), m, n).astype(np.float32) for each in samples])
    differs = np.zeros(len(observed), dtype=bool)
    while not differs.all():
        largest = np.sort(drawn[:, ~differs].max(axis=1))
        hits = n_draws - np.searchsorted(largest, observed - 1e-12)
        found = ~differs & ((hits + 1) / (n_draws + 1) < _DRAWN_LEVEL)
        if not found.any():
            break
        differs |= found
    return differs


def _moments(scores: Floats, pairs: _Pairs) -> tuple[Floats, Floats]:
    """Mean difference of each pair and its variance between tasks: ``(..., n_models, n_tasks)`` to ``(..., n_pairs)`` twice."""
    means = scores.mean(axis=-1)
    residuals = scores - means[..., None]
    covariance = residuals @ np.swapaxes(residuals, -1, -2) / (scores.shape[-1] - 1)
    return means[..., pairs[0]] - means[..., pairs[1]], _of_pairs(covariance, pairs)


def _of_pairs(covariance: Floats, pairs: _Pairs) -> Floats:
    """Variance of each pair's difference: ``(..., n_models, n_models)`` to ``(..., n_pairs)``."""
    own = np.einsum("...ii->...i", covariance)
    variance = own[..., pairs[0]] + own[..., pairs[1]] - 2 * covariance[..., pairs[0], pairs[1]]
    return np.where(variance < 1e-18, 0.0, variance)


def _moderated(difference: Floats, variance: Floats, n_models: int, n: int) -> Floats:
    some = variance[..., :: max(1, variance.shape[-1] // _MANY_PAIRS)]
    # Of three models two pairs have any one of them: the median would be that of an erratic model, the smallest is not.
    place = int(min(0.5, 1 - 2 / n_models) * (some.shape[-1] - 1))
    added = np.partition(some, place, axis=-1)[..., place : place + 1]  # np.quantile's "lower", four times as fast
    return _over_error(difference, variance + added, n)


def _over_error(difference: Floats, variance: Floats, n: int) -> Floats:
    """Differences over their standard errors; a constant difference on all tasks is infinitely sure, none is 0."""
    size = np.abs(difference)
    constant = np.where(size > 10.0**-DECIMALS, np.inf, 0.0)
    return np.divide(size, np.sqrt(variance / n), out=constant, where=variance > 0)
