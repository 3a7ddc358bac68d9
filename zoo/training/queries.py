"""A query log of any common kind -> queries: one text each, no duplicates."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.backbones.generation import Query
from genzoo.errors import InputError
from genzoo.tables import other_divider, read_table, read_text

log = logging.getLogger(__name__)
SHARE = 0.2
"""Of the lines that must look alike before it is told: a few such queries prove nothing."""
BEGINNING = 200
"""Characters of a line that are looked at."""
_KINDS = {
    "TREC topics": r"</?(top|topics?|num|number|title|desc|description|narr|narrative|query|question)\b[^>]*>",
    "JSON": r"\{.*\}?,?$|\[[\[{\"]|\"(query|text|question|prompt|id)\"\s*:",
    "tab-separated records": r"[^\t]+\t",
    "lines of a log file": r"[\[(]?(\d{4}[-/]\d\d[-/]\d\d\b|\d\d/\w{3}/\d{4}\b|\d\d:\d\d:\d\d\b|1\d{9}(\d{3})?\b"
    r"|(mon |tue |wed |thu |fri |sat |sun )?[a-z]{3} [ \d]\d \d\d:\d\d:\d\d"
    r"|(trace|debug|info|notice|warn(ing)?|error|fatal)[\]):]|\d{1,3}(\.\d{1,3}){3}\s)",
    "comma-separated records": r"\"?[\w.-]*\d[\w.-]*\"?,\s*[^\d\s]|\"[^\"]*\",",
    "records divided by semicolons or bars": r"\"?[\w.-]{1,40}\"?\s*[;|]",
    "numbered lines": r"(\d{1,6}|q\d{1,6})\s*[.):]\s",
    "quoted text": r"\"[^\"]*\"$",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _KINDS.items()}
_DIVIDER = re.compile(r"[,;|\t]")


def notes_on(path: Path, lines: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """What a reader of the log should know: a heading that is read as a query, and records of a known kind.

    Args:
        path: The log, to name it.
        lines: All of its lines.
        columns: Names that a column of queries usually has.
    """
    kept = [(number, line.strip()[:BEGINNING]) for number, line in enumerate(lines, 1) if line.strip()]
    if not kept:
        return
    first = kept[0][1]
    if {cell.strip(" \"'").lower() for cell in _DIVIDER.split(first)} & set(columns) and len(kept) > 1:
        yield (
            f"{path}, line {kept[0][0]} looks like the heading of a table ({first[:60]!r}). It is read as a query, like every "
            "line of a .txt file: name the file .csv or .tsv if it is a table."
        )
    found: dict[str, list[tuple[int, str]]] = {}
    for number, line in kept:
        kind = next((name for name, pattern in _PATTERNS.items() if pattern.match(line)), None)
        if kind:
            found.setdefault(kind, []).append((number, line))
    for kind, rows in found.items():
        if len(rows) >= max(2, SHARE * len(kept)):
            number, line = rows[0]
            yield (
                f"{path}: {len(rows):,} of {len(kept):,} lines look like {kind} (line {number}: {line[:60]!r}). Every line of a "
                ".txt file is read as one query, whole: if only a part of it is the query, give a .csv, .tsv or .jsonl file "
                "with a column of queries."
            )


MAX_CHARACTERS = 20_000
COLUMNS = ("query", "text", "question", "prompt")
KINDS = ".txt, .jsonl, .csv, .tsv or .parquet (the first four also with .gz)"


@dataclass(frozen=True)
class _Row:
    """A row of the log before anything is left out: where it stands, as messages say it, its own id, and the query."""

    place: str
    id: str | None
    text: str


def read_queries(path: Path, column: str | None = None) -> list[Query]:
    """Read a query log: one query a line, or a column named query, text, question or prompt.

    White space is stripped, empty and repeated queries are dropped, order is kept. Which column (in JSON lines: which field) holds
    the queries is settled once, for all rows; the others are not read. What is worth knowing before the queries are answered (rows without a query,
    lines of a ``.txt`` log that look like records of another kind) is logged as a warning.

    Args:
        path: The log.
        column: Name of the column that holds the queries, where it is none of the usual ones.

    Raises:
        InputError: For a missing, empty, binary or unknown file, an unknown column (the ones found are named), a row that is not
            shaped as the others, something else than text as a query, or a query longer than 20,000 characters; with the line
            of the file, or the row of a Parquet file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no query log {path}: give a file, {KINDS}")
    rows = _read(path, column)
    seen: dict[str, Query] = {}
    for place, row in enumerate(rows):
        text = row.text.strip()
        _check(path, row.place, text)
        if text:
            seen.setdefault(text, Query(row.id or f"q{place:06d}", text))
    if not seen:
        raise InputError(f"{path} holds no query: give at least one, {KINDS}")
    return list(seen.values())


def _check(path: Path, place: str, text: str) -> None:
    if any(
        (code < 32 and char not in "\t\n\r\f\v") or 0xD800 <= code < 0xE000
        for char in text
        if (code := ord(char)) < 0xE000
    ):
        raise InputError(
            f"{path}, {place} holds control characters: a query is text in UTF-8 (not UTF-16 or binary); give {KINDS}"
        )
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"{path}, {place}: the query has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read: shorten it or leave "
            "it out"
        )


def _read(path: Path, wanted: str | None) -> list[_Row]:
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind == "txt":
        if wanted:
            raise InputError(f"{path} has no column {wanted!r}: a .txt file has no columns; leave --column out")
        lines = list(io.StringIO(read_text(path), newline=None))
        for note in notes_on(path, lines, COLUMNS):
            log.warning(note)
        return [_Row(f"line {number}", None, line) for number, line in enumerate(lines, 1)]
    if kind in ("csv", "tsv"):
        rows = _table_rows(path, wanted, "," if kind == "csv" else "\t")
    elif kind == "jsonl":
        rows = _json_rows(path, wanted)
    elif path.name.lower().endswith(".parquet"):
        rows = _parquet_rows(path, wanted)
    else:
        raise InputError(f"{path} has an unknown ending: give {KINDS}")
    empty = [row.place for row in rows if not row.text.strip()]
    if empty and len(empty) < len(rows):
        log.warning(
            f"{path}: {len(empty):,} of {len(rows):,} rows hold no query (the first is {empty[0]}): they are left out."
        )
    return rows


def _table_rows(path: Path, wanted: str | None, divider: str) -> list[_Row]:
    table = read_table(path, divider)
    if swallowed := table.swallowed(divider):
        log.warning(
            f"{path}, line {swallowed[0]}: a quoted cell goes on over lines that look like rows of their own "
            f"({len(swallowed):,} such row{'s' * (len(swallowed) > 1)}): check where its quotes open and close."
        )
    place = table.heading.index(_column(path, table.heading, wanted))
    id_place = table.heading.index("id") if table.heading.count("id") == 1 else None
    return [
        _Row(f"line {line}", None if id_place is None else cells[id_place].strip(), cells[place])
        for line, cells in table.rows
    ]


def _parquet_rows(path: Path, wanted: str | None) -> list[_Row]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable Parquet file ({error})") from error
    names = [str(name) for name in frame.columns]
    values = frame.iloc[:, names.index(_column(path, names, wanted))]
    ids = frame.iloc[:, names.index("id")] if names.count("id") == 1 else [None] * len(frame)

    def is_gap(value: object) -> bool:
        return bool(pd.api.types.is_scalar(value) and pd.isna(value))

    return [
        _Row(
            f"row {number}",
            None if is_gap(name) else str(name),
            "" if is_gap(value) else _text(path, f"row {number}", value),
        )
        for number, (name, value) in enumerate(zip(ids, values, strict=True), 1)
    ]


def _text(path: Path, place: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{path}, {place}: the query is of type {type(value).__name__}, not text: {value!r:.60}")
    return value


class _Repeated(dict[str, Any]):
    """A JSON object that names some fields twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.fields = {name for name in names if names.count(name) > 1}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Repeated(pairs)


def _json_rows(path: Path, wanted: str | None) -> list[_Row]:
    values: list[tuple[str, Any]] = []
    for number, line in enumerate(io.StringIO(read_text(path), newline=None), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is no JSON ({error}): give one string or object a line") from error
        if not isinstance(value, str | dict):
            raise InputError(f"{path}, line {number} is neither a string nor an object")
        if values and isinstance(value, str) != isinstance(values[0][1], str):
            kinds = ("a string", "an object") if isinstance(value, str) else ("an object", "a string")
            raise InputError(f"{path}, line {number} is {kinds[0]}, {values[0][0]} is {kinds[1]}: all must be alike")
        values.append((f"line {number}", value))
    if not values:
        return []
    if isinstance(values[0][1], str):
        if wanted:
            raise InputError(f"{path} has no column {wanted!r}: its lines are strings; leave --column out")
        return [_Row(place, None, value) for place, value in values]
    # By all rows, so that their order does not decide.
    names = dict.fromkeys(name for _, value in values for name in value)
    column = _column(path, list(names), wanted)
    return [_json_row(path, place, value, column) for place, value in values]


def _json_row(path: Path, place: str, value: dict[str, Any], column: str) -> _Row:
    if column not in value:
        raise InputError(
            f"{path}, {place} has no field {column!r}, which holds the queries of the other lines (its fields are "
            f"{', '.join(value) or 'none'}): every line needs it; name another field with --column"
        )
    if isinstance(value, _Repeated) and column in value.fields:
        raise InputError(f"{path}, {place} names the field {column!r} twice: leave one of them out")
    name = value.get("id")
    return _Row(place, None if name is None else str(name), _text(path, place, value[column]))


def _column(path: Path, names: Iterable[str], wanted: str | None) -> str:
    names = list(names)
    column = next((name for name in ((wanted,) if wanted else COLUMNS) if name in names), None)
    if column and names.count(column) == 1:
        return column
    found = (", ".join(names) or "none") + other_divider(names)
    if column:
        raise InputError(
            f"{path} has {names.count(column)} columns named {column!r} (the columns {found}): rename them"
        )
    if wanted:
        raise InputError(f"{path} has no column {wanted!r}: it has the columns {found}")
    raise InputError(
        f"{path} has the columns {found}: one must be named {', '.join(COLUMNS)}, or be named with --column"
    )
