"""The first passages that an embedder finds for each query, searched as an evaluation searches: mteb's way, through the same cache."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset
from mteb._evaluators import RetrievalEvaluator
from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.models import CrossEncoderProtocol, EncoderProtocol, ModelMeta, SearchProtocol
from mteb.timing import TimingStack

from genzoo.errors import InputError
from genzoo.tasks.bounded_search import BoundedSearch, with_word_matches
from genzoo.tasks.embedders.known_endpoints import remember
from genzoo.tasks.model_session import EncodeSettings, ModelSession
from genzoo.tasks.own.opening import languages_of
from genzoo.tasks.own.search import OwnSearch
from genzoo.tasks.own.search_files import CORPUS, QUERIES
from genzoo.tasks.own.tasks import task_over
from genzoo.tasks.random_state import LOADING_SEED, seed_global_state

log = logging.getLogger(__name__)
Rankings = Mapping[str, list[str]]
"""Query -> ids of the passages found, the best first."""


def unjudged_search(name: str, language: str | None = None) -> AbsTask:
    """A search over own data that has no judgements yet, as `genzoo.tasks.own` makes the one that is measured later.

    It holds no texts: models find their prompt by its card.

    Args:
        name: Of the search.
        language: Of the texts, as mteb writes it, such as ``deu-Latn``; several with commas. English if None.

    Raises:
        InputError: For a language that mteb does not know.
    """
    empty = OwnSearch(
        path=Path(name),
        passages=CORPUS.empty_table(),
        questions=QUERIES.empty_table(),
        judged={},
        judgements={"test": {}},
        candidates=None,
        revision="unjudged",
        corpus_revision="",
        notes=(),
    )
    return task_over(empty, name, "Retrieval", languages_of(language))


def first_passages(
    meta: ModelMeta, task: AbsTask, corpus: Dataset, queries: Dataset, depth: int, settings: EncodeSettings
) -> Rankings:
    """The first passages of each query, in the order in which an evaluation ranks them.

    Args:
        meta: The model's card.
        task: `unjudged_search`.
        corpus: ``id``, ``title`` and ``text``.
        queries: ``id`` and ``text``.
        depth: Passages for each query.
        settings: How the model encodes; with a cache, in a results folder, an evaluation of the same texts encodes nothing again.

    Raises:
        InputError: The model can only rank candidates.
        ZooError: It cannot be loaded, or gives embeddings that no ranking can be made of.
    """
    session = ModelSession(meta, settings)
    try:
        session.load()
        if settings.cache is not None:
            remember(settings.cache.parent, session.fingerprints)
        search = RetrievalEvaluator(
            corpus=corpus,
            queries=queries,
            task_metadata=task.metadata,
            hf_split="test",
            hf_subset="default",
            top_k=max(
                AbsTaskRetrieval.k_values
            ),  # as in an evaluation: equal similarities beyond the depth decide who is within
            timer=TimingStack(),
        )
        seed_global_state(LOADING_SEED)
        found = search(
            _searching(session.model, str(meta.name)),
            encode_kwargs={"batch_size": settings.batch_size, "show_progress_bar": False},
        )
    finally:
        for line in session.notes():
            log.warning(line)
        session.close()
    return {query: ranked(found.get(query, {}))[:depth] for query in queries["id"]}


def ranked(similarities: Mapping[str, float]) -> list[str]:
    """Passages in the order of trec_eval: by similarity, then by id, both descending."""
    return sorted(similarities, key=lambda name: (similarities[name], name), reverse=True)


def _searching(model: Any, name: str) -> SearchProtocol:
    if isinstance(model, SearchProtocol):
        return with_word_matches(model)
    if isinstance(model, EncoderProtocol):
        return BoundedSearch(model)
    what = (
        "is a cross-encoder, which ranks candidates only"
        if isinstance(model, CrossEncoderProtocol)
        else "cannot search"
    )
    raise InputError(f"{name} {what}: pool the passages of embedders, bm25 or hybrids of them")
