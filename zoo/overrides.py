"""``losses.recon=0`` -> a recipe with that field changed: any field, by its dotted name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from genzoo.errors import InputError

T = TypeVar("T")


def override(row: T, changes: Mapping[str, Any]) -> T:
    """Return a copy of a dataclass (and those inside it) with fields changed.

    Args:
        row: A recipe, or any frozen dataclass.
        changes: Dotted field name -> new value, as it is or as the text that a command line has.

    Raises:
        InputError: For an unknown field (all are named) or a value of the wrong kind.

    >>> from genzoo.recipes import Recipe
    >>> override(Recipe("r", "smollm2-135m", "minilm"), {"optim.steps": "7", "losses.recon": 0}).optim.steps
    7
    """
    for name, value in changes.items():
        row = _change(row, name.split("."), value, name)
    return row


def parse_change(text: str) -> tuple[str, str]:
    """``key=value`` as typed; the value may hold further equals signs.

    >>> parse_change("response.system_prompt=a=b")
    ('response.system_prompt', 'a=b')
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"{text!r} changes no field: write field=value, as in optim.steps=200")
    return name.strip(), value.strip()


def field_names(row: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields of a dataclass."""
    for one in fields(row):
        value = getattr(row, one.name)
        if is_dataclass(value):
            yield from field_names(value, f"{prefix}{one.name}.")
        else:
            yield prefix + one.name


def _change(row: Any, path: list[str], value: Any, name: str) -> Any:
    known = {one.name for one in fields(row)} if is_dataclass(row) else set()
    if path[0] not in known:
        raise InputError(
            f"there is no field {name!r}; {'here are' if known else 'it has no parts'} {_listed(row)}".rstrip()
        )
    inner = getattr(row, path[0])
    if len(path) > 1:
        return replace(row, **{path[0]: _change(inner, path[1:], value, name)})
    if is_dataclass(inner):
        raise InputError(f"{name!r} is a group of fields: change one of {', '.join(field_names(inner, name + '.'))}")
    return replace(row, **{path[0]: _as(get_type_hints(type(row))[path[0]], value, name)})


def _listed(row: Any) -> str:
    return ", ".join(field_names(row)) if is_dataclass(row) else ""


def _as(kind: Any, value: Any, name: str) -> Any:
    """The value as the field's kind."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{name} is one of {', '.join(map(str, get_args(kind)))}, not {value!r}")
        return value
    if isinstance(kind, UnionType):
        if value is None or value in ("none", "null", ""):
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    try:
        made = kind(value)
    except (TypeError, ValueError):
        made = None
    if made is None or (kind is int and isinstance(value, float) and value != made):
        raise InputError(
            f"{name} must be {'a whole number' if kind is int else f'of type {kind.__name__}'}, not {value!r}"
        )
    return made
