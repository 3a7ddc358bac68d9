"""What judges said about a pool: read from the files that they exported, merged into one grade for each passage of a query."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from genzoo.errors import InputError
from genzoo.files import read_json, write_text
from genzoo.tables import read_rows
from genzoo.tasks.judging.judgement_files import (
    FOLDER,
    HARM,
    SHEET,
    Judgement,
    judgement_files,
    read_judgements,
)
from genzoo.text import escape_csv, plural

POOL, RECORD, PAGE, QRELS, QUERIES = "pool.jsonl", "pool.json", "judge.html", "qrels.jsonl", "queries.jsonl"
WIDE = 2
"""Grades that lie so far apart are a disagreement worth a talk: one judge says answered, the other says not."""


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

    Of one judge's words on one item the latest counts. A file without times, as TREC's, gives way to one with them; of two such files
    the one that `judgement_files` has later counts, and a note says so.

    Raises:
        InputError: It is no pool, a file cannot be read, a grade is none of `GRADES`, or a file without times contradicts itself.
    """
    if not is_pool(folder):
        raise InputError(f"{folder} is no pool: it holds no {POOL}. Make one with genzoo pool")
    items = read_items(folder)
    known = {item.item for item in items}
    pairs = {(item.query, name): item.item for item in items for name in item.documents}
    kept: dict[str, dict[str, Judgement]] = {}
    notes, replaced = list[str](), Counter[tuple[str, str, str]]()
    queries = _known_queries(folder, items)
    for path in judgement_files(folder):
        strange = Counter[str]()
        for judgement in read_judgements(path, pairs):
            if judgement.item in known:
                replaced.update(_keep(kept, judgement, path))
            else:
                strange[_missing(judgement.query, queries)] += 1
        notes += [
            f"{path.name}: {plural(count, 'judgement')} of {what} that are not in this pool: left out"
            for what, count in sorted(strange.items())
        ]
    notes += [
        f"{new}: {plural(count, 'grade')} of {judge} in place of {'another one' if count == 1 else 'other ones'} in {old}, which was "
        "handed in before it"
        for (judge, old, new), count in replaced.items()
    ]
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


def _missing(query: str, known: set[str]) -> str:
    """What a judgement has that the pool lacks."""
    return "texts" if not query else "passages" if query in known else "queries"


def _known_queries(folder: Path, items: Iterable[PoolItem]) -> set[str]:
    """Ids and texts of a pool's queries: a file of judgements names them by either."""
    path = folder / QUERIES
    texts = [row.text("text") for row in read_rows(path)] if path.is_file() else []
    return {item.query for item in items} | {form for text in texts for form in (text, escape_csv(text))}


def _keep(kept: dict[str, dict[str, Judgement]], new: Judgement, path: Path) -> list[tuple[str, str, str]]:
    """Take a judgement in; the judge, the earlier file and this one where it takes the place of another grade without a time."""
    own = kept.setdefault(new.judge, {})
    old = own.get(new.item)
    is_contrary = old is not None and not old.time and not new.time and old.grade != new.grade
    if old is None or new.time >= old.time:
        own[new.item] = new
    if old is None or not is_contrary:
        return []
    if old.source == new.source:
        raise InputError(
            f"{path}: {new.judge!r} gives an item the grades {old.grade} and {new.grade}, and the file does not say when. "
            "Remove one of them"
        )
    return [(new.judge, old.source, new.source)]
