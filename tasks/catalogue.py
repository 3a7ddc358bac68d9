"""Finds tasks and benchmarks by name, mteb's and ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import mteb
from mteb.abstasks import AbsTask

from genzoo.errors import InputError, UnknownNameError
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.registration import benchmark_registry, task_registry

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
