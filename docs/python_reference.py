"""Writes the Python reference: the public names of the package and what they return, as directives for Sphinx."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args

GROUPS = {
    "Models": ("models", "backbones", "teachers", "tasks.doctor"),
    "Training": ("training", "recipes", "leaderboards.study_runs"),
    "Measuring": ("tasks", "leaderboards", "reports"),
    "Figures": ("reports.plots",),
    "Publishing": ("publishing", "reports.publishing", "tasks.submission"),
    "Progress and errors": ("",),
}
"""Heading -> packages below `genzoo` whose names it lists; the longest package decides."""
INHERITED = "object, tuple, list, dict, Sequence, Mapping, Collection, Generic"


def python() -> str:
    """Every public name of the package with its docstring, by topic, and the classes that the functions return."""
    import genzoo

    listed: dict[str, dict[str, None]] = {heading: {} for heading in GROUPS}
    for name in genzoo.__all__:
        value = getattr(genzoo, name)
        if inspect.ismodule(value):
            listed[_group(value.__name__)] |= {
                f".. autofunction:: genzoo::{name}.{part}": None for part in value.__all__
            }
        elif name != "__version__":
            listed[_group(value.__module__)] |= {_directive(name, value): None}
    known = {getattr(genzoo, name) for name in genzoo.__all__ if inspect.isclass(getattr(genzoo, name))}
    functions = [getattr(genzoo, name) for name in genzoo.__all__ if inspect.isfunction(getattr(genzoo, name))]
    for function in functions:
        for kind in _returned(function):
            if kind not in known:
                known.add(kind)
                listed[_group(function.__module__)] |= {_directive(f"{kind.__module__}.{kind.__name__}", kind): None}
    return "\n\n".join(_section(heading, list(lines)) for heading, lines in listed.items() if lines)


def _section(heading: str, lines: list[str]) -> str:
    functions_first = sorted(lines, key=lambda line: not line.startswith(".. autofunction"))
    body = "\n\n".join(functions_first)
    return f"## {heading}\n\n```{{eval-rst}}\n.. currentmodule:: genzoo\n\n{body}\n```\n"


def _group(module: str) -> str:
    """The heading under which the names of a module are listed."""
    below = f"{module.removeprefix('genzoo').removeprefix('.')}."
    fitting = [
        (len(package), heading)
        for heading, packages in GROUPS.items()
        for package in packages
        if not package or below.startswith(f"{package}.")
    ]
    return max(fitting)[1]


def _directive(name: str, value: Any) -> str:
    """What Sphinx documents a name with."""
    if inspect.isclass(value) and issubclass(value, BaseException):
        return f".. autoexception:: {name}"
    if inspect.isclass(value):
        return f".. autoclass:: {name}\n   :members:\n   :inherited-members: {INHERITED}"
    return f".. autofunction:: {name}" if inspect.isroutine(value) else f".. autodata:: {name}"


def _returned(function: Any) -> Iterator[type]:
    """The classes of this package that a function returns, and those that they hold a sequence of."""
    for kind in _named(function.__module__, str(inspect.signature(function).return_annotation)):
        yield kind
        for base in getattr(kind, "__orig_bases__", ()):
            yield from (part for part in get_args(base) if inspect.isclass(part))
        for one in fields(kind) if is_dataclass(kind) else ():
            if re.match(r"(tuple|list|Rows)\[", str(one.type)):
                yield from _named(kind.__module__, str(one.type))


def _named(module: str, annotation: str) -> Iterator[type]:
    """The classes of this package that an annotation names, also those that a module imports for type checkers only."""
    source = sys.modules[module]
    lines = [node for node in ast.walk(ast.parse(inspect.getsource(source))) if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname or alias.name: line.module or "" for line in lines for alias in line.names}
    for name in re.findall(r"\w+", annotation):
        found = vars(source).get(name)
        if found is None and imported.get(name, "").startswith("genzoo."):
            found = getattr(importlib.import_module(imported[name]), name, None)
        if inspect.isclass(found) and found.__module__.startswith("genzoo."):
            yield found
