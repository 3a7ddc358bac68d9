"""Search that leaves some documents out for some queries: those that a task excludes, and those that share no word with the query.

BRIGHT names documents that must not count for a query. mteb hands them to the model as a ranking of all others, encodes the whole
corpus at once and then copies nearly all of it, query by query. `BoundedSearch` makes no such copy: the corpus goes by in chunks, as in mteb's plain search, and
what is excluded drops out of the similarities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.models.model_implementations.bm25 import BM25Search
from mteb.models.search_wrappers import SearchEncoderWrapper, chunked_full_corpus_search

_FEW = 0.5
"""Below this share of the corpus a ranking names candidates, as reranking tasks do, rather than exclusions."""


def with_bounded_search(model: Any, task: AbsTask) -> Any:
    """The model as mteb shall see it for a task: an encoder that searches is given this search, all others stay as they are."""
    if hasattr(task, "own_data"):  # scores of official data are the published ones, with whatever fills the list up
        model = with_word_matches(model)
    is_search = isinstance(task, AbsTaskRetrieval) and not task.is_aggregate and task.metadata.type == "Retrieval"
    if is_search and isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
        return BoundedSearch(model)
    return model


class BoundedSearch(SearchEncoderWrapper):
    """mteb's search with an encoder, except for rankings that name nearly the whole corpus."""

    def _rerank_documents(self, *, top_ranked: Mapping[str, Sequence[str]], **how: Any) -> dict[str, Any]:
        corpus, queries = self.task_corpus, how["query_idx_to_id"]
        if corpus is None:
            raise ValueError("the corpus must be indexed before it is searched")
        named = sum(len(top_ranked.get(query, ())) for query in queries.values())
        if named < _FEW * len(corpus) * len(queries):
            return super()._rerank_documents(top_ranked=top_ranked, **how)  # type: ignore[arg-type]
        similarity = _Masked(self.model.similarity, excluded_places(corpus["id"], queries, top_ranked))
        found = chunked_full_corpus_search(
            task_corpus=corpus,
            corpus_chunk_size=self.corpus_chunk_size,
            encode_fn=self.model.encode,
            similarity_fn=similarity,
            search_k_offset=1,
            **how,
        )
        # where fewer documents are left than were asked for, excluded ones fill the list
        return {query: [row for row in rows if row[0] != float("-inf")] for query, rows in found.items()}


def excluded_places(
    ids: Sequence[str], queries: Mapping[int, str], top_ranked: Mapping[str, Sequence[str]]
) -> dict[int, np.ndarray]:
    """Query number -> places in the corpus, ascending, of the documents that its ranking leaves out.

    >>> excluded_places(["a", "b", "c"], {0: "q", 1: "r"}, {"q": ["c", "a"], "r": ["a", "b", "c"]})
    {0: array([1])}
    """
    place_of = {name: place for place, name in enumerate(ids)}
    found = {}
    for number, query in queries.items():
        is_out = np.ones(len(place_of), dtype=bool)
        is_out[[place_of[name] for name in top_ranked.get(query, ())]] = False
        if is_out.any():
            found[number] = np.flatnonzero(is_out)
    return found


class _Masked:
    """A similarity that gives -inf for excluded pairs; the corpus comes to it chunk by chunk, in order."""

    def __init__(self, similarity: Any, excluded: Mapping[int, np.ndarray]) -> None:
        self._similarity, self._excluded, self._start = similarity, excluded, 0

    def __call__(self, queries: Any, documents: Any) -> torch.Tensor:
        """Similarities `(queries, documents of this chunk)`."""
        scores = torch.as_tensor(self._similarity(queries, documents)).clone()
        if torch.isnan(scores).any():
            raise ValueError("NaN values detected in the similarity scores")
        end = self._start + scores.shape[1]
        for number, places in self._excluded.items():
            inside = places[(places >= self._start) & (places < end)] - self._start
            scores[number, torch.from_numpy(inside)] = float("-inf")
        self._start = end
        return scores


class WordMatches:
    """BM25's ranking as mteb makes it, of the documents that share a word with the query.

    bm25s fills its list up with documents of score 0 in no order: in a fusion each of their ranks counts, and people would judge them
    for nothing. Of given candidates mteb keeps those among the best of the whole corpus, so all are asked for here.

    Args:
        search: The BM25 model.
    """

    def __init__(self, search: Any) -> None:
        self._search, self.mteb_model_meta = search, search.mteb_model_meta
        self._size = 0

    def index(self, corpus: Any, **how: Any) -> None:
        """Index a corpus."""
        self._size = len(corpus)
        self._search.index(corpus, **how)

    def search(self, queries: Any, *, top_k: int, top_ranked: Any = None, **how: Any) -> dict[str, dict[str, float]]:
        """Query -> document -> score, of at most `top_k` documents that share a word with the query."""
        depth = top_k if top_ranked is None else self._size
        found = self._search.search(queries, top_k=depth, top_ranked=top_ranked, **how)
        return {query: _best(hits, top_k) for query, hits in found.items()}


def _best(hits: dict[str, float], count: int) -> dict[str, float]:
    matches = [hit for hit in hits.items() if hit[1] > 0]
    return dict(sorted(matches, key=lambda hit: (hit[1], hit[0]), reverse=True)[:count])


def with_word_matches(model: Any) -> Any:
    """BM25 without the documents that share no word with the query; any other model as it is."""
    return WordMatches(model) if isinstance(model, BM25Search) else model
