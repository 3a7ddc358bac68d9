"""From main scores to means, Borda ranks and differences, by mteb's definitions.

mteb knows only higher-is-better; here every task carries its direction. A mean or a rank over tasks that a model did
not all run is null, never a half-mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from genzoo.leaderboards.facts import ModelKey, TaskFacts, counted_tasks
from genzoo.leaderboards.metrics import Metric
from genzoo.leaderboards.statistics.ties import DECIMALS


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
    owner, parts = _places(main, index)
    wanted, columns, grounds = set(names), {name: np.full(len(index), np.nan) for name in names}, {}
    task = main["task"].cat
    # One stable sort brings each task's rows together, in the order in which they were read.
    order = np.argsort(task.codes.to_numpy(), kind="stable")
    bounds = np.searchsorted(task.codes.to_numpy()[order], np.arange(len(task.categories) + 1))
    values = main["value"].to_numpy()
    for name, start, end in zip(map(str, task.categories), bounds[:-1], bounds[1:], strict=True):
        rows = order[start:end]
        if name in wanted and len(rows):
            facts = tasks.get(name, TaskFacts(name))
            columns[name], grounds[name] = _column(owner[rows], parts.take(rows), values[rows], facts, index)
    return ScoreMatrix(pd.DataFrame(columns, index=index, columns=list(names), dtype=float), grounds)


def _places(main: pd.DataFrame, index: pd.MultiIndex) -> tuple[npt.NDArray[np.int64], pd.Categorical]:
    """For each row of the frame its model's place in the index, and its split and subset as a `Part`."""

    def pairs(first: str, second: str) -> tuple[npt.NDArray[np.int64], list[tuple[str, str]]]:
        one, two = main[first].cat, main[second].cat
        width = max(1, len(two.categories))
        joined = one.codes.to_numpy(np.int64) * width + two.codes.to_numpy(np.int64)
        found, codes = np.unique(joined, return_inverse=True)
        return codes, [(str(one.categories[n // width]), str(two.categories[n % width])) for n in found.tolist()]

    codes, keys = pairs("model", "revision")
    numbers = {key: number for number, key in enumerate(index)}
    part_codes, names = pairs("split", "subset")
    parts = pd.Index([Part(*name) for name in names], dtype=object, tupleize_cols=False)
    owners = np.asarray([numbers[key] for key in keys], dtype=np.int64)[codes]
    return owners, pd.Categorical.from_codes(part_codes, parts)


def _column(
    owner: npt.NDArray[np.int64],
    parts: pd.Categorical,
    values: npt.NDArray[np.float64],
    facts: TaskFacts,
    index: pd.MultiIndex,
) -> tuple[npt.NDArray[np.float64], Ground]:
    """One task's score for each model, ``(n_models,)``, and what it is made of; the rest is ``(rows,)``."""
    codes, firsts, sizes = np.unique(parts.codes, return_index=True, return_counts=True)
    counts = {parts.categories[codes[place]]: int(sizes[place]) for place in np.argsort(firsts)}
    used = _common_ground(counts, facts)
    numbers = {part: number for number, part in enumerate(used)}
    by_code = np.asarray([numbers.get(part, -1) for part in parts.categories], dtype=np.int64)
    number = by_code[parts.codes]
    is_used = number >= 0
    table = np.full((len(index), len(used)), np.nan)
    table[owner[is_used], number[is_used]] = values[is_used]
    has = np.zeros(table.shape, dtype=bool)
    has[owner[is_used], number[is_used]] = True
    is_complete = np.asarray(has.all(axis=1))
    # A score that the metric cannot have is an error of its file: no mean, no rank may rest on it.
    low, high = facts.metric.limits
    with np.errstate(invalid="ignore"):
        is_possible = ((table >= low) & (table <= high)).all(axis=1)
    scores = np.where(is_complete & is_possible, table.mean(axis=1).round(DECIMALS), np.nan)
    partial = tuple(ModelKey(*index[place]) for place in np.unique(owner) if not is_complete[place])
    return scores, Ground(used, tuple(part for part in counts if part not in numbers), partial)


def _common_ground(counts: Mapping[Part, int], task: TaskFacts) -> tuple[Part, ...]:
    if task.splits or task.subsets:
        splits = task.splits or tuple(dict.fromkeys(part.split for part in counts))
        subsets = task.subsets or tuple(dict.fromkeys(part.subset for part in counts))
        return tuple(Part(split, subset) for split in splits for subset in subsets)
    return tuple(part for part, count in counts.items() if count == max(counts.values()))


def averaged_tasks(names: Iterable[str], tasks: Mapping[str, TaskFacts]) -> list[str]:
    """The tasks that a mean may hold: those that count and in which higher is better.

    Adding a score that should be low to one that should be high means nothing.
    """
    return [name for name in counted_tasks(names, tasks) if tasks[name].metric.higher_is_better]


def mean_by_task(scores: pd.DataFrame) -> pd.Series:
    """The Mean (Task) of mteb: the plain mean of all columns, null if one is missing."""
    if not len(scores.columns):
        return pd.Series(np.nan, index=scores.index)
    return scores.mean(axis=1, skipna=False).round(DECIMALS)


def type_means(scores: pd.DataFrame, types: Mapping[str, str | None]) -> pd.DataFrame:
    """One column per task type: the mean over its tasks, null if one is missing; tasks of unknown type are left out."""
    members: dict[str, list[str]] = {}
    for name in scores.columns:
        if kind := types.get(name):
            members.setdefault(kind, []).append(name)
    means = {kind: scores[members[kind]].mean(axis=1, skipna=False).round(DECIMALS) for kind in sorted(members)}
    return pd.DataFrame(means, index=scores.index)


def mean_by_type(scores: pd.DataFrame, types: Mapping[str, str | None]) -> pd.Series:
    """The Mean (TaskType) of mteb: the mean of the type means; null if a task is missing or has no known type."""
    if not len(scores.columns) or any(not types.get(name) for name in scores.columns):
        return pd.Series(np.nan, index=scores.index)
    return type_means(scores, types).mean(axis=1, skipna=False).round(DECIMALS)


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


_LEAST_BASE = 0.05


def relative_delta(value: float, reference: float, known: Metric | None = None) -> float | None:
    """(value - reference) / reference, where that means something.

    None where a part is missing, where the reference is below 0.05 (a change of a score near zero is any number of percent), and for
    a metric that can be negative: correlations have no natural zero to be a share of.

    >>> round(relative_delta(61.9, 56.8), 3)
    0.09
    """
    is_signed = known is not None and known.range is not None and known.range[0] < 0
    if np.isnan(value) or np.isnan(reference) or reference < _LEAST_BASE or is_signed:
        return None
    return (value - reference) / reference
