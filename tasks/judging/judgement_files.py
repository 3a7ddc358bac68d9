"""The files in which judges hand in what they said: exports of the page, spreadsheets, and qrels as TREC writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from genzoo.errors import InputError
from genzoo.tables import Row, read_rows, read_table, read_text

FOLDER, SHEET = "judgements", "judge.csv"
HARM = -1
"""A passage that must not be found for a query: as TREC's track on health misinformation grades it."""
GRADES = (HARM, 0, 1, 2, 3)
_ENDINGS = (".jsonl", ".csv", ".qrels", ".txt")
_DIVIDERS = (",", ";", "\t")


class Judgement(NamedTuple):
    """One judge's word on one item.

    Attributes:
        item: `PoolItem.item`.
        judge: Name of the judge.
        grade: 0 to 3, or `HARM`; None where the judge could not tell.
        time: When it was given, as ISO 8601 in UTC; empty where the file does not say.
        source: The file.
    """

    item: str
    judge: str
    grade: int | None
    time: str
    source: str


def judgement_files(folder: Path) -> list[Path]:
    """The files of judgements in a pool's folder: those in judgements/, and judge.csv.

    Raises:
        InputError: There is one of another kind.
    """
    inside = folder / FOLDER
    paths = sorted(path for path in inside.glob("*") if path.is_file() and not path.name.startswith("."))
    for path in paths:
        if path.suffix.lower() not in _ENDINGS:
            raise InputError(f"{path} is no file of judgements: expected {', '.join(_ENDINGS)}. Move it elsewhere")
    return [*paths, *([folder / SHEET] if (folder / SHEET).is_file() else [])]


def read_judgements(path: Path, pairs: Mapping[tuple[str, str], str]) -> Iterator[Judgement]:
    """The judgements of one file; of rows without a grade there is none.

    Args:
        path: JSON lines as the page exports them, a spreadsheet with the columns of judge.csv, or qrels as TREC writes them.
        pairs: Ids of query and passage -> item, for files that name no items.

    Raises:
        InputError: The file cannot be read, or a grade is none of `GRADES`.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl":
        return _of_rows(path, read_rows(path), pairs)
    return _of_sheet(path) if kind == ".csv" else _of_trec(path, pairs)


def _of_rows(path: Path, rows: Iterable[Row], pairs: Mapping[tuple[str, str], str]) -> Iterator[Judgement]:
    for row in rows:
        item = row.cells.get("item")
        if item is None:
            item = pairs.get((row.name("query-id"), row.name("corpus-id")), "")
        judge = row.text("judge", is_optional=True).strip() or path.stem
        grade = None if row.value("score") is None else _grade(row, "score")
        yield Judgement(str(item), judge, grade, row.text("time", is_optional=True), path.name)


def _grade(row: Row, name: str) -> int:
    grade = row.grade(name)
    if grade not in GRADES:
        raise row.error(f"{name!r} is {grade}: a grade is 0, 1, 2 or 3, or {HARM} for a passage that must not be found")
    return grade


def _of_sheet(path: Path) -> Iterator[Judgement]:
    """The rows of a spreadsheet that have a grade: what is left empty is not judged, an x could not be told."""
    table = read_table(path, _divider(path))
    if not {"item", "grade"} <= set(table.heading):
        raise InputError(
            f"{path} has the columns {', '.join(table.heading)}: 'item' and 'grade' are needed, as in {SHEET}"
        )
    for line, cells in table.rows:
        row = Row(path, line, dict(zip(table.heading, map(str.strip, cells), strict=True)))
        if not (said := row.cells["grade"]):
            continue
        grade = None if said.lower() == "x" else _grade(row, "grade")
        yield Judgement(row.cells["item"], row.cells.get("judge") or path.stem, grade, "", path.name)


def sheet_grades(folder: Path) -> dict[str, tuple[str, str]]:
    """Item -> grade and judge as they were filled in in a pool's spreadsheet; empty where there is none."""
    path = folder / SHEET
    if not path.is_file():
        return {}
    table = read_table(path, _divider(path))
    rows = (dict(zip(table.heading, cells, strict=True)) for _, cells in table.rows)
    return {row["item"]: (row["grade"], row.get("judge", "")) for row in rows if row.get("grade") and row.get("item")}


def _divider(path: Path) -> str:
    """What divides the heading: spreadsheets of many countries write semicolons."""
    first = next(iter(csv.reader(io.StringIO(read_text(path)))), [])
    return max(_DIVIDERS, key=",".join(first).count) if len(first) == 1 else ","


def _of_trec(path: Path, pairs: Mapping[tuple[str, str], str]) -> Iterator[Judgement]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not (cells := line.split()):
            continue
        row = Row(path, number, dict(zip(("query", "iteration", "document", "score"), cells, strict=False)))
        if len(cells) != len(row.cells) or len(cells) < 4:
            raise row.error("expected the four columns of TREC qrels: query, 0, passage, grade")
        yield Judgement(pairs.get((cells[0], cells[2]), ""), path.stem, _grade(row, "score"), "", path.name)
