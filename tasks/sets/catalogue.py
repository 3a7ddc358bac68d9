"""What can be measured: every task and benchmark of texts by name, mteb's and ours, kept in the cache, as importing mteb takes seconds."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import warnings
from typing import Any, NamedTuple

from genzoo import __version__
from genzoo.files import made_once
from genzoo.jobs import job


class TaskSummary(NamedTuple):
    """One task.

    Attributes:
        name: As `genzoo.evaluate` takes it.
        type: mteb's name of its kind, such as ``Retrieval``.
        metric: Its main score.
        texts: Texts that a model encodes over all its languages, None where mteb does not say.
        languages: How many.
        source: ``genzoo`` or ``mteb``.
    """

    name: str
    type: str
    metric: str
    texts: int | None
    languages: int
    source: str


class BenchmarkSummary(NamedTuple):
    """One benchmark.

    Attributes:
        name: As `genzoo.evaluate` takes it.
        tasks: How many.
        types: The kinds of its tasks.
        languages: How many.
        source: ``genzoo`` or ``mteb``.
    """

    name: str
    tasks: int
    types: str
    languages: int
    source: str


def list_tasks(pattern: str = "*") -> list[TaskSummary]:
    """Every task whose name matches a shell pattern, in order of name, those of genzoo first."""
    return [TaskSummary(*row) for row in _catalogue()["tasks"] if fnmatch.fnmatch(row[0], pattern)]


def list_benchmarks(pattern: str = "*") -> list[BenchmarkSummary]:
    """Every benchmark whose name matches a shell pattern, in order of name, those of genzoo first."""
    return [BenchmarkSummary(*row) for row in _catalogue()["benchmarks"] if fnmatch.fnmatch(row[0], pattern)]


def _catalogue() -> dict[str, list[list[Any]]]:
    """The rows of both lists, from the cache, or from mteb's registries."""
    return made_once(f"tasks/catalogue-{__version__}-mteb-{importlib.metadata.version('mteb')}.json", _ask_mteb)


def _ask_mteb() -> dict[str, list[list[Any]]]:
    with job("asking mteb for its tasks and benchmarks"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tasks that are in beta or superseded
        from genzoo.tasks.random_state import making_tasks

        with making_tasks():
            return {"tasks": _tasks(), "benchmarks": _benchmarks()}


def _tasks() -> list[list[Any]]:
    from genzoo.tasks.request import PlannedTask
    from genzoo.tasks.sets.benchmarks import TASKS
    from genzoo.tasks.sets.registration import task_registry

    rows = []
    for name, kind in task_registry().items():
        meta, is_ours = kind.metadata, kind in TASKS
        if set(meta.modalities) != {"text"}:
            continue
        planned = PlannedTask.of(kind())
        rows.append([name, meta.type, meta.main_score, planned.texts, len(meta.languages), _source(is_ours)])
    return _sorted(rows)


def _benchmarks() -> list[list[Any]]:
    from genzoo.tasks.sets.benchmarks import own_benchmark
    from genzoo.tasks.sets.registration import benchmark_registry

    rows = []
    for found in {each.name: each for each in benchmark_registry().values()}.values():
        if any(set(task.metadata.modalities) != {"text"} for task in found.tasks):
            continue
        types = ", ".join(sorted({task.metadata.type for task in found.tasks}))
        languages = {language for task in found.tasks for language in task.languages}
        rows.append(
            [found.name, len(found.tasks), types, len(languages), _source(own_benchmark(found.name) is not None)]
        )
    return _sorted(rows)


def _source(is_ours: bool) -> str:
    return "genzoo" if is_ours else "mteb"


def _sorted(rows: list[list[Any]]) -> list[list[Any]]:
    return sorted(rows, key=lambda row: (row[-1], row[0].casefold()))
