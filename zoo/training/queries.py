"""A query log of any common kind -> queries: one text each, no duplicates."""

from __future__ import annotations

import csv
import gzip
import io
import json
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


def read_queries(path: Path) -> list[Query]:
    """Read a query log: one query a line, or a column named query, text, question or prompt.

    White space is stripped, empty and repeated queries are dropped, order is kept.

    Raises:
        InputError: For a missing, empty, binary or unknown file, an unknown column (the ones found are named), or a query
            longer than 20,000 characters.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no query log {path}: give a file, {KINDS}")
    seen: dict[str, Query] = {}
    try:
        for place, (name, text) in enumerate(_rows(path)):
            text = text.strip()
            if len(text) > MAX_CHARACTERS:
                raise InputError(
                    f"{path}: query number {place + 1} has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read"
                )
            if text:
                seen.setdefault(text, Query(name or f"q{place:06d}", text))
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}): give {KINDS}") from error
    if not seen:
        raise InputError(f"{path} holds no query: give at least one, {KINDS}")
    return list(seen.values())


def _rows(path: Path) -> Iterator[tuple[str | None, str]]:
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "parquet":
        import pandas as pd

        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no readable Parquet file ({error})") from error
        column = _column(path, list(frame.columns))
        ids = frame["id"].astype(str) if "id" in frame.columns else [None] * len(frame)
        yield from zip(ids, frame[column].astype(str), strict=True)
        return
    if kind not in ("txt", "jsonl", "csv"):
        raise InputError(f"{path} has an unknown ending: give {KINDS}")
    with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="" if kind == "csv" else None) as file:
        if kind == "txt":
            yield from ((None, line) for line in file)
        elif kind == "csv":
            reader = csv.DictReader(file)
            column = _column(path, list(reader.fieldnames or []))
            yield from ((row.get("id"), row[column] or "") for row in reader)
        else:
            yield from _json_rows(path, file)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _json_rows(path: Path, file: io.TextIOWrapper) -> Iterator[tuple[str | None, str]]:
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
            text = row[_column(path, list(row))]
            yield (str(row["id"]) if "id" in row else None), str(text)
        else:
            raise InputError(f"{path}, line {number} is neither a string nor an object")


def _column(path: Path, names: list[str]) -> str:
    for column in COLUMNS:
        if column in names:
            return column
    raise InputError(
        f"{path} has the columns {', '.join(map(str, names)) or 'none'}: one must be named {', '.join(COLUMNS)}"
    )
