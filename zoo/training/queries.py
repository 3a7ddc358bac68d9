"""A query log of any common kind -> queries: one text each, no duplicates."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genzoo.errors import InputError

MAX_CHARACTERS = 20_000
COLUMNS = ("query", "text", "question", "prompt")
KINDS = ".txt, .jsonl, .csv or .parquet (the first three also with .gz)"


@dataclass(frozen=True)
class Query:
    """One query of the log; ``id`` is the log's own, or its place in the log."""

    id: str
    text: str


def read_queries(path: Path, column: str | None = None) -> list[Query]:
    """Read a query log: one query a line, or a column named query, text, question or prompt.

    White space is stripped, empty and repeated queries are dropped, order is kept.

    Args:
        path: The log.
        column: Name of the column that holds the queries, where it is none of the usual ones.

    Raises:
        InputError: For a missing, empty, binary or unknown file, an unknown column (the ones found are named), something else
            than text in it, or a query longer than 20,000 characters.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no query log {path}: give a file, {KINDS}")
    seen: dict[str, Query] = {}
    try:
        for place, (name, text) in enumerate(_rows(path, column)):
            text = text.strip()
            if _has_control(text):
                raise InputError(
                    f"{path}: query number {place + 1} holds control characters: this is no text; give {KINDS}"
                )
            if len(text) > MAX_CHARACTERS:
                raise InputError(
                    f"{path}: query number {place + 1} has {len(text):,} characters, at most {MAX_CHARACTERS:,} are "
                    "read: shorten it or leave it out"
                )
            if text:
                seen.setdefault(text, Query(name or f"q{place:06d}", text))
    except csv.Error as error:
        raise InputError(f"{path} is no readable CSV ({error}): give {KINDS}") from error
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}): give {KINDS}") from error
    if not seen:
        raise InputError(f"{path} holds no query: give at least one, {KINDS}")
    return list(seen.values())


def _has_control(text: str) -> bool:
    """Whether there are characters that no query has: NUL and its like, lone surrogates."""
    return any(
        (code < 32 and char not in "\t\n\r\f\v") or 0xD800 <= code < 0xE000
        for char in text
        if (code := ord(char)) < 0xE000
    )


def _rows(path: Path, wanted: str | None) -> Iterator[tuple[str | None, str]]:
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "parquet":
        import pandas as pd

        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no readable Parquet file ({error})") from error
        column = _column(path, list(frame.columns), wanted)
        ids = frame["id"].astype(str) if "id" in frame.columns else [None] * len(frame)
        for place, (name, value) in enumerate(zip(ids, frame[column], strict=True), 1):
            yield name, "" if pd.api.types.is_scalar(value) and pd.isna(value) else _text(path, f"row {place}", value)
        return
    if kind not in ("txt", "jsonl", "csv"):
        raise InputError(f"{path} has an unknown ending: give {KINDS}")
    with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="" if kind == "csv" else None) as file:
        if kind == "txt":
            yield from ((None, line) for line in file)
        elif kind == "csv":
            # Lines are as long as they are; whether a query is too long is said above, in words.
            csv.field_size_limit(1 << 30)
            reader = csv.DictReader(file)
            column = _column(path, list(reader.fieldnames or []), wanted)
            yield from ((row.get("id"), row[column] or "") for row in reader)
        else:
            yield from _json_rows(path, file, wanted)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _text(path: Path, place: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{path}, {place}: the query is of type {type(value).__name__}, not text: {value!r:.60}")
    return value


def _json_rows(path: Path, file: io.TextIOWrapper, wanted: str | None) -> Iterator[tuple[str | None, str]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number} is no JSON ({error})") from error
        if isinstance(row, str):
            yield None, row
        elif isinstance(row, dict):
            text = _text(path, f"line {number}", row[_column(path, list(row), wanted)])
            yield (str(row["id"]) if "id" in row else None), text
        else:
            raise InputError(f"{path}, line {number} is neither a string nor an object")


def _column(path: Path, names: list[str], wanted: str | None) -> str:
    for column in (wanted,) if wanted else COLUMNS:
        if column in names:
            return column
    found = ", ".join(map(str, names)) or "none"
    if wanted:
        raise InputError(f"{path} has no column {wanted!r}: it has the columns {found}")
    raise InputError(
        f"{path} has the columns {found}: one must be named {', '.join(COLUMNS)}, or be named with --column"
    )
