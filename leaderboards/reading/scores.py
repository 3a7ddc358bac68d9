"""The main scores of many result files as one tidy frame, kept so that a second load opens only what changed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import sys
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from genzoo.errors import ZooError
from genzoo.files import cache_root, write_bytes
from genzoo.leaderboards.facts import ModelFacts, ModelKey, Problem, TaskFacts
from genzoo.leaderboards.reading.result_files import UNKNOWN, ResultFile, read_result

_FORMAT = 2  # of the record; another one is not read
Codes = npt.NDArray[np.int64]
_PER_FILE = ("task", "mteb_version", "data_revision", "counts")
_PER_PART = ("split", "subset", "value")


class FileScores(NamedTuple):
    """What one result file says: main scores by split and subset, and what could not be used."""

    task: str
    mteb_version: str
    data_revision: str
    parts: list[tuple[str, str, float]]
    reasons: list[str]
    is_leaning: bool  # whether a main score had to be looked up by the metric's name in tasks.json


@dataclass(frozen=True)
class ScoreIndex:
    """Columns over `n` files and `m` parts (a split and subset of a file), texts as places in `words`.

    Attributes:
        words: Every task, version, split and subset once.
        task: ``(n,)``; as are `mteb_version`, `data_revision`, and `counts`, the number of parts.
        split: ``(m,)``; as are `subset` and `value`, the main score or NaN.
    """

    words: tuple[str, ...]
    task: Codes
    mteb_version: Codes
    data_revision: Codes
    counts: Codes
    split: Codes
    subset: Codes
    value: npt.NDArray[np.float64]

    @property
    def file(self) -> Codes:
        """``(m,)``: the file of each part."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class KeptScores:
    """What is known about files already, to which more can be added. A file's row is its place among the columns."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.size = np.zeros(0, np.int64)
        self.time = np.zeros(0, np.int64)
        self.words: dict[str, int] = {}
        self.columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(0, float if name == "value" else np.int64) for name in (*_PER_FILE, *_PER_PART)
        }
        self.leaning = np.zeros(0, dtype=bool)
        self.outdated = np.zeros(0, dtype=bool)
        self.reasons: dict[int, list[str]] = {}

    @classmethod
    def load(cls, place: Path, main_scores: Mapping[str, str]) -> KeptScores:
        """The record of an earlier load; nothing if there is none or it makes no sense.

        Args:
            place: The record.
            main_scores: Task to metric: a score that was found by a metric's name stands only while it is the same metric.
        """
        kept = cls()
        try:
            with np.load(place, allow_pickle=False) as data:
                facts = json.loads(data["facts"].tobytes())
                if facts["format"] != _FORMAT:
                    return kept
                kept._take(facts, {name: data[name] for name in data.files}, main_scores)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            return cls()
        return kept

    def _take(self, facts: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], main_scores: Mapping[str, str]) -> None:
        self.sources = arrays["sources"].tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
        self.size, self.time, self.leaning = (arrays[name] for name in ("size", "time", "leaning"))
        self.columns = {name: arrays[name] for name in self.columns}
        self.words = {word: number for number, word in enumerate(facts["words"])}
        self.reasons = {int(row): reasons for row, reasons in facts["reasons"].items()}
        lengths = {len(self.sources), len(self.size), len(self.time), len(self.leaning)}
        lengths |= {len(self.columns[name]) for name in _PER_FILE}
        parts = {int(self.columns["counts"].sum()), *(len(self.columns[name]) for name in _PER_PART)}
        if len(lengths) > 1 or len(parts) > 1:
            raise ValueError("columns of unequal length")
        changed = [main_scores.get(word) != facts["main_scores"].get(word) for word in facts["words"]]
        self.outdated = self.leaning & np.asarray(changed, dtype=bool)[self.columns["task"]]

    def rows_of(self, files: Sequence[ResultFile]) -> Codes:
        """``(n,)``: where each file is known, as it is now; -1 for a file to be read."""
        sources = [file.source for file in files]
        size, time = (np.fromiter((file[place] for file in files), np.int64, len(files)) for place in (3, 4))
        if not self.sources:
            return np.full(len(files), -1)
        if sources == self.sources:
            rows = np.arange(len(files))
        else:
            known = {source: row for row, source in enumerate(self.sources)}
            rows = np.fromiter((known.get(source, -1) for source in sources), np.int64, len(files))
        stands = (rows >= 0) & (self.size[rows] == size) & (self.time[rows] == time) & ~self.outdated[rows]
        return np.where(stands, rows, -1)

    def add(self, found: Sequence[FileScores]) -> int:
        """Append the scores of more files; the row of the first."""
        words, first = self.words, len(self.columns["task"])

        def codes(texts: list[str]) -> list[int]:
            return [words.setdefault(text, len(words)) for text in texts]

        new = {
            "task": codes([scores.task for scores in found]),
            "mteb_version": codes([scores.mteb_version for scores in found]),
            "data_revision": codes([scores.data_revision for scores in found]),
            "counts": [len(scores.parts) for scores in found],
            "split": codes([part[0] for scores in found for part in scores.parts]),
            "subset": codes([part[1] for scores in found for part in scores.parts]),
            "value": [part[2] for scores in found for part in scores.parts],
        }
        self.columns = {
            name: np.concatenate([column, np.asarray(new[name], dtype=column.dtype)])
            for name, column in self.columns.items()
        }
        self.reasons |= {row: scores.reasons for row, scores in enumerate(found, first) if scores.reasons}
        self.leaning = np.append(self.leaning, [scores.is_leaning for scores in found]).astype(bool)
        return first

    def arranged(self, order: Codes) -> tuple[ScoreIndex, list[list[str]]]:
        """The files of the given rows, in this order, and the reasons why parts of them could not be used."""
        columns = {name: self.columns[name][order] for name in _PER_FILE}
        ends, counts = np.cumsum(self.columns["counts"]), columns["counts"]
        # Place of each part: where its file's parts begin, plus its number among them.
        begins, inner = (ends[order] - counts), np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(begins, counts) + inner
        parts = {name: self.columns[name][places] for name in _PER_PART}
        reasons: list[list[str]] = [[]] * len(order)
        for place in np.flatnonzero(np.isin(order, list(self.reasons))).tolist():
            reasons[place] = self.reasons[int(order[place])]
        return ScoreIndex(words=tuple(self.words), **columns, **parts), reasons

    def save(self, place: Path, files: Sequence[ResultFile], order: Codes, main_scores: Mapping[str, str]) -> None:
        """Write what is known of these files; ``order`` are their rows."""
        index, reasons = self.arranged(order)
        facts = {
            "format": _FORMAT,
            "main_scores": dict(main_scores),
            "words": index.words,
            "reasons": {row: found for row, found in enumerate(reasons) if found},
        }
        sources = "".join(f"{file.source}\0" for file in files).encode("utf-8", "surrogateescape")
        buffer = io.BytesIO()
        np.savez(
            buffer,
            facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
            sources=np.frombuffer(sources, np.uint8),
            size=np.asarray([file.size for file in files], np.int64),
            time=np.asarray([file.mtime_ns for file in files], np.int64),
            leaning=self.leaning[order],
            **{name: getattr(index, name) for name in (*_PER_FILE, *_PER_PART)},
        )
        write_bytes(place, buffer.getvalue())


_WORTH_KEEPING = 200  # files: a smaller folder is read faster than its record is found
_WORTH_SHARING = 4000  # files, from which on a second process pays


def read_index(
    files: Sequence[ResultFile],
    main_scores: Mapping[str, str],
    problems: list[Problem],
    *,
    root: Path,
    extra: Sequence[FileScores] = (),
    is_kept: bool = True,
) -> ScoreIndex:
    """The main scores of all files, in their order.

    A file whose size and time of change are those of an earlier load is not opened again. The record of earlier loads
    lies in the user's cache folder, never in the results.

    Args:
        files: What to read.
        main_scores: Task to the metric of its main score, for files that lack `main_score`.
        problems: Grows by what could not be used, in the order of the files.
        root: The results folder, which names the record.
        extra: Scores from elsewhere, appended after those of the files.
        is_kept: Whether to use and write the record.
    """
    is_kept = is_kept and len(files) >= _WORTH_KEEPING
    place = cache_root() / "leaderboards" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:24]}.npz"
    kept = KeptScores.load(place, main_scores) if is_kept else KeptScores()
    order = kept.rows_of(files)
    fresh = [files[place] for place in np.flatnonzero(order < 0).tolist()]
    first = kept.add(_read_all(fresh, main_scores))
    order[order < 0] = first + np.arange(len(fresh))
    index, reasons = kept.arranged(order)
    problems += [Problem(file.source, reason) for file, found in zip(files, reasons, strict=True) for reason in found]
    if is_kept and (fresh or len(files) != first):
        with contextlib.suppress(ZooError):  # the record saves time, no more
            kept.save(place, files, order, main_scores)
    if extra:
        first = kept.add(extra)
        index, _ = kept.arranged(np.append(order, first + np.arange(len(extra))))
    return index


def _read_all(files: Sequence[ResultFile], main_scores: Mapping[str, str]) -> list[FileScores]:
    """Read files, with a process per core where there are many and processes are cheap."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if len(files) < _WORTH_SHARING or cores < 2 or sys.platform != "linux":
        return _read_some(files, dict(main_scores))
    size = -(-len(files) // (8 * cores))
    chunks = [files[start : start + size] for start in range(0, len(files), size)]
    with warnings.catch_warnings():
        # The children only read files and never touch what another thread may hold.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
        with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
            found = pool.map(_read_some, chunks, [dict(main_scores)] * len(chunks))
            return [scores for chunk in found for scores in chunk]


def _read_some(files: Sequence[ResultFile], main_scores: dict[str, str]) -> list[FileScores]:
    return [_read_one(file, main_scores) for file in files]


def _read_one(file: ResultFile, main_scores: dict[str, str]) -> FileScores:
    problems: list[Problem] = []
    records = read_result(file, main_scores, problems, only_main=True)
    reasons = [problem.reason for problem in problems]
    if not records:
        return FileScores("", "", "", [], reasons, True)
    first = records[0]
    parts = [(record.split, record.subset, record.scores["main_score"]) for record in records]
    is_leaning = any(len(record.scores) > 1 for record in records)
    return FileScores(first.task, first.mteb_version, first.data_revision, parts, reasons, is_leaning)


COLUMNS = (
    *("model", "revision", "task", "type", "subset", "split", "metric", "value"),
    *("n", "mteb_version", "data_revision", "prompts", "source"),
)


def without_repeats(index: ScoreIndex, files: Sequence[ResultFile], problems: list[Problem]) -> np.ndarray:
    """Which parts to keep, ``(m,)``: of a task that a model has twice, those in the file that is named after it.

    Among files of other names, such as copies, the first part of each split and subset is kept.
    """
    owner = _owners(files)[0]
    is_stray = _is_stray(index, files, owner, problems)[index.file]
    kept = np.flatnonzero(~is_stray)
    is_kept = ~is_stray
    is_kept[kept] = _are_first(index, files, owner, kept, problems)
    return is_kept


def _is_stray(index: ScoreIndex, files: Sequence[ResultFile], owner: np.ndarray, problems: list[Problem]) -> np.ndarray:
    """Which files hold a task that another file of the same model is named after, ``(n,)``."""
    tasks = [index.words[code] for code in index.task.tolist()]
    other = [
        number
        for number, (file, task, count) in enumerate(zip(files, tasks, index.counts.tolist(), strict=True))
        if count and file.path and file.source.rpartition("/")[2] != f"{task}.json"
    ]
    is_stray = np.zeros(len(files), dtype=bool)
    if not other:
        return is_stray
    wanted = {(int(owner[number]), tasks[number]) for number in other}
    named = {
        (int(owner[number]), task): files[number].source
        for number, task in enumerate(tasks)
        if (int(owner[number]), task) in wanted and files[number].source.rpartition("/")[2] == f"{task}.json"
    }
    for number in other:
        first = named.get((int(owner[number]), tasks[number]))
        is_stray[number] = first is not None
        task, named_after = tasks[number], f"which is named after {tasks[number]}: this one was left out"
        said = f"{task} is already in {first}, {named_after}" if first else f"holds a result of {task}: counted as that"
        problems.append(Problem(files[number].source, said))
    return is_stray


def _are_first(
    index: ScoreIndex, files: Sequence[ResultFile], owner: np.ndarray, parts: np.ndarray, problems: list[Problem]
) -> np.ndarray:
    """Which of some parts are the first of their task, split and subset."""
    file = index.file[parts]
    place = pd.DataFrame({0: owner[file], 1: index.task[file], 2: index.split[parts], 3: index.subset[parts]})
    numbers = np.ravel_multi_index(place.to_numpy().T, tuple(place.max() + 1)) if len(place) else np.zeros(0)
    repeated = pd.Series(numbers).duplicated().to_numpy()  # several times as fast as over four columns
    for part in np.flatnonzero(repeated).tolist():
        first = int(np.flatnonzero((place == place.iloc[part]).all(axis=1))[0])
        task, split, subset = (index.words[int(place.iloc[part, column])] for column in (1, 2, 3))
        here, there = (files[int(file[number])].source for number in (part, first))
        problems.append(Problem(here, f"{task} {split}/{subset} is already in {there}: this one was left out"))
    return ~repeated


def _owners(files: Sequence[ResultFile]) -> tuple[np.ndarray, list[ModelKey]]:
    """For each file the place of its model in the list of models."""
    places: dict[ModelKey, int] = {}
    return np.asarray([places.setdefault(file.key, len(places)) for file in files], dtype=np.int64), list(places)


def tidy_frame(
    index: ScoreIndex,
    files: Sequence[ResultFile],
    models: Mapping[ModelKey, ModelFacts],
    tasks: Mapping[str, TaskFacts],
) -> pd.DataFrame:
    """One row per main score, with `COLUMNS`."""
    file, task = index.file, index.task[index.file]
    types = [tasks[word].type or "unknown" if word in tasks else "unknown" for word in index.words]
    sizes = [float(tasks[word].n_texts or np.nan) if word in tasks else np.nan for word in index.words]
    prompts = {key: _prompt_digest(facts) for key, facts in models.items()}

    owner, keys = _owners(files)

    def by_model(texts: Sequence[str]) -> pd.Categorical:
        codes, names = pd.factorize(np.asarray(texts, dtype=object))
        return pd.Categorical.from_codes(codes[owner[file]], categories=pd.Index(names, dtype=object))

    def by_word(codes: np.ndarray) -> pd.Categorical:
        used = np.bincount(codes, minlength=len(index.words)) > 0
        names = pd.Index([index.words[code] for code in np.flatnonzero(used)], dtype=object)  # arrow's strings are slow
        return pd.Categorical.from_codes((np.cumsum(used) - 1)[codes], categories=names)

    columns = {
        "model": by_model([key.model for key in keys]),
        "revision": by_model([key.revision for key in keys]),
        "task": by_word(task),
        "type": pd.Categorical(types, categories=sorted(set(types)))[task],
        "subset": by_word(index.subset),
        "split": by_word(index.split),
        "metric": pd.Categorical.from_codes(np.zeros(len(task), dtype=int), categories=["main_score"]),
        "value": index.value,
        "n": np.asarray(sizes)[task],
        "mteb_version": by_word(index.mteb_version[file]),
        "data_revision": by_word(index.data_revision[file]),
        "prompts": by_model([prompts.get(key, UNKNOWN) for key in keys]),
        "source": _by_source(files, file),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _by_source(files: Sequence[ResultFile], file: np.ndarray) -> pd.Categorical:
    sources = [each.source for each in files]
    codes: np.ndarray = np.arange(len(sources))
    names: Any = sources
    if len(set(sources)) < len(sources):  # several scores from one table
        codes, names = pd.factorize(np.asarray(sources, dtype=object))
    return pd.Categorical.from_codes(codes[file], categories=pd.Index(names, dtype=object))


def _prompt_digest(facts: ModelFacts) -> str:
    """Eight hex digits that tell prompt sets apart."""
    if not facts.has_environment:
        return UNKNOWN
    return hashlib.sha256(repr(sorted(facts.prompts.items())).encode(errors="surrogatepass")).hexdigest()[:8]
