"""Reads the files of a search set into tables of passages, queries, judgements and candidates, each row checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from genzoo.errors import InputError
from genzoo.tables import Names, Row, line_numbers
from genzoo.tasks.own.kinds import SHAPE
from genzoo.tasks.own.layout import Layout, Source
from genzoo.tasks.own.records import Note

_TEXT = pa.string()
CORPUS = pa.schema([("id", _TEXT), ("title", _TEXT), ("text", _TEXT)])
QUERIES = pa.schema([("id", _TEXT), ("text", _TEXT)])
JUDGED = pa.schema([*((name, _TEXT) for name in ("split", "query", "document")), ("grade", "int32"), ("line", "int32")])
CANDIDATES = pa.schema([("query", _TEXT), ("documents", pa.list_(_TEXT)), ("line", "int32")])
Keep = Callable[[str, pa.Schema, Iterable[Sequence[Any]]], None]
"""Takes the name of a table, its columns and its rows."""


def read_folder(layout: Layout, chosen: Mapping[str, str], keep: Keep) -> list[Note]:
    """Read a set whose parts are files of their own.

    Args:
        layout: Where the parts are.
        chosen: Split -> the table of its judgements.
        keep: Takes the tables ``corpus``, ``queries``, ``judged`` and ``candidates``.

    Raises:
        InputError: A row is not what its file should hold.
    """
    tables, notes = layout.tables, list[Note]()
    keep("corpus", CORPUS, documents(tables["corpus"], notes))
    keep("queries", QUERIES, questions(tables["queries"], notes))
    keep("judged", JUDGED, (row for split, name in chosen.items() for row in _judged(split, tables[name])))
    if "top_ranked" in tables:
        keep("candidates", CANDIDATES, _candidates(tables["top_ranked"]))
    return notes


def documents(table: Source, notes: list[Note]) -> Iterator[tuple[str, str, str]]:
    """Id, title and text."""
    names, empty = Names(table.path), list[int]()
    id_, text, title = (table.columns.get(role) for role in ("passage-id", "passage", "title"))
    count = 0
    for row in table.rows():
        count += 1
        name = names.add(row, id_)
        content = row.text(title or "title", is_optional=True), row.text(text or "text")
        if not "".join(content).strip():
            empty.append(row.line)
        yield name, *content
    names.check(SHAPE)
    if empty and len(empty) == count:
        raise InputError(f"{table.path}: no document has a title or a text, so there is nothing to be found")
    if empty:
        said = f"{len(empty):,} of {count:,} documents have neither title nor text ({line_numbers(empty)})"
        notes.append(Note(said, "empty-documents", len(empty), count))


def questions(table: Source, notes: list[Note]) -> Iterator[tuple[str, str]]:
    """Id and text."""
    names, instructed, count = Names(table.path), 0, 0
    id_, column = table.columns.get("query-id"), table.columns.get("query", "text")
    for row in table.rows():
        count += 1
        name, text = names.add(row, id_), row.text(column)
        if not text.strip():
            raise row.error("the query has no text: give it one, or leave the row out")
        instructed += bool(row.cells.get("instruction"))
        yield name, text
    names.check(SHAPE)
    if instructed:
        said = f"{instructed:,} of {count:,} queries have an 'instruction', which is not read: put it into 'text'"
        notes.append(Note(said, "instructions", instructed, count))


def _judged(split: str, table: Source) -> Iterator[tuple[str, str, str, int, int]]:
    """Split, query, document, grade and line; a pair that is judged twice has one grade."""
    query_id, passage_id, grade_of = (
        table.columns.get(role, default)
        for role, default in (("query-id", "query-id"), ("passage-id", "corpus-id"), ("grade", "score"))
    )
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in table.rows():
        pair, grade = (row.name(query_id), row.name(passage_id)), row.grade(grade_of)
        if _is_new(found, row, pair, grade, f"query {pair[0]!r} and document {pair[1]!r}"):
            yield split, *pair, grade, row.line
    if not found:
        raise InputError(f"{table.path} holds no rows: expected {SHAPE}")


def _is_new(found: dict[Any, tuple[int, int]], row: Row, pair: Any, grade: int, said: str) -> bool:
    """Whether a pair, called so in messages, was not judged before; an error where it was, and otherwise."""
    earlier, line = found.setdefault(pair, (grade, row.line))
    if earlier != grade:
        raise row.error(f"{said} have the grade {grade}, on line {line} {earlier}")
    return line == row.line


def _candidates(table: Source) -> Iterator[tuple[str, list[str], int]]:
    """Query, its candidates and the line."""
    found = set()
    query_id, ids = table.columns.get("query-id", "query-id"), table.columns.get("passages", "corpus-ids")
    for row in table.rows():
        query, names = row.name(query_id), row.value(ids)
        if query in found:
            raise row.error(f"the query {query!r} has candidates on an earlier line")
        if not isinstance(names, list) or not names:
            raise row.error(f"{ids!r} must be a list of ids that is not empty")
        candidates = [row.as_name(name, ids) for name in names]
        if len(set(candidates)) < len(candidates):
            raise row.error("a candidate is named twice")
        found.add(query)
        yield query, candidates, row.line


def read_table_of_pairs(layout: Layout, chosen: Mapping[str, str], keep: Keep) -> list[Note]:
    """Read a set whose rows each hold a query, a passage and how relevant it is; equal texts are one.

    Args:
        layout: Where the table is. Without ids in it the passages are called ``d1``, ``d2``, ... and the queries ``q1``, ``q2``, ...
        chosen: The split and its table, or the table with a column of splits.
        keep: Takes the tables ``corpus``, ``queries``, ``judged``, and for reranking ``candidates``.

    Raises:
        InputError: A row is not what the table should hold, or one id has two texts.
    """
    ((split, name),) = chosen.items()
    pairs = _Pairs(layout.tables[name], split)
    keep("corpus", CORPUS, pairs.documents())
    keep("queries", QUERIES, zip(pairs.queries.names, pairs.query_texts, strict=True))
    keep("judged", JUDGED, pairs.judged())
    if layout.kind == "Reranking":
        keep("candidates", CANDIDATES, pairs.candidates())
    return pairs.notes


class _Texts:
    """Distinct texts by number, and what each is called; of the texts themselves only digests are held."""

    def __init__(self, prefix: str, what: str) -> None:
        self.names: list[str] = []
        self._prefix, self._what = prefix, what
        self._numbers: dict[Any, int] = {}
        self._digests: list[bytes] = []

    def add(self, row: Row, content: str, column: str | None) -> tuple[int, bool]:
        """The number of a text, and whether it is new."""
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        name = row.name(column) if column else f"{self._prefix}{len(self.names) + 1}"
        number = self._numbers.setdefault(name if column else digest, len(self.names))
        if number < len(self.names):
            if self._digests[number] != digest:
                raise row.error(f"the {self._what} {name!r} has another text on an earlier line")
            return number, False
        self.names.append(name)
        self._digests.append(digest)
        return number, True


class _Pairs:
    """One pass over a table of pairs."""

    def __init__(self, table: Source, split: str) -> None:
        self.table, self.split = table, split
        self.notes: list[Note] = []
        self.passages, self.queries = _Texts("d", "passage"), _Texts("q", "query")
        self.query_texts: list[str] = []
        self._judged: dict[tuple[int, int], tuple[int, int]] = {}  # numbers of query and passage -> grade and line

    def documents(self) -> Iterator[tuple[str, str, str]]:
        """Id, title and text of each passage; what else the rows say is kept meanwhile."""
        column = self.table.columns.get
        seen: dict[str, None] = {}
        for row in self.table.rows():
            if (own := column("split")) is not None:
                seen[row.text(own)] = None
                if row.text(own) != self.split:
                    continue
            query, text = (self._text(row, role) for role in ("query", "passage"))
            title = row.text(column("title", "title"), is_optional=True)
            number, is_new_query = self.queries.add(row, query, column("query-id"))
            if is_new_query:
                self.query_texts.append(query)
            place, is_new = self.passages.add(row, f"{title}\0{text}", column("passage-id"))
            grade = row.grade(grade_of) if (grade_of := column("grade")) else 1
            _is_new(self._judged, row, (number, place), grade, "this query and passage")
            if is_new:
                yield self.passages.names[place], title, text
        if not self._judged:
            there = f" of the split {self.split}; it holds {', '.join(seen)}: choose one with --split" if seen else ""
            raise InputError(f"{self.table.path} holds no rows{there}")
        if column("grade") is None:
            self.notes.append(
                Note("no column for a grade: each passage is relevant for the query of its row", "no-grades")
            )

    def _text(self, row: Row, role: str) -> str:
        text = row.text(self.table.columns[role])
        if not text.strip():
            raise row.error(f"the {role} has no text: give it one, or leave the row out")
        return text

    def judged(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Split, query, passage, grade and line."""
        for (query, passage), (grade, line) in self._judged.items():
            yield self.split, self.queries.names[query], self.passages.names[passage], grade, line

    def candidates(self) -> Iterator[tuple[str, list[str], int]]:
        """Query, the passages of its rows, and the line of the first."""
        found: dict[int, list[str]] = {}
        lines: dict[int, int] = {}
        for (query, passage), (_, line) in self._judged.items():
            found.setdefault(query, []).append(self.passages.names[passage])
            lines.setdefault(query, line)
        for query, own in found.items():
            yield self.queries.names[query], own, lines[query]
