"""The main scores of many result files as one tidy frame, read so that a second load opens only what changed.

A public repository holds 100,000 files with 700,000 scores, so every text is a column of codes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from genzoo.errors import ZooError
from genzoo.files import cache_root, parts_digest, write_bytes
from genzoo.leaderboards.facts import ModelFacts, ModelKey, Problem, TaskFacts
from genzoo.leaderboards.reading.result_files import UNKNOWN, ResultFile, read_result

COLUMNS = (
    *("model", "revision", "task", "type", "subset", "split", "metric", "value"),
    *("n", "mteb_version", "data_revision", "prompts", "source"),
)
_WORTH_KEEPING = 200  # files: a smaller folder is read faster than its record is found
_WORTH_SHARING = 4000  # files, from which on a second process pays
_SHARE = 1000  # files that a process reads at once
_DIGEST = 32  # bytes before the record, of which most damage would go unnoticed
_TEXTS = ("task", "mteb_version", "data_revision")
_CODES = pa.dictionary(pa.int32(), pa.string())
RECORD = pa.schema(
    {
        "state": pa.binary(),  # tells whether the file has changed
        **dict.fromkeys(_TEXTS, _CODES),
        "parts": pa.list_(pa.struct({"split": _CODES, "subset": _CODES, "value": pa.float64()})),
        "reasons": pa.list_(pa.string()),  # why something could not be used
        "metric": pa.string(),  # the name under which a main score had to be looked up, by tasks.json
    }
)
"""What is kept of a result file: its main scores by split and subset, and what could not be used."""


def read_scores(
    files: Sequence[ResultFile],
    main_scores: Mapping[str, str],
    problems: list[Problem],
    *,
    root: Path,
    extra: Sequence[Mapping[str, Any]] = (),
    is_kept: bool = True,
) -> pd.DataFrame:
    """One row for each split and subset of each file, in order: `file` (its place), `value`, `task`, `split`, `subset`, ...

    A file whose size and time of change are those of an earlier load is not opened again. The record of earlier loads
    lies in the user's cache folder, never in the results.

    Args:
        files: What to read.
        main_scores: Task to the metric of its main score, for files that lack `main_score`.
        problems: Grows by what could not be used, in the order of the files.
        root: The results folder, which names the record.
        extra: Rows of `RECORD` from elsewhere; their places follow those of the files.
        is_kept: Whether to use and write the record.
    """
    is_kept = is_kept and len(files) >= _WORTH_KEEPING
    place = cache_root() / "leaderboards" / f"{parts_digest([str(root.absolute())])}.arrow"
    states = pa.array([os.fsencode(f"{file.source}\0{file.size}\0{file.mtime_ns}") for file in files], pa.binary())
    table = _recalled(place, main_scores) if is_kept else RECORD.empty_table()
    if not table["state"].combine_chunks().equals(states):
        fresh = np.flatnonzero(pc.index_in(states, table["state"]).is_null())
        new = _read_all([files[number] for number in fresh.tolist()], main_scores)
        table = pa.concat_tables([table, new.set_column(0, RECORD.field("state"), states.take(fresh))]).combine_chunks()
        table = table.take(pc.index_in(states, table["state"]))
        if is_kept and len(fresh):
            _remember(place, table)
    for file, reasons in zip(files, table["reasons"].to_pylist(), strict=True):
        problems += [Problem(file.source, reason) for reason in reasons or ()]
    table = pa.concat_tables([table, pa.Table.from_pylist(extra, RECORD)])
    parts = table["parts"].combine_chunks()
    file = pc.list_parent_indices(parts)
    columns = {name: table[name].combine_chunks().take(file) for name in _TEXTS}
    split, subset, value = parts.flatten().flatten()
    return pa.table({"file": file, "value": value, **columns, "split": split, "subset": subset}).to_pandas()


def _recalled(place: Path, main_scores: Mapping[str, str]) -> pa.Table:
    """The record of an earlier load without what was looked up under another metric; empty if it makes no sense."""
    kept = RECORD.empty_table()
    with contextlib.suppress(OSError, pa.ArrowException):
        content = place.read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            found = pa.ipc.open_file(content[_DIGEST:]).read_all()
            kept = found if found.schema == RECORD else kept  # else one of another version of genzoo
    task = kept["task"].combine_chunks()
    names = pa.array([main_scores.get(name, "") for name in task.dictionary.to_pylist()], pa.string())
    is_current = pc.equal(kept["metric"], names.take(task.indices)).fill_null(True)
    return kept if pc.all(is_current).as_py() else kept.filter(is_current)


def _remember(place: Path, table: pa.Table) -> None:
    """Keep the record as an Arrow file behind a digest of it."""
    with pa.ipc.new_file(buffer := io.BytesIO(), RECORD, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write(table)
    with contextlib.suppress(ZooError):  # the record saves time, no more
        write_bytes(place, hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


def _read_all(files: Sequence[ResultFile], main_scores: Mapping[str, str]) -> pa.Table:
    """Read files, with a process per core where there are many and processes are cheap."""
    read = partial(_read, main_scores=dict(main_scores), once=len(files) >= _WORTH_SHARING)
    if len(files) < _WORTH_SHARING or sys.platform != "linux":
        return read(files)
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    parts = [files[at : at + _SHARE] for at in range(0, len(files), _SHARE)]
    # The children only read files and never touch what another thread may hold.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("fork")) as pool:
        return pa.concat_tables(pool.map(read, parts))


def _read(files: Sequence[ResultFile], main_scores: Mapping[str, str], *, once: bool) -> pa.Table:
    rows = []
    for file in files:
        problems: list[Problem] = []
        records = read_result(file, main_scores, problems, only_main=True, once=once)
        texts = {name: getattr(records[0], name) if records else "" for name in _TEXTS}
        parts = [(record.split, record.subset, record.scores["main_score"]) for record in records]
        metric = main_scores.get(texts["task"], "") if any(len(record.scores) > 1 for record in records) else None
        reasons = [problem.reason for problem in problems] or None
        rows.append(texts | {"parts": parts, "reasons": reasons, "metric": metric})
    return pa.Table.from_pylist(rows, RECORD)


def tidy_frame(
    rows: pd.DataFrame,
    files: Sequence[ResultFile],
    models: Mapping[ModelKey, ModelFacts],
    tasks: Mapping[str, TaskFacts],
) -> pd.DataFrame:
    """One row per main score, with `COLUMNS`."""
    places = {key: place for place, key in enumerate(dict.fromkeys(file.key for file in files))}
    owner = np.array([places[file.key] for file in files])[rows["file"]]
    recorded = {key: sorted(each.prompts.items()) for key, each in models.items() if each.has_environment}
    prompts = {key: parts_digest(map(str, prompts)) for key, prompts in recorded.items()}
    by_model = zip(*((key.model, key.revision, prompts.get(key, UNKNOWN)) for key in places), strict=True)
    task, facts = rows["task"].cat.codes, [tasks.get(name, TaskFacts(name)) for name in rows["task"].cat.categories]
    columns = {
        **rows,
        **{
            name: _coded(texts).take(owner)
            for name, texts in zip(("model", "revision", "prompts"), by_model, strict=True)
        },
        "source": _coded([file.source for file in files]).take(rows["file"]),
        "type": _coded([each.type or "unknown" for each in facts]).take(task),
        "metric": _coded(["main_score"]).take(np.zeros_like(task)),
        "n": np.array([float(each.n_texts or np.nan) for each in facts])[task],
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _coded(texts: Sequence[str]) -> pd.Categorical:
    """Texts as codes. Arrow's strings, which pandas would choose, hold UTF-8 only, and a folder may have any name."""
    codes, words = pd.factorize(np.asarray(texts, dtype=object))
    return pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype=object))


def without_repeats(rows: pd.DataFrame, problems: list[Problem]) -> pd.DataFrame:
    """The rows of a tidy frame to keep: of a task that a model has twice, those in the file that is named after it.

    Among files of other names, such as copies, the first part of each split and subset is kept.
    """
    files = rows[["model", "revision", "task", "source"]].drop_duplicates("source")
    pairs = zip(files["source"], files["task"], strict=True)
    is_named = np.array([source.endswith(f"/{task}.json") or not source.endswith(".json") for source, task in pairs])
    if not is_named.all():
        both = files[~is_named].merge(files[is_named], "left", ["model", "revision", "task"], suffixes=("", "_named"))
        for _, _, task, source, named in both.itertuples(index=False):
            said = f"holds a result of {task} and is counted as such"
            if isinstance(named, str):
                said = f"{task} is already in {named}, which is named after {task}: this one was left out"
            problems.append(Problem(source, said))
        rows = rows[~rows["source"].isin(both.loc[both["source_named"].notna(), "source"])].reset_index(drop=True)
    parts = [rows[name].cat for name in ("model", "revision", "task", "split", "subset")]
    place = np.ravel_multi_index([part.codes for part in parts], [len(part.categories) for part in parts])
    repeated = pd.Series(place).duplicated().to_numpy()  # several times as fast as over five columns
    for number in np.flatnonzero(repeated).tolist():
        row, first = rows.iloc[number], rows.iloc[np.flatnonzero(place == place[number])[0]]
        said = f"{row['task']} {row['split']}/{row['subset']} is already in {first['source']}: this score was left out"
        problems.append(Problem(row["source"], said))
    return rows[~repeated].reset_index(drop=True) if repeated.any() else rows
