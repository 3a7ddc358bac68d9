"""What a user's file or folder holds: which task it can be, and which table is for what. Only names and headings are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from genzoo.errors import InputError
from genzoo.tables import Row
from genzoo.tasks.judging.judgements import is_pool, settle_judgements
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.kinds import ROLES, SHAPE, kind_of, type_of
from genzoo.tasks.own.records import (
    SUFFIXES,
    TREC_FORMATS,
    TREC_QRELS,
    Note,
    columns_of,
    read_records,
    stem_of,
    suffix_of,
)

_STEMS = {
    "corpus": ("corpus", "collection", "documents", "docs", "passages"),
    "queries": ("queries", "topics", "questions"),
    "top_ranked": ("top_ranked", "candidates"),
}
_HEADLESS = {
    "corpus": ("id", "text"),
    "queries": ("id", "text"),
    "qrels": TREC_QRELS,
}
_SPLITS = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(("dev", "val", "valid"), "dev")
_PART = re.compile(r"-\d+-of-\d+$")


@dataclass(frozen=True)
class Source:
    """One table of a layout.

    Attributes:
        paths: Its file, or the parts of a Parquet table.
        headless: Its columns, if a file without a heading is read by them.
        columns: Role -> the column that has it.
    """

    paths: tuple[Path, ...]
    headless: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Its records, one after the other."""
        return read_records(self.paths, self.headless)

    @property
    def path(self) -> Path:
        """The file that messages name: the only one, or the folder of the parts."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


@dataclass(frozen=True)
class Layout:
    """What was found at a path.

    Attributes:
        path: The file or folder.
        kind: mteb's type of the task.
        tables: ``corpus``, ``queries``, ``qrels/SPLIT`` and ``top_ranked`` of a search in several files, else split -> table.
        split: The split that is measured if it is there, as the user named it; None if none was named.
        notes: What is to be told before anything is read.
    """

    path: Path
    kind: str
    tables: Mapping[str, Source]
    split: str | None = None
    notes: tuple[Note, ...] = ()

    @property
    def is_search(self) -> bool:
        """Whether queries are searched in passages."""
        return self.kind in ("Retrieval", "Reranking")

    @property
    def has_corpus(self) -> bool:
        """Whether the passages are in a table of their own."""
        return "corpus" in self.tables


def find_layout(
    path: Path, *, kind: str | None = None, columns: Columns | None = None, split: str | None = None
) -> Layout:
    """Look at a file or folder.

    Args:
        path: The file or folder.
        kind: What it is to be, a key or a value of `KINDS`; found if None.
        columns: Names of columns that are not found by themselves.
        split: The split to measure; ``test``, or else the only one, if None.

    Raises:
        InputError: Nothing that can be measured is there, or more than one thing; the message says how to tell.
    """
    columns, wanted = columns or Columns(), type_of(kind)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    notes = [Note(said, "judging") for said in settle_judgements(path).notes] if is_pool(path) else []
    if path.is_dir() and (_find(path, "corpus") or _is_search_without_corpus(path)):
        found = _search_folder(path, wanted, columns, split)
    else:
        tables = _tables(path)
        first = next(iter(tables.values()))
        found = _by_columns(path, tables, columns_of(first.paths), wanted, columns, split)
    columns.check_used(path)
    return replace(found, notes=(*found.notes, *notes))


def _is_search_without_corpus(folder: Path) -> bool:
    return _is_judged(folder) and bool(_find(folder, "queries"))


def _is_judged(folder: Path) -> bool:
    return (folder / "qrels").is_dir() or any(
        stem_of(path).startswith("qrels") or suffix_of(path) == "qrels" for path in _files(folder)
    )


def find_unjudged(path: Path, columns: Columns) -> dict[str, Source]:
    """``corpus`` and ``queries`` of a folder that holds no judgements; empty where it has some, or lacks one of the two."""
    is_whole = bool(_find(path, "corpus") and _find(path, "queries"))
    return _texts(path, columns) if is_whole and not _is_judged(path) else {}


def _find(folder: Path, part: str) -> tuple[Path, ...]:
    """The file of a part, or the Parquet files of its folder; of two files nobody knows which is the newer."""
    names = _STEMS.get(part, (part,))
    found = [path for path in _files(folder) if stem_of(path) in names or _is_topics(path, part)]
    parts = (sorted((folder / name).glob("*.parquet")) for name in names)
    return _one_of(folder, found) or tuple(next((paths for paths in parts if paths), ()))


def _one_of(folder: Path, paths: list[Path], what: str = "") -> tuple[Path, ...]:
    """The files of one table: one, or the parts of a Parquet table."""
    if len(paths) > 1 and not all(_PART.search(stem_of(path)) for path in paths):
        raise InputError(f"{folder} holds {' and '.join(path.name for path in paths)}{what}: keep one of them")
    return tuple(paths)


def _is_topics(path: Path, part: str) -> bool:
    return part == "queries" and path.name.startswith("topics.") and suffix_of(path) in (*TREC_FORMATS, "tsv")


def _files(folder: Path) -> list[Path]:
    """The files of a folder that can be read, but for those that are hidden."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_file() and suffix_of(path))


def _search_folder(path: Path, kind: str | None, columns: Columns, split: str | None) -> Layout:
    """A corpus, queries and judgements, each in a file of its own."""
    if kind not in (None, "Retrieval", "Reranking"):
        raise InputError(f"{path} holds a corpus and queries, so it can be retrieval or reranking, not {kind}")
    tables = _texts(path, columns)
    qrels = {"query-id": True, "passage-id": True, "grade": True}
    for name, paths in _judgement_files(path).items():
        tables[f"qrels/{name}" if name else "qrels"] = _table(paths, "qrels", columns, qrels)
    ranked = _find(path, "top_ranked")
    if ranked:
        tables["top_ranked"] = _table(ranked, "top_ranked", columns, {"query-id": True, "passages": True})
    elif kind == "Reranking":
        raise InputError(
            f"{path} holds no top_ranked.jsonl, which names the candidates of each query: expected {SHAPE}"
        )
    return Layout(path, kind or ("Reranking" if ranked else "Retrieval"), tables, split)


def _texts(path: Path, columns: Columns) -> dict[str, Source]:
    """The tables ``corpus`` and ``queries`` of a folder."""
    tables = {}
    for part, role in (("corpus", "passage"), ("queries", "query")):
        paths = _find(path, part)
        if not paths:
            hint = f" Without labels, begin with genzoo pool --corpus {path}" if part == "queries" else ""
            raise InputError(f"{path} holds no {part}.jsonl: expected {SHAPE}.{hint}")
        tables[part] = _table(paths, part, columns, {f"{role}-id": True, role: True, "title": False})
    return tables


def _table(paths: tuple[Path, ...], part: str, columns: Columns, roles: Mapping[str, bool]) -> Source:
    """A table with the columns of some roles, each of which is needed or not; an empty one is left to its reader."""
    headless = _HEADLESS.get(part, ()) if suffix_of(paths[0]) not in ("jsonl", "csv", "parquet") else ()
    heading = columns_of(paths, headless)
    found = {}
    for role, is_needed in roles.items() if heading else ():
        name = columns.need(role, heading, paths[0], part) if is_needed else columns.find(role, heading, part)
        if name is not None:
            found[role] = name
    return Source(paths, headless, found)


def _judgement_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Split -> its files of judgements; the split of a single file is not named."""
    single: dict[str, list[Path]] = {}
    for path in _files(folder):
        if stem_of(path).startswith("qrels") or suffix_of(path) == "qrels":
            said = stem_of(path).removeprefix("qrels").strip(".-_")
            single.setdefault(_SPLITS.get(said, ""), []).append(path)
    inner = folder / "qrels"
    several: dict[str, list[Path]] = {}
    for path in _files(inner) if inner.is_dir() else ():
        several.setdefault(_PART.sub("", stem_of(path)), []).append(path)
    found = {
        name: _one_of(place, own)
        for place, group in ((folder, single), (inner, several))
        for name, own in group.items()
    }
    if single and several:
        name = next(iter(single.values()))[0].name
        raise InputError(f"{folder} holds its judgements twice, as {name} and in qrels/: keep one of them")
    if not found:
        raise InputError(
            f"{folder} holds no judgements (qrels.jsonl or qrels/test.tsv): expected {SHAPE}. Without any, begin with genzoo pool"
        )
    return found


def _tables(path: Path) -> dict[str, Source]:
    """The tables at a path that has no corpus: one file, or one for each split."""
    if path.is_file():
        if not suffix_of(path):
            raise InputError(
                f"{path} cannot be read: expected a file that ends with {', '.join(SUFFIXES)}, or a folder"
            )
        return {"": Source((path,))}
    found = _files(path) or _files(path / "data")
    named: dict[str, list[Path]] = {}
    for each in found:
        if (split := _split_of(each)) is not None:
            named.setdefault(split, []).append(each)
    if named:
        return {split: Source(_one_of(path, paths, f" for {split}")) for split, paths in sorted(named.items())}
    if len(found) == 1:
        return {"": Source((found[0],))}
    holds = ", ".join(each.name for each in found[:5]) or "no table"
    raise InputError(
        f"{path} holds {holds}: expected one table, or one for each split (train.csv, test.csv), or {SHAPE}. A folder of texts "
        f"without queries begins with genzoo pool --corpus {path}"
    )


def _split_of(path: Path) -> str | None:
    name = _PART.sub("", stem_of(path)).casefold()
    return "validation" if name == "validation" else _SPLITS.get(name)


def _by_columns(
    path: Path, tables: Mapping[str, Source], heading: list[str], kind: str | None, columns: Columns, split: str | None
) -> Layout:
    """What the columns of a table say that it is."""
    if not heading:
        raise InputError(f"{next(iter(tables.values())).path} holds no rows")
    kind = kind or kind_of(path, {"train"} < set(tables), heading, columns)
    if kind in ("Retrieval", "Reranking"):
        roles = {"query": True, "passage": True} | dict.fromkeys(("grade", "query-id", "passage-id", "title"), False)
    else:
        roles = dict.fromkeys(ROLES[kind], True)
    made = {name: _table(table.paths, "", columns, roles | {"split": False}) for name, table in tables.items()}
    return Layout(path, kind, made, split)
