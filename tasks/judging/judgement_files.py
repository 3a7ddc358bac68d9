"""The files in which judges hand in what they said: exports of the page, spreadsheets, and qrels as TREC writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from genzoo.errors import InputError
from genzoo.tables import Row, heading_line
from genzoo.tasks.own.records import TREC_QRELS, read_records

FOLDER, SHEET = "judgements", "judge.csv"
HARM = -1
"""A passage that must not be found for a query: as TREC's track on health misinformation grades it."""
GRADES = (HARM, 0, 1, 2, 3)
_BARRED = ("-", "\N{MINUS SIGN}", "\N{EN DASH}")
"""How people write `HARM` in a spreadsheet: the key of the page, or what a program for spreadsheets makes of it."""
_ENDINGS = (".jsonl", ".csv", ".qrels", ".txt")


class Judgement(NamedTuple):
    """One judge's word on one item.

    Attributes:
        item: `PoolItem.item`.
        judge: Name of the judge.
        grade: 0 to 3, or `HARM`; None where the judge could not tell.
        time: When it was given, as ISO 8601 in UTC; empty where the file does not say.
        source: The file, with the name of its folder.
        query: Id or text of the query, as the file has it; empty where it does not.
    """

    item: str
    judge: str
    grade: int | None
    time: str
    source: str
    query: str = ""


def judgement_files(folder: Path) -> list[Path]:
    """The files of judgements in a pool's folder: judge.csv, then those in judgements/, in the order in which they were changed last.

    Those of one moment, as a copy may make them, are in the order of their names.

    Raises:
        InputError: There is one of another kind.
    """
    inside = folder / FOLDER
    paths = sorted(path for path in inside.glob("*") if path.is_file() and not path.name.startswith("."))
    for path in paths:
        if path.suffix.lower() not in _ENDINGS:
            raise InputError(f"{path} is no file of judgements: expected {', '.join(_ENDINGS)}. Move it elsewhere")
    paths.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [*([folder / SHEET] if (folder / SHEET).is_file() else []), *paths]


def read_judgements(path: Path, pairs: Mapping[tuple[str, str], str]) -> Iterator[Judgement]:
    """The judgements of one file. A row without a grade is not judged; an x, or null, means that the judge could not tell.

    Args:
        path: JSON lines as the page exports them, a spreadsheet with the columns of judge.csv, or qrels as TREC writes them.
        pairs: Ids of query and passage -> item, for rows that name no item.

    Raises:
        InputError: The file cannot be read, or a grade is none of `GRADES`.
    """
    rows = list(read_records([path], TREC_QRELS))
    if not rows and path.suffix.lower() not in (".jsonl", ".csv") and (line := heading_line(path)):
        raise InputError(
            f"{path}: expected the four columns of TREC qrels (query, 0, passage, grade), not {line[:80]!r}"
        )
    for row in rows:
        said = row.value("grade", "score")
        if isinstance(said, str) and not said.strip():
            continue
        item = row.cells.get("item")
        if not item and {"query-id", "corpus-id"} <= row.cells.keys():
            item = pairs.get((row.name("query-id"), row.name("corpus-id")), "")
        item = row.value("item") if item is None else item
        judge = row.text("judge", is_optional=True).strip() or path.stem
        is_told = said is not None and str(said).strip().lower() != "x"
        yield Judgement(
            item=str(item).strip(),
            judge=judge,
            grade=_grade(row) if is_told else None,
            time=row.text("time", is_optional=True),
            source=f"{path.parent.name}/{path.name}",
            query=str(row.cells.get("query-id") or row.cells.get("query") or ""),
        )


def _grade(row: Row) -> int:
    name = "grade" if "grade" in row.cells else "score"
    said = row.cells[name]
    try:
        grade = HARM if str(said).strip() in _BARRED else row.grade(name)
    except InputError:
        grade = None
    if grade not in GRADES:
        raise row.error(
            f"{name!r} is {str(said)[:40]!r}: a grade is 0, 1, 2 or 3, - (or {HARM}) for a passage that must not be found, or x where the "
            "judge cannot tell"
        )
    return grade


def sheet_grades(folder: Path) -> dict[str, tuple[str, str]]:
    """Item -> grade and judge as they were filled in in a pool's spreadsheet; empty where there is none."""
    path = folder / SHEET
    cells = [row.cells for row in read_records([path])] if path.is_file() else []
    return {row["item"]: (row["grade"], row.get("judge", "")) for row in cells if row.get("grade") and row.get("item")}
