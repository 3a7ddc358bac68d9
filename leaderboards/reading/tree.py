"""Which result files a results folder holds, and whose they are."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection
from operator import attrgetter
from pathlib import Path

from genzoo.errors import ZooError
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading.result_files import ResultFile, read_object
from genzoo.names import is_commit

# What mteb and genzoo write next to the results of a revision, and next to the results folder.
_COMPANIONS = {"model_meta.json"}
_EXPERIMENTS = "experiments"
# The other entries of a results folder.
SIBLINGS = {"environment", "evidence", "judgements", "predictions", "reported", "studies"}
_SEARCHED, _LOOKED_AT = 9, 2000  # depths below a folder, and files of each


def expected(root: Path) -> str:
    """What a results folder looks like and what makes one, for error messages."""
    return (
        "Expected a folder with results/<org__model>/<revision>/<Task>.json; "
        f"`genzoo evaluate -m MODEL -b BENCHMARK -o {root}` makes one"
    )


def tree_root(root: Path) -> Path:
    """The tree itself where its `results` folder was given, or the folder that holds the tree as `results`."""
    if not root.is_dir():
        raise ZooError(f"{root} is {'not a folder' if root.exists() else 'not there'}. {expected(root)}")
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


def find_results(
    root: Path, problems: list[Problem], only: Collection[tuple[str, str]] | None = None
) -> list[ResultFile]:
    """Every result file below `root/results` (or `root`, where the results folder itself was given), in order.

    Args:
        root: The tree.
        problems: Grows by what cannot be used.
        only: Name and revision of the models whose folders are looked into, all by default.
    """
    wanted = None if only is None else {(folder_name(model), revision) for model, revision in only}
    base = root / "results" if (root / "results").is_dir() else root
    prefix = "" if base == root else "results/"
    files: list[ResultFile] = []
    for organisation in _entries(base, prefix, problems):
        if base == root and (organisation.name in SIBLINGS or not organisation.is_dir()):
            continue  # tasks.json and the like lie in the root itself
        if not organisation.is_dir():
            _leave_out(organisation, prefix + organisation.name, problems)
            continue
        for revision in _entries(organisation.path, prefix + organisation.name, problems):
            if wanted is not None and (organisation.name, revision.name) not in wanted:
                continue
            source = f"{prefix}{organisation.name}/{revision.name}"
            if not revision.is_dir() or _is_other_level(organisation.name, revision.name):
                _leave_out(revision, source, problems)
                continue
            key = ModelKey(_model_name(Path(revision.path), source, problems), revision.name)
            _walk(revision.path, source, key, (), files, problems)
    return files


def folder_name(model: str) -> str:
    """The folder of a model's results, as mteb names it.

    >>> folder_name("org/my model")
    'org__my_model'
    """
    return model.replace("/", "__").replace(" ", "_")


def _is_other_level(organisation: str, revision: str) -> bool:
    """Whether two folders are not those of a model and a revision: the folder above or below was given."""
    return _EXPERIMENTS in (organisation, revision) or ("__" in revision and "__" not in organisation)


def _leave_out(entry: os.DirEntry[str], source: str, problems: list[Problem]) -> None:
    """Name a folder or a result file that lies at a wrong place."""
    if entry.is_dir() or (entry.name.endswith(".json") and entry.name not in _COMPANIONS):
        problems.append(Problem(source, "lies outside of <org__model>/<revision>/: left out"))


def _entries(folder: Path | str, source: str, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """The entries of a folder in order, hidden ones left out."""
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if entry.name[0] != "."), key=attrgetter("name"))
    except OSError as error:
        problems.append(Problem(source or ".", f"cannot be listed: {error.strerror or error}"))
        return []


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
    for entry in _entries(folder, source, problems):
        name = entry.name
        below = f"{source}/{name}"
        if name.endswith(".json") and name not in _COMPANIONS and not entry.is_dir():
            try:
                state = entry.stat()
            except OSError as error:  # a link that leads nowhere
                problems.append(Problem(below, f"cannot be read: {error.strerror or error}"))
                continue
            files.append(ResultFile(entry.path, below, owner, state.st_size, state.st_mtime_ns))
        elif entry.is_dir():
            if f"/{_EXPERIMENTS}" not in source and ("__" in name or _is_revision(Path(entry.path))):
                _leave_out(entry, below, problems)  # the folder above the tree was given
            else:
                further = () if name == _EXPERIMENTS else (name,)
                _walk(entry.path, below, key, (*variant, *further), files, problems)


def _is_revision(folder: Path) -> bool:
    """Whether a folder is surely the one of a revision."""
    return is_commit(folder.name) or (folder / "model_meta.json").is_file()


def _model_name(folder: Path, source: str, problems: list[Problem]) -> str:
    """The name in `model_meta.json` where it belongs to the folder, else the folder's own."""
    name = read_object(folder / "model_meta.json", f"{source}/model_meta.json", problems).get("name")
    if isinstance(name, str) and folder_name(name) == folder.parent.name:
        return name
    return folder.parent.name.replace("__", "/", 1)
