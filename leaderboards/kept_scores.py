"""The main scores of many result files as columns, and their record on the disk, which a later load starts from."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.files import write_bytes
from genzoo.leaderboards.reading import ResultFile

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
