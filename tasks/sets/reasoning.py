"""Retrieval in which only an inference connects query and passage."""

from __future__ import annotations

from genzoo.tasks.sets.bundled import BundledRetrieval, BundledSet, bundled_metadata, query_prompt

_MINI = BundledSet("mini_reasoning", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniReasoningRetrieval(BundledRetrieval):
    """Finds the principle behind an observation; word overlap leads to the wrong passages."""

    bundled = _MINI
    metadata = bundled_metadata(
        "GenZooMiniReasoningRetrieval",
        "Everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        _MINI,
        "ndcg_at_10",
        task_subtypes=["Reasoning as Retrieval"],
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
    )


_WHOLE = BundledSet("reasoning", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooReasoningRetrieval(BundledRetrieval):
    """Finds the principle behind an observation; word overlap leads to the wrong passages."""

    bundled = _WHOLE
    metadata = bundled_metadata(
        "GenZooReasoningRetrieval",
        "128 everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        _WHOLE,
        "ndcg_at_10",
        task_subtypes=["Reasoning as Retrieval"],
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
    )
