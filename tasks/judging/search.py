"""The first passages that an embedder finds for each query, searched as an evaluation searches: mteb's way, through the same cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from mteb._evaluators import RetrievalEvaluator
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import CrossEncoderProtocol, EncoderProtocol, ModelMeta, SearchProtocol
from mteb.timing import TimingStack

from genzoo.errors import InputError
from genzoo.tasks.bounded_search import BoundedSearch
from genzoo.tasks.model_session import EncodeSettings, ModelSession
from genzoo.tasks.random_state import LOADING_SEED, seed_global_state

Rankings = Mapping[str, list[str]]
"""Query -> ids of the passages found, the best first."""


def search_metadata(name: str) -> TaskMetadata:
    """The card of a search over a user's own texts: models find their prompt for retrieval by it."""
    return TaskMetadata(
        name=name,
        description="A search over own data.",
        dataset={"path": f"local/{name}", "revision": "unjudged"},
        type="Retrieval",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )


def first_passages(
    meta: ModelMeta, corpus: Dataset, queries: Dataset, depth: int, settings: EncodeSettings, name: str = "pool"
) -> Rankings:
    """The first passages of each query, in the order in which an evaluation ranks them.

    Args:
        meta: The model's card.
        corpus: ``id``, ``title`` and ``text``.
        queries: ``id`` and ``text``.
        depth: Passages for each query.
        settings: How the model encodes; with a cache an evaluation of the same texts encodes nothing again.
        name: Of the search.

    Raises:
        InputError: The model can only rank candidates.
        ZooError: It cannot be loaded, or gives embeddings that no ranking can be made of.
    """
    session = ModelSession(meta, settings)
    try:
        session.load()
        search = RetrievalEvaluator(
            corpus=corpus,
            queries=queries,
            task_metadata=search_metadata(name),
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
        session.close()
    return {query: ranked(found.get(query, {}))[:depth] for query in queries["id"]}


def ranked(similarities: Mapping[str, float]) -> list[str]:
    """Passages in the order of trec_eval: by similarity, then by id, both descending."""
    return sorted(similarities, key=lambda name: (similarities[name], name), reverse=True)


def _searching(model: Any, name: str) -> SearchProtocol:
    if isinstance(model, SearchProtocol):
        return model
    if isinstance(model, EncoderProtocol):
        return BoundedSearch(model)
    what = (
        "is a cross-encoder, which ranks candidates only"
        if isinstance(model, CrossEncoderProtocol)
        else "cannot search"
    )
    raise InputError(f"{name} {what}: pool the passages of embedders, bm25 or hybrids of them")
