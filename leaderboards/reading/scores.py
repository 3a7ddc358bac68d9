"""The main scores of many result files as one tidy frame, read so that a second load opens only what changed.

A public repository holds 100,000 files with 700,000 scores, so every text is a column of codes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from genzoo.backbones.sources import cache_root
from genzoo.errors import ZooError
from genzoo.files import write_bytes
from genzoo.leaderboards.facts import ModelFacts, ModelKey, Problem, TaskFacts
from genzoo.leaderboards.reading.result_files import UNKNOWN, ResultFile, read_result

COLUMNS = (
    *("model", "revision", "task", "type", "subset", "split", "metric", "value"),
    *("n", "mteb_version", "data_revision", "prompts", "source"),
)
_WORTH_KEEPING = 200  # files: a smaller folder is read faster than its record is found
_WORTH_SHARING = 4000  # files, from which on a second process pays
_TEXTS = ("task", "mteb_version", "data_revision", "metric", "reasons", "split", "subset")
_RECORD = pa.schema([*((name, pa.dictionary(pa.int32(), pa.string())) for name in ("file", *_TEXTS)), ("value", "f8")])


class FileScores(NamedTuple):
    """What one result file says: main scores by split and subset, and what could not be used."""

    task: str
    mteb_version: str
    data_revision: str
    parts: list[tuple[str, str, float]]
    reasons: str | None = None  # a JSON list
    metric: str | None = None  # the name under which a main score had to be looked up, by tasks.json


def read_scores(
    files: Sequence[ResultFile],
    main_scores: Mapping[str, str],
    problems: list[Problem],
    *,
    root: Path,
    extra: Sequence[FileScores] = (),
    is_kept: bool = True,
) -> pd.DataFrame:
    """One row for each split and subset of each file, in order: `file` (its place), `value`, `task`, `split`, `subset`, ...

    A file whose size and time of change are those of an earlier load is not opened again. The record of earlier loads
    lies in the user's cache folder, never in the results. Of a split and subset that a model has twice, one row is left.

    Args:
        files: What to read.
        main_scores: Task to the metric of its main score, for files that lack `main_score`.
        problems: Grows by what could not be used, in the order of the files.
        root: The results folder, which names the record.
        extra: Scores from elsewhere; their places follow those of the files.
        is_kept: Whether to use and write the record.
    """
    is_kept = is_kept and len(files) >= _WORTH_KEEPING
    place = cache_root() / "leaderboards" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:24]}.arrow"
    states = [f"{file.source}\0{file.size}\0{file.mtime_ns}" for file in files] if is_kept else []
    rows = _recalled(place, states, main_scores) if is_kept else _rows([], [])
    is_known = np.zeros(len(files), dtype=bool)
    is_known[rows["file"]] = True
    if fresh := np.flatnonzero(~is_known).tolist():
        rows = _joined(rows, _rows(fresh, _read_all([files[number] for number in fresh], main_scores)))
        if is_kept:
            _remember(place, states, rows)
    for number, reasons in rows.loc[rows["reasons"].notna(), ["file", "reasons"]].drop_duplicates("file").to_numpy():
        problems += [Problem(files[number].source, reason) for reason in json.loads(reasons)]
    if extra:
        rows = _joined(rows, _rows(range(len(files), len(files) + len(extra)), extra))
    return rows[rows["split"].notna()] if rows["split"].hasnans else rows


def _rows(numbers: Sequence[int], found: Sequence[FileScores]) -> pd.DataFrame:
    """The rows of some files by their places; a file without scores has one, without a split."""
    nothing: Any = [(None, None, np.nan)]
    parts: list[Any] = [part for scores in found for part in scores.parts or nothing]
    of = np.repeat(np.arange(len(found)), [len(scores.parts) or 1 for scores in found])
    texts = {name: _coded([getattr(scores, name) for scores in found]).take(of) for name in _TEXTS[:5]}
    texts |= {name: _coded([part[place] for part in parts]) for place, name in enumerate(_TEXTS[5:])}
    return pd.DataFrame({"file": np.asarray(numbers, int)[of], "value": [part[2] for part in parts], **texts})


def _coded(texts: Sequence[str | None]) -> pd.Categorical:
    """Texts as codes. Arrow's strings, which pandas would choose, are slow and hold UTF-8 only."""
    return _categorical(*pd.factorize(np.asarray(texts, dtype=object)))


def _categorical(codes: np.ndarray, words: Any) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype=object))


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of both, in the order of the files."""
    numbers = {name: np.concatenate([first[name], second[name]]) for name in ("file", "value")}
    texts = {name: _united(first[name].array, second[name].array) for name in _TEXTS}
    return pd.DataFrame(numbers | texts).sort_values("file", kind="stable", ignore_index=True)


def _united(first: Any, second: Any) -> pd.Categorical:
    """One column after the other; pandas' own union refuses what is no UTF-8."""
    places, words = pd.factorize(np.asarray([*first.categories, *second.categories], dtype=object))
    own = np.append(places[: len(first.categories)], -1), np.append(places[len(first.categories) :], -1)
    return _categorical(np.concatenate([own[0][first.codes], own[1][second.codes]]), words)


def _recalled(place: Path, states: list[str], main_scores: Mapping[str, str]) -> pd.DataFrame:
    """The rows of files that are as they were at an earlier load, with their places now."""
    try:
        kept = pa.ipc.open_file(place.read_bytes()).get_batch(0)
        kept.validate(full=True)
        if kept.schema != _RECORD:
            raise pa.ArrowInvalid("a record of another version of genzoo")
    except (OSError, pa.ArrowException):
        return _rows([], [])
    numbers = {name: kept[name].indices.fill_null(-1).to_numpy() for name in ("file", *_TEXTS)}
    file, known = numbers["file"], kept["file"].dictionary.to_pylist()
    if known != states:
        now = {state: number for number, state in enumerate(states)}
        file = np.array([now.get(state, -1) for state in known])[file]
    texts = {name: _categorical(numbers[name], kept[name].dictionary.to_pylist()) for name in _TEXTS}
    rows = pd.DataFrame({"file": file, "value": kept["value"].to_numpy(zero_copy_only=False), **texts})
    looked_up = rows.loc[rows["metric"].notna(), ["task", "metric"]].itertuples()
    rows.loc[[row for row, task, metric in looked_up if main_scores.get(task, "") != metric], "file"] = -1
    return rows if (rows["file"] >= 0).all() else rows[rows["file"] >= 0]


def _remember(place: Path, states: list[str], rows: pd.DataFrame) -> None:
    """Keep the rows as an Arrow file, each with what tells whether its file has changed."""
    buffer, options = io.BytesIO(), pa.ipc.IpcWriteOptions(compression="zstd")
    with contextlib.suppress(ZooError, UnicodeError):  # the record saves time, no more
        state = _coded(states).take(rows["file"])
        table = pa.RecordBatch.from_pandas(rows.assign(file=state), _RECORD, preserve_index=False)
        with pa.ipc.new_file(buffer, _RECORD, options=options) as file:
            file.write(table.replace_schema_metadata())
        write_bytes(place, buffer.getvalue())


def _read_all(files: Sequence[ResultFile], main_scores: Mapping[str, str]) -> list[FileScores]:
    """Read files, with a process per core where there are many and processes are cheap."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    read = partial(_read_one, main_scores=dict(main_scores), once=len(files) >= _WORTH_SHARING)
    if len(files) < _WORTH_SHARING or cores < 2 or sys.platform != "linux":
        return list(map(read, files))
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with warnings.catch_warnings():
        # The children only read files and never touch what another thread may hold.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
        with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
            return list(pool.map(read, files, chunksize=len(files) // (8 * cores) + 1))


def _read_one(file: ResultFile, main_scores: Mapping[str, str], *, once: bool) -> FileScores:
    problems: list[Problem] = []
    records = read_result(file, main_scores, problems, only_main=True, once=once)
    reasons = json.dumps([problem.reason for problem in problems]) if problems else None
    if not records:
        return FileScores("", "", "", [], reasons)
    parts = [(record.split, record.subset, record.scores["main_score"]) for record in records]
    is_leaning = any(len(record.scores) > 1 for record in records)
    metric = main_scores.get(records[0].task, "") if is_leaning else None
    return FileScores(records[0].task, records[0].mteb_version, records[0].data_revision, parts, reasons, metric)


def without_repeats(rows: pd.DataFrame, files: Sequence[ResultFile], problems: list[Problem]) -> pd.DataFrame:
    """The rows to keep: of a task that a model has twice, those in the file that is named after it.

    Among files of other names, such as copies, the first part of each split and subset is kept.
    """
    if strays := _strays(rows, files, problems):
        rows = rows[~rows["file"].isin(strays)]
    place = [_owners(files)[1][rows["file"]], *(rows[name].cat.codes for name in ("task", "split", "subset"))]
    numbers = np.ravel_multi_index(place, [codes.max() + 1 for codes in place]) if len(rows) else np.zeros(0)
    repeated = pd.Series(numbers).duplicated().to_numpy()  # several times as fast as over four columns
    for number in np.flatnonzero(repeated).tolist():
        row, first = rows.iloc[number], rows.iloc[np.flatnonzero(numbers == numbers[number])[0]]
        here, there = (files[each["file"]].source for each in (row, first))
        said = f"{row['task']} {row['split']}/{row['subset']} is already in {there}: this score was left out"
        problems.append(Problem(here, said))
    return rows[~repeated] if repeated.any() else rows


def _owners(files: Sequence[ResultFile]) -> tuple[list[ModelKey], np.ndarray]:
    """The models, and for each file the place of its own."""
    places = {key: place for place, key in enumerate(dict.fromkeys(file.key for file in files))}
    return list(places), np.array([places[file.key] for file in files])


def _strays(rows: pd.DataFrame, files: Sequence[ResultFile], problems: list[Problem]) -> list[int]:
    """Files that hold a task which another file of the same model is named after."""
    first = rows.drop_duplicates("file")
    holds = dict(zip(first["file"].tolist(), first["task"].tolist(), strict=True))
    other = [n for n, task in holds.items() if not files[n].source.endswith(f"/{task}.json") and files[n].path]
    named = {(files[n].key, holds[n]): files[n].source for n in (holds.keys() - set(other) if other else ())}
    strays = []
    for number in other:
        task, source = holds[number], named.get((files[number].key, holds[number]))
        said = f"holds a result of {task} and is counted as such"
        if source is not None:
            strays.append(number)
            said = f"{task} is already in {source}, which is named after {task}: this one was left out"
        problems.append(Problem(files[number].source, said))
    return strays


def tidy_frame(
    rows: pd.DataFrame,
    files: Sequence[ResultFile],
    models: Mapping[ModelKey, ModelFacts],
    tasks: Mapping[str, TaskFacts],
) -> pd.DataFrame:
    """One row per main score, with `COLUMNS`."""
    task, facts = rows["task"].array.codes, [tasks.get(name, TaskFacts(name)) for name in rows["task"].array.categories]
    keys, owner = _owners(files)
    prompts = [_prompt_digest(models[key]) if key in models else UNKNOWN for key in keys]
    by_model = {"model": [key.model for key in keys], "revision": [key.revision for key in keys], "prompts": prompts}
    columns = {
        **rows,
        **{name: _coded(texts).take(owner[rows["file"]]) for name, texts in by_model.items()},
        "source": _coded([file.source for file in files]).take(rows["file"]),
        "type": _coded([each.type or "unknown" for each in facts]).take(task),
        "metric": _coded(["main_score"]).take(np.zeros_like(task)),
        "n": np.array([float(each.n_texts or np.nan) for each in facts])[task],
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS}).reset_index(drop=True)


def _prompt_digest(facts: ModelFacts) -> str:
    """Eight hex digits that tell prompt sets apart."""
    if not facts.has_environment:
        return UNKNOWN
    return hashlib.sha256(repr(sorted(facts.prompts.items())).encode(errors="surrogatepass")).hexdigest()[:8]
