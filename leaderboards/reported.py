"""Scores that somebody wrote down: CSV files of other people's tables. They are shown, and always marked as reported."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from genzoo.errors import InputError
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.index import FileScores
from genzoo.leaderboards.reading import UNKNOWN, ResultFile

REPORTED = "reported"
_HOW = "give the columns model, task and main_score (a fraction of 1), or model and one column per task"
_FACTS = ("revision", "split", "subset", "mteb_version", "data_revision")


class ReportedScore(NamedTuple):
    """One score as reported: a fraction of 1 in the task's own direction; `source` says where it was found."""

    model: str
    task: str
    value: float
    source: str
    revision: str = ""
    split: str = "test"
    subset: str = "default"
    mteb_version: str = UNKNOWN
    data_revision: str = UNKNOWN


class ReportedMeans(NamedTuple):
    """Means that a model's authors give for a whole benchmark, without the scores behind them.

    All are fractions of 1, higher is better; `types` goes by mteb's names of task types.
    """

    model: str
    benchmark: str
    source: str
    mean_task: float | None = None
    types: Mapping[str, float] = MappingProxyType({})


def reported_key(model: str, revision: str = "") -> ModelKey:
    """The row of a reported model: never that of a measured one.

    >>> reported_key("acme/m").revision
    'reported'
    """
    return ModelKey(model, f"{revision}+{REPORTED}" if revision else REPORTED)


def is_written_down(key: ModelKey) -> bool:
    """Whether the row is one of `reported_key`.

    >>> is_written_down(reported_key("acme/m", "abc")), is_written_down(ModelKey("acme/m", "abc"))
    (True, False)
    """
    return key.revision.rpartition("+")[2] == REPORTED


def read_csv(path: Path, source: str, problems: list[Problem]) -> list[ReportedScore]:
    """The scores of a CSV file: one row per score (`model,task,main_score`) or per model (`model,TaskA,TaskB`).

    Args:
        path: UTF-8, comma-separated, with a heading.
        source: What provenance and `problems` call it.
        problems: Grows by one line for each row that could not be used.

    Raises:
        InputError: The heading names no model, or no score.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            heads, lines = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source} cannot be read as CSV ({error}): {_HOW}") from error
    if "model" not in heads or len(heads) < 2:
        raise InputError(f"{source} has the columns {', '.join(map(repr, heads)) or 'none'}: {_HOW}")
    if "task" in heads:
        name = next((head for head in ("main_score", "value", "score") if head in heads), None)
        if name is None:
            raise InputError(f"{source} has no column main_score: {_HOW}")
        cells = [(number, row, row.get("task") or "", row.get(name)) for number, row in enumerate(lines, 2)]
    else:
        tasks = [head for head in heads if head not in {"model", *_FACTS}]
        cells = [(number, row, task, row.get(task)) for number, row in enumerate(lines, 2) for task in tasks]
    return list(_scores(cells, source, problems))


def _scores(
    cells: Iterable[tuple[int, Mapping[str, str], str, str | None]], source: str, problems: list[Problem]
) -> Iterable[ReportedScore]:
    for number, row, task, text in cells:
        if not (text or "").strip():
            continue  # an empty cell is a score that the table does not have
        model = (row.get("model") or "").strip()
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not model or not task.strip() or not math.isfinite(value):
            problems.append(Problem(source, f"line {number}: model {model!r}, task {task!r}, {text!r:.40} is no score"))
            continue
        stated = {name: row[name].strip() for name in _FACTS if (row.get(name) or "").strip()}
        yield ReportedScore(model, task.strip(), value, source, **stated)


def as_files(scores: Sequence[ReportedScore]) -> tuple[list[ResultFile], list[FileScores]]:
    """Reported scores in the shape that result files are read into, one for each model and task."""
    groups: dict[tuple[ModelKey, str, str, str, str], list[tuple[str, str, float]]] = {}
    for score in scores:
        key = reported_key(score.model, score.revision)
        group = groups.setdefault((key, score.task, score.source, score.mteb_version, score.data_revision), [])
        group.append((score.split, score.subset, score.value))
    files = [ResultFile("", source, key) for key, _, source, _, _ in groups]
    found = [FileScores(task, mteb, data, parts, [], False) for (_, task, _, mteb, data), parts in groups.items()]
    return files, found
