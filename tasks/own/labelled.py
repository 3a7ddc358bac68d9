"""Labelled texts of the user's own: pairs with a similarity or a label, and texts with a class or a cluster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from genzoo.errors import InputError
from genzoo.tables import Row
from genzoo.tasks.own.arrow import made_tables
from genzoo.tasks.own.digests import combined_digest
from genzoo.tasks.own.kinds import ROLES
from genzoo.tasks.own.layout import Layout, Source
from genzoo.tasks.own.records import Note
from genzoo.tasks.own.search import dataset_of
from genzoo.text import plural, some

TRAIN = "train"
_TEST = "test"
_MATCH = {"1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0}
_SCHEMAS = {
    "STS": pa.schema([("sentence1", pa.string()), ("sentence2", pa.string()), ("score", "float64")]),
    "PairClassification": pa.schema([("sentence1", pa.string()), ("sentence2", pa.string()), ("labels", "int64")]),
    "Classification": pa.schema([("text", pa.string()), ("label", pa.string())]),
    "Clustering": pa.schema([("sentences", pa.string()), ("labels", pa.string())]),
}
"""mteb's type -> the columns that its task reads; the labels of texts become numbers when they are loaded."""
_SHOWN = 3


@dataclass(frozen=True)
class OwnLabelled:
    """Labelled texts by split.

    Attributes:
        path: The file or folder.
        kind: mteb's type of the task.
        tables: Split -> texts and labels, in the columns that mteb's task reads; labels of texts as the files have them.
        splits: The splits that are measured.
        revision: Digest of the files and of how they are read, 40 hex digits.
        notes: What is incomplete and yet can be measured.
    """

    path: Path
    kind: str
    tables: Mapping[str, pa.Table]
    splits: tuple[str, ...]
    revision: str
    notes: tuple[Note, ...]

    @property
    def n_texts(self) -> int:
        """Texts of all splits, a pair counted twice."""
        return sum(len(table) * self._n_columns for table in self.tables.values())

    @cached_property
    def n_characters(self) -> int:
        """Characters of those, together."""
        columns = (table.column(place) for table in self.tables.values() for place in range(self._n_columns))
        return sum(pc.sum(pc.utf8_length(column)).as_py() or 0 for column in columns)

    @property
    def _n_columns(self) -> int:
        return 2 if self.kind in ("STS", "PairClassification") else 1

    @property
    def labels(self) -> list[str]:
        """The distinct labels of texts, in order; none for pairs."""
        if self._n_columns == 2:
            return []
        return sorted({label for table in self.tables.values() for label in pc.unique(table.column(1)).to_pylist()})

    def loaded(self, subset: str) -> Any:
        """The splits as mteb's task holds them."""
        from datasets import DatasetDict

        return DatasetDict(
            {split: dataset_of(self._numbered(t), f"{self.revision}-{split}") for split, t in self.tables.items()}
        )

    def _numbered(self, table: pa.Table) -> pa.Table:
        """The labels of texts as numbers, in the order of their names."""
        if self._n_columns == 2:
            return table
        column = table.column(1)
        numbers = pc.index_in(column, pa.array(self.labels, pa.string()))
        return table.set_column(1, table.schema.names[1], numbers.cast("int64"))

    def settings(self) -> dict[str, Any]:
        """What mteb's task has to be told: the range of the scores, where the examples are, that every text counts."""
        if self.kind == "STS":
            ends = [pc.min_max(self.tables[split]["score"]).as_py() for split in self.splits]
            return {"min_score": min(end["min"] for end in ends), "max_score": max(end["max"] for end in ends)}
        if self.kind == "Classification" and TRAIN not in self.tables:
            return {"is_cross_validation": True, "train_split": self.splits[0]}
        return {"max_fraction_of_documents_to_embed": None} if self.kind == "Clustering" else {}


def read_labelled(layout: Layout, extra: Any = None) -> OwnLabelled:
    """Read and check labelled texts.

    Args:
        layout: Where they are.
        extra: What the digest depends on besides the files.

    Raises:
        InputError: A row is not a record of its kind (file and line are named), or the labels cannot be measured.
    """
    parts = [(name or "table", path) for name, table in layout.tables.items() for path in table.paths]
    size = sum(path.stat().st_size for _, path in parts)
    read = {name: dict(table.columns) for name, table in layout.tables.items()}
    key = combined_digest(parts, [layout.kind, read])

    def make(keep: Any) -> list[Note]:
        for name, table in layout.tables.items():
            keep(name or "all", _schema_of(layout.kind), _rows(layout.kind, table, name or _TEST))
        return []

    made, _ = made_tables(key, size, make)
    tables = _by_split(layout.kind, made)
    splits, notes = _measured(layout, tables)
    for split in splits:
        _check(layout, split, tables)
    return OwnLabelled(
        path=layout.path,
        kind=layout.kind,
        tables={
            split: tables[split]
            for split in dict.fromkeys((*([TRAIN] if _is_trained(layout, tables) else []), *splits))
        },
        splits=splits,
        revision=combined_digest(parts, extra),
        notes=tuple(note.at(layout.path) for note in [*notes, *_unseen(layout, tables, splits)]),
    )


def _schema_of(kind: str) -> pa.Schema:
    return pa.schema([*_SCHEMAS[kind], ("split", pa.string())])


def _rows(kind: str, table: Source, split: str) -> Iterator[tuple[Any, ...]]:
    """Texts, label and split of each row."""
    *texts, label = (table.columns[role] for role in ROLES[kind])
    own = table.columns.get("split")
    for row in table.rows():
        said = [row.text(column) for column in texts]
        if (
            empty := next((column for column, text in zip(texts, said, strict=True) if not text.strip()), None)
        ) is not None:
            raise row.error(f"{empty!r} is empty: give it a text, or leave the row out")
        yield *said, _LABELS[kind](row, label), row.name(own) if own else split


def _score(row: Row, column: str) -> float:
    value = row.value(column)
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise row.error(f"{column!r} is {value!r}: a number is expected")
    return number


def _match(row: Row, column: str) -> int:
    value = row.value(column)
    said = str(int(value)) if isinstance(value, float) and value in (0, 1) else str(value).strip().casefold()
    if said not in _MATCH:
        raise row.error(
            f"{column!r} is {value!r}: expected 1 or 0 (or true or false). A similarity is --kind similarity"
        )
    return _MATCH[said]


def _label(row: Row, column: str) -> str:
    value = row.value(column)
    return str(value).lower() if isinstance(value, bool) else row.as_name(value, column)


_LABELS = {"STS": _score, "PairClassification": _match, "Classification": _label, "Clustering": _label}


def _by_split(kind: str, made: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables by the split that their rows name."""
    whole = pa.concat_tables([made[name] for name in sorted(made)])
    found = {}
    for split in pc.unique(whole["split"]).to_pylist():
        found[split] = whole.filter(pc.equal(whole["split"], split)).drop_columns("split")
    return found


def _is_trained(layout: Layout, tables: Mapping[str, pa.Table]) -> bool:
    """Whether a classifier is trained on one split and measured on another."""
    return layout.kind == "Classification" and TRAIN in tables and len(tables) > 1


def _measured(layout: Layout, tables: Mapping[str, pa.Table]) -> tuple[tuple[str, ...], list[Note]]:
    """The splits that are measured, and notes on those that are not."""
    if not tables:
        raise InputError(f"{layout.path} holds no rows")
    is_trained = _is_trained(layout, tables)
    open_ = [split for split in tables if not (is_trained and split == TRAIN)]
    wanted = layout.split or (_TEST if _TEST in open_ else open_[0] if len(open_) == 1 else "")
    if wanted not in open_:
        raise InputError(
            f"{layout.path} holds the splits {', '.join(tables)}: choose one of {', '.join(open_)} with --split"
        )
    notes = []
    others = [split for split in open_ if split != wanted]
    if others:
        said = f"measured on {wanted}; {', '.join(others)} is there too"
        notes.append(Note(said, "splits", len(others), len(tables)))
    if layout.kind == "Classification" and not is_trained:
        notes.append(Note("no split to train on: measured by cross-validation in five parts", "cross-validation"))
    return (wanted,), notes


def _check(layout: Layout, split: str, tables: Mapping[str, pa.Table]) -> None:
    """Refuse labels of which no score can be made."""
    labels = tables[split].column(-1)
    n_labels, is_grouped = len(pc.unique(labels)), layout.kind in ("Classification", "Clustering")
    if n_labels == len(labels) > 1 and is_grouped and not _is_trained(layout, tables):
        raise InputError(f"{layout.path}: every row of {split} has a label of its own, so there is nothing to group")
    if n_labels < 2:
        only = labels[0].as_py()
        raise InputError(
            f"{layout.path}: every row of {split} has the label {only!r}, so there is nothing to tell apart"
        )
    if layout.kind == "Classification" and _is_trained(layout, tables) and len(pc.unique(tables[TRAIN].column(-1))) < 2:
        raise InputError(f"{layout.path}: {TRAIN} has examples of one label alone, so no classifier can be trained")


def _unseen(layout: Layout, tables: Mapping[str, pa.Table], splits: Sequence[str]) -> Iterable[Note]:
    """A note on labels without an example in the train split."""
    if not _is_trained(layout, tables):
        return
    for split in splits:
        labels = tables[split]["label"]
        unseen = sorted(set(pc.unique(labels).to_pylist()) - set(pc.unique(tables[TRAIN]["label"]).to_pylist()))
        if unseen:
            texts = len(labels.filter(pc.is_in(labels, pa.array(unseen, pa.string()))))
            names = some([repr(label) for label in unseen], _SHOWN)
            said = f"{plural(len(unseen), 'label')} of {split} without an example in {TRAIN} ({names}): {plural(texts, 'text')} cannot be right"
            yield Note(said, "unseen-labels", texts, len(labels))
