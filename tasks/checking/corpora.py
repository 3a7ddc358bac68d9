"""What a folder of texts without queries is good for, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genzoo.errors import InputError
from genzoo.tasks.checking.findings import DataFinding
from genzoo.tasks.checking.texts import find_repeated, repeated_findings
from genzoo.tasks.judging.passages import Passage, read_passages
from genzoo.tasks.own.records import stem_of

_OF_A_SEARCH = ("queries", "topics", "questions", "qrels", "top_ranked", "candidates")


def open_corpus(path: Path) -> list[Passage] | None:
    """The passages of a folder of text files, or of one that holds a corpus.jsonl alone; None where a path is something else.

    Text files are cut as ``genzoo pool`` cuts them: Markdown at its headings.
    """
    if not path.is_dir() or any(stem_of(each).startswith(_OF_A_SEARCH) for each in path.iterdir()):
        return None
    try:
        return list(read_passages(path))
    except InputError:
        return None


def text_of(passage: Passage) -> str:
    """Title and text, joined as mteb joins them."""
    return f"{passage.title} {passage.text}".strip()


def corpus_findings(path: Path, passages: Sequence[Passage]) -> Iterator[DataFinding]:
    """All findings on passages but those on lengths and languages; the lack of queries is the blocker."""
    said = (
        "it holds passages without queries. With a log of what people typed it can be pooled and judged: "
        f"genzoo pool --queries LOG --corpus {path} -m minilm -m bm25"
    )
    yield DataFinding("no-queries", "data", said, "blocker")
    repeated = find_repeated([text_of(passage) for passage in passages])
    yield from repeated_findings(repeated, "passages", lambda place: passages[place].id)
