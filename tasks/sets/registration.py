"""The one place that touches mteb's private registries, and finds tasks and benchmarks by name, mteb's and ours."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Iterable, Sequence
from typing import Any

import mteb
from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark
from mteb.models import ModelMeta

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.sets.benchmarks import BENCHMARKS, TASKS

_KNOWN = ((2, 26), (3, 0))
# rows made by register_model: these may be renewed, mteb's own may not
_OUR_MODELS: set[str] = set()


def register() -> None:
    """Make our tasks and benchmarks known to mteb; calling it again changes nothing."""
    tasks, benchmarks, aliases, _ = _registries()
    changed = False
    for task in TASKS:
        changed |= _add(tasks._TASKS_REGISTRY, task.metadata.name, task, "task")
        if task not in tasks.TASK_LIST:
            tasks.TASK_LIST = (*tasks.TASK_LIST, task)
            changed = True
    for benchmark in BENCHMARKS:
        changed |= _add(benchmarks, benchmark.name, benchmark, "benchmark")
        for alias in benchmark.aliases:
            changed |= _add(aliases, alias, benchmark, "benchmark")
    if changed:
        _forget_tables()


def register_model(meta: ModelMeta) -> None:
    """Make a model known to mteb under its name; the same name and revision may be registered again."""
    models = _registries()[3]
    if not meta.name or not meta.revision:
        raise ZooError(f"a model needs a name and a revision to be registered, got {meta.name!r} at {meta.revision!r}")
    present = models.get(meta.name)
    if present is not None and (meta.name not in _OUR_MODELS or present.revision != meta.revision):
        raise ZooError(
            f"a model named {meta.name!r} is registered with mteb at revision {present.revision}: "
            f"give the one at {meta.revision} another name"
        )
    models[meta.name] = meta
    _OUR_MODELS.add(meta.name)
    _forget_tables()


def task_registry() -> dict[str, type[AbsTask]]:
    """Every task class that mteb knows, ours included, by name."""
    register()
    return dict(_registries()[0]._TASKS_REGISTRY)


def benchmark_registry() -> dict[str, Benchmark]:
    """Every benchmark that mteb knows, ours included, by name and alias."""
    register()
    _, benchmarks, aliases, _ = _registries()
    return {**aliases, **benchmarks}


def registered_revisions() -> dict[str, str | None]:
    """The revision that mteb's registry names for each model: of several, the one whose results count on its boards."""
    return {name: meta.revision for name, meta in _registries()[3].items() if name not in _OUR_MODELS}


def _registries() -> tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return mteb's task module, benchmarks, benchmark aliases and models, or say which mteb to install."""
    installed = importlib.metadata.version("mteb")
    number = tuple(int(part) for part in installed.split(".")[:2])
    known = _KNOWN[0] <= number < _KNOWN[1]
    try:
        # `import mteb.get_tasks` would give the function of that name
        tasks = importlib.import_module("mteb.get_tasks")
        benchmarks = importlib.import_module("mteb.benchmarks.get_benchmark")
        models = importlib.import_module("mteb.models.model_implementations").MODEL_REGISTRY
        parts = tasks, benchmarks._build_registry(), benchmarks._build_aliases_registry(), models
        known = known and isinstance(tasks._TASKS_REGISTRY, dict) and isinstance(tasks.TASK_LIST, tuple)
    except (ImportError, AttributeError) as error:
        raise ZooError(f"mteb {installed} has other registries ({error}): pip install 'mteb>=2.26,<3'") from error
    if not known:
        raise ZooError(f"mteb {installed} is installed, genzoo knows 2.26 up to 3: pip install 'mteb>=2.26,<3'")
    return parts


def _add(registry: dict[str, Any], name: str, row: object, kind: str) -> bool:
    """Add a row, or find it there already; another row of the same name is refused."""
    if registry.get(name) is row:
        return False
    if name in registry:
        raise ZooError(f"mteb already has a {kind} named {name!r} ({registry[name]!r}): rename ours or that one")
    registry[name] = row
    return True


def _forget_tables() -> None:
    """Drop what mteb computed from its registries before ours were in them."""
    table = importlib.import_module("mteb.benchmarks._create_table")
    results = importlib.import_module("mteb.results.benchmark_results")
    for owner, name in (
        (table, "_static_model_meta"),
        (table, "_meta_df_no_zs"),
        (table, "_meta_df_with_zs"),
        (table, "_training_datasets_cached"),
        (table, "_zero_shot_pct_cached"),
        (results, "_get_cached_model_metas"),
    ):
        if hasattr(owner, name):
            getattr(owner, name).cache_clear()


_HINT = "See: genzoo evaluate --help"


def resolve_tasks(benchmark: str | None, task_names: Sequence[str]) -> tuple[list[AbsTask], str | None]:
    """Turn names into task objects.

    Args:
        benchmark: Name or alias of a benchmark, mteb's or ours.
        task_names: Names of tasks. Together with a benchmark they choose among its tasks, which keeps the languages
            that the benchmark is limited to.

    Returns:
        The tasks in order, each once, and the benchmark's name if all of it was chosen.

    Raises:
        UnknownNameError: A name that nothing has, with the nearest ones.
        InputError: Neither a benchmark nor a task was named.
    """
    if not benchmark and not task_names:
        raise InputError("no task was named: give a benchmark (such as 'GenZoo(mini, v1)') or tasks. " + _HINT)
    with kept_random_state():
        if not benchmark:
            return [_task(name) for name in dict.fromkeys(task_names)], None
        shelf = benchmark_registry()
        if benchmark not in shelf:
            raise _unknown("benchmark", benchmark, shelf)
        found = shelf[benchmark]
        if not task_names:
            return list(found.tasks), found.name
        inside = {task.metadata.name: task for task in found.tasks}
        for name in task_names:
            if name not in inside:
                raise _unknown(f"task of {found.name}", name, inside)
        return [inside[name] for name in dict.fromkeys(task_names)], None


def _task(name: str) -> AbsTask:
    """One task with all its languages."""
    shelf = task_registry()
    try:
        # asked first, for mteb knows old names that its registry does not list
        return mteb.get_task(name)
    except KeyError:
        raise _unknown("task", name, shelf) from None


def _unknown(kind: str, name: str, shelf: Iterable[str]) -> UnknownNameError:
    """The error for a name that is not on the shelf, with suggestions that ignore case."""
    by_lower = {entry.lower(): entry for entry in shelf}
    near = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    meant = f"did you mean {' or '.join(repr(entry) for entry in near)}?" if near else f"{len(by_lower)} are known."
    return UnknownNameError(f"unknown {kind} {name!r}; {meant} {_HINT}")
