"""Studies of training (`genzoo study`): what each change of a recipe did, and how the losses went."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from genzoo.leaderboards.aggregation import averaged_tasks
from genzoo.leaderboards.companions import declared_tasks
from genzoo.leaderboards.facets import SAFETY, tasks_of
from genzoo.leaderboards.facts import Problem, TaskFacts
from genzoo.leaderboards.metrics import Metric, metric

_COLUMNS = {"study", "variant", "seed", "metric", "value"}
_TEACHER = "teacher of "
_CURVE_POINTS = 400  # kept of a longer curve
MEAN = "mean_task"
_MEANS = {MEAN, "mean_type", "borda"}
_Values = dict[str, dict[str, dict[int, float]]]  # metric -> variant -> seed -> value


class Interval(NamedTuple):
    """A mean over `n` seeds with its 95 % interval by Student's t (None for one seed)."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out nought."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Effect(NamedTuple):
    """One variant in one metric: its mean, and its difference to the base, seed by seed (None for the base itself)."""

    variant: str
    value: Interval
    difference: Interval | None


class Curve(NamedTuple):
    """A loss over the steps of one run."""

    label: str
    loss: str  # "align" or "recon"
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Study:
    """One study: for each metric the base, then the other variants in the order of the file, then teachers.

    `MEAN` is the mean over the tasks, for variants that were measured on all of them. Safety tasks are not in it, as everywhere
    (`genzoo.leaderboards.facets`). `tasks` are those among its metrics that are main scores of tasks.
    """

    name: str
    effects: Mapping[str, tuple[Effect, ...]]
    curves: tuple[Curve, ...]
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)

    @property
    def safety(self) -> tuple[str, ...]:
        """Its safety tasks."""
        return tasks_of(SAFETY, self.tasks)

    def metric(self, name: str) -> Metric:
        """One of its metrics, under the heading that tells it from the others."""
        if name in self.tasks:
            return dataclasses.replace(self.tasks[name].metric, name=name, label=name)
        known, task = metric(name), name.rpartition(".")[0]
        if name == MEAN and self.safety:
            return dataclasses.replace(known, label=f"{known.label} without safety")
        return dataclasses.replace(known, label=f"{known.label} · {task}") if task else known


def read_studies(root: Path, problems: list[Problem]) -> tuple[Study, ...]:
    """Every study below a folder: the folder itself, or its sub-folders, with a `results.csv`."""
    folders = [root, *sorted(path for path in root.glob("*") if path.is_dir())] if root.is_dir() else []
    return tuple(
        study
        for folder in folders
        if (folder / "results.csv").is_file() and (study := _read_study(folder, root, problems)) is not None
    )


def _read_study(folder: Path, root: Path, problems: list[Problem]) -> Study | None:
    source = (folder / "results.csv").relative_to(root.parent).as_posix()
    values: _Values = {}
    name, n_means = folder.name, 0
    try:
        with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and not set(rows[0]) >= _COLUMNS:
            problems.append(
                Problem(source, f"lacks the columns {', '.join(sorted(_COLUMNS - set(rows[0])))}: left out")
            )
            return None
        for row in rows:
            value = float(row["value"])
            # A mean in the file was made by whatever rule its writer had: the tasks give it anew.
            if row["metric"] in _MEANS:
                n_means += 1
            elif math.isfinite(value):
                values.setdefault(row["metric"], {}).setdefault(row["variant"], {})[int(row["seed"])] = value
            name = row["study"] or name
    except (OSError, ValueError, TypeError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(source, f"is no table of a study ({error}): left out"))
        return None
    if n_means:
        problems.append(Problem(source, f"{n_means} rows are means over tasks by an unknown rule: left out, made anew"))
    tasks = _tasks(folder, values)
    averaged = averaged_tasks(tasks, tasks)
    values = _means({name: values[name] for name in averaged}) | values
    variants = _in_order(values)
    effects = {name: tuple(_effects(by_variant, variants)) for name, by_variant in values.items()}
    return Study(name, effects, _curves(folder), tasks) if effects else None


def _tasks(folder: Path, values: _Values) -> dict[str, TaskFacts]:
    """The tasks among a study's metrics: what the study's own results say of them, else no more than their names."""
    declared = declared_tasks(folder / "results", [])
    return {name: declared.get(name, TaskFacts(name)) for name in values if not metric(name).is_known}


def _means(measured: _Values) -> _Values:
    """The mean over the tasks of every variant and seed that has all of them; nothing where there are fewer than two tasks."""
    tasks = list(measured.values())
    if len(tasks) < 2:
        return {}
    found: dict[str, dict[int, float]] = {}
    for variant, by_seed in tasks[0].items():
        for seed in by_seed:
            scores = [task.get(variant, {}).get(seed) for task in tasks]
            if None not in scores:
                found.setdefault(variant, {})[seed] = float(np.mean(np.array(scores, dtype=float)))
    return {MEAN: found}


def _in_order(values: _Values) -> list[str]:
    """Variants, then teachers; a teacher that is the same as an earlier one's would only say it again."""
    variants = list(dict.fromkeys(variant for by_variant in values.values() for variant in by_variant))
    students = [variant for variant in variants if not variant.startswith(_TEACHER)]
    teachers: dict[str, str] = {}
    for variant in variants:
        if variant.startswith(_TEACHER):
            figures = {name: by_variant[variant] for name, by_variant in values.items() if variant in by_variant}
            teachers.setdefault(repr(figures), variant)
    return [*students, *teachers.values()]


def _effects(by_variant: dict[str, dict[int, float]], variants: Sequence[str]) -> Iterator[Effect]:
    base = by_variant.get(variants[0], {})
    for variant in (one for one in variants if one in by_variant):
        by_seed = by_variant[variant]
        paired = [value - base[seed] for seed, value in by_seed.items() if seed in base]
        is_other = variant != variants[0] and bool(paired)
        yield Effect(variant, _interval(list(by_seed.values())), _interval(paired) if is_other else None)


def _interval(values: Sequence[float]) -> Interval:
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(n, mean, None, None)
    half = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(n, mean, mean - half, mean + half)


def _curves(folder: Path) -> tuple[Curve, ...]:
    """The losses of the first seed of each variant, from `runs/<variant>--seed-<n>/tokens/history.jsonl`."""
    firsts: dict[str, Path] = {}
    for path in sorted(folder.glob("runs/*/tokens/history.jsonl")):
        run = path.parents[1].name
        firsts.setdefault(run.rpartition("--seed-")[0] or run, path)
    return tuple(curve for label, path in firsts.items() for curve in read_history(path, label))


def read_history(path: Path, label: str) -> tuple[Curve, ...]:
    """The losses of one training run; lines that make no sense (a run may be at work) are passed over."""
    points: dict[str, list[tuple[int, float]]] = {"align": [], "recon": []}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            for loss, found in points.items():
                if row.get(loss) is not None:
                    found.append((int(row["step"]), float(row[loss])))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    curves = []
    for loss, found in points.items():
        thinned = found[:: max(1, len(found) // _CURVE_POINTS)]
        if len(thinned) > 1:
            steps, values = zip(*thinned, strict=True)
            curves.append(Curve(label, loss, steps, values))
    return tuple(curves)
