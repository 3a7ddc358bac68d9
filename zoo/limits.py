"""Limits of fields: each stands beside its field, as pydantic writes it, and is checked when a row is made."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from genzoo.errors import InputError

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_KINDS = {"integer": "a whole number", "number": "a number", "string": "text"}


@cache
def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    """Field -> what checks it, for the fields of a dataclass whose annotation is plain or carries limits."""
    hints = get_type_hints(kind, include_extras=True)
    names = [one.name for one in fields(kind) if not hasattr(hints[one.name], "__dataclass_fields__")]
    return {name: TypeAdapter(hints[name], config=_STRICT) for name in names}


def check_fields(row: Any, group: str = "") -> None:
    """Check every field of a frozen dataclass, the parts that are dataclasses apart: they check themselves.

    A whole number in the place of another kind of number becomes that, so that equal rows have equal digests.

    Args:
        row: The dataclass, from its own ``__post_init__``.
        group: Name of the group that it is within its recipe, such as ``optim``.

    Raises:
        InputError: For the first field that is out of its limits: field, what was given, what is allowed.
    """
    for name, adapter in _adapters(type(row)).items():  # type: ignore[arg-type]
        given = getattr(row, name)
        given = given.item() if hasattr(given, "item") else given  # a scalar of numpy
        try:
            made = adapter.validate_python(given)
        except ValidationError:
            full = f"{group}.{name}" if group else name
            raise InputError(f"{full} is {given!r}: it {_allowed(adapter)}") from None
        if type(made) is not type(given):
            object.__setattr__(row, name, made)


def _allowed(adapter: TypeAdapter[Any]) -> str:
    """What an adapter allows, in words."""
    schema = adapter.json_schema()
    if "enum" in schema:
        return f"is one of {', '.join(schema['enum'])}"
    first, *others = schema.get("anyOf", [schema])
    kind = _KINDS.get(first.get("type"), "a value")
    low = _number(first.get("minimum", first.get("exclusiveMinimum")))
    low = f"above {low}" if "exclusiveMinimum" in first else low
    high = _number(first.get("maximum"))
    if low and high:
        return f"goes from {low} to {high}{', in whole numbers' if kind == 'a whole number' else ''}"
    if low:
        return f"must be {kind}{' ' if 'exclusiveMinimum' in first else ', at least '}{low}"
    return f"must be {kind}{' that is not empty' if first.get('minLength') else ''}{' or none' if others else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{int(value):,}" if value == int(value) else f"{value:g}"
