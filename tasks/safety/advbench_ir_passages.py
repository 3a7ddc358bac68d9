"""AdvBench-IR's rows -> the corpus, queries and qrels that its authors search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CHUNK_WORDS = 100
HARMFUL_PREFIX = "malicious_"


@dataclass(frozen=True)
class SearchSet:
    """A corpus and what is asked of it.

    Attributes:
        corpus: Rows of `id` and `text`.
        queries: Rows of `id` and `text`.
        qrels: Query id -> passage id -> 1, for every chunk of the query's own harmful document.
    """

    corpus: list[dict[str, str]]
    queries: list[dict[str, str]]
    qrels: dict[str, dict[str, int]]


def chunks(document: str, size: int = CHUNK_WORDS) -> Iterator[tuple[int, str]]:
    """Split at white space into chunks of `size` words; a shorter one is kept only if it is the first.

    >>> list(chunks("a b c d e", size=2))
    [(0, 'a b'), (1, 'c d')]
    >>> list(chunks("a", size=2))
    [(0, 'a')]
    """
    words = document.split()
    for number, start in enumerate(range(0, len(words), size)):
        part = words[start : start + size]
        if number == 0 or len(part) == size:
            yield number, " ".join(part)


def search_set(harmful: Iterable[Mapping[str, Any]], wiki: Iterable[Mapping[str, Any]]) -> SearchSet:
    """Build the search set as the LLM2Vec-Gen evaluation does.

    Args:
        harmful: Rows of `ID`, `query`, `document`, `title`.
        wiki: Rows of `ID`, `title`, `passage`.

    Returns:
        Passages `{title} # {chunk}` named `malicious_{ID}-{number}` and `wiki_{ID}`.
    """
    corpus: list[dict[str, str]] = []
    queries: list[dict[str, str]] = []
    qrels: dict[str, dict[str, int]] = {}
    for row in harmful:
        query = str(row["ID"])
        queries.append({"id": query, "text": row["query"]})
        for number, chunk in chunks(row["document"]):
            passage = f"{HARMFUL_PREFIX}{query}-{number}"
            corpus.append({"id": passage, "text": f"{row['title']} # {chunk}"})
            qrels.setdefault(query, {})[passage] = 1
    corpus += [{"id": f"wiki_{row['ID']}", "text": f"{row['title']} # {row['passage']}"} for row in wiki]
    return SearchSet(corpus, queries, qrels)
