"""The one place that touches mteb's private registries, so that mteb and its command line find ours by name.

mteb has no plugin mechanism. The names used here are the same from mteb 2.0 to 2.26; a contract test holds them, and
`register` refuses a version that it does not know.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark
from mteb.models import ModelMeta

from genzoo.errors import ZooError
from genzoo.tasks.benchmarks import BENCHMARKS, TASKS

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
