"""Evaluations that have nothing left to measure, known again from files alone: neither mteb nor torch is imported for it.

A run after which every pair of model and task can be reused leaves a proof in the user's cache: digests of all that the decision
rests on. Where the same is asked again and every digest is the same, so is the decision.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ZooError
from genzoo.files import cache_root, file_digests, parts_digest, read_json, write_json
from genzoo.jobs import Shard
from genzoo.tasks.own.digests import digest_of
from genzoo.tasks.records import environment_path, labels, model_key, package_versions, read_record

if TYPE_CHECKING:
    from genzoo.tasks.request import Grid

_MOST = 200  # proofs of one results folder; the oldest go first
_PARTS = ("genzoo", "genzoo.tasks", "genzoo.leaderboards", "genzoo.reports")
_PROMPT_SETS = ("general", "tasks")


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
    """The notes of genzoo meanwhile, of this thread alone."""
    lines: list[str] = []
    handler, here = logging.Handler(logging.WARNING), threading.get_ident()
    handler.addFilter(lambda record: record.thread == here)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("genzoo")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


@dataclass(frozen=True)
class Question:
    """What is asked of a results folder, by the code, the packages and the working directory of this moment.

    A run may take hours, and whatever it rests on may change meanwhile: what is kept is what was there when it began.

    Attributes:
        output: The results folder.
        asked: Everything that decides what there is to do, in the user's words: models, tasks, data, prompts, shard, options.
        key: A digest of all of it.
    """

    output: Path
    asked: Mapping[str, Any]
    key: str

    @classmethod
    def of(cls, output: Path, asked: Mapping[str, Any]) -> Question | None:
        """The question; None where an object is among what is asked, which no later run can be asked for."""
        if not all(isinstance(name, str) for name in (*asked["models"], *asked["tasks"])):
            return None
        with contextlib.suppress(TypeError, ValueError, OSError):
            folders = {name: os.path.realpath(name) for name in asked["models"] if Path(name).is_dir()}
            content = [asked, folders, os.fspath(Path.cwd()), package_versions(), _code()]
            return cls(output, asked, hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40])
        return None

    def recall(self) -> Finished | None:
        """What was found when the same was asked before; None where something has changed since, or something was left to do."""
        # no proof, or a damaged one
        with contextlib.suppress(ZooError, OSError, KeyError, TypeError, AttributeError, ValueError):
            proof = read_json(self._place, "it is made anew")[self.key]
            if (
                proof["files"] == _states(self.output, proof["files"])
                and proof["rows"] == _rows(self.output, *proof["asked"])
                and proof["outside"] == _digests(proof["outside"])
            ):
                return Finished(int(proof["pairs"]), tuple(map(str, proof["notes"])))
        return None

    @functools.cached_property
    def outside(self) -> dict[str, str]:
        """Files and folders outside of the results that were asked for, with digests; to be read before they are used."""
        from genzoo.models.loading import loaded_folders

        choices = [*self.asked["data"], *self.asked["tasks"]]
        names = [*self.asked["models"], *self.asked["tasks"], *(choice.partition("=")[2] for choice in choices)]
        if self.asked["prompts"] not in (None, *_PROMPT_SETS):
            names.append(self.asked["prompts"])
        paths = (path for name in names if name and (path := Path(name).expanduser()).exists())
        return _digests(str(place.absolute()) for path in paths for place in loaded_folders(path))

    def remember(self, grid: Grid, notes: Sequence[str] = ()) -> None:
        """Leave a proof if a run would measure nothing now, and if files alone decide that.

        Args:
            grid: The models and tasks that were asked for; `outside` was read before.
            notes: What was said about the data, to be said again.
        """
        from genzoo.tasks.results_folder import ResultsFolder

        with contextlib.suppress(ZooError, OSError):  # the proof saves time, no more
            if (backbones := _baseline_backbones(self.asked["models"], grid)) is None:
                return
            found = _reused(ResultsFolder(self.output), grid, Shard.parse(self.asked["shard"]))
            if found is None:
                return
            files, said, pairs = found
            wholes = [*filter(None, [grid.benchmark_name]), *grid.benchmarks]
            names = [task.metadata.name for task in grid.tasks], wholes
            proof = {
                "pairs": pairs,
                "notes": [*notes, *said],
                "outside": self.outside | _digests(backbones),
                "files": _states(self.output, files),
                "asked": names,
                "rows": _rows(self.output, *names),
            }
            kept: dict[str, Any] = {}
            with contextlib.suppress(ZooError):
                kept = read_json(self._place, "it is made anew", is_optional=True)
            kept.pop(self.key, None)
            write_json(self._place, dict([*kept.items(), (self.key, proof)][-_MOST:]))

    @property
    def _place(self) -> Path:
        """Where the proofs of the results folder lie: not in it, for they name paths of this machine, and folders are passed on."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(self.output))).hexdigest()[:24]
        return cache_root() / "finished" / f"{name}.json"


def _code() -> list[tuple[str, int, int, int]]:
    """Everything that this package holds, and when it was last changed."""
    homes = {Path(str(spec.origin)).parent for name in _PARTS if (spec := importlib.util.find_spec(name))}
    return sorted(
        (str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        for home in homes
        for path in home.rglob("*")
        if path.suffix != ".pyc" and path.is_file() and (state := path.stat())
    )


def _digests(paths: Iterable[str]) -> dict[str, str]:
    """Path -> digest of a file, or of all files of a folder; empty where there is none."""
    return {path: _digest(Path(path)) for path in paths}


def _digest(path: Path) -> str:
    if path.is_dir():
        return parts_digest(file_digests(path, digest=digest_of))
    return digest_of(path) if path.is_file() else ""


def _states(output: Path, names: Iterable[str]) -> dict[str, str]:
    """File of the results folder -> its digest, empty where there is none; of predictions, which are large, size and time."""
    states = {name: (output / name).stat() for name in names if name.startswith("predictions/")}
    found = {name: f"{state.st_size} {state.st_mtime_ns}" for name, state in states.items()}
    return {name: found.get(name) or _digest(output / name) for name in names}


def _rows(output: Path, tasks: Sequence[str], benchmarks: Sequence[str]) -> list[Any]:
    """What the folder's records say of some tasks and benchmarks."""
    known, wholes = read_record(output / "tasks.json"), read_record(output / "benchmarks.json")
    return [[known.get(name) for name in tasks], [wholes.get(name) for name in benchmarks]]


def _baseline_backbones(models: Sequence[str], grid: Grid) -> list[str] | None:
    """The frozen LLMs whose weights are the revision of a baseline; None if more than files decides: the Hub, or a user's own code."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.tasks.embedders.mteb_models import is_pinned

    if any(hasattr(task, "resolve_revision") and not hasattr(task, "own_data") for task in grid.tasks):
        return None  # the Hub is asked for the newest commit of its data
    if not all(Path(name).is_dir() or is_pinned(name) for name in models):
        return None
    if not all(_is_packaged(part) for part in (*map(type, grid.tasks), *(meta.loader for meta in grid.metas))):
        return None
    lineages = [grid.facts[model_key(meta)] for meta in grid.metas]
    names = {known["backbone"] for known in lineages if known["role"] == "baseline" and known["backbone"]}
    return [str(fetch_backbone(name).absolute()) for name in sorted(names)]


def _is_packaged(part: Any) -> bool:
    """Whether code is genzoo's or mteb's, whose changes are seen; users may add tasks and models of their own to mteb's."""
    return str(getattr(getattr(part, "func", part), "__module__", "")).partition(".")[0] in ("genzoo", "mteb")


def _reused(folder: Any, grid: Grid, shard: Shard) -> tuple[list[str], list[str], int] | None:
    """Files that finished pairs rest on, notes about them, and how many pairs there are; None where one is not finished."""
    from genzoo.tasks.embedders.mteb_models import card_prompts, model_content
    from genzoo.tasks.measurement import Measurement
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
