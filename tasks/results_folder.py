"""The results folder: what in it may be reused, and how a finished task enters it whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mteb
from filelock import FileLock, Timeout
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta
from mteb.results import TaskResult
from mteb.types import EncodeKwargs

from genzoo.errors import ZooError, system_message
from genzoo.files import sha256_of, write_json
from genzoo.tasks.measurement import Measurement, missing_scores
from genzoo.tasks.records import environment_path, read_record
from genzoo.text import some


@dataclass(frozen=True)
class Reuse:
    """What became of a result that may lie in the folder already.

    Attributes:
        result: The result if it can stand, else None.
        outdated: Why one that lies there has to be measured again.
        drift: What has changed since it was measured without making it wrong.
    """

    result: TaskResult | None = None
    outdated: str = ""
    drift: str = ""


@dataclass
class ReuseNotes:
    r"""What became of one model's results, in few lines.

    >>> notes = ReuseNotes("org/model")
    >>> notes.see("STS12", Reuse(outdated="the model's prompts changed"))
    >>> notes.see("STS14", Reuse(drift="mteb 2.26.0 -> 2.27.1"))
    >>> print(*notes.lines(), sep="\n")
    org/model: measured again, as the model's prompts changed: STS12
    org/model: kept, but measured otherwise (mteb 2.26.0 -> 2.27.1): STS14. --overwrite measures them again
    """

    model: str
    _outdated: dict[str, list[str]] = field(default_factory=dict)
    _drifted: dict[str, list[str]] = field(default_factory=dict)

    def see(self, task: str, reuse: Reuse) -> None:
        """Note what became of one task."""
        if reuse.outdated:
            self._outdated.setdefault(reuse.outdated, []).append(task)
        if reuse.drift:
            self._drifted.setdefault(reuse.drift, []).append(task)

    def lines(self) -> Iterator[str]:
        """A line for each reason."""
        for reason, tasks in self._outdated.items():
            yield f"{self.model}: measured again, as {reason}: {some(tasks, _NAMED)}"
        for drift, tasks in self._drifted.items():
            yield f"{self.model}: kept, but measured otherwise ({drift}): {some(tasks, _NAMED)}. --overwrite measures them again"


_NAMED = 5  # tasks that a line names
_STALE_SECONDS = 24 * 3600
_ALIVE = ".alive"  # locked by the run that a scratch folder belongs to
_ATTEMPTS = 100
_NO_ROOM = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}


class UnwritableFolderError(ZooError):
    """The results folder takes no more files; going on would only lose work."""


class ResultsFolder:
    """One results folder in mteb's layout, with predictions beside the results.

    Args:
        root: The folder, made if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with self._writable():
            self.cache = mteb.ResultCache(root)
            with tempfile.TemporaryFile(dir=root) as file:
                now = os.fstat(
                    file.fileno()
                ).st_mtime  # by the clock of the file system, which may be another machine's
        self._sweep(now)

    def result_path(self, meta: ModelMeta, task: AbsTask) -> Path:
        """Where mteb keeps the result of one task."""
        return self.cache.get_task_result_path(task.metadata.name, meta)

    def predictions_path(self, meta: ModelMeta, task: AbsTask) -> Path:
        """Where the predictions of one task lie, in a folder per model and revision."""
        folder = self.root / "predictions" / meta.model_name_as_path() / str(meta.revision)
        return folder / task.prediction_file_name

    def record_path(self, meta: ModelMeta, task: AbsTask) -> Path:
        """Where it is written how one result was measured."""
        return environment_path(self.root, meta).with_suffix("") / f"{task.metadata.name}.json"

    def reuse(self, meta: ModelMeta, task: AbsTask, now: Measurement) -> Reuse:
        """Whether the result of a task can stand as it is.

        mteb itself would reuse a result of other data, prompts or metrics, and would not make up for missing predictions.
        Other package versions do not make a result wrong: it stands, and the drift is told.

        Args:
            meta: The model's card.
            task: The task.
            now: How it would be measured now.

        Raises:
            ZooError: The result file is damaged.
        """
        path = self.result_path(meta, task)
        if not path.is_file():
            return Reuse()
        try:
            result = TaskResult.from_disk(path)
        except (ValueError, KeyError, AttributeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ZooError(f"{path} is not a readable result ({reason}): delete it, or run with overwrite") from error
        record = read_record(self.record_path(meta, task))
        if outdated := self._outdated(meta, task, result, record, now):
            return Reuse(outdated=outdated)
        return Reuse(result, drift=now.drift(record))

    def _outdated(
        self, meta: ModelMeta, task: AbsTask, result: TaskResult, record: dict[str, Any], now: Measurement
    ) -> str:
        if result.dataset_revision != task.metadata.revision:
            return "the data have another revision"
        if result.get_missing_evaluations(task):
            return "splits or languages are missing"
        if missing := missing_scores(task, result):
            return f"{missing[0]} is missing" + (f" and {len(missing) - 1} more" if missing[1:] else "")
        if not self.predictions_path(meta, task).is_file():
            return "its predictions are missing"
        if not record:
            return ""
        if record.get("result") != sha256_of(self.result_path(meta, task)):
            return "the file is not the one that was measured"
        return now.other_than(record)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A scratch folder on the same disk, gone at the end whatever happens; its lock tells other runs that it is in use."""
        with self._writable():
            folder = self._new_scratch()
            alive = FileLock(folder / _ALIVE)
            alive.acquire()
        try:
            yield folder
        finally:
            alive.release()
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another run may be at work in it
                folder.parent.rmdir()

    def _new_scratch(self) -> Path:
        parent = self.root / ".staging"
        for _ in range(_ATTEMPTS):
            parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another run has just removed the empty parent
                return Path(tempfile.mkdtemp(dir=parent))
        return Path(tempfile.mkdtemp(dir=parent))

    def take_in(
        self,
        meta: ModelMeta,
        task: AbsTask,
        result: TaskResult,
        stage: Path,
        encode_kwargs: EncodeKwargs,
        measurement: Measurement,
    ) -> None:
        """Move a finished task from the scratch folder into place; the result file comes last.

        A kill on the way leaves a record of another result file, which is then measured again.

        Args:
            meta: The model's card, as loaded.
            task: The task.
            result: Its result.
            stage: The scratch folder; predictions lie directly in it.
            encode_kwargs: What the model was called with, for `run_settings.jsonl`.
            measurement: How it was measured.
        """
        target = self.result_path(meta, task)
        predictions = self.predictions_path(meta, task)
        with self._writable(), self.lock():
            staged = mteb.ResultCache(stage / "cache")
            staged_result = staged.get_task_result_path(task.metadata.name, meta)
            staged_result.parent.mkdir(parents=True)
            settings = target.parent / "run_settings.jsonl"
            if settings.is_file():
                shutil.copyfile(settings, staged_result.parent / settings.name)
            staged.save_to_cache(result, meta, encode_kwargs=encode_kwargs)
            _ensure_predictions(stage / task.prediction_file_name, meta)
            predictions.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.record_path(meta, task), measurement.record(staged_result))
            for file in stage.glob("*_predictions.json"):
                file.replace(predictions.parent / file.name)
            for name in ("model_meta.json", settings.name, target.name):
                (staged_result.parent / name).replace(target.parent / name)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while a record that several runs on this folder share is read and written."""
        with FileLock(self.root / ".lock"):
            yield

    def unwritable(self, error: BaseException) -> UnwritableFolderError | None:
        """The error for the user where this one means that the folder takes no more files, else None.

        Args:
            error: Of mteb, or of the package's writer, which names the system's error as its cause.
        """
        found = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(found, OSError):
            return None
        inside = isinstance(found.filename, (str, os.PathLike)) and Path(found.filename).is_relative_to(self.root)
        return self._refusal(found) if found.errno in _NO_ROOM or inside else None

    def _refusal(self, error: OSError) -> UnwritableFolderError:
        return UnwritableFolderError(
            f"cannot write to the results folder {self.root}: {system_message(error, 'name another folder with -o')}"
            "; tasks that were finished are kept"
        )

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refusal(error) from error

    def _sweep(self, now: float) -> None:
        """Remove scratch folders of runs that were killed long ago; one that is alive keeps its own however old it is.

        Args:
            now: Seconds, by the clock that stamps the folders.
        """
        for folder in (self.root / ".staging").glob("*"):
            with contextlib.suppress(OSError, Timeout):  # gone meanwhile, or in use
                if now - folder.stat().st_mtime > _STALE_SECONDS:
                    with FileLock(folder / _ALIVE, timeout=0):
                        pass
                    shutil.rmtree(folder, ignore_errors=True)


def _ensure_predictions(path: Path, meta: ModelMeta) -> None:
    """Leave a file also for a task that predicts nothing (an aggregate), or it would never count as finished."""
    if not path.is_file():
        owner = {"model_name": meta.name, "revision": meta.revision}
        path.write_text(json.dumps({"mteb_model_meta": owner}), encoding="utf-8")
