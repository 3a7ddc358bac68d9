"""The files of a pool: what is judged in blind order, the judging page, the spreadsheet, and how the pool was made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from genzoo.files import strict_json, write_files
from genzoo.tasks.judging.judgement_files import FOLDER, SHEET, sheet_grades
from genzoo.tasks.judging.judgements import PAGE, POOL, QUERIES, RECORD, PoolItem
from genzoo.tasks.judging.page import judging_page
from genzoo.tasks.judging.passages import Passage
from genzoo.text import clean, escape_csv

if TYPE_CHECKING:
    from datasets import Dataset

CORPUS = "corpus.jsonl"
_CELL = 30_000  # characters; spreadsheets hold 32,767 in a cell


def blind_items(
    pairs: Iterable[tuple[str, str]], texts: Mapping[str, str], content: Mapping[str, Passage], seed: int
) -> list[PoolItem]:
    """What is judged, in an order that comes from the seed and the texts alone: query by query, both shuffled.

    Args:
        pairs: Ids of queries and passages.
        texts: Id of each query -> its text.
        content: Id of each passage -> the passage; those of one text are one item.
        seed: Of the order.
    """
    grouped: dict[str, dict[str, list[str]]] = {}
    for query, name in sorted(set(pairs)):
        item = item_of(texts[query], content[name])
        grouped.setdefault(query, {}).setdefault(item, []).append(name)
    rng = random.Random(seed)  # noqa: S311  (an order, no secret)
    order, items = sorted(grouped), list[PoolItem]()
    rng.shuffle(order)
    for query in order:
        own = [PoolItem(item, query, tuple(names)) for item, names in sorted(grouped[query].items())]
        rng.shuffle(own)
        items += own
    return items


def item_of(query: str, passage: Passage) -> str:
    """What identifies a query with a passage: a digest of both texts.

    It begins with a letter, as a spreadsheet may take digits for a number.
    """
    parts = (query, passage.title, passage.text)
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode(errors="surrogatepass"))
    return f"i{digest.hexdigest()[:15]}"


def passages_of(corpus: Dataset, names: set[str]) -> dict[str, Passage]:
    """The passages of some ids."""
    places = [place for place, name in enumerate(corpus["id"]) if name in names]
    return {row["id"]: Passage(row["id"], row["title"], row["text"]) for row in corpus.select(places)}


def write_pool(
    folder: Path,
    texts: Mapping[str, str],
    content: Mapping[str, Passage],
    items: Sequence[PoolItem],
    record: Mapping[str, Any],
    judges: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> None:
    """Write all files of the pool but for the corpus, or none of them; grades in an earlier spreadsheet are taken over.

    Args:
        folder: Where to.
        texts: Id of each query -> its text.
        content: Id of each passage -> the passage.
        items: What is judged, in order.
        record: How the pool was made.
        judges: Name of each judge -> the items judged so far: the spreadsheet says who has seen what, so that what is new is found in it.
    """
    rows = ({"query-id": item.query, "corpus-id": each, "item": item.item} for item in items for each in item.documents)
    identity = hashlib.sha256(strict_json(record["texts"], is_sorted=True).encode()).hexdigest()[:16]
    write_files(
        folder,
        {
            QUERIES: _lines({"_id": query, "text": text} for query, text in texts.items()),
            POOL: _lines(rows),
            RECORD: strict_json(record, indent=1) + "\n",
            PAGE: judging_page(folder.resolve().name, identity, texts, content, items),
            SHEET: _sheet(texts, content, items, sheet_grades(folder), judges),
        },
    )
    (folder / FOLDER).mkdir(exist_ok=True)


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _sheet(
    texts: Mapping[str, str],
    content: Mapping[str, Passage],
    items: Sequence[PoolItem],
    filled: Mapping[str, tuple[str, str]],
    judges: Mapping[str, Collection[str]],
) -> str:
    """The pool as a spreadsheet, with what was filled in before; a byte order mark tells spreadsheets that it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("grade", "query", "title", "passage", "judge", "item", "judged by"))
    for item in items:
        _, title, text = content[item.documents[0]]
        cells = [_cell(each) for each in (texts[item.query], title, text)]
        grade, judge = filled.get(item.item, ("", ""))
        by = escape_csv(", ".join(name for name, seen in judges.items() if item.item in seen))
        writer.writerow((grade, *cells, judge, item.item, by))
    return "\ufeff" + out.getvalue()


def _cell(text: str) -> str:
    shown = text if len(text) <= _CELL else f"{text[:_CELL]} [cut: the page shows all {len(text):,} characters]"
    return "\n".join(escape_csv(line) if place == 0 else clean(line) for place, line in enumerate(shown.split("\n")))
