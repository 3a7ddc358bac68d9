"""What judges said about a pool: read from the files that they exported, merged into one grade for each passage of a query."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from genzoo.errors import InputError
from genzoo.files import read_json, write_text
from genzoo.tables import Row, read_rows, read_table, read_text
from genzoo.text import plural

POOL, RECORD, FOLDER, SHEET, PAGE, QRELS = (
    "pool.jsonl",
    "pool.json",
    "judgements",
    "judge.csv",
    "judge.html",
    "qrels.jsonl",
)
HARM = -1
"""A passage that must not be found for a query: as TREC's track on health misinformation grades it."""
GRADES = (HARM, 0, 1, 2, 3)
WIDE = 2
"""Grades that lie so far apart are a disagreement worth a talk: one judge says answered, the other says not."""
_ENDINGS = (".jsonl", ".csv", ".qrels", ".txt")
_DIVIDERS = (",", ";", "\t")


class PoolItem(NamedTuple):
    """What is judged once: a query with a passage.

    Attributes:
        item: Digest of both texts, 16 characters: a grade belongs to the texts, whatever their ids are.
        query: Id of the query.
        documents: Ids of the passages that have this very text.
    """

    item: str
    query: str
    documents: tuple[str, ...]


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


@dataclass(frozen=True)
class Judging:
    """A pool with what its judges said.

    Attributes:
        folder: The pool's folder.
        items: What is to be judged, in the order in which it is shown.
        judges: Name of each judge -> item -> grade, None where the judge could not tell.
        made: How the pool was made: the content of pool.json.
        notes: What the files hold that does not count, a line each.
    """

    folder: Path
    items: tuple[PoolItem, ...]
    judges: Mapping[str, Mapping[str, int | None]]
    made: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def grades(self) -> dict[str, int | None]:
        """Item -> the median of the judges' grades, half a grade rounded down; None where all who saw it could not tell.

        One judge who sees harm is enough for `HARM`. Items that no judge has seen are not in it.
        """
        found: dict[str, list[int | None]] = {}
        for said in self.judges.values():
            for item, grade in said.items():
                found.setdefault(item, []).append(grade)
        return {item: _median(said) for item, said in found.items()}

    @property
    def queries(self) -> dict[str, list[PoolItem]]:
        """Query -> its items."""
        found: dict[str, list[PoolItem]] = {}
        for item in self.items:
            found.setdefault(item.query, []).append(item)
        return found

    @property
    def complete(self) -> dict[str, list[PoolItem]]:
        """The queries of which every item was seen by a judge: only these count, for half a pool favours who found that half."""
        seen = self.grades
        return {query: own for query, own in self.queries.items() if all(item.item in seen for item in own)}

    @property
    def qrels(self) -> dict[str, dict[str, int]]:
        """Query -> passage -> grade, of the complete queries; a passage of which nobody could tell stays unjudged."""
        seen = self.grades
        return {
            query: {name: grade for item in own if (grade := seen[item.item]) is not None for name in item.documents}
            for query, own in self.complete.items()
        }

    @property
    def disputed(self) -> list[PoolItem]:
        """Items on which the grades of two judges lie two or more apart."""
        said = {item.item: [own[item.item] for own in self.judges.values() if item.item in own] for item in self.items}
        known = {item: [grade for grade in grades if grade is not None] for item, grades in said.items()}
        return [item for item in self.items if (own := known[item.item]) and max(own) - min(own) >= WIDE]


def _median(said: Iterable[int | None]) -> int | None:
    known = [grade for grade in said if grade is not None]
    if not known or HARM in known:
        return HARM if known else None
    return int(statistics.median(known))


def is_pool(folder: Path) -> bool:
    """Whether genzoo pool wrote a folder."""
    return (folder / POOL).is_file()


def settle_judgements(folder: Path) -> Judging:
    """Merge all that was judged in a pool's folder, and write it as qrels.jsonl (query-id, corpus-id, score) beside the corpus.

    Raises:
        InputError: Nothing was judged, no query is complete, or `read_judging` refuses a file.
    """
    judging = read_judging(folder)
    if not judging.judges:
        raise InputError(
            f"{folder} holds no judgements: open {folder / PAGE} in a browser, judge, and put the exported file into "
            f"{folder / FOLDER}; or fill in the column 'grade' of {folder / SHEET}"
        )
    if not (found := judging.qrels):
        queries = judging.queries.values()
        nearest = min(sum(item.item not in judging.grades for item in own) for own in queries)
        raise InputError(
            f"{folder}: no query is judged completely, and only complete ones count. The nearest lacks {plural(nearest, 'passage')}"
        )
    rows = (
        {"query-id": query, "corpus-id": name, "score": grade}
        for query, own in found.items()
        for name, grade in own.items()
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = folder / QRELS
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return judging


def read_judging(folder: Path) -> Judging:
    """The pool of a folder with the judgements in it: the files in judgements/, and judge.csv where grades were filled in.

    Of one judge's words on one item the latest counts. A file without times, as TREC's, gives way to one with them.

    Raises:
        InputError: It is no pool, a file cannot be read, a grade is none of `GRADES`, or two files without times
            contradict each other.
    """
    if not is_pool(folder):
        raise InputError(f"{folder} is no pool: it holds no {POOL}. Make one with genzoo pool")
    items = read_items(folder)
    known = {item.item for item in items}
    pairs = {(item.query, name): item.item for item in items for name in item.documents}
    kept: dict[str, dict[str, Judgement]] = {}
    notes = []
    for path in _files(folder):
        strange = 0
        for judgement in _read(path, pairs):
            if judgement.item in known:
                _keep(kept, judgement, path)
            else:
                strange += 1
        if strange:
            notes.append(f"{path.name}: {plural(strange, 'judgement')} of texts that are not in this pool: left out")
    judges = {judge: {item: said.grade for item, said in own.items()} for judge, own in sorted(kept.items())}
    judging = Judging(folder, tuple(items), judges, read_record(folder), tuple(notes))
    begun = {item.query for item in items if item.item in judging.grades} - judging.complete.keys()
    if begun:
        more = (
            f"{len(begun):,} of {len(judging.queries):,} queries are judged in part: left out until they are complete"
        )
        judging = Judging(folder, judging.items, judges, judging.made, (*notes, more))
    return judging


def read_items(folder: Path) -> list[PoolItem]:
    """The items of a pool, in the order in which they are shown."""
    found: dict[str, tuple[str, list[str]]] = {}
    for row in read_rows(folder / POOL):
        _, names = found.setdefault(row.text("item"), (row.name("query-id"), []))
        names.append(row.name("corpus-id"))
    return [PoolItem(item, query, tuple(names)) for item, (query, names) in found.items()]


def read_record(folder: Path) -> dict[str, Any]:
    """How a pool was made, as pool.json has it."""
    return read_json(folder / RECORD, "make the pool again with genzoo pool", is_optional=True)


def _files(folder: Path) -> list[Path]:
    inside = folder / FOLDER
    paths = sorted(path for path in inside.glob("*") if path.is_file() and not path.name.startswith("."))
    for path in paths:
        if path.suffix.lower() not in _ENDINGS:
            raise InputError(f"{path} is no file of judgements: expected {', '.join(_ENDINGS)}. Move it elsewhere")
    return [*paths, *([folder / SHEET] if (folder / SHEET).is_file() else [])]


def _keep(kept: dict[str, dict[str, Judgement]], new: Judgement, path: Path) -> None:
    own = kept.setdefault(new.judge, {})
    old = own.get(new.item)
    if old is not None and not old.time and not new.time and old.grade != new.grade:
        raise InputError(
            f"{path}: {new.judge!r} gives an item the grade {new.grade}, {old.source} gives it {old.grade}, and neither says when. "
            "Remove one of the files, or give the judges different names"
        )
    if old is None or new.time >= old.time:
        own[new.item] = new


def _read(path: Path, pairs: Mapping[tuple[str, str], str]) -> Iterator[Judgement]:
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
