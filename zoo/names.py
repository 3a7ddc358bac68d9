"""A named collection that refuses duplicates and suggests what was meant."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterator
from typing import Generic, TypeVar

from genzoo.errors import UnknownNameError, ZooError

T = TypeVar("T")


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which ``qwen3-4b`` comes before ``qwen3-14b``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


class Registry(Generic[T]):
    """Maps names to rows of one kind.

    Args:
        kind: What a row is, in the singular, as error messages call it ("model", "recipe").
        hint: The command that lists the rows.

    >>> shelf = Registry[int]("number", "genzoo list")
    >>> shelf.register("one", 1)
    1
    >>> shelf.get("on")
    Traceback (most recent call last):
        ...
    genzoo.errors.UnknownNameError: unknown number 'on'; did you mean one? See: genzoo list
    """

    def __init__(self, kind: str, hint: str) -> None:
        self.kind, self.hint = kind, hint
        self._rows: dict[str, T] = {}

    def register(self, name: str, row: T) -> T:
        """Add a row under a name that is not taken yet, and return it."""
        if name in self._rows:
            raise ZooError(f"two {self.kind}s are named {name!r}: rename one of {self._rows[name]!r} and {row!r}")
        self._rows[name] = row
        return row

    def get(self, name: str) -> T:
        """Return the row of that name, or raise `UnknownNameError` with suggestions."""
        if name in self._rows:
            return self._rows[name]
        near = difflib.get_close_matches(name, self._rows, n=3, cutoff=0.4)
        meant = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(self.names()) or 'none'}."
        raise UnknownNameError(f"unknown {self.kind} {name!r}; {meant} See: {self.hint}")

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, in natural order."""
        return sorted(fnmatch.filter(self._rows, pattern), key=_natural)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[T]:
        return (self._rows[name] for name in self.names())

    def __len__(self) -> int:
        return len(self._rows)
