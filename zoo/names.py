"""Names: what a user calls a model, and named collections that refuse duplicates and suggest what was meant."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from genzoo.errors import UnknownNameError, ZooError

T = TypeVar("T")


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit, which never moves, unlike a branch or a tag.

    >>> is_commit("main"), is_commit("a" * 40)
    (False, True)
    """
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


@dataclass(frozen=True)
class ModelName:
    """What a user calls a model, backbone or teacher: a folder, a key of a registry, or ``org/name[@revision]`` on the Hub.

    Attributes:
        text: The name as given.
        base: The name without its revision: a key or ``org/name``; the path of a folder.
        revision: Commit, branch or tag; empty where none was given.
        is_folder: Whether there is such a folder, which comes before every other meaning.

    >>> name = ModelName.parse("org/name@main")
    >>> name.base, name.revision, name.is_on_hub, name.commit
    ('org/name', 'main', True, '')
    >>> ModelName.parse("smollm2-135m").is_on_hub, ModelName.parse("./org/name").is_on_hub
    (False, False)
    """

    text: str
    base: str
    revision: str = ""
    is_folder: bool = False

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Read a name."""
        if text and Path(text).is_dir():
            return cls(text, text, is_folder=True)
        base, _, revision = text.partition("@")
        return cls(text, base, revision)

    @property
    def is_path(self) -> bool:
        """Whether it can only mean a folder, there or not."""
        return self.is_folder or self.text.startswith((".", "/"))

    @property
    def is_on_hub(self) -> bool:
        """Whether it has the form of a repository on the Hub."""
        return not self.is_path and self.base.count("/") == 1

    @property
    def commit(self) -> str:
        """The revision where it is a full commit, else empty."""
        return self.revision if is_commit(self.revision) else ""


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which ``qwen3-4b`` comes before ``qwen3-14b``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


class Registry(Generic[T]):
    """Maps names to rows of one kind.

    Args:
        kind: What a row is, in the singular, as error messages call it ("model", "recipe").
        hint: The command that lists the rows.
        field: The attribute of a row that is its name.

    >>> shelf = Registry("exception", "genzoo list", "__name__")
    >>> shelf.register(KeyError, ValueError)
    >>> shelf.get("ValueErr")
    Traceback (most recent call last):
        ...
    genzoo.errors.UnknownNameError: unknown exception 'ValueErr'; did you mean ValueError, KeyError? See: genzoo list
    """

    def __init__(self, kind: str, hint: str, field: str = "name") -> None:
        self.kind, self.hint, self._field = kind, hint, field
        self._rows: dict[str, T] = {}

    def register(self, *rows: T) -> None:
        """Add rows, each under its own name, which must not be taken yet."""
        for row in rows:
            name = getattr(row, self._field)
            if name in self._rows:
                raise ZooError(f"two {self.kind}s are named {name!r}: rename one of {self._rows[name]!r} and {row!r}")
            self._rows[name] = row

    def get(self, name: str) -> T:
        """Return the row of that name, or raise `UnknownNameError` with suggestions."""
        if (row := self._rows.get(name)) is None:
            raise self.unknown(name)
        return row

    def find(self, name: str) -> T | None:
        """The row of that name, None where there is none."""
        return self._rows.get(name)

    def unknown(self, name: str) -> UnknownNameError:
        """The error for a name that has no row, with suggestions."""
        near = difflib.get_close_matches(name, self._rows, n=3, cutoff=0.4)
        meant = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(self.names()) or 'none'}."
        return UnknownNameError(f"unknown {self.kind} {name!r}; {meant} See: {self.hint}")

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, in natural order."""
        return sorted(fnmatch.filter(self._rows, pattern), key=_natural)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[T]:
        return (self._rows[name] for name in self.names())

    def __len__(self) -> int:
        return len(self._rows)
