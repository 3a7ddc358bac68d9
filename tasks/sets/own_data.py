"""A search set of the user's own: a folder of corpus, queries and judgements, checked whole before any model is loaded."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from genzoo.errors import InputError
from genzoo.files import sha256_of
from genzoo.tables import Names, line_numbers, read_rows

SHAPE = (
    "corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and the judgements as qrels.jsonl or qrels/test.tsv "
    "(query-id, corpus-id, score); for a reranking task top_ranked.jsonl too (query-id, corpus-ids); each plain or .gz"
)
_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
_SHOWN = 3

Judgements = dict[str, dict[str, int]]


@dataclass(frozen=True)
class OwnSearchSet:
    """What a folder holds.

    Attributes:
        path: The folder.
        corpus: ``id``, ``title`` and ``text`` of each document.
        queries: ``id`` and ``text`` of each query, judged or not.
        judgements: Split -> query -> document -> grade; each query has a document of a grade above 0.
        candidates: Query -> the documents that are to be reranked, None where the whole corpus is searched.
        revision: Digest of the files, 40 hex digits as a commit has.
        corpus_revision: Digest of the corpus alone, 8 hex digits: tasks on the same documents share it.
        notes: What is incomplete and yet can be measured, a line each.
        n_texts: Documents and judged queries.
        n_characters: Of those, together.
    """

    path: Path
    corpus: Dataset
    queries: Dataset
    judgements: Mapping[str, Judgements]
    candidates: Mapping[str, list[str]] | None
    revision: str
    corpus_revision: str
    notes: tuple[str, ...]
    n_texts: int
    n_characters: int

    def split(self, name: str) -> dict[str, Any]:
        """One split as mteb's retrieval tasks hold it."""
        judged = self.judgements[name]
        places = [place for place, query in enumerate(self.queries["id"]) if query in judged]
        candidates = self.candidates
        return {
            "corpus": self.corpus,
            "queries": self.queries.select(places),
            "relevant_docs": {query: dict(grades) for query, grades in judged.items()},
            "top_ranked": None if candidates is None else {query: candidates[query] for query in judged},
        }


def read_search_set(folder: Path, splits: Sequence[str], *, is_reranking: bool = False) -> OwnSearchSet:
    """Read and check a folder.

    Args:
        folder: In the layout of BEIR, or with one file of judgements.
        splits: The splits that the task is measured on; a single file of judgements is taken for the first.
        is_reranking: Whether the task needs candidates.

    Raises:
        InputError: A file is missing, a row is not a record of its kind, or the ids of the files do not meet.
    """
    files = {part: _find(folder, part) for part in ("corpus", "queries")}
    judged, notes = _judgement_files(folder, splits)
    ranked = _find(folder, "top_ranked") if is_reranking or _present(folder, "top_ranked") else None
    corpus, queries = _documents(files["corpus"], notes), _queries(files["queries"], notes)
    judgements = {split: _judgements(path, files, corpus, queries, notes) for split, path in judged.items()}
    wanted = {query for queries_of in judgements.values() for query in queries_of}
    if unjudged := len(queries) - len(wanted):
        notes.append(f"{unjudged:,} of {len(queries):,} queries have no relevant document in the judgements: left out")
    candidates = _read_candidates(ranked, corpus, wanted) if ranked is not None else None
    if ranked is not None and candidates is not None:
        notes += _unreachable(candidates, judgements, ranked)
    if ranked is not None and not is_reranking:
        notes.append(f"each query ranks its candidates in {ranked.name}, not the whole corpus")
    paths = [*files.items(), *((_part(folder, path, split), path) for split, path in judged.items())]
    paths += [("top_ranked", ranked)] if ranked is not None else []
    titles, texts = map(list, zip(*corpus.values(), strict=True))
    return OwnSearchSet(
        path=folder,
        corpus=Dataset.from_dict({"id": list(corpus), "title": titles, "text": texts}),
        queries=Dataset.from_dict({"id": list(queries), "text": list(queries.values())}),
        judgements=judgements,
        candidates=candidates,
        revision=_digest(paths),
        corpus_revision=_digest(paths[:1])[:8],
        notes=tuple(f"{folder}: {note}" for note in notes),
        n_texts=len(corpus) + len(wanted),
        n_characters=sum(map(len, (*titles, *texts, *(queries[query] for query in wanted)))),
    )


def _part(folder: Path, path: Path, split: str) -> str:
    """What a file of judgements is called in the digest: the name of a file in qrels/ says which split it is."""
    return "qrels" if path.parent == folder else f"qrels/{split}"


def _digest(files: Sequence[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for part, path in files:
        digest.update(part.encode() + b"\0" + bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()[:40]


def _present(folder: Path, part: str, kinds: Sequence[str] = ("jsonl",)) -> Path | None:
    """The file of a part, of which there may be one alone: which of two is the newer, nobody knows."""
    paths = (folder / f"{part}.{kind}{packed}" for kind in kinds for packed in ("", ".gz"))
    found = [path for path in paths if path.is_file()]
    if len(found) > 1:
        raise InputError(f"{folder} holds {' and '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else None


def _find(folder: Path, part: str) -> Path:
    found = _present(folder, part)
    if found is None:
        raise InputError(f"{folder} holds no {part}.jsonl: expected {SHAPE}")
    return found


def _judgement_files(folder: Path, splits: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Split -> its file of judgements, and a note on files of other splits."""
    single = _present(folder, "qrels", ("jsonl", "tsv"))
    names = sorted(path.name.split(".")[0] for path in (folder / "qrels").glob("[!.]*.*"))
    several = {n: path for n in names if (path := _present(folder / "qrels", n, ("tsv", "jsonl"))) is not None}
    if single is not None and several:
        raise InputError(f"{folder} holds its judgements twice, as {single.name} and in qrels/: keep one of them")
    if single is not None:
        return {splits[0]: single}, []
    if not several:
        raise InputError(f"{folder} holds no qrels.jsonl and no qrels/{splits[0]}.tsv: expected {SHAPE}")
    chosen = {name: several[name] for name in splits if name in several} or (several if len(several) == 1 else {})
    if not chosen:
        raise InputError(
            f"{folder / 'qrels'} holds judgements for {', '.join(several)}, but the task is measured on "
            f"{', '.join(splits)}: rename the file that is to be measured to {splits[0]}.tsv"
        )
    others = [several[name].name for name in several if name not in chosen]
    return chosen, [f"measured on {', '.join(chosen)}; qrels/ holds {', '.join(others)} too"] if others else []


def _documents(path: Path, notes: list[str]) -> dict[str, tuple[str, str]]:
    """Id -> title and text."""
    names, found, empty = Names(path), dict[str, tuple[str, str]](), list[int]()
    for row in read_rows(path):
        content = found[names.add(row)] = row.text("title", is_optional=True), row.text("text")
        if not "".join(content).strip():
            empty.append(row.line)
    names.check(SHAPE)
    if empty and len(empty) == len(found):
        raise InputError(f"{path}: no document has a title or a text, so there is nothing to be found")
    if empty:
        notes.append(f"{len(empty):,} of {len(found):,} documents have neither title nor text ({line_numbers(empty)})")
    return found


def _queries(path: Path, notes: list[str]) -> dict[str, str]:
    """Id -> text."""
    names, found, instructed = Names(path), dict[str, str](), 0
    for row in read_rows(path):
        text = found[names.add(row)] = row.text("text")
        if not text.strip():
            raise row.error("the query has no text: give it one, or leave the row out")
        instructed += bool(row.cells.get("instruction"))
    names.check(SHAPE)
    if instructed:
        unread = "have an 'instruction', which is not read: put it into 'text'"
        notes.append(f"{instructed:,} of {len(found):,} queries {unread}")
    return found


def _read_judgements(path: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Query and document -> grade, and the line that says so."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in read_rows(path):
        pair = row.name("query-id"), row.name("corpus-id")
        grade = row.grade("score")
        earlier, line = found.setdefault(pair, (grade, row.line))
        if earlier != grade:
            judged = f"query {pair[0]!r} and document {pair[1]!r}"
            raise row.error(f"{judged} have the grade {grade}, on line {line} {earlier}")
    if not found:
        raise InputError(f"{path} holds no rows: expected {SHAPE}")
    return found


def _judgements(
    path: Path, files: Mapping[str, Path], corpus: Collection[str], queries: Collection[str], notes: list[str]
) -> Judgements:
    """The judgements of the queries that can be measured; notes tell what is missing."""
    judged = _read_judgements(path)
    sides = (("query-id", "queries", queries), ("corpus-id", "corpus", corpus))
    lines: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for pair, (_, line) in judged.items():
        for name, known in zip(pair, lines, strict=True):
            known.setdefault(name, line)
    missing = [
        _missing(own, path, field, known, files[part]) for own, (field, part, known) in zip(lines, sides, strict=True)
    ]
    if missing[1]:
        notes.append(_told(missing[1], len(lines[1]), "judged documents", "not in the corpus", "counted as not found"))
    if missing[0]:
        notes.append(_told(missing[0], len(lines[0]), "judged queries", f"not in {files['queries'].name}", "left out"))
    grades: Judgements = {}
    for (query, document), (grade, _) in judged.items():
        if query in queries:
            grades.setdefault(query, {})[document] = grade
    relevant = {query: own for query, own in grades.items() if max(own.values()) > 0}
    if not relevant:
        where = files["queries"].name
        raise InputError(f"{path} names no relevant document: no grade of a query in {where} is above 0")
    if not any(grade > 0 and document in corpus for own in relevant.values() for document, grade in own.items()):
        where = files["corpus"].name
        raise InputError(f"{path}: no document with a grade above 0 is in {where}, so every score would be 0")
    return relevant


def _missing(lines: Mapping[str, int], path: Path, field: str, known: Collection[str], other: Path) -> list[str]:
    """Judged ids that the other file does not have; an error if none meet, or if one is only written otherwise."""
    missing = [name for name in lines if name not in known]
    if len(missing) == len(lines):
        raise InputError(
            f"{path} and {other} have no id in common: {field!r} is such as {missing[0]!r}, the ids of {other.name} are such "
            f"as {next(iter(known))!r}. Write both the same way"
        )
    if missing:
        alike = {_plainly(name): name for name in known}
        for name in missing:
            if (twin := alike.get(_plainly(name))) is not None:
                place = f"{path}, line {lines[name]}"
                raise InputError(f"{place}: {field!r} is {name!r}, {other.name} has {twin!r}. Write both the same way")
    return missing


def _plainly(name: str) -> str:
    """An id without what spreadsheets and editors change in it.

    >>> _plainly(" 7.0 "), _plainly("7")
    ('7', '7')
    """
    plain = unicodedata.normalize("NFC", name.strip())
    return _WHOLE_FLOAT.sub(r"\1", plain) if _WHOLE_FLOAT.fullmatch(plain) else plain


def _told(missing: Sequence[str], total: int, what: str, where: str, so: str) -> str:
    names = ", ".join(repr(name) for name in missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
    return f"{len(missing):,} of {total:,} {what} {'is' if len(missing) == 1 else 'are'} {where} ({names}): {so}"


def _read_candidates(path: Path, corpus: Collection[str], wanted: Collection[str]) -> dict[str, list[str]]:
    """Query -> candidates, all of them documents of the corpus."""
    found: dict[str, list[str]] = {}
    for row in read_rows(path):
        query, names = row.name("query-id"), row.value("corpus-ids")
        if query in found:
            raise row.error(f"the query {query!r} has candidates on an earlier line")
        if not isinstance(names, list) or not names:
            raise row.error("'corpus-ids' must be a list of ids that is not empty")
        found[query] = [row.as_name(name, "corpus-ids") for name in names]
        if unknown := [name for name in found[query] if name not in corpus]:
            raise row.error(f"the candidate {unknown[0]!r} is not in the corpus")
        if len(set(found[query])) < len(found[query]):
            raise row.error("a candidate is named twice")
    if lacking := sorted(set(wanted) - set(found)):
        raise InputError(f"{path} names no candidates for {len(lacking):,} judged queries, such as {lacking[0]!r}")
    return found


def _unreachable(
    candidates: Mapping[str, Sequence[str]], judgements: Mapping[str, Judgements], path: Path
) -> Iterator[str]:
    """A note on queries none of whose relevant documents is a candidate; an error where that is so for all of a split."""
    for split, queries in judgements.items():
        lost = [
            query
            for query, grades in queries.items()
            if not any(grades.get(document, 0) > 0 for document in candidates[query])
        ]
        if len(lost) == len(queries):
            reason = "is among the candidates of its query, so every score would be 0"
            raise InputError(f"{path}: no relevant document of {split} {reason}")
        if lost:
            where = f"without a relevant document in {path.name}"
            yield _told(lost, len(queries), "judged queries", where, "found by no model")
