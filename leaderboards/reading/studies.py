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

from genzoo.intervals import mean_interval
from genzoo.leaderboards.facts import SAFETY, Problem, TaskFacts, tasks_of
from genzoo.leaderboards.metrics import Metric, metric
from genzoo.leaderboards.reading.companions import declared_tasks
from genzoo.leaderboards.statistics.aggregation import averaged_tasks
from genzoo.leaderboards.statistics.significance import holm

_COLUMNS = {"study", "variant", "seed", "metric", "value"}
_TEACHER = "teacher of "
_CURVE_POINTS = 400  # kept of a longer curve
MEAN = "mean_task"
_MEANS = {MEAN, "mean_type", "borda"}
_Values = dict[str, dict[str, dict[int, float]]]  # metric -> variant -> seed -> value
_Samples = dict[tuple[str, str, int], str]  # metric, variant, seed -> what it was measured on, where the file says so


class SeedMean(NamedTuple):
    """A mean over `n` seeds with its 95 % interval by Student's t; None for one seed, and where all seeds say the same."""

    n: int
    mean: float
    low: float | None
    high: float | None


class Effect(NamedTuple):
    """One variant in one metric.

    Attributes:
        value: Mean over the seeds.
        difference: To the base, seed by seed; None for the base itself, and where the two are not alike.
        p_holm: Of a t test of the difference, after Holm's correction over all tests of the study; None without a test.
        is_unlike: Whether it was measured on other texts, or judged by another teacher, than the base.
    """

    variant: str
    value: SeedMean
    difference: SeedMean | None
    p_holm: float | None = None
    is_unlike: bool = False

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant at 5 % after the correction."""
        return self.p_holm is not None and self.p_holm < 0.05


class Curve(NamedTuple):
    """A loss over the steps of one run."""

    label: str
    loss: str  # "align" or "recon"
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class StudyResults:
    """One study: for each metric the base, then the other variants in the order of the file, then teachers.

    `MEAN` is the mean over the tasks, for variants that were measured on all of them. Safety tasks are not in it, as everywhere
    (`genzoo.leaderboards.facts`). `tasks` are those among its metrics that are main scores of tasks.
    """

    name: str
    effects: Mapping[str, tuple[Effect, ...]]
    curves: tuple[Curve, ...]
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)

    @property
    def n_tests(self) -> int:
        """How many differences were tested."""
        return sum(each.p_holm is not None for effects in self.effects.values() for each in effects)

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


def read_studies(root: Path, problems: list[Problem]) -> tuple[StudyResults, ...]:
    """Every study below a folder: the folder itself, or its sub-folders, with a `results.csv`."""
    folders = [root, *sorted(path for path in root.glob("*") if path.is_dir())] if root.is_dir() else []
    return tuple(
        study
        for folder in folders
        if (folder / "results.csv").is_file() and (study := _read_study(folder, root, problems)) is not None
    )


def _read_study(folder: Path, root: Path, problems: list[Problem]) -> StudyResults | None:
    source = (folder / "results.csv").relative_to(root.parent).as_posix()
    values: _Values = {}
    samples: _Samples = {}
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
                samples[row["metric"], row["variant"], int(row["seed"])] = row.get("sample") or ""
            name = row["study"] or name
    except (OSError, ValueError, TypeError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(source, f"is not a table of a study ({error}): left out"))
        return None
    if n_means:
        problems.append(
            Problem(source, f"{n_means} rows are means over tasks by an unknown rule: left out and recomputed")
        )
    tasks = _tasks(folder, values)
    averaged = averaged_tasks(tasks, tasks)
    values = _means({name: values[name] for name in averaged}) | values
    variants = _in_order(values)
    effects = _tested(
        {name: list(_effects(name, by_variant, variants, samples)) for name, by_variant in values.items()}
    )
    return StudyResults(name, effects, _curves(folder), tasks) if effects else None


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


def _effects(
    name: str, by_variant: dict[str, dict[int, float]], variants: Sequence[str], samples: _Samples
) -> Iterator[tuple[Effect, float]]:
    """Each variant's effect with the p-value of its difference, uncorrected; NaN without a test.

    A control of held-out texts is compared with the base's on the same texts only, and where the file does not say which texts
    these were (as files of earlier versions), it is not tested.
    """
    base, first = by_variant.get(variants[0], {}), variants[0]
    is_control = metric(name).is_known and name not in _MEANS and not metric(name).is_safety
    for variant in (one for one in variants if one in by_variant):
        by_seed = by_variant[variant]
        seeds = [seed for seed in by_seed if seed in base] if variant != first else []
        alike = [
            seed for seed in seeds if samples.get((name, variant, seed), "") == samples.get((name, first, seed), "")
        ]
        paired = [by_seed[seed] - base[seed] for seed in alike]
        difference = _interval(paired) if paired else None
        is_stated = not is_control or all(samples.get((name, variant, seed)) for seed in alike)
        p = _p_value(paired) if difference is not None and difference.low is not None and is_stated else math.nan
        yield Effect(variant, _interval(list(by_seed.values())), difference, is_unlike=len(alike) < len(seeds)), p


def _tested(found: Mapping[str, list[tuple[Effect, float]]]) -> dict[str, tuple[Effect, ...]]:
    """The effects with their p-values corrected over the whole study."""
    corrected = iter(holm([p for effects in found.values() for _, p in effects]).tolist())
    return {
        name: tuple(
            each if math.isnan(p) else each._replace(p_holm=p) for (each, _), p in zip(effects, corrected, strict=False)
        )
        for name, effects in found.items()
    }


def _p_value(paired: Sequence[float]) -> float:
    from scipy.special import stdtr  # a quarter of a second, and most reports show no study

    spread = float(np.std(paired, ddof=1)) / len(paired) ** 0.5
    return 2 * float(stdtr(len(paired) - 1, -abs(float(np.mean(paired))) / spread))


def _interval(values: Sequence[float]) -> SeedMean:
    mean, low, high = mean_interval(values)
    return SeedMean(len(values), mean, *((None, None) if math.isnan(low) else (low, high)))


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
