"""What is measured: tasks, benchmarks and evaluation runs (imported on first use, because mteb takes seconds)."""

from __future__ import annotations

import importlib

_PUBLIC = {
    "register": "sets.registration",
    "register_model": "sets.registration",
    "resolve_tasks": "sets.registration",
    "evaluate": "evaluation",
}
__all__ = ["evaluate", "register", "register_model", "resolve_tasks"]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
