"""Evaluations that have nothing left to measure, known again from files alone: neither mteb nor torch is imported for it.

A run after which every pair of model and task can be reused leaves a proof in the results folder: digests of all that the decision
rests on. Where the same is asked again and every digest is the same, so is the decision.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ZooError
from genzoo.files import sha256_of, write_json
from genzoo.jobs import Shard
from genzoo.tasks.records import environment_path, labels, model_key, package_versions, read_record

if TYPE_CHECKING:
    from genzoo.tasks.request import Grid

_PROOFS = ".finished.json"
_MOST = 200  # proofs in a folder; the oldest go first


@dataclass(frozen=True)
class Finished:
    """What a run that measures nothing says.

    Attributes:
        pairs: How many pairs of model and task are finished.
        notes: What users should know of them.
    """

    pairs: int
    notes: tuple[str, ...]


@contextmanager
def noted() -> Iterator[list[str]]:
    """The notes of genzoo meanwhile."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("genzoo")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def recall(output: Path, asked: Mapping[str, Any]) -> Finished | None:
    """What was found when the same was asked before; None where something has changed since, or something was left to do.

    Args:
        output: The results folder.
        asked: Everything that decides what there is to do, in the user's words: models, tasks, data, prompts, shard. Where
            an object is among it, nothing is recalled.
    """
    with contextlib.suppress(ZooError, OSError, KeyError, TypeError, AttributeError):  # no proof, or a damaged one
        proof = read_record(output / _PROOFS)[_question(asked)]
        is_same = proof["files"] == _digests(output, proof["files"]) and proof["rows"] == _rows(output, *proof["asked"])
        if is_same and proof["outside"] == _digests(Path(), proof["outside"]):
            return Finished(proof["pairs"], tuple(proof["notes"]))
    return None


def remember(output: Path, asked: Mapping[str, Any], grid: Grid, notes: Sequence[str] = ()) -> None:
    """Leave a proof if a run would measure nothing now, and if files alone decide that.

    Args:
        output: The results folder.
        asked: As `recall` takes it.
        grid: The models and tasks that it stands for.
        notes: What was said about the data, to be said again.
    """
    from genzoo.tasks.results_folder import ResultsFolder

    with contextlib.suppress(TypeError):  # objects, which no later run can be asked for
        question, folder, outside = _question(asked), ResultsFolder(output), _outside(asked, grid)
        found = _reused(folder, grid, Shard.parse(asked["shard"])) if outside is not None else None
        if outside is None or found is None:
            return
        files, said, pairs = found
        names = [task.metadata.name for task in grid.tasks], grid.benchmark_name
        proof = {
            "pairs": pairs,
            "notes": [*notes, *said],
            "outside": _digests(Path(), outside),
            "files": _digests(output, files),
            "asked": names,
            "rows": _rows(output, *names),
        }
        with folder.lock():
            kept = {key: value for key, value in read_record(output / _PROOFS).items() if key != question}
            write_json(output / _PROOFS, dict([*kept.items(), (question, proof)][-_MOST:]))


def _question(asked: Mapping[str, Any]) -> str:
    """A digest of what is asked, where, and of the code and packages that answer it; raises TypeError for objects."""
    homes = {Path(str(spec.origin)).parent for name in _PARTS if (spec := importlib.util.find_spec(name))}
    code = sorted(
        (str(path), state.st_size, state.st_mtime_ns)
        for home in homes
        for path in home.rglob("*")
        if path.suffix != ".pyc" and path.is_file() and (state := path.stat())
    )
    there = [name for name in (*asked["models"], asked["prompts"] or "") if Path(name).exists()]
    content = json.dumps([asked, there, str(Path.cwd()), package_versions(), code], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:40]


_PARTS = ("genzoo", "genzoo.tasks", "genzoo.leaderboards")


def _digests(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Path below the root -> digest of a file, or of all files of a folder; empty where there is none.

    Predictions are large, and only their presence counts: theirs is the size.
    """
    return {name: _digest(root / name, is_large=name.startswith("predictions/")) for name in names}


def _digest(path: Path, *, is_large: bool) -> str:
    if path.is_dir():
        lines = [f"{file.relative_to(path)}\0{sha256_of(file)}\n" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    if is_large:
        return str(path.stat().st_size)
    return sha256_of(path) if path.is_file() else ""


def _rows(output: Path, tasks: Sequence[str], benchmark: str | None) -> list[Any]:
    """What the folder's records say of some tasks and a benchmark."""
    known = read_record(output / "tasks.json")
    return [[known.get(name) for name in tasks], read_record(output / "benchmarks.json").get(benchmark or "")]


def _outside(asked: Mapping[str, Any], grid: Grid) -> list[str] | None:
    """Files and folders outside of the results that decide what there is to do; None if something else does, such as the Hub."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.models.loading import loaded_folders
    from genzoo.tasks.mteb_models import is_pinned

    if any(hasattr(task, "resolve_revision") and not hasattr(task, "own_data") for task in grid.tasks):
        return None  # the Hub is asked for the newest commit of its data
    names = [
        *asked["models"],
        *filter(None, [asked["prompts"]]),
        *(choice.partition("=")[2] for choice in asked["data"]),
    ]
    if not all(Path(name).exists() or is_pinned(name) for name in asked["models"]):
        return None
    paths = [place for name in names if (path := Path(name).expanduser()).exists() for place in loaded_folders(path)]
    lineages = [grid.facts[model_key(meta)] for meta in grid.metas]
    backbones = {known["backbone"] for known in lineages if known["role"] == "baseline" and known["backbone"]}
    return [str(path.resolve()) for path in [*paths, *map(fetch_backbone, sorted(backbones))]]


def _reused(folder: Any, grid: Grid, shard: Shard) -> tuple[list[str], list[str], int] | None:
    """Files that finished pairs rest on, notes about them, and how many pairs there are; None where one is not finished."""
    from genzoo.tasks.measurement import Measurement
    from genzoo.tasks.mteb_models import card_prompts, model_content
    from genzoo.tasks.results_folder import ReuseNotes

    paths, said, pairs, named = set[Path](), list[str](), 0, labels(grid.metas)
    for row, meta in enumerate(grid.metas):
        notes, content = ReuseNotes(named[model_key(meta)]), model_content(meta)
        for column, task in enumerate(grid.tasks):
            if not shard.takes(row * len(grid.tasks) + column):
                continue
            reuse = folder.reuse(meta, task, Measurement.of(task, card_prompts(meta), content))
            if reuse.result is None:
                return None
            notes.see(task.metadata.name, reuse)
            paths |= {
                folder.result_path(meta, task),
                folder.record_path(meta, task),
                folder.predictions_path(meta, task),
            }
            paths.add(folder.root / "judgements" / f"{task.metadata.name}.json")
            pairs += 1
        said += notes.lines()
        environment = environment_path(folder.root, meta)
        paths |= {environment, folder.root / "evidence" / environment.relative_to(folder.root / "environment")}
    return sorted(path.relative_to(folder.root).as_posix() for path in paths), said, pairs
