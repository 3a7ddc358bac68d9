"""The one place that touches mteb's private registries, and finds tasks and benchmarks by name, mteb's and ours."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mteb
from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark
from mteb.models import ModelMeta

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.tasks.random_state import making_tasks
from genzoo.tasks.sets.benchmarks import TASKS, own_benchmark, own_benchmarks

_KNOWN = ((2, 26), (3, 0))
# rows made by register_model: these may be renewed, mteb's own may not
_OUR_MODELS: set[str] = set()


def register() -> None:
    """Make our tasks and benchmarks known to mteb; calling it again changes nothing. It builds mteb's benchmarks: a second."""
    register_tasks()
    benchmarks, aliases = _benchmark_registries()
    changed = 0
    for benchmark in own_benchmarks():
        changed += _add(benchmarks, benchmark.name, benchmark, "benchmark")
        changed += sum(_add(aliases, alias, benchmark, "benchmark") for alias in benchmark.aliases)
    if changed:
        _forget_tables()


def register_tasks() -> None:
    """Make our tasks alone known to mteb."""
    tasks, _ = _registries()
    if sum(_add(tasks._TASKS_REGISTRY, task.metadata.name, task, "task") for task in TASKS):
        _forget_tables()
    tasks.TASK_LIST += tuple(task for task in TASKS if task not in tasks.TASK_LIST)


def register_model(meta: ModelMeta) -> None:
    """Make a model known to mteb under its name; the same name and revision may be registered again."""
    models = _registries()[1]
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
    register_tasks()
    return dict(_registries()[0]._TASKS_REGISTRY)


def benchmark_registry() -> dict[str, Benchmark]:
    """Every benchmark that mteb knows, ours included, by name and alias."""
    register()
    benchmarks, aliases = _benchmark_registries()
    return {**aliases, **benchmarks}


def registered_revisions() -> dict[str, str | None]:
    """The revision that mteb's registry names for each model: of several, the one whose results count on its boards."""
    return {name: meta.revision for name, meta in _registries()[1].items() if name not in _OUR_MODELS}


@contextmanager
def _known_mteb() -> Iterator[None]:
    """Around access to what mteb keeps private: says which mteb to install where that is not as expected."""
    installed = importlib.metadata.version("mteb")
    number = tuple(int(part) for part in installed.split(".")[:2])
    if not _KNOWN[0] <= number < _KNOWN[1]:
        raise ZooError(f"mteb {installed} is installed, genzoo knows 2.26 up to 3: pip install 'mteb>=2.26,<3'")
    try:
        yield
    except (ImportError, AttributeError) as error:
        raise ZooError(f"mteb {installed} has other registries ({error}): pip install 'mteb>=2.26,<3'") from error


@contextmanager
def lean_evaluation() -> Iterator[None]:
    """Meanwhile `mteb.evaluate` does not import sentence-transformers, three seconds, just to see that a model is none of its classes."""
    evaluation: Any = importlib.import_module("mteb.evaluate")  # `mteb.evaluate` is the function of that name
    look = getattr(evaluation, "_sanitize_model", None)
    if look is None or "sentence_transformers" in sys.modules:
        yield
        return

    def look_less(model: Any) -> Any:
        meta = getattr(model, "mteb_model_meta", None)
        return (model, meta, meta.name, meta.revision) if isinstance(meta, ModelMeta) else look(model)

    evaluation._sanitize_model = look_less
    try:
        yield
    finally:
        evaluation._sanitize_model = look


def _registries() -> tuple[Any, dict[str, Any]]:
    """Return mteb's task module and models."""
    with _known_mteb():
        # `import mteb.get_tasks` would give the function of that name
        tasks = importlib.import_module("mteb.get_tasks")
        if not (isinstance(tasks._TASKS_REGISTRY, dict) and isinstance(tasks.TASK_LIST, tuple)):
            raise AttributeError("the tasks are kept in another way")
        return tasks, importlib.import_module("mteb.models.model_implementations").MODEL_REGISTRY


def _benchmark_registries() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return mteb's benchmarks and their aliases."""
    with _known_mteb(), making_tasks():
        benchmarks = importlib.import_module("mteb.benchmarks.get_benchmark")
        return benchmarks._build_registry(), benchmarks._build_aliases_registry()


def _add(registry: dict[str, Any], name: str, row: object, kind: str) -> bool:
    """Add a row, or find it there already; another row of the same name is refused."""
    if registry.get(name) is row:
        return False
    if name in registry:
        raise ZooError(f"mteb already has a {kind} named {name!r} ({registry[name]!r}): rename one of the two")
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


def resolve_tasks(
    benchmark: str | Benchmark | None, tasks: Sequence[str | AbsTask | Benchmark]
) -> tuple[list[AbsTask], str | None]:
    """Turn names into task objects; objects are taken as they are.

    Args:
        benchmark: Name or alias of a benchmark, mteb's or ours, or a benchmark of mteb.
        tasks: Without a benchmark: tasks and benchmarks, by name or as objects. Together with one they choose among its tasks,
            which keeps the languages that the benchmark is limited to.

    Returns:
        The tasks in order, each once, and the benchmark's name if they are all of one benchmark.

    Raises:
        UnknownNameError: A name that nothing has, with the nearest ones.
        InputError: Neither a benchmark nor a task was named, or two tasks of one name with other splits or languages.
    """
    if not benchmark and not tasks:
        raise InputError("no task was named: give a benchmark (such as 'GenZoo(mini, v1)') or tasks. See: genzoo tasks")
    for given in tasks:
        if not isinstance(given, str | AbsTask | Benchmark):
            raise InputError(
                f"{given!r} is not a task: give the name of a task or of a benchmark, or an object of mteb"
            )
    if benchmark and not isinstance(benchmark, str | Benchmark):
        raise InputError(
            f"{benchmark!r} is not a benchmark: give its name, or an object of mteb; several go into tasks"
        )
    with making_tasks():
        if not benchmark:
            whole = benchmarks_among(tasks)
            found = [part for given in tasks for part in _tasks(given)]
            return _distinct(found), whole[0].name if len(whole) == len(tasks) == 1 else None
        shelf = _benchmark(benchmark)
        if not tasks:
            return list(shelf.tasks), shelf.name
        inside = {task.metadata.name: task for task in shelf.tasks}
        names = [given.metadata.name if isinstance(given, AbsTask) else str(given) for given in tasks]
        for name in names:
            if name not in inside:
                raise _unknown(f"task of {shelf.name}", name, inside)
        return [inside[name] for name in dict.fromkeys(names)], None


def benchmarks_among(tasks: Iterable[str | AbsTask | Benchmark]) -> list[Benchmark]:
    """The benchmarks among some tasks and benchmarks, each once."""
    found = [_benchmark(given) for given in tasks if not isinstance(given, AbsTask) and _is_benchmark(given)]
    return list({one.name: one for one in found}.values())


def is_name(given: str) -> bool:
    """Whether a task or a benchmark has this name."""
    return given in task_registry() or _is_benchmark(given)


def _is_benchmark(given: str | Benchmark) -> bool:
    if isinstance(given, Benchmark) or own_benchmark(given) is not None:
        return True
    return given not in task_registry() and given in benchmark_registry()


def _benchmark(given: str | Benchmark) -> Benchmark:
    if isinstance(given, Benchmark):
        return given
    found = own_benchmark(given) or benchmark_registry().get(given)
    if found is None:
        raise _unknown("benchmark", given, benchmark_registry())
    return found


def _tasks(given: str | AbsTask | Benchmark) -> list[AbsTask]:
    """The tasks of one name or object."""
    if isinstance(given, AbsTask):
        return [given]
    if isinstance(given, str) and not _is_benchmark(given):
        return [_task(given)]
    return list(_benchmark(given).tasks)


def _distinct(tasks: Sequence[AbsTask]) -> list[AbsTask]:
    """The tasks, each once; two of one name have to be over the same splits and languages."""
    found: dict[str, AbsTask] = {}
    for task in tasks:
        first = found.setdefault(task.metadata.name, task)
        if _measured_on(first) != _measured_on(task):
            raise InputError(
                f"{task.metadata.name} is given twice, with other data, splits or languages: measure one after the other, each into a "
                "results folder of its own"
            )
    return list(found.values())


def _measured_on(task: AbsTask) -> tuple[Any, ...]:
    return task.metadata.revision, task.eval_splits, task.hf_subsets


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
    hint = "genzoo benchmarks" if kind == "benchmark" else "genzoo tasks"
    return UnknownNameError(f"unknown {kind} {name!r}; {meant} See: {hint}")
