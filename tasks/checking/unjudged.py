"""Texts that nobody judged, a query log, a corpus or both: what they are good for, and what they lack."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.backbones.generation import Query
from genzoo.duplicates import collapsed
from genzoo.errors import InputError
from genzoo.tables import QUERY_COLUMNS, plain_name
from genzoo.tasks.checking.findings import DataFinding, counted
from genzoo.tasks.checking.texts import find_repeated, repeated_findings
from genzoo.tasks.judging.passages import Passage, read_passages
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.layout import find_unjudged
from genzoo.tasks.own.records import columns_of, stem_of, suffix_of
from genzoo.tasks.own.search_files import documents, questions
from genzoo.text import plural
from genzoo.training.queries import read_log

_OF_A_SEARCH = ("queries", "topics", "questions", "qrels", "top_ranked", "candidates")
_OF_OTHER_DATA = ({"passage"}, {"passages"}, {"passage-id"}, {"text1"}, {"text2"}, {"text", "label"})
"""Roles of columns that a query log does not have, at least not together."""
_LACKS = {
    "query log": (
        "no-passages",
        "queries without passages and judgements. Pool them with your passages and judge next; they are good for training, too (genzoo train --queries)",
    ),
    "corpus": (
        "no-queries",
        "passages without queries. Pool them with a log of what people typed and judge next",
    ),
    "search to be judged": (
        "no-judgements",
        "passages and queries without judgements. Pool them and judge next",
    ),
}
"""What it is -> code and words of what is missing."""
_SHOWN, _LONGEST = 3, 80  # queries that are quoted, and their characters


@dataclass(frozen=True)
class Unjudged:
    """Queries, passages or both.

    Attributes:
        queries: Every row of the log, empty ones too; None where there is no log.
        passages: The passages; None where there are none.
        log: Where the queries are, as a command takes it.
        corpus: Where the passages are, likewise.
    """

    queries: Sequence[Query] | None = None
    passages: Sequence[Passage] | None = None
    log: str = "LOG"
    corpus: str = "PASSAGES"

    @property
    def kind(self) -> str:
        """What it is called."""
        return "corpus" if self.queries is None else "query log" if self.passages is None else "search to be judged"

    @property
    def parts(self) -> list[tuple[str, list[str], str]]:
        """The texts that are there, with what they are called and the key of the prompt that models read them under."""
        passages = None if self.passages is None else [f"{each.title} {each.text}".strip() for each in self.passages]
        queries = None if self.queries is None else [row.text for row in self.queries if row.text]
        both = (("passages", passages, "document"), ("queries", queries, "query"))
        return [(name, texts, side) for name, texts, side in both if texts is not None]

    @property
    def next_command(self) -> str:
        """The command that comes next."""
        return f"genzoo pool --queries {self.log} --corpus {self.corpus} -m minilm -m bm25"

    def findings(self) -> Iterator[DataFinding]:
        """All findings but those on lengths and languages, with what is missing."""
        texts = {name: texts for name, texts, _ in self.parts}
        if self.queries is not None and not texts["queries"]:
            yield DataFinding("no-query", "queries", "the log holds no query", "blocker", 0, len(self.queries))
            return
        code, said = _LACKS[self.kind]
        yield DataFinding(code, "data", said, "missing")
        if (passages := self.passages) is not None:
            yield from repeated_findings(find_repeated(texts["passages"]), "passages", lambda place: passages[place].id)
        if self.queries is not None:
            yield from _log_findings(texts["queries"], len(self.queries))


def open_unjudged(path: Path, columns: Columns) -> Unjudged | None:
    """What is at a path that is no task; None where it is something else.

    A folder with a corpus and queries, a folder of text files (cut as ``genzoo pool`` cuts them: Markdown at its headings) or one that holds a
    corpus.jsonl alone, or a query log.

    Args:
        path: The file or folder.
        columns: Names that the user gave to columns.

    Raises:
        InputError: It is one of these, and cannot be read.
    """
    if path.is_dir():
        if parts := find_unjudged(path, columns):
            rows = [Query(*each) for each in questions(parts["queries"], [])]
            passages = [Passage(*each) for each in documents(parts["corpus"], [])]
            return Unjudged(rows, passages, *(shlex.quote(str(parts[name].path)) for name in ("queries", "corpus")))
        is_search = any(stem_of(each).startswith(_OF_A_SEARCH) for each in path.iterdir())
        has_texts = any(next(path.rglob(kind), None) for kind in ("corpus.jsonl*", "*.txt", "*.md"))
        if is_search or not has_texts:
            return None
        return Unjudged(passages=list(read_passages(path)), corpus=shlex.quote(str(path)))
    if suffix_of(path) != "txt" and not _may_be_log(path, columns):
        return None
    named = columns.named.get("query", ())
    words = [str(path), *(["--columns", f"query={named[0]}"] if named else [])]
    return Unjudged(read_log(path, named[0] if named else None), log=shlex.join(words))


def _may_be_log(path: Path, columns: Columns) -> bool:
    """Whether a table has a column of queries, and none of other data; a file of JSON strings has no columns."""
    try:
        heading = columns_of((path,))
    except InputError:
        return suffix_of(path) == "jsonl"
    roles = {role for role in set().union(*_OF_OTHER_DATA) if columns.find(role, heading)}
    is_named = any(plain_name(name) in QUERY_COLUMNS for name in heading) or "query" in columns.named
    return is_named and not any(together <= roles for together in _OF_OTHER_DATA)


def _log_findings(texts: Sequence[str], n_rows: int) -> Iterator[DataFinding]:
    """Findings on the queries of a log, counted as ``genzoo pool`` counts them: each text once, whatever its case and spaces."""
    if len(texts) < n_rows:
        yield counted("empty", "queries", n_rows - len(texts), n_rows, "rows hold no query")
    distinct, alike = list(dict.fromkeys(texts)), Counter(map(collapsed, texts))
    said = f"{len(distinct):,} distinct queries in {plural(len(texts), 'row')}"
    if len(alike) < len(distinct):
        said += f", {len(alike):,} whatever their case and spaces: a pool has each of these once"
    yield DataFinding("distinct-queries", "queries", said, count=len(distinct), total=len(texts))
    often = [(text, count) for text, count in alike.most_common(_SHOWN) if count > 1]
    if often:
        top = sum(count for _, count in alike.most_common(max(1, len(alike) // 10)))
        names = tuple(f"{text[:_LONGEST]} ({count:,} times)" for text, count in often)
        said = "rows ask one of the most frequent tenth of the distinct queries"
        yield counted("frequent-queries", "queries", top, len(texts), said, names)
    distinct = list(alike)
    yield from repeated_findings(find_repeated(distinct), "queries", lambda place: distinct[place][:_LONGEST])
