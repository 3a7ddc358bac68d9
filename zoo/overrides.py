"""``losses.recon=0`` -> a recipe with that field changed: any field, by its dotted name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_type_hints

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
    return _changed(row, {tuple(name.split(".")): value for name, value in changes.items()}, "")


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


def _changed(row: T, changes: Mapping[tuple[str, ...], Any], prefix: str) -> T:
    """The row with all changes made at once, since one alone may be out of limits that all together keep."""
    kinds, made, inner = get_type_hints(type(row)), dict[str, Any](), dict[str, dict[tuple[str, ...], Any]]()
    for path, value in changes.items():
        name = prefix + ".".join(path)
        part = getattr(row, path[0], None) if path[0] in {one.name for one in fields(row)} else None  # type: ignore[arg-type]
        if path[0] not in kinds or (len(path) > 1 and not is_dataclass(part)):
            raise InputError(f"there is no field {name!r}; the fields are {', '.join(field_names(row, prefix))}")
        if len(path) > 1:
            inner.setdefault(path[0], {})[path[1:]] = value
        elif is_dataclass(part):
            raise InputError(f"{name!r} is a group of fields: change one of {', '.join(field_names(part, name + '.'))}")
        else:
            made[path[0]] = _as(kinds[path[0]], value, name)
    made |= {name: _changed(getattr(row, name), part, f"{prefix}{name}.") for name, part in inner.items()}
    return replace(row, **made)  # type: ignore[type-var]


def _as(kind: Any, value: Any, name: str) -> Any:
    """A text as the field's kind; what is no text stays what it is, and the row checks it."""
    if type(None) in get_args(kind):
        if value in ("none", "null", ""):
            return None
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind not in (int, float) or not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{name} must be a{' whole' if kind is int else ''} number, not {value!r}") from None
