"""The leaderboard as a value: rows, columns with directions, coverage, comparisons and caveats."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd

from genzoo.errors import ZooError
from genzoo.leaderboards import facts as facets
from genzoo.leaderboards.caveats import BoardFacts, Caveat, why_no_score
from genzoo.leaderboards.columns import BoardColumn, board_columns, leading_pair, safety_key
from genzoo.leaderboards.comparison import Comparison, Noise, corrected
from genzoo.leaderboards.facts import ModelFacts, ModelKey, TaskFacts
from genzoo.leaderboards.naming import short_name
from genzoo.leaderboards.reading.reported import ReportedMeans, reported_key
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.safety import SafetyAt, SafetyFigures
from genzoo.leaderboards.statistics import aggregation
from genzoo.leaderboards.statistics.standing import Standing, can_decide, rank_standings, score_noise


@dataclass(frozen=True)
class LeaderboardRow:
    """One model and revision. Scores are None where missing; means and Borda are None on partial coverage.

    `safety` holds the safety at `MAIN_UTILITY` by safety task and twin; a pair without predictions of both is not in it.
    """

    key: ModelKey
    label: str
    facts: ModelFacts
    scores: Mapping[str, float | None]
    types: Mapping[str, float | None]
    mean_task: float | None = None
    mean_type: float | None = None
    borda: int | None = None
    covered: int = 0
    comparison: Comparison | None = None
    safety: Mapping[str, SafetyAt] = field(default_factory=dict)

    def value(self, column: BoardColumn) -> float | None:
        """The row's value in a column."""
        if column.kind == "task":
            return self.scores.get(column.key)
        if column.kind == "type":
            return self.types.get(column.key)
        if column.kind == "safety":
            return self.safety[column.key].safety if column.key in self.safety else None
        return {"mean_task": self.mean_task, "mean_type": self.mean_type, "borda": self.borda}[column.key]


@dataclass(frozen=True)
class Leaderboard:
    """Models in order of Mean (task), those with partial coverage after them. Build it with `from_store`.

    Means and Borda ranks follow `genzoo.leaderboards.facts.RULE`. A board that has no task for them, as one of safety tasks
    and their twins, is in the order of safety at `MAIN_UTILITY` of its first pair: out of reach last, then unknown.

    Attributes:
        benchmark: Name of the benchmark; None means every task of the store.
        tasks: The tasks of the board, with their facts.
        columns: Means, safety at a given utility, types and tasks, each with its metric.
        rows: Best first.
        reference: The model that all rows are compared with; None means each with its own teacher.
        grounds: Task to the splits and subsets that its column is made of.
        caveats: What a reader must know about these results.
        claims: Means that others report for the benchmark: shown among the rows, never best, never ranked.
        noise: Covariance of models' scores over the items of the given tasks; None where there are no predictions.
        safety: Chance levels, and safety at each utility.
    """

    benchmark: str | None
    tasks: Mapping[str, TaskFacts]
    columns: tuple[BoardColumn, ...]
    rows: tuple[LeaderboardRow, ...]
    reference: ModelKey | None
    grounds: Mapping[str, aggregation.Ground]
    caveats: tuple[Caveat, ...]
    claims: tuple[LeaderboardRow, ...] = ()
    safety: SafetyFigures = field(default_factory=SafetyFigures)
    noise: Noise = lambda keys, tasks: None

    @classmethod
    def from_store(cls, store: ResultStore, benchmark: str | None = None, reference: str | None = None) -> Self:
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
        safety = SafetyFigures.of(store, map(ModelKey._make, scores.index), tasks)
        columns = board_columns(scores, tasks, safety)
        ranked = _ranked(_rows(store, scores, tasks, safety), leading_pair(columns))
        noise = functools.partial(score_noise, store)
        rows = _compared(noise, ranked, scores, tasks, chosen)
        claims = [claim for claim in store.claims if claim.benchmark == benchmark]
        known = BoardFacts(store, scores, matrix.grounds, tasks, {row.key: row.comparison for row in rows}, claims)
        claimed = tuple(_claimed(claim, rows[0].types) for claim in claims)
        return cls(benchmark, tasks, columns, rows, chosen, matrix.grounds, known.caveats(), claimed, safety, noise)

    @property
    def shown(self) -> list[LeaderboardRow]:
        """Rows and claims in one order."""
        return _ranked([*self.rows, *self.claims], self.leading_pair)

    @property
    def total(self) -> int:
        """Number of tasks of the board; what their data were before is no task more."""
        return len(self.current)

    @property
    def current(self) -> Mapping[str, TaskFacts]:
        """The tasks without earlier contents of their data, which have columns of their own."""
        return facets.current_tasks(self.tasks)

    @property
    def is_own(self) -> bool:
        """Whether all tasks are of a user's own data."""
        return facets.all_own(self.tasks)

    @property
    def own_task(self) -> str | None:
        """The task, where it is the only one and one of own data: then the queries are the sample, not the tasks."""
        return next(iter(self.current)) if self.total == 1 and self.is_own else None

    def row(self, key: ModelKey) -> LeaderboardRow | None:
        """The row of a model, None if it has no result on this board."""
        return next((row for row in self.rows if row.key == key), None)

    @functools.cached_property
    def standings(self) -> dict[ModelKey, Standing]:
        """Rank and rank interval of the models with a Mean (task); empty where the tasks cannot decide (`undecided`)."""
        return self._verdict[0]

    @property
    def undecided(self) -> str:
        """Why there are no rank intervals, as a sentence; empty where there are some."""
        return self._verdict[1]

    @functools.cached_property
    def _verdict(self) -> tuple[dict[ModelKey, Standing], str]:
        names = aggregation.averaged_tasks(self.tasks, self.tasks)
        keys = [row.key for row in self.rows if row.mean_task is not None]
        if len(keys) < 2:
            return {}, ""
        if self.own_task is not None:
            return (
                {},
                "One search is decided by its queries: genzoo compare says which of two models finds better, and how sure that is.",
            )
        noise = self.noise(keys, names)
        if not can_decide(len(names), len(keys), has_items=noise is not None):
            return {}, (
                f"{len(names)} task{'s' * (len(names) != 1)} cannot decide between {len(keys)} models, whatever they score: "
                "no rank intervals."
            )
        scores = np.array([[row.scores[name] for name in names] for row in self.rows if row.mean_task is not None])
        return dict(zip(keys, rank_standings(scores, noise), strict=True)), ""

    @property
    def has_mean(self) -> bool:
        """Whether the board has a Mean (task)."""
        return any(column.key == "mean_task" for column in self.columns)

    @property
    def leading_pair(self) -> str | None:
        """The key of the pair whose safety at a given utility orders the board; None where means do, or nothing can."""
        return leading_pair(self.columns)

    @functools.cached_property
    def counted(self) -> tuple[str, ...]:
        """The tasks that count towards means and Borda ranks."""
        return tuple(facets.counted_tasks(self.tasks, self.tasks))

    def columns_of(self, kind: str) -> tuple[BoardColumn, ...]:
        """The columns of one kind: "mean", "safety", "type" or "task"."""
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
        """The best value of a column in its own direction; None without a direction or with one value only.

        A utility that is out of reach is never the best, and the main score of a safety task has none: finding nothing wins it.
        """
        values = self.values(column)
        if column.kind == "task" and column.key in self.safety.tasks:
            return None
        if column.kind == "safety":
            found = [row.safety[column.key] for row in self.rows if column.key in row.safety]
            return max((each.safety for each in found if each.point), default=None) if len(found) > 1 else None
        if column.metric.higher_is_better is None or len(values) < 2:
            return None
        return max(values) if column.metric.higher_is_better else min(values)


def _rows(
    store: ResultStore, scores: pd.DataFrame, tasks: Mapping[str, TaskFacts], safety: SafetyFigures
) -> list[LeaderboardRow]:
    names = aggregation.averaged_tasks(scores.columns, tasks)
    types = {name: tasks[name].type for name in names}
    by_type = aggregation.type_means(scores[names], types)
    means, type_means = aggregation.mean_by_task(scores[names]), aggregation.mean_by_type(scores[names], types)
    counted = facets.counted_tasks(scores.columns, tasks)
    ranks = aggregation.borda(scores, {name: tasks[name].metric.higher_is_better for name in counted})
    labels = store.labels
    score_cells, type_cells = _cells(scores), _cells(by_type)
    # Plain lists, by place: a lookup by label for each cell of a large board takes seconds.
    task_names, type_names = scores.columns.tolist(), by_type.columns.tolist()
    numbers = _cells(
        pd.concat(
            [means, type_means, ranks["rank"], aggregation.coverage(scores[[*facets.current_tasks(tasks)]])], axis=1
        )
    )
    # On own data alone a teacher is an embedder like any other.
    strangers = {key for key, facts in store.models.items() if facts.role == "teacher" and facets.all_own(tasks)}
    rows = []
    for place, (mean, type_mean, rank, covered) in enumerate(numbers):
        key = ModelKey(*scores.index[place])
        rows.append(
            LeaderboardRow(
                key=key,
                label=labels[key],
                facts=dataclasses.replace(store.models[key], role="other") if key in strangers else store.models[key],
                scores=dict(zip(task_names, score_cells[place], strict=True)),
                types=dict(zip(type_names, type_cells[place], strict=True)),
                mean_task=mean,
                mean_type=type_mean,
                borda=None if rank is None else int(rank),
                covered=int(covered or 0),
                safety={safety_key(each.pair): found for each in safety.pairs if (found := each.at(key)) is not None},
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
    )


def _ranked(rows: Iterable[LeaderboardRow], pair: str | None = None) -> list[LeaderboardRow]:
    """By Mean (task), without a `pair`; else by its safety at a given utility. Whatever has none comes last."""

    def place(row: LeaderboardRow) -> tuple[object, ...]:
        found = row.safety.get(pair) if pair is not None else None
        in_reach, safety, reached = found.order if found else (False, 0.0, -1.0)
        return row.mean_task is None, -(row.mean_task or 0), not in_reach, -safety, -reached, -row.covered, row.label

    return sorted(rows, key=place)


def _compared(
    noise: Noise,
    rows: Sequence[LeaderboardRow],
    scores: pd.DataFrame,
    tasks: Mapping[str, TaskFacts],
    reference: ModelKey | None,
) -> tuple[LeaderboardRow, ...]:
    """The rows with their comparisons, corrected over all of them."""
    found = []
    for row in rows:
        other = reference or _own_teacher(row, rows)
        if other is not None and other != row.key and other in scores.index:
            found.append(Comparison.between(scores, row.key, other, tasks, noise))
    comparisons = {each.model: each for each in corrected(found)}
    return tuple(dataclasses.replace(row, comparison=comparisons.get(row.key)) for row in rows)


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
