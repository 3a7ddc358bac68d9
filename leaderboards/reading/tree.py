"""Which result files a results folder holds, and whose they are; listed in other processes while this one loads pandas."""

from __future__ import annotations

import contextlib
import itertools
import marshal
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from genzoo.errors import ZooError
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading.result_files import ResultFile, read_object

# What mteb and genzoo write beside the results of a revision, and beside the results folder.
_COMPANIONS = {"model_meta.json"}
_EXPERIMENTS = "experiments"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SIBLINGS = {"environment", "evidence", "judgements", "predictions", "reported", "studies"}


def expected(root: Path) -> str:
    """What a results folder looks like and what makes one, for error messages."""
    return (
        "Expected a folder with results/<org__model>/<revision>/<Task>.json; "
        f"`genzoo evaluate -m MODEL -b BENCHMARK -o {root}` makes one"
    )


def tree_root(root: Path) -> Path:
    """The tree itself where its `results` folder was given, or the folder that holds the tree as `results`."""
    if not root.is_dir():
        raise ZooError(f"{root} is {'no folder' if root.exists() else 'not there'}. {expected(root)}")
    if root.name == "results" and (root.parent / "tasks.json").is_file():
        return root.parent
    inner = root / "results"
    return inner if any(True for _ in (inner / "results").glob("*/*/*.json")) else root


def meant(root: Path) -> str:
    """Where the results of a folder without usable ones may lie, as a sentence for an error message."""
    start = root.absolute()
    for depth in range(_SEARCHED):
        files = itertools.islice(start.glob("*/" * depth + "*.json"), _LOOKED_AT)
        found = (file.parents[2] for file in files if "__" in file.parts[-3] or _is_revision(file.parent))
        trees = dict.fromkeys(tree.parent if tree.name == "results" else tree for tree in found)
        if others := [os.path.relpath(tree) for tree in trees if tree != start]:
            return f" Was {' or '.join(others[:3])} meant?"
    return ""


def find_results(root: Path, problems: list[Problem], part: tuple[int, int] = (0, 1)) -> list[ResultFile]:
    """Every result file below `root/results` (or `root`, where the results folder itself was given), in order.

    Args:
        root: The tree.
        problems: Grows by what cannot be used.
        part: `(i, n)` takes the i-th of n parts of the organisations; all parts in turn are the whole.
    """
    base = root / "results" if (root / "results").is_dir() else root
    prefix = "" if base == root else "results/"
    files: list[ResultFile] = []
    organisations = _entries(base, prefix, problems if not part[0] else [])
    bounds = [len(organisations) * number // part[1] for number in (part[0], part[0] + 1)]
    for organisation in organisations[slice(*bounds)]:
        if not organisation.is_dir():
            # tasks.json and the like lie in the root itself
            if base != root and organisation.name.endswith(".json"):
                problems.append(Problem(prefix + organisation.name, _OUTSIDE))
            continue
        if base == root and organisation.name in _SIBLINGS:
            continue
        for revision in _entries(organisation.path, prefix + organisation.name, problems):
            source = f"{prefix}{organisation.name}/{revision.name}"
            if revision.is_dir() and _is_other_level(organisation.name, revision.name):
                problems.append(Problem(source, _OUTSIDE))
            elif revision.is_dir():
                files += _revision(Path(revision.path), source, root, problems)
            elif revision.name.endswith(".json") and revision.name not in _COMPANIONS:
                problems.append(Problem(source, _OUTSIDE))
    return files


_OUTSIDE = "lies outside of <org__model>/<revision>/: left out"
_SEARCHED, _LOOKED_AT = 9, 2000  # depths below a folder, and files of each


def _is_other_level(organisation: str, revision: str) -> bool:
    """Whether two folders are not those of a model and a revision: the folder above or below was given."""
    return _EXPERIMENTS in (organisation, revision) or ("__" in revision and "__" not in organisation)


def _entries(folder: Path | str | int, source: str, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """The entries of a folder in order, hidden ones left out."""
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if entry.name[0] != "."), key=attrgetter("name"))
    except OSError as error:
        problems.append(Problem(source or ".", f"cannot be listed: {error.strerror or error}"))
        return []


def _revision(folder: Path, source: str, root: Path, problems: list[Problem]) -> list[ResultFile]:
    own = ModelKey(_model_name(folder, root, problems), folder.name)
    files: list[ResultFile] = []
    _walk(str(folder), source, own, (), files, problems)
    return files


def _walk(
    folder: str,
    source: str,
    key: ModelKey,
    variant: tuple[str, ...],
    files: list[ResultFile],
    problems: list[Problem],
) -> None:
    """Append every result file below a folder. Public repositories hold 100,000 of them: this loop does nothing twice.

    mteb keeps runs with other keyword arguments in experiments/<arguments>: these are rows of their own.
    """
    owner = ModelKey(key.model, f"{key.revision}+{'/'.join(variant)}") if variant else key
    with _opened(folder) as place:
        for entry in _entries(place, source, problems):
            name = entry.name
            if entry.is_dir():
                if f"/{_EXPERIMENTS}" not in source and ("__" in name or _is_revision(Path(folder, name))):
                    # the folder above the tree was given
                    problems.append(Problem(f"{source}/{name}", _OUTSIDE))
                    continue
                further = () if name == _EXPERIMENTS else (name,)
                _walk(f"{folder}/{name}", f"{source}/{name}", key, (*variant, *further), files, problems)
            elif name.endswith(".json") and name not in _COMPANIONS:
                try:
                    state = entry.stat()
                except OSError as error:  # a link that leads nowhere
                    problems.append(Problem(f"{source}/{name}", f"cannot be read: {error.strerror or error}"))
                    continue
                path = f"{folder}/{name}"
                files.append(ResultFile(path, f"{source}/{name}", owner, state.st_size, state.st_mtime_ns))


def _is_revision(folder: Path) -> bool:
    """Whether a folder is surely the one of a revision."""
    return _COMMIT.fullmatch(folder.name) is not None or (folder / "model_meta.json").is_file()


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[str | int]:
    """An open folder where the system can look files up in one, which saves walking down its path for each of them."""
    if os.scandir not in os.supports_fd:
        yield folder
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        yield folder  # listing it tells why
        return
    try:
        yield number
    finally:
        os.close(number)


def _model_name(folder: Path, root: Path, problems: list[Problem]) -> str:
    """The name in `model_meta.json` where it belongs to the folder, else the folder's own."""
    meta = folder / "model_meta.json"
    name = read_object(meta, meta.relative_to(root).as_posix(), problems).get("name")
    if isinstance(name, str) and name.replace("/", "__").replace(" ", "_") == folder.parent.name:
        return name
    return folder.parent.name.replace("__", "/", 1)


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
