"""What is measured: tasks, benchmarks and evaluation runs (imported on first use, because mteb takes seconds)."""

from __future__ import annotations

from genzoo import lazy

_HOMES = {
    "evaluate": "evaluation",
    "register": "sets.registration",
    "register_model": "sets.registration",
    "resolve_tasks": "sets.registration",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    return lazy(name, __name__, _HOMES)
