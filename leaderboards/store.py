"""The results folder as one tidy frame, with the facts, the evidence and the problems that belong to it."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genzoo.errors import UnknownNameError, ZooError
from genzoo.leaderboards.facts import (
    Decoded,
    ModelFacts,
    ModelKey,
    Problem,
    TaskFacts,
    read_decoded,
    read_model_facts,
    read_task_facts,
)
from genzoo.leaderboards.naming import find_model, labels
from genzoo.leaderboards.reading import Record, ResultFile, read_object, read_result

_HEAD = ("model", "revision", "task", "type", "subset", "split")
_ORIGIN = ("mteb_version", "data_revision", "source")
COLUMNS = (*_HEAD, "metric", "value", *_ORIGIN)
# What mteb and genzoo write beside the results of a revision.
_COMPANIONS = {"model_meta.json"}


@dataclass(frozen=True)
class ResultStore:
    """Everything a results folder says. Build it with `ResultStore.load`.

    Attributes:
        root: The folder it was read from.
        frame: One row per number: see `COLUMNS`; `metric` is "main_score" for the score that ranks.
        models: Facts by model and revision, in order of name.
        tasks: Facts by task; a task without a row in `tasks.json` has type None.
        benchmarks: Benchmark to task names.
        evidence: Decoded examples of the zoo's models.
        predictions: Number of per-query prediction files beside the results.
        problems: Files, or parts of one, that could not be used. Nothing is dropped without a line here.
    """

    root: Path
    frame: pd.DataFrame
    models: Mapping[ModelKey, ModelFacts]
    tasks: Mapping[str, TaskFacts]
    benchmarks: Mapping[str, tuple[str, ...]]
    evidence: Mapping[ModelKey, tuple[Decoded, ...]]
    predictions: int
    problems: tuple[Problem, ...]

    @classmethod
    def load(cls, root: Path | str) -> ResultStore:
        """Read the folder that `genzoo evaluate -o` or mteb's ResultCache wrote."""
        root, problems = _tree_root(Path(root)), list[Problem]()
        files = _find_results(root, problems)
        declared = _declared_tasks(root, problems)
        records = _read_records(files, declared, problems)
        if not records:
            first = (
                f"; the first of {len(problems)} problems: {problems[0].source} {problems[0].reason}"
                if problems
                else ""
            )
            raise ZooError(f"no usable result in {root}{first}. {_expected(root)}")
        tasks = {name: declared.get(name, TaskFacts(name)) for name in sorted({record.task for record in records})}
        benchmarks = _benchmarks(root, problems)
        for name in {task for members in benchmarks.values() for task in members} & set(declared):
            tasks.setdefault(name, declared[name])
        models = _model_facts(root, files, {record.key for record in records}, problems)
        return cls(
            root=root,
            frame=_tidy(records, tasks),
            models=models,
            tasks=tasks,
            benchmarks=benchmarks,
            evidence=_evidence(root, models, problems),
            predictions=sum(1 for _ in (root / "predictions").glob("*/*/*_predictions.json")),
            problems=tuple(problems),
        )

    @property
    def main_scores(self) -> pd.DataFrame:
        """The rows of the frame that hold main scores."""
        return self.frame[self.frame["metric"] == "main_score"]

    @property
    def labels(self) -> dict[ModelKey, str]:
        """The shortest name that tells each model (and revision) from the others."""
        return labels(self.models)

    def task_names(self, benchmark: str | None = None) -> tuple[str, ...]:
        """The tasks of a benchmark, or every task that has a result."""
        if benchmark is None:
            return tuple(sorted(self.frame["task"].unique(), key=str.casefold))
        if benchmark not in self.benchmarks:
            near = difflib.get_close_matches(benchmark, self.benchmarks, n=3, cutoff=0.3)
            known = ", ".join(near or self.benchmarks) or "none (its benchmarks.json is missing)"
            raise UnknownNameError(
                f"unknown benchmark {benchmark!r}; {self.root} holds {known}. Leave it out to show every task"
            )
        return self.benchmarks[benchmark]

    def find(self, name: str) -> ModelKey:
        """The model of a full name, a short name, or `name@revision`; raises `UnknownNameError`."""
        return find_model(name, self.models, str(self.root))

    @functools.cached_property
    def _sources(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        rows = self.main_scores[
            ["model", "revision", "task", "source", "mteb_version", "data_revision"]
        ].drop_duplicates()
        sources: dict[tuple[str, ...], tuple[str, ...]] = {}
        for model, revision, task, source, version, data in rows.itertuples(index=False):
            origin = (source, f"mteb {version}", f"data {data}")
            sources[model, revision, task] = (*sources.get((model, revision, task), ()), *origin)
        return sources

    def sources(self, key: ModelKey, task: str) -> tuple[str, ...]:
        """Where a main score comes from: file, mteb version, data revision."""
        return self._sources.get((*key, task), ())

    def only(self, keys: Collection[ModelKey]) -> ResultStore:
        """The same store with some of its models."""
        chosen = pd.MultiIndex.from_frame(self.frame[["model", "revision"]].astype(str)).isin(list(keys))
        return dataclasses.replace(
            self,
            frame=self.frame[chosen],
            models={key: facts for key, facts in self.models.items() if key in keys},
            evidence={key: examples for key, examples in self.evidence.items() if key in keys},
        )

    def values(self, key: ModelKey, metric_name: str) -> dict[str, float]:
        """Task to the mean over its splits and subsets of any metric, where the model has it."""
        frame = self.frame
        chosen = frame[
            (frame["model"] == key.model) & (frame["revision"] == key.revision) & (frame["metric"] == metric_name)
        ]
        return {
            str(task): float(value) for task, value in chosen.groupby("task", observed=True)["value"].mean().items()
        }


def _expected(root: Path) -> str:
    return (
        "Expected a folder with results/<org__model>/<revision>/<Task>.json; "
        f"`genzoo evaluate -m MODEL -b BENCHMARK -o {root}` makes one"
    )


def _tree_root(root: Path) -> Path:
    """The tree itself where its `results` folder was given."""
    return root.parent if root.name == "results" and (root.parent / "tasks.json").is_file() else root


def _find_results(root: Path, problems: list[Problem]) -> list[ResultFile]:
    """Every result file below `root/results` (or `root`, where the results folder itself was given)."""
    if not root.is_dir():
        raise ZooError(f"{root} is {'no folder' if root.exists() else 'not there'}. {_expected(root)}")
    base = root / "results" if (root / "results").is_dir() else root
    files, names = [], dict[Path, str]()
    for path in sorted(base.rglob("*.json")):
        source, parts = path.relative_to(root).as_posix(), path.relative_to(base).parts
        if path.name in _COMPANIONS or (base == root and parts[0] in {"environment", "evidence", "predictions"}):
            continue
        if len(parts) < 3:
            if base != root:  # tasks.json and the like lie in the root itself
                problems.append(Problem(source, "lies outside of <org__model>/<revision>/: left out"))
            continue
        folder = base / parts[0] / parts[1]
        if folder not in names:
            names[folder] = _model_name(folder, root, problems)
        # mteb keeps runs with other keyword arguments in experiments/<arguments>: rows of their own.
        variant = "/".join(part for part in parts[2:-1] if part != "experiments")
        key = ModelKey(names[folder], parts[1] + (f"+{variant}" if variant else ""))
        files.append(ResultFile(path, source, folder, key))
    return files


def _model_name(folder: Path, root: Path, problems: list[Problem]) -> str:
    """The name in `model_meta.json` where it belongs to the folder, else the folder's own."""
    meta = folder / "model_meta.json"
    name = read_object(meta, meta.relative_to(root).as_posix(), problems).get("name")
    if isinstance(name, str) and name.replace("/", "__").replace(" ", "_") == folder.parent.name:
        return name
    return folder.parent.name.replace("__", "/", 1)


def _declared_tasks(root: Path, problems: list[Problem]) -> dict[str, TaskFacts]:
    rows = read_object(root / "tasks.json", "tasks.json", problems)
    facts = {}
    for name, row in rows.items():
        if isinstance(row, dict):
            facts[name] = read_task_facts(name, row)
        else:
            problems.append(Problem("tasks.json", f"its row of {name} is no object and was left out"))
    return facts


def _benchmarks(root: Path, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    rows = read_object(root / "benchmarks.json", "benchmarks.json", problems)
    benchmarks = {}
    for name, tasks in rows.items():
        if isinstance(tasks, list) and tasks:
            benchmarks[name] = tuple(dict.fromkeys(str(task) for task in tasks))
        else:
            problems.append(Problem("benchmarks.json", f"{name} is no list of tasks and was left out"))
    return benchmarks


def _read_records(files: list[ResultFile], declared: Mapping[str, TaskFacts], problems: list[Problem]) -> list[Record]:
    main_scores = {name: facts.main_score for name, facts in declared.items()}
    records, seen = list[Record](), dict[tuple[str, ...], str]()
    for file in files:
        for record in read_result(file, main_scores, problems):
            place = (*record.key, record.task, record.split, record.subset)
            if place in seen:
                where = f"{record.task} {record.split}/{record.subset}"
                problems.append(Problem(record.source, f"{where} is already in {seen[place]}: this one was left out"))
                continue
            seen[place] = record.source
            records.append(record)
    return records


def _model_facts(
    root: Path, files: list[ResultFile], keys: set[ModelKey], problems: list[Problem]
) -> dict[ModelKey, ModelFacts]:
    folders = {file.key: file.folder for file in files if file.key in keys}
    facts = {}
    for key in sorted(folders, key=lambda key: (key.model.casefold(), key.revision)):
        folder = folders[key]
        meta = read_object(folder / "model_meta.json", "model_meta.json", [])  # its problems were noted with its name
        below = f"environment/{folder.parent.name}/{folder.name}.json"
        facts[key] = read_model_facts(key, meta, read_object(root / below, below, problems))
    return facts


def _evidence(
    root: Path, models: Mapping[ModelKey, ModelFacts], problems: list[Problem]
) -> dict[ModelKey, tuple[Decoded, ...]]:
    evidence = {}
    for key in models:
        below = f"evidence/{key.model.replace('/', '__').replace(' ', '_')}/{key.revision}.json"
        rows: Any = read_object(root / below, below, problems).get("decoded")
        examples = read_decoded(rows)
        if isinstance(rows, list) and len(examples) < len(rows):
            problems.append(Problem(below, f"{len(rows) - len(examples)} of {len(rows)} examples have no text"))
        if examples:
            evidence[key] = examples
    return evidence


def _tidy(records: list[Record], tasks: Mapping[str, TaskFacts]) -> pd.DataFrame:
    """One row per number. Columns of a record are built once and repeated, as a file holds some 50 numbers."""

    def rows() -> Iterator[tuple[str, ...]]:
        for record in records:
            kind = tasks[record.task].type or "unknown"
            yield (*record.key, record.task, kind, record.subset, record.split,
                   record.mteb_version, record.data_revision, record.source)  # fmt: skip

    heads = pd.DataFrame(list(rows()), columns=[*_HEAD, *_ORIGIN]).astype("category")
    counts = [len(record.scores) for record in records]
    frame = heads.iloc[np.repeat(np.arange(len(records)), counts)].reset_index(drop=True)
    frame["metric"] = pd.Categorical([name for record in records for name in record.scores])
    frame["value"] = np.fromiter((value for record in records for value in record.scores.values()), float, sum(counts))
    return frame[list(COLUMNS)]
