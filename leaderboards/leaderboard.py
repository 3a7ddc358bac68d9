"""The leaderboard as a value: rows, columns with directions, coverage, comparisons and caveats."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genzoo.errors import ZooError
from genzoo.leaderboards import aggregation
from genzoo.leaderboards.absence import why_no_score
from genzoo.leaderboards.caveats import Caveat, collect_caveats
from genzoo.leaderboards.comparison import FEW_TASKS, Comparison
from genzoo.leaderboards.facts import ModelFacts, ModelKey, TaskFacts
from genzoo.leaderboards.metrics import Metric, metric
from genzoo.leaderboards.naming import short_name
from genzoo.leaderboards.reported import ReportedMeans, reported_key
from genzoo.leaderboards.significance import holm
from genzoo.leaderboards.standing import Standing, rank_standings
from genzoo.leaderboards.store import ResultStore


@dataclass(frozen=True)
class BoardColumn:
    """One column: how to find its value in a row (`kind` and `key`), its heading and its metric (with direction)."""

    kind: str  # "mean" | "type" | "task"
    key: str
    label: str
    metric: Metric


@dataclass(frozen=True)
class LeaderboardRow:
    """One model and revision. Scores are None where missing; means and Borda are None on partial coverage."""

    key: ModelKey
    label: str
    facts: ModelFacts
    scores: Mapping[str, float | None]
    types: Mapping[str, float | None]
    mean_task: float | None
    mean_type: float | None
    borda: int | None
    borda_points: float | None
    covered: int
    comparison: Comparison | None = None

    def value(self, column: BoardColumn) -> float | None:
        """The row's value in a column."""
        if column.kind == "task":
            return self.scores.get(column.key)
        if column.kind == "type":
            return self.types.get(column.key)
        return {"mean_task": self.mean_task, "mean_type": self.mean_type, "borda": self.borda}[column.key]


@dataclass(frozen=True)
class Leaderboard:
    """Models in order of Mean (task), those with partial coverage after them. Build it with `from_store`.

    Attributes:
        benchmark: Name of the benchmark; None means every task of the store.
        tasks: The tasks of the board, with their facts.
        columns: Means, types and tasks, each with its metric.
        rows: Best first.
        reference: The model that all rows are compared with; None means each with its own teacher.
        grounds: Task to the splits and subsets that its column is made of.
        caveats: What a reader has to know, written from the data.
        claims: Rows of means that somebody reports for the benchmark: shown among the others, never best, never ranked.
    """

    benchmark: str | None
    tasks: Mapping[str, TaskFacts]
    columns: tuple[BoardColumn, ...]
    rows: tuple[LeaderboardRow, ...]
    reference: ModelKey | None
    grounds: Mapping[str, aggregation.Ground]
    caveats: tuple[Caveat, ...]
    claims: tuple[LeaderboardRow, ...] = ()

    @classmethod
    def from_store(cls, store: ResultStore, benchmark: str | None = None, reference: str | None = None) -> Leaderboard:
        """Rank every model of the store that has a result on the benchmark (default: on anything)."""
        names = store.task_names(benchmark)
        # A store with one benchmark and nothing else is named after it.
        benchmark = benchmark or next((name for name, own in store.benchmarks.items() if set(own) == set(names)), None)
        names = store.task_names(benchmark)
        chosen = store.find(reference) if reference is not None else None
        matrix = aggregation.score_matrix(store.main_scores, store.models, names, store.tasks)
        scores = matrix.scores[matrix.scores.notna().any(axis=1)]
        if scores.empty:
            why = why_no_score(store, names)
            raise ZooError(
                f"no model in {store.root} has a score on {benchmark or 'any task'}{why and f': {why}'}; "
                f'run `genzoo evaluate -m MODEL -b "{benchmark or "BENCHMARK"}" -o {store.root}`'
            )
        tasks = {name: store.tasks.get(name, TaskFacts(name)) for name in names}
        rows = _compared(_ranked(_rows(store, scores, tasks)), scores, tasks, chosen)
        claims = [claim for claim in store.claims if claim.benchmark == benchmark]
        columns = _columns(scores, tasks)
        caveats = collect_caveats(
            store, scores, matrix.grounds, tasks, {row.key: row.comparison for row in rows}, claims
        )
        claimed = tuple(_claimed(claim, rows[0].types) for claim in claims)
        return cls(benchmark, tasks, columns, rows, chosen, matrix.grounds, caveats, claimed)

    @property
    def shown(self) -> list[LeaderboardRow]:
        """Rows and claims in one order."""
        return _ranked([*self.rows, *self.claims])

    @property
    def total(self) -> int:
        """Number of tasks that full coverage means."""
        return len(self.tasks)

    def row(self, key: ModelKey) -> LeaderboardRow | None:
        """The row of a model, None if it has no result on this board."""
        return next((row for row in self.rows if row.key == key), None)

    @functools.cached_property
    def standings(self) -> dict[ModelKey, Standing]:
        """Rank interval and tie group of the models with a Mean (task), empty with too few tasks to say anything."""
        names = aggregation.averaged_tasks(self.tasks, self.tasks)
        complete = [row for row in self.rows if row.mean_task is not None]
        if len(names) < FEW_TASKS or len(complete) < 2:
            return {}
        scores = np.array([[row.scores[name] for name in names] for row in complete], dtype=float)
        return dict(zip((row.key for row in complete), rank_standings(scores), strict=True))

    def columns_of(self, kind: str) -> tuple[BoardColumn, ...]:
        """The columns of one kind: "mean", "type" or "task"."""
        return tuple(column for column in self.columns if column.kind == kind)

    @functools.cached_property
    def _values(self) -> dict[BoardColumn, list[float]]:
        return {}

    def values(self, column: BoardColumn) -> list[float]:
        """Every score of a column."""
        if column not in self._values:
            self._values[column] = [value for row in self.rows if (value := row.value(column)) is not None]
        return self._values[column]

    def best(self, column: BoardColumn) -> float | None:
        """The best value of a column in its own direction; None without a direction or with one value only."""
        values = self.values(column)
        if column.metric.higher_is_better is None or len(values) < 2:
            return None
        return max(values) if column.metric.higher_is_better else min(values)


def _columns(scores: pd.DataFrame, tasks: Mapping[str, TaskFacts]) -> tuple[BoardColumn, ...]:
    names = aggregation.averaged_tasks(scores.columns, tasks)
    kinds = aggregation.type_means(scores[names], {name: tasks[name].type for name in names}).columns
    means = [BoardColumn("mean", "mean_task", "Mean (task)", metric("mean_task"))]
    if len(kinds) > 1 and all(tasks[name].type for name in names):
        means.append(BoardColumn("mean", "mean_type", "Mean (type)", metric("mean_type")))
    means.append(BoardColumn("mean", "borda", "Borda rank", metric("borda")))
    types = [BoardColumn("type", str(kind), str(kind), metric("mean_task")) for kind in kinds]
    return (*means, *types, *(BoardColumn("task", name, name, facts.metric) for name, facts in tasks.items()))


def _rows(store: ResultStore, scores: pd.DataFrame, tasks: Mapping[str, TaskFacts]) -> list[LeaderboardRow]:
    names = aggregation.averaged_tasks(scores.columns, tasks)
    types = {name: tasks[name].type for name in names}
    by_type = aggregation.type_means(scores[names], types)
    means, type_means = aggregation.mean_by_task(scores[names]), aggregation.mean_by_type(scores[names], types)
    ranks = aggregation.borda(scores, {name: facts.metric.higher_is_better for name, facts in tasks.items()})
    labels = store.labels
    score_cells, type_cells = _cells(scores), _cells(by_type)
    # Plain lists, by place: a lookup by label for each cell of a large board takes seconds.
    task_names, type_names = scores.columns.tolist(), by_type.columns.tolist()
    columns = (means, type_means, ranks["rank"], ranks["points"], aggregation.coverage(scores))
    numbers = zip(*(_cells(column.to_frame()) for column in columns), strict=True)
    rows = []
    for place, ((mean,), (type_mean,), (rank,), (points,), (covered,)) in enumerate(numbers):
        key = ModelKey(*scores.index[place])
        rows.append(
            LeaderboardRow(
                key=key,
                label=labels[key],
                facts=store.models[key],
                scores=dict(zip(task_names, score_cells[place], strict=True)),
                types=dict(zip(type_names, type_cells[place], strict=True)),
                mean_task=mean,
                mean_type=type_mean,
                borda=None if rank is None else int(rank),
                borda_points=points,
                covered=int(covered or 0),
            )
        )
    return rows


def _claimed(claim: ReportedMeans, kinds: Iterable[str]) -> LeaderboardRow:
    """The row of means that somebody reports; it has no score on any task."""
    key = reported_key(claim.model)
    return LeaderboardRow(
        key=key,
        label=short_name(claim.model),
        facts=ModelFacts(key, is_reported=True),
        scores={},
        types={kind: claim.types.get(kind) for kind in kinds},
        mean_task=claim.mean_task,
        mean_type=None,
        borda=None,
        borda_points=None,
        covered=0,
    )


def _ranked(rows: Iterable[LeaderboardRow]) -> list[LeaderboardRow]:
    return sorted(rows, key=lambda row: (row.mean_task is None, -(row.mean_task or 0), -row.covered, row.label))


def _compared(
    rows: Sequence[LeaderboardRow], scores: pd.DataFrame, tasks: Mapping[str, TaskFacts], reference: ModelKey | None
) -> tuple[LeaderboardRow, ...]:
    """The rows with their comparisons; Holm's correction spans all of them."""
    comparisons = {}
    for row in rows:
        other = reference or _own_teacher(row, rows)
        if other is not None and other != row.key and other in scores.index:
            comparisons[row.key] = Comparison.between(scores, row.key, other, tasks)
    p_values = [math.nan if found.p_value is None else found.p_value for found in comparisons.values()]
    corrected = {
        key: dataclasses.replace(found, p_holm=_number(p))
        for (key, found), p in zip(comparisons.items(), holm(p_values), strict=True)
    }
    return tuple(dataclasses.replace(row, comparison=corrected.get(row.key)) for row in rows)


def _own_teacher(row: LeaderboardRow, rows: Sequence[LeaderboardRow]) -> ModelKey | None:
    """The teacher's row; of several revisions the one with the widest coverage, then the latest."""
    teacher = row.facts.teacher
    if teacher is None:
        return None
    candidates = [other for other in rows if other.key.model == teacher]
    candidates = candidates or [other for other in rows if short_name(other.key.model) == short_name(teacher)]
    candidates = [other for other in candidates if other.key != row.key]
    if not candidates:
        return None
    return max(candidates, key=lambda other: (other.covered, other.facts.date or "", other.key.revision)).key


def _cells(frame: pd.DataFrame) -> list[list[float | None]]:
    """The rows of a frame with None in place of NaN."""
    return [[None if value != value else value for value in row] for row in frame.to_numpy(dtype=float).tolist()]


def _number(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]  # cells of a float frame
    return None if math.isnan(number) else number
