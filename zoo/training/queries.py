"""A query log of any common kind -> queries: one text each, no duplicates."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.backbones.generation import Query
from genzoo.errors import InputError
from genzoo.tables import DIVIDERS, QUERY_COLUMNS, json_lines, plain_name, read_table, read_text

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
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\ud800-\udfff]")


def notes_on(path: Path, lines: Sequence[str]) -> Iterator[str]:
    """What a reader of the log should know: a heading that is read as a query, and records of a known kind.

    Args:
        path: The log, to name it.
        lines: All of its lines.
    """
    kept = [(number, line.strip()[:BEGINNING]) for number, line in enumerate(lines, 1) if line.strip()]
    if not kept:
        return
    first = kept[0][1]
    if {plain_name(cell.strip(" \"'")) for cell in _DIVIDER.split(first)} & set(COLUMNS) and len(kept) > 1:
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
COLUMNS = ("query", "text", "question", "prompt", *QUERY_COLUMNS)
"""Names of the column that holds the queries, as `plain_name` gives them: the first that a log has."""
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
        column: Name of the column that holds the queries, if it has none of the usual names.

    Raises:
        InputError: For a missing, empty, binary or unknown file, an unknown column (the ones found are named), a row that is not
            shaped as the others, something else than text as a query, or a query longer than 20,000 characters; with the line
            of the file, or the row of a Parquet file.
    """
    seen: dict[str, Query] = {}
    for row in read_log(path, column):
        if row.text:
            seen.setdefault(row.text, row)
    if not seen:
        raise InputError(f"{path} holds no query: give at least one, {KINDS}")
    return list(seen.values())


def read_log(path: Path, column: str | None = None) -> list[Query]:
    """Every row of a query log in order, the empty and the repeated ones too; arguments and errors as of `read_queries`."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no query log {path}: give a file, {KINDS}")
    rows = []
    for place, row in enumerate(_read(path, column)):
        text = row.text.strip()
        _check(path, row.place, text)
        rows.append(Query(row.id or f"q{place:06d}", text))
    return rows


def _check(path: Path, place: str, text: str) -> None:
    if _CONTROL.search(text):
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
        _refuse_column(path, wanted, "a .txt file has no columns")
        lines = list(io.StringIO(read_text(path), newline=None))
        for note in notes_on(path, lines):
            log.warning(note)
        return [_Row(f"line {number}", None, line) for number, line in enumerate(lines, 1)]
    if kind in ("csv", "tsv"):
        names, records = _table_records(path, "," if kind == "csv" else "\t")
    elif kind == "jsonl":
        names, records = _json_records(path, wanted)
    elif path.name.lower().endswith(".parquet"):
        names, records = _parquet_records(path)
    else:
        raise InputError(f"{path} has an unknown ending: give {KINDS}")
    if kind == "jsonl" and not records:
        return []
    column, has_id = _column(path, names, wanted), names.count("id") == 1
    rows = [_row(path, place, record, column, has_id) for place, record in records]
    empty = [row.place for row in rows if not row.text.strip()]
    if empty and len(empty) < len(rows):
        log.warning(
            f"{path}: {len(empty):,} of {len(rows):,} rows hold no query (the first is {empty[0]}): they are left out."
        )
    return rows


_Records = list[tuple[str, dict[str, Any]]]
"""Where each record stands, and its fields."""


def _row(path: Path, place: str, record: dict[str, Any], column: str, has_id: bool) -> _Row:
    if column not in record:
        raise InputError(
            f"{path}, {place} has no field {column!r}, which holds the queries of the other lines (its fields are "
            f"{', '.join(record) or 'none'}): every line needs it; name another field with --column"
        )
    value, name = record[column], record.get("id") if has_id else None
    if not isinstance(value, str):
        raise InputError(f"{path}, {place}: the query is of type {type(value).__name__}, not text: {value!r:.60}")
    return _Row(place, None if name is None else str(name).strip(), value)


def _refuse_column(path: Path, wanted: str | None, why: str) -> None:
    if wanted:
        raise InputError(f"{path} has no column {wanted!r}: {why}; leave --column out")


def _table_records(path: Path, divider: str) -> tuple[list[str], _Records]:
    table = read_table(path, divider)
    if table.divider != divider:
        log.warning(f"{path} is read with {DIVIDERS[table.divider]}s between its columns, as its heading has them.")
    if swallowed := table.swallowed:
        log.warning(
            f"{path}, line {swallowed[0]}: a quoted cell goes on over lines that look like rows of their own "
            f"({len(swallowed):,} such row{'s' * (len(swallowed) > 1)}): check where its quotes open and close."
        )
    return table.heading, [(f"line {line}", dict(zip(table.heading, cells, strict=True))) for line, cells in table.rows]


def _parquet_records(path: Path) -> tuple[list[str], _Records]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path).astype(object)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error})") from error
    names, rows = list(map(str, frame.columns)), frame.where(frame.notna(), "").itertuples(index=False, name=None)
    return names, [(f"row {number}", dict(zip(names, row, strict=True))) for number, row in enumerate(rows, 1)]


def _json_records(path: Path, wanted: str | None) -> tuple[list[str], _Records]:
    values: list[tuple[str, Any]] = []
    for number, value in json_lines(path):
        if not isinstance(value, str | dict):
            raise InputError(f"{path}, line {number} is neither a string nor an object")
        if values and isinstance(value, str) != isinstance(values[0][1], str):
            kinds = ("a string", "an object") if isinstance(value, str) else ("an object", "a string")
            raise InputError(f"{path}, line {number} is {kinds[0]}, {values[0][0]} is {kinds[1]}: all must be alike")
        values.append((f"line {number}", value))
    if values and isinstance(values[0][1], str):
        _refuse_column(path, wanted, "its lines are strings")
        return ["query"], [(place, {"query": value}) for place, value in values]
    # By all rows, so that their order does not decide.
    return list(dict.fromkeys(name for _, value in values for name in value)), values


def _column(path: Path, names: Iterable[str], wanted: str | None) -> str:
    names = list(names)
    known = {plain_name(name): name for name in reversed(names)} | {name: name for name in names}
    column = (
        wanted
        if wanted in names
        else None
        if wanted
        else next((known[name] for name in COLUMNS if name in known), None)
    )
    if column and names.count(column) == 1:
        return column
    found = ", ".join(names) or "none"
    if column:
        raise InputError(
            f"{path} has {names.count(column)} columns named {column!r} (the columns {found}): rename them"
        )
    if wanted:
        raise InputError(f"{path} has no column {wanted!r}: it has the columns {found}")
    raise InputError(
        f"{path} has the columns {found}: one must be named {', '.join(dict.fromkeys(COLUMNS))}. Name another one: "
        "--columns query=NAME for genzoo pool and check, --column NAME for genzoo train and study"
    )
