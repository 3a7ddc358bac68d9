"""A search set of the user's own: passages, queries and judgements, checked whole before any model is loaded."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from genzoo.errors import InputError
from genzoo.tasks.own.arrow import Tables, made_tables
from genzoo.tasks.own.digests import combined_digest
from genzoo.tasks.own.layout import Layout
from genzoo.tasks.own.records import Note
from genzoo.tasks.own.search_files import read_folder, read_table_of_pairs
from genzoo.text import some

_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
_SHOWN = 3
Judgements = dict[str, dict[str, int]]
"""Query -> document -> grade."""


@dataclass(frozen=True)
class OwnSearch:
    """Passages, queries and judgements.

    Attributes:
        path: The file or folder.
        passages: ``id``, ``title`` and ``text`` of each, mapped into memory where they are many.
        questions: ``id`` and ``text`` of each query, judged or not.
        judged: Split -> query -> document -> grade, as the files say; ids may be unknown, and a query without a relevant document.
        judgements: The same of the queries that are measured: known ones with a document of a grade above 0.
        candidates: Query -> the documents that are to be reranked, None where the whole corpus is searched.
        revision: Digest of the files, 40 hex digits as a commit has.
        corpus_revision: Digest of the corpus alone, 8 hex digits: tasks on the same documents share it.
        notes: What is incomplete and yet can be measured.
    """

    path: Path
    passages: pa.Table
    questions: pa.Table
    judged: Mapping[str, Judgements]
    judgements: Mapping[str, Judgements]
    candidates: Mapping[str, Sequence[str]] | None
    revision: str
    corpus_revision: str
    notes: tuple[Note, ...]

    @cached_property
    def corpus(self) -> Any:
        """The passages as a `datasets.Dataset`."""
        return dataset_of(self.passages, f"{self.revision}-corpus")

    @cached_property
    def queries(self) -> Any:
        """The queries as a `datasets.Dataset`."""
        return dataset_of(self.questions, f"{self.revision}-queries")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are measured."""
        return tuple(self.judgements)

    @cached_property
    def n_texts(self) -> int:
        """Documents and judged queries."""
        return len(self.passages) + len(self._measured)

    @cached_property
    def n_characters(self) -> int:
        """Characters of those, together."""
        columns = [self.passages["title"], self.passages["text"], self._measured["text"]]
        return sum(pc.sum(pc.utf8_length(column)).as_py() or 0 for column in columns)

    @cached_property
    def _measured(self) -> pa.Table:
        wanted = {query for queries in self.judgements.values() for query in queries}
        return self.questions.filter(pc.is_in(self.questions["id"], pa.array(sorted(wanted), pa.string())))

    def loaded(self, subset: str) -> dict[str, Any]:
        """The splits as mteb's task holds them."""
        return {subset: {split: self.split(split) for split in self.judgements}}

    def split(self, name: str) -> dict[str, Any]:
        """One split as mteb's retrieval tasks hold it."""
        judged, candidates = self.judgements[name], self.candidates
        places = [place for place, query in enumerate(self.queries["id"]) if query in judged]
        return {
            "corpus": self.corpus,
            "queries": self.queries.select(places),
            "relevant_docs": {query: dict(grades) for query, grades in judged.items()},
            "top_ranked": None if candidates is None else {query: candidates[query] for query in judged},
        }


def dataset_of(table: pa.Table, name: str) -> Any:
    """A table as a `datasets.Dataset`, which keeps what it derives from it in memory; the name stands for the content."""
    from datasets import Dataset
    from datasets.table import InMemoryTable

    return Dataset(InMemoryTable(table), fingerprint=name)


def read_search(
    layout: Layout, splits: Sequence[str] = ("test",), *, is_reranking: bool | None = None, extra: Any = None
) -> OwnSearch:
    """Read and check a search set.

    Args:
        layout: Where its parts are.
        splits: The splits to measure where they are there, else the only one; a single file of judgements is taken for the first.
        is_reranking: Whether an official task over these data needs candidates; None for a task of its own.
        extra: What the digest depends on besides the files.

    Raises:
        InputError: A row is not a record of its kind, or the ids of the files do not meet; file and line are named.
    """
    chosen, said = _chosen(layout, splits)
    parts = list(_files(layout, chosen))
    how = {name: dict(table.columns) for name, table in layout.tables.items()}
    key = combined_digest(parts, [layout.kind, how, sorted(chosen)])
    read = read_folder if layout.has_corpus else read_table_of_pairs
    size = sum(path.stat().st_size for _, path in parts)
    tables, notes = made_tables(key, size, partial(read, layout, chosen))
    notes = [*layout.notes, *said, *notes]
    judged = _as_judgements(tables["judged"], tuple(chosen))
    judgements = _checked(layout, tables, judged, notes)
    wanted = {query for queries in judgements.values() for query in queries}
    rated, names = {query for queries in judged.values() for query in queries}, tables["queries"]["id"].to_pylist()
    never, total = sum(query not in rated for query in names), len(names)
    lacking = {"are not judged": never, "have no relevant document in the judgements": total - len(wanted) - never}
    for what, n in lacking.items():
        notes += [Note(f"{n:,} of {total:,} queries {what}: left out", "unjudged-queries", n, total)] if n else []
    candidates = _candidates(layout, tables, judgements, wanted, notes)
    if candidates is not None and is_reranking is False:
        name = layout.tables["top_ranked"].path.name
        notes.append(Note(f"each query ranks its candidates in {name}, not the whole corpus", "candidates"))
    return OwnSearch(
        path=layout.path,
        passages=tables["corpus"],
        questions=tables["queries"],
        judged=judged,
        judgements=judgements,
        candidates=candidates,
        revision=combined_digest(parts, extra),
        corpus_revision=combined_digest(parts[:1] if layout.has_corpus else parts)[:8],
        notes=tuple(note.at(layout.path) for note in notes),
    )


def _chosen(layout: Layout, splits: Sequence[str]) -> tuple[dict[str, str], list[Note]]:
    """Split -> the table of its judgements, and a note on the splits that are left."""
    if layout.has_corpus:
        there = {name.removeprefix("qrels").strip("/"): name for name in layout.tables if name.startswith("qrels")}
    else:
        there = {name: name for name in layout.tables}
    if set(there) == {""}:
        if layout.split is not None and not layout.has_corpus and "split" not in layout.tables[""].columns:
            raise InputError(f"{layout.path} has no splits: leave out --split")
        return {splits[0]: there[""]}, []
    chosen = {name: there[name] for name in splits if name in there}
    if not chosen and len(there) == 1 and layout.split is None:
        chosen = there
    if not chosen:
        raise InputError(
            f"{layout.path} holds judgements for {', '.join(sorted(there))}, but the task is measured on {', '.join(splits)}: "
            f"name another split (--split), or rename the one that is to be measured to {splits[0]}"
        )
    if not layout.has_corpus:  # the passages of a table are those of one split
        chosen = dict([*chosen.items()][:1])
    others = [name for name in there if name not in chosen]
    said = f"measured on {', '.join(chosen)}; {', '.join(others)} is there too"
    return chosen, [Note(said, "splits", len(others), len(there))] if others else []


def _files(layout: Layout, chosen: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The files that are read, each with the name of its part; a file of judgements in a folder says which split it is."""
    tables = layout.tables
    names = {name: ("qrels" if name == "qrels" else f"qrels/{split}") for split, name in chosen.items()}
    parts = ["corpus", "queries", *chosen.values()] if layout.has_corpus else list(chosen.values())
    for part in [*parts, *(["top_ranked"] if "top_ranked" in tables else [])]:
        for path in tables[part].paths:
            yield names.get(part, part), path


def _as_judgements(table: pa.Table, splits: Sequence[str]) -> dict[str, Judgements]:
    found: dict[str, Judgements] = {split: {} for split in splits}
    for batch in table.select(["split", "query", "document", "grade"]).to_batches():
        for split, query, document, grade in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found[split].setdefault(query, {})[document] = grade
    return found


def _checked(
    layout: Layout, tables: Tables, judged: Mapping[str, Judgements], notes: list[Note]
) -> dict[str, Judgements]:
    """The judgements of the queries that can be measured; notes tell what is missing."""
    found = {}
    for split, grades in judged.items():
        path = _judged_in(layout, split)
        places = tables["judged"].filter(pc.equal(tables["judged"]["split"], split))
        unknown = {}
        for side, other, so in (("query", "queries", "left out"), ("document", "corpus", "counted as not found")):
            unknown[side] = names = _missing(layout, places, side, other, tables[other]["id"], path)
            if names:
                where = "in the corpus" if other == "corpus" else f"in {_path(layout, other).name}"
                what, total = ("queries" if side == "query" else "documents"), len(pc.unique(places[side]))
                notes.append(_told(names, total, f"judged {what}", f"not {where}", so, f"missing-{what}"))
        gone = {side: set(names) for side, names in unknown.items()}
        known = {query: own for query, own in grades.items() if query not in gone["query"]}
        found[split] = {query: own for query, own in known.items() if max(own.values()) > 0}
        if not found[split]:
            where = _path(layout, "queries").name
            raise InputError(f"{path} names no relevant document: no grade of a query in {where} is above 0")
        if {name for own in found[split].values() for name, grade in own.items() if grade > 0} <= gone["document"]:
            where = _path(layout, "corpus").name
            raise InputError(f"{path}: no document with a grade above 0 is in {where}, so every score would be 0")
    return found


def _path(layout: Layout, part: str) -> Path:
    return layout.tables[part].path if layout.has_corpus else layout.path


def _judged_in(layout: Layout, split: str) -> Path:
    tables = layout.tables
    return tables[next(name for name in (f"qrels/{split}", "qrels", split, "") if name in tables)].path


def _missing(layout: Layout, judged: pa.Table, side: str, other: str, known: pa.ChunkedArray, path: Path) -> list[str]:
    """Judged ids that the other file does not have; an error if none meet, or if one is only written otherwise."""
    names = pc.unique(judged[side])
    missing = names.filter(pc.invert(pc.is_in(names, known))).to_pylist()
    if not missing:
        return []
    field = "query-id" if side == "query" else "corpus-id"
    file = _path(layout, other)
    if len(missing) == len(names):
        raise InputError(
            f"{path} and {file} have no id in common: {field!r} is such as {missing[0]!r}, the ids of {file.name} are such "
            f"as {known[0].as_py()!r}. Write both the same way"
        )
    alike = {_bare_id(name): name for name in reversed(missing)}
    for name in itertools.chain.from_iterable(chunk.to_pylist() for chunk in known.iterchunks()):
        if (twin := alike.get(_bare_id(name))) is not None:
            place = f"{path}, line {judged.filter(pc.equal(judged[side], twin))['line'][0].as_py()}"
            raise InputError(f"{place}: {field!r} is {twin!r}, {file.name} has {name!r}. Write both the same way")
    return list(missing)


def _bare_id(name: str) -> str:
    """An id without what spreadsheets and editors change in it.

    >>> _bare_id(" 7.0 "), _bare_id("7")
    ('7', '7')
    """
    plain = unicodedata.normalize("NFC", name.strip())
    return _WHOLE_FLOAT.sub(r"\1", plain) if _WHOLE_FLOAT.fullmatch(plain) else plain


def _told(missing: Sequence[str], total: int, what: str, where: str, so: str, code: str) -> Note:
    names = some([repr(name) for name in missing], _SHOWN)
    text = f"{len(missing):,} of {total:,} {what} {'is' if len(missing) == 1 else 'are'} {where} ({names}): {so}"
    return Note(text, code, len(missing), total)


def _candidates(
    layout: Layout, tables: Tables, judgements: Mapping[str, Judgements], wanted: Collection[str], notes: list[Note]
) -> dict[str, list[str]] | None:
    """Query -> candidates; None where the whole corpus is searched. Notes tell of relevant documents that are none."""
    if "candidates" not in tables:
        return None
    path = layout.tables["top_ranked"].path if "top_ranked" in layout.tables else layout.path
    columns = [tables["candidates"][name].to_pylist() for name in ("query", "documents", "line")]
    ranked = dict(zip(*columns[:2], strict=True))
    named = pc.unique(pc.list_flatten(tables["candidates"]["documents"]))
    unknown = set(named.filter(pc.invert(pc.is_in(named, tables["corpus"]["id"]))).to_pylist())
    for documents, line in zip(*columns[1:], strict=True) if unknown else ():
        if name := next((name for name in documents if name in unknown), None):
            raise InputError(f"{path}, line {line}: the candidate {name!r} is not in the corpus")
    if lacking := sorted(set(wanted) - set(ranked)):
        raise InputError(f"{path} names no candidates for {len(lacking):,} judged queries, such as {lacking[0]!r}")
    for split, queries in judgements.items():
        relevant = {query: {name for name, grade in own.items() if grade > 0} for query, own in queries.items()}
        lost = [query for query, names in relevant.items() if names.isdisjoint(ranked[query])]
        if len(lost) == len(queries):
            reason = "is among the candidates of its query, so every score would be 0"
            raise InputError(f"{path}: no relevant document of {split} {reason}")
        if lost:
            where = f"without a relevant document in {path.name}"
            notes.append(_told(lost, len(queries), "judged queries", where, "found by no model", "unreachable-queries"))
    return ranked
