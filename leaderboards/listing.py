"""Listing a results folder in other processes while this one loads pandas: of a large folder, either takes a second."""

from __future__ import annotations

import marshal
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from genzoo.errors import ZooError
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading import ResultFile
from genzoo.leaderboards.scanning import find_results, tree_root

_MOST_HELPERS = 4


class Listing:
    """`find_results` begun ahead of time. Make one before the heavy imports, and give its `find` to `ResultStore.load`.

    Where processes are not cheap, there is one core only or anything goes wrong, `find` lists the folder itself.

    Args:
        root: The folder, as `ResultStore.load` takes it.
    """

    def __init__(self, root: Path | str) -> None:
        self._root: Path | None = None
        self._helpers: list[_Helper] = []
        self._found: list[ResultFile] | None = None
        self._problems: list[Problem] = []
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if sys.platform != "linux" or cores < 2:
            return
        try:
            self._root = tree_root(Path(root))
        except ZooError:  # no folder, as with a CSV file: `ResultStore.load` says what is wrong
            return
        n_helpers = min(cores, _MOST_HELPERS)
        self._helpers = [_Helper(self._root, (number, n_helpers)) for number in range(n_helpers)]

    def find(self, root: Path, problems: list[Problem]) -> list[ResultFile]:
        """Every result file of the tree, as `find_results` gives them."""
        if root == self._root and self._helpers:
            self._receive()
        if root != self._root or self._found is None:
            return find_results(root, problems)
        problems += self._problems
        return list(self._found)

    def _receive(self) -> None:
        helpers, self._helpers = self._helpers, []
        parts = [part for helper in helpers if (part := helper.result()) is not None]
        if len(parts) == len(helpers):
            self._found = [file for rows, _ in parts for file in _unpacked(rows)]
            self._problems = [Problem(*problem) for _, found in parts for problem in found]


class _Helper:
    """A process that lists a part of the organisations."""

    def __init__(self, root: Path, part: tuple[int, int]) -> None:
        self._child = -1
        try:
            self._content = tempfile.TemporaryFile()  # noqa: SIM115  (the child writes it, `result` closes it)
            self._child = os.fork()
        except OSError:
            return
        if not self._child:
            self._list(root, part)

    def _list(self, root: Path, part: tuple[int, int]) -> None:
        """What the child does, and all that it ever does."""
        code = 1
        try:
            problems: list[Problem] = []
            rows = list(_packed(find_results(root, problems, part)))
            self._content.write(marshal.dumps((rows, [tuple(problem) for problem in problems])))
            self._content.flush()
            code = 0
        finally:
            os._exit(code)  # neither the parent's buffers nor its exit handlers are the child's

    def result(self) -> tuple[list[Any], list[Any]] | None:
        """Its packed files and problems; None if it failed."""
        if self._child < 0:
            return None
        with self._content as content:
            if os.waitpid(self._child, 0)[1]:
                return None
            content.seek(0)
            found: tuple[list[Any], list[Any]] = marshal.loads(content.read())  # noqa: S302  (our own child wrote it, into a nameless file)
            return found


def _packed(files: list[ResultFile]) -> Iterator[tuple[Any, ...]]:
    """One row per run of files of one model: its key, and what is each file's own."""
    for key, own in groupby(files, attrgetter("key")):
        yield (*key, [(file.path, file.source, file.size, file.mtime_ns) for file in own])


def _unpacked(rows: list[tuple[Any, ...]]) -> Iterator[ResultFile]:
    for model, revision, own in rows:
        key = ModelKey(model, revision)
        yield from (ResultFile(path, source, key, size, time) for path, source, size, time in own)
