"""The main scores of many result files as columns, and a record of them, so that a second load reads only what changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.errors import ZooError
from genzoo.files import write_text
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.reading import ResultFile, read_json, read_result
from genzoo.sources import cache_root

_FORMAT = 1  # of the record; another one is not read
_WORTH_KEEPING = 200  # files: a smaller folder is read faster than its record is found
_WORTH_SHARING = 4000  # files, from which on a second process pays
_LARGEST = 1_000_000_000
Codes = npt.NDArray[np.int64]
# What decides about a record: source, size and time of change of its file.
_Stamp = tuple[str, int, int]


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
    place = cache_root() / "leaderboards" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:24]}.json"
    kept = _Kept.load(place, main_scores) if is_kept else _Kept()
    known = [kept.rows.get((file.source, file.size, file.mtime_ns), -1) for file in files]
    fresh = [file for file, row in zip(files, known, strict=True) if row < 0]
    first = kept.add(_read_all(fresh, main_scores))
    order = np.asarray(known, dtype=np.int64)
    order[order < 0] = first + np.arange(len(fresh))
    index, reasons = kept.arranged(order)
    problems += [Problem(file.source, reason) for file, found in zip(files, reasons, strict=True) for reason in found]
    if is_kept and (fresh or len(files) != first):
        with contextlib.suppress(ZooError):  # the record saves time, no more
            write_text(place, _record(files, index, reasons, kept.leaning[order], main_scores))
    if extra:
        first = kept.add(extra)
        index, _ = kept.arranged(np.append(order, first + np.arange(len(extra))))
    return index


class _Kept:
    """What is known about files already, to which more can be added."""

    def __init__(self) -> None:
        self.rows: dict[_Stamp, int] = {}
        self.words: dict[str, int] = {}
        self.columns: dict[str, list[Any]] = {name: [] for name in ("task", "mteb_version", "data_revision", "counts")}
        self.parts: dict[str, list[Any]] = {name: [] for name in ("split", "subset", "value")}
        self.reasons: dict[int, list[str]] = {}
        self.leaning: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)

    @classmethod
    def load(cls, place: Path, main_scores: Mapping[str, str]) -> _Kept:
        """The record of an earlier load; nothing if there is none or it makes no sense."""
        kept = cls()
        data = read_json(place, place.name, [], _LARGEST) if place.is_file() else None
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            return kept
        kept.words = {word: number for number, word in enumerate(data["words"])}
        kept.columns, kept.parts = data["columns"], data["parts"]
        kept.reasons = {int(row): reasons for row, reasons in data["reasons"].items()}
        stamps = data["stamps"]
        kept.leaning = np.zeros(len(stamps["source"]), dtype=bool)
        kept.leaning[data["leaning"]] = True
        kept.rows = {
            stamp: row for row, stamp in enumerate(zip(stamps["source"], stamps["size"], stamps["time"], strict=True))
        }
        # A score that was found by the metric's name stands only while tasks.json names the same metric.
        changed = {word for word in data["words"] if main_scores.get(word) != data["main_scores"].get(word)}
        names = data["words"]
        for row in data["leaning"]:
            if names[kept.columns["task"][row]] in changed:
                kept.rows[stamps["source"][row], stamps["size"][row], stamps["time"][row]] = -1
        return kept

    def add(self, found: Sequence[FileScores]) -> int:
        """Append the scores of more files; the row of the first."""
        columns, parts, words = self.columns, self.parts, self.words
        first = len(columns["task"])

        def codes(texts: list[str]) -> list[int]:
            return [words.setdefault(text, len(words)) for text in texts]

        columns["task"] += codes([scores.task for scores in found])
        columns["mteb_version"] += codes([scores.mteb_version for scores in found])
        columns["data_revision"] += codes([scores.data_revision for scores in found])
        columns["counts"] += [len(scores.parts) for scores in found]
        parts["split"] += codes([part[0] for scores in found for part in scores.parts])
        parts["subset"] += codes([part[1] for scores in found for part in scores.parts])
        parts["value"] += [part[2] for scores in found for part in scores.parts]
        self.reasons |= {row: scores.reasons for row, scores in enumerate(found, first) if scores.reasons}
        self.leaning = np.append(self.leaning, [scores.is_leaning for scores in found]).astype(bool)
        return first

    def arranged(self, order: Codes) -> tuple[ScoreIndex, list[list[str]]]:
        """The files of the given rows, in this order, and the reasons why parts of them could not be used."""
        columns = {name: np.asarray(values, dtype=np.int64)[order] for name, values in self.columns.items()}
        ends = np.cumsum(np.asarray(self.columns["counts"], dtype=np.int64))
        counts = columns["counts"]
        # Place of each part: where its file's parts begin, plus its number among them.
        begins, inner = (ends[order] - counts), np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(begins, counts) + inner
        split, subset = (np.asarray(self.parts[name], dtype=np.int64)[places] for name in ("split", "subset"))
        value = np.asarray(self.parts["value"], dtype=float)[places]
        index = ScoreIndex(words=tuple(self.words), **columns, split=split, subset=subset, value=value)
        return index, [self.reasons.get(row, []) for row in order.tolist()]


def _record(
    files: Sequence[ResultFile],
    index: ScoreIndex,
    reasons: Sequence[list[str]],
    leaning: npt.NDArray[np.bool_],
    main_scores: Mapping[str, str],
) -> str:
    columns = ("task", "mteb_version", "data_revision", "counts")
    content = {
        "format": _FORMAT,
        "main_scores": dict(main_scores),
        "words": index.words,
        "stamps": {
            "source": [file.source for file in files],
            "size": [file.size for file in files],
            "time": [file.mtime_ns for file in files],
        },
        "columns": {name: getattr(index, name).tolist() for name in columns},
        "parts": {name: getattr(index, name).tolist() for name in ("split", "subset", "value")},
        "leaning": np.flatnonzero(leaning).tolist(),
        "reasons": {row: found for row, found in enumerate(reasons) if found},
    }
    return json.dumps(content, separators=(",", ":"))


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
