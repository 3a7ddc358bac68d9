"""From main scores to means, Borda ranks and differences, by mteb's definitions.

mteb knows only higher-is-better; here every task carries its direction. A mean or a rank over tasks that a model did
not all run is null, never a half-mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from genzoo.leaderboards.facts import ModelKey, TaskFacts


class Part(NamedTuple):
    """One split and subset of a task."""

    split: str
    subset: str


class Ground(NamedTuple):
    """The parts that a task's column is averaged over, and what that leaves out."""

    used: tuple[Part, ...]
    left_out: tuple[Part, ...]
    partial: tuple[ModelKey, ...]  # models with a result that does not cover `used`


@dataclass(frozen=True)
class ScoreMatrix:
    """Main scores, one row per model and revision, one column per task, NaN where missing."""

    scores: pd.DataFrame
    grounds: Mapping[str, Ground] = field(default_factory=dict)


def score_matrix(
    main: pd.DataFrame, keys: Iterable[ModelKey], names: Sequence[str], tasks: Mapping[str, TaskFacts]
) -> ScoreMatrix:
    """Each task's plain mean over its splits and subsets, the same parts for every model.

    The parts are those that `tasks.json` declares; without a declaration those that the most models have, so that a
    run over twenty languages and a run over English meet on English. A model that lacks one of them has no score.
    """
    index = pd.MultiIndex.from_tuples(list(keys), names=["model", "revision"])
    scores = pd.DataFrame(np.nan, index=index, columns=list(names), dtype=float)
    grounds = {}
    for task, results in _parts_by_task(main, set(names)).items():
        facts = tasks.get(task, TaskFacts(task))
        counts = Counter(part for parts in results.values() for part in parts)
        used = _common_ground(counts, facts)
        # A score that the metric cannot have is an error of its file: no mean, no rank may rest on it.
        low, high = facts.metric.limits
        complete = {key: [parts[part] for part in used] for key, parts in results.items() if parts.keys() >= set(used)}
        means = {key: np.mean(values) for key, values in complete.items() if all(low <= v <= high for v in values)}
        scores[task] = pd.Series(means, dtype=float).reindex(index) if means else np.nan
        left_out = tuple(part for part in counts if part not in used)
        grounds[task] = Ground(used, left_out, tuple(key for key in results if key not in complete))
    return ScoreMatrix(scores, grounds)


def _parts_by_task(main: pd.DataFrame, names: Collection[str]) -> dict[str, dict[ModelKey, dict[Part, float]]]:
    results: dict[str, dict[ModelKey, dict[Part, float]]] = {}
    columns = (main[name] for name in ("model", "revision", "task", "split", "subset", "value"))
    for model, revision, task, split, subset, value in zip(*columns, strict=True):
        if task in names:
            results.setdefault(task, {}).setdefault(ModelKey(model, revision), {})[Part(split, subset)] = value
    return results


def _common_ground(counts: Mapping[Part, int], task: TaskFacts) -> tuple[Part, ...]:
    if task.splits or task.subsets:
        splits = task.splits or tuple(dict.fromkeys(part.split for part in counts))
        subsets = task.subsets or tuple(dict.fromkeys(part.subset for part in counts))
        return tuple(Part(split, subset) for split in splits for subset in subsets)
    return tuple(part for part, count in counts.items() if count == max(counts.values()))


def averaged_tasks(names: Iterable[str], tasks: Mapping[str, TaskFacts]) -> list[str]:
    """The tasks that a mean may hold: adding a score that should be low to one that should be high means nothing."""
    return [name for name in names if tasks[name].metric.higher_is_better]


def mean_by_task(scores: pd.DataFrame) -> pd.Series:
    """The Mean (Task) of mteb: the plain mean of all columns, null if one is missing."""
    return scores.mean(axis=1, skipna=False) if len(scores.columns) else pd.Series(np.nan, index=scores.index)


def type_means(scores: pd.DataFrame, types: Mapping[str, str | None]) -> pd.DataFrame:
    """One column per task type: the mean over its tasks, null if one is missing; tasks of unknown type are left out."""
    members: dict[str, list[str]] = {}
    for name in scores.columns:
        if kind := types.get(name):
            members.setdefault(kind, []).append(name)
    means = {kind: scores[members[kind]].mean(axis=1, skipna=False) for kind in sorted(members)}
    return pd.DataFrame(means, index=scores.index)


def mean_by_type(scores: pd.DataFrame, types: Mapping[str, str | None]) -> pd.Series:
    """The Mean (TaskType) of mteb: the mean of the type means; null if a task is missing or has no known type."""
    if not len(scores.columns) or any(not types.get(name) for name in scores.columns):
        return pd.Series(np.nan, index=scores.index)
    return type_means(scores, types).mean(axis=1, skipna=False)


def borda(scores: pd.DataFrame, higher_is_better: Mapping[str, bool | None]) -> pd.DataFrame:
    """Borda points and rank (1 is best), as in mteb, but aware of direction and null on partial coverage.

    Per task a model earns n_models - average rank; points are summed and ranked with ties at the lower number. Models
    with partial coverage take part in the counting, as in mteb, so the ranks shown equal mteb's.

    Returns:
        Columns `points` and `rank`; tasks without a direction are left out.
    """
    ranked = [name for name in scores.columns if higher_is_better.get(name) is not None]
    counted = scores.loc[scores[ranked].notna().any(axis=1), ranked]
    oriented = counted * [1.0 if higher_is_better[name] else -1.0 for name in ranked]
    points = (len(oriented) - oriented.rank(ascending=False, method="average")).sum(axis=1)
    rank = points.rank(ascending=False, method="min")
    complete = counted.notna().all(axis=1)
    table = pd.DataFrame({"points": points.where(complete), "rank": rank.where(complete)})
    return table.reindex(scores.index).astype(float)


def coverage(scores: pd.DataFrame) -> pd.Series:
    """Number of tasks with a score, per model."""
    return scores.notna().sum(axis=1)


def deltas(scores: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """Scores minus the reference's, task by task; NaN where either is missing."""
    return scores.sub(reference, axis=1)


def relative_delta(value: float, reference: float) -> float | None:
    """(value - reference) / |reference|; None where a part is missing or the reference is zero.

    >>> round(relative_delta(61.9, 56.8), 3)
    0.09
    """
    if np.isnan(value) or np.isnan(reference) or reference == 0:
        return None
    return (value - reference) / abs(reference)
