"""Scores that somebody wrote down: CSV files of other people's tables. They are shown, and always marked as reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.result_files import UNKNOWN, ResultFile

REPORTED = "reported"
STATED = ("revision", "split", "subset", "mteb_version", "data_revision")
"""What a table may state of a score besides model and task."""


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


def as_files(scores: Sequence[ReportedScore]) -> tuple[list[ResultFile], list[dict[str, Any]]]:
    """Reported scores as files and rows of `genzoo.leaderboards.reading.scores.RECORD`, one for each model and task."""
    groups: dict[tuple[ModelKey, str, str, str, str], list[tuple[str, str, float]]] = {}
    for score in scores:
        key = reported_key(score.model, score.revision)
        group = groups.setdefault((key, score.task, score.source, score.mteb_version, score.data_revision), [])
        group.append((score.split, score.subset, score.value))
    files = [ResultFile("", source, key) for key, _, source, _, _ in groups]
    return files, [
        {"task": task, "mteb_version": mteb_version, "data_revision": data_revision, "parts": parts}
        for (_, task, _, mteb_version, data_revision), parts in groups.items()
    ]
