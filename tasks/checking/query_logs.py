"""What a query log without passages is good for, and what it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from genzoo.backbones.generation import Query
from genzoo.errors import InputError
from genzoo.tasks.checking.findings import DataFinding, counted
from genzoo.tasks.checking.texts import find_repeated, repeated_findings
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.records import columns_of, suffix_of
from genzoo.text import plural
from genzoo.training.queries import read_log

_OF_OTHER_DATA = ({"passage"}, {"passages"}, {"passage-id"}, {"text1"}, {"text2"}, {"text", "label"})
"""Roles of columns that a query log does not have, at least not together."""
_SHOWN = 3


def open_log(path: Path, columns: Columns) -> list[Query] | None:
    """Every row of a query log; None where a file is no query log but something else.

    Args:
        path: The file.
        columns: Names that the user gave to columns; that of ``query`` is read.

    Raises:
        InputError: It is a query log, and cannot be read.
    """
    if not path.is_file():
        return None
    if suffix_of(path) != "txt" and not _may_be_log(path, columns):
        return None
    named = columns.named.get("query", (None,))
    try:
        return read_log(path, named[0])
    except InputError:
        if suffix_of(path) == "txt":
            raise
        return None


def _may_be_log(path: Path, columns: Columns) -> bool:
    """Whether a table has rows, and no columns of other data; a file of JSON strings has no columns."""
    try:
        heading = columns_of((path,))
    except InputError:
        return suffix_of(path) == "jsonl"
    roles = {role for role in set().union(*_OF_OTHER_DATA) if columns.find(role, heading)}
    return bool(heading) and not any(together <= roles for together in _OF_OTHER_DATA)


def log_findings(path: Path, rows: Sequence[Query]) -> Iterator[DataFinding]:
    """All findings on a query log but those on lengths and languages; its lack of passages is the blocker."""
    texts = [row.text for row in rows if row.text]
    if not texts:
        yield DataFinding("no-query", "queries", "the log holds no query", "blocker", 0, len(rows))
        return
    said = (
        "it holds queries without passages and judgements. It is good for training (genzoo train --queries) and, with your passages, for "
        f"pooling: genzoo pool --queries {path} --corpus PASSAGES -m minilm -m bm25"
    )
    yield DataFinding("no-passages", "data", said, "blocker")
    if len(texts) < len(rows):
        yield counted("empty", "queries", len(rows) - len(texts), len(rows), "rows hold no query")
    counts = Counter(" ".join(text.split()).casefold() for text in texts)
    yield DataFinding(
        "distinct-queries",
        "queries",
        f"{len(counts):,} distinct queries in {plural(len(texts), 'row')}",
        count=len(counts),
        total=len(texts),
    )
    often = [(text, count) for text, count in counts.most_common(_SHOWN) if count > 1]
    if often:
        top = sum(count for _, count in counts.most_common(max(1, len(counts) // 10)))
        names = tuple(f"{text[:80]} ({count:,} times)" for text, count in often)
        said = "rows ask one of the most frequent tenth of the distinct queries"
        yield counted("frequent-queries", "queries", top, len(texts), said, names)
    distinct = list(dict.fromkeys(counts))
    found = find_repeated(distinct)
    yield from repeated_findings(found, "queries", lambda place: distinct[place][:80])
