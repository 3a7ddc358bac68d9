"""Which result files a results folder holds, and whose they are."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection
from pathlib import Path

from genzoo.errors import ZooError
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading.result_files import ResultFile, read_object
from genzoo.names import is_commit

_META, _EXPERIMENTS = "model_meta.json", "experiments"  # what mteb writes next to the results of a revision
SIBLINGS = {"environment", "evidence", "judgements", "predictions", "reported", "studies"}  # of a tree's results
_SEARCHED, _LOOKED_AT = 9, 2000  # depths below a folder, and files of each


def tree_root(root: Path) -> Path:
    """The tree itself where its `results` folder was given, or the folder that holds the tree as `results`."""
    if not root.is_dir():
        raise ZooError(f"{root} is {'not a folder' if root.exists() else 'not there'}. {advice(root)}")
    if root.name == "results" and (root.parent / "tasks.json").is_file():
        return root.parent
    inner = root / "results"
    return inner if any(True for _ in (inner / "results").glob("*/*/*.json")) else root


def advice(root: Path) -> str:
    """What a results folder looks like, what makes one, and which other folder may be meant, for error messages."""
    start, shape = root.absolute(), "Expected a folder with results/<org__model>/<revision>/<Task>.json"
    said = f"{shape}; `genzoo evaluate -m MODEL -b BENCHMARK -o {root}` makes one"
    for depth in range(_SEARCHED):
        files = itertools.islice(start.glob("*/" * depth + "*.json"), _LOOKED_AT)
        found = (file.parents[2] for file in files if "__" in file.parts[-3] or _is_revision(file.parent))
        trees = dict.fromkeys(tree.parent if tree.name == "results" else tree for tree in found)
        if others := [os.path.relpath(tree) for tree in trees if tree != start]:
            return f"{said}. Was {' or '.join(others[:3])} meant?"
    return said


def find_results(
    root: Path, problems: list[Problem], only: Collection[tuple[str, str]] | None = None
) -> list[ResultFile]:
    """Every result file below `root/results` (or `root`, where the results folder itself was given), in order.

    mteb keeps runs with other keyword arguments in experiments/<arguments>: these are rows of their own.

    Args:
        root: The tree.
        problems: Grows by what cannot be used.
        only: Name and revision of the models whose folders are looked into, all by default.
    """
    wanted = None if only is None else {ModelKey(*pair).folder for pair in only}
    base, above = (root / "results", "results/") if (root / "results").is_dir() else (root, "")
    files, model = list[ResultFile](), ""

    def note(path: str, reason: str) -> None:
        problems.append(Problem(Path(path).relative_to(root).as_posix(), reason))

    listed = os.walk(base, onerror=lambda e: note(e.filename, f"cannot be listed: {e.strerror or e}"), followlinks=True)
    for folder, folders, names in listed:
        below = folder[len(os.fspath(base)) + 1 :]  # pathlib would take longer than the disk
        source, parts = above + below, tuple(filter(None, below.split("/")))
        names = sorted(name for name in names if name.endswith(".json") and name[0] != "." and name != _META)
        found = sorted(name for name in folders if name[0] != ".")
        if base == root and not parts:  # tasks.json and the like lie in the root itself
            names, found = [], [name for name in found if name not in SIBLINGS]
        elif wanted is not None and len(parts) == 1:
            names, found = [], [name for name in found if f"{parts[0]}/{name}" in wanted]
        folders[:] = [name for name in found if not _is_other_level(Path(folder, name), (*parts, name))]
        for name in [*sorted({*found} - {*folders}), *(names if len(parts) < 2 else ())]:
            note(f"{folder}/{name}", "lies outside of <org__model>/<revision>/: left out")
        if len(parts) == 2:
            model = _model_name(Path(folder), source, problems)
        if len(parts) > 1:
            variant = "/".join(part for part in parts[2:] if part != _EXPERIMENTS)
            key = ModelKey(model, f"{parts[1]}+{variant}" if variant else parts[1])
            for name in names:  # of 100,000 files: nothing is done twice
                path = f"{folder}/{name}"
                try:
                    state = os.stat(path)  # noqa: PTH116
                except OSError as error:  # a link that leads nowhere
                    note(path, f"cannot be read: {error.strerror or error}")
                    continue
                files.append(ResultFile(path, f"{source}/{name}", key, state.st_size, state.st_mtime_ns))
    return files


def _is_other_level(folder: Path, parts: tuple[str, ...]) -> bool:
    """Whether a folder shows that the one above or below the tree was given; `parts` leads to it from the base."""
    *above, name = parts
    if len(parts) == 2:
        return _EXPERIMENTS in parts or ("__" in name and "__" not in above[0])
    return len(parts) > 2 and _EXPERIMENTS not in above and ("__" in name or _is_revision(folder))


def _is_revision(folder: Path) -> bool:
    """Whether a folder is surely the one of a revision."""
    return is_commit(folder.name) or (folder / _META).is_file()


def _model_name(folder: Path, source: str, problems: list[Problem]) -> str:
    """The name in `model_meta.json` where it belongs to the folder, else the folder's own."""
    name = read_object(folder / _META, f"{source}/{_META}", problems).get("name")
    is_own = isinstance(name, str) and ModelKey(name, folder.name).folder == f"{folder.parent.name}/{folder.name}"
    return str(name) if is_own else folder.parent.name.replace("__", "/", 1)
