"""The main scores of many result files, read so that a second load opens only what changed."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from genzoo.errors import ZooError
from genzoo.files import cache_root
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.kept_scores import FileScores, KeptScores, ScoreIndex
from genzoo.leaderboards.reading import ResultFile, read_result

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
