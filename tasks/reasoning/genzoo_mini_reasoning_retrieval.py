"""Observations whose explanation is one inference away.

name: GenZooMiniReasoningRetrieval
dataset: genzoo/tasks/data/mini_reasoning (40 queries in 8 domains, 120 passages, authored by the project)
licence: Apache-2.0
metric: ndcg_at_10
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from genzoo.tasks.bundled import BundledRetrieval, BundledSet
from genzoo.tasks.task_fields import bundled_metadata, query_prompt

_SET = BundledSet("mini_reasoning", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniReasoningRetrieval(BundledRetrieval):
    """Finds the principle behind an observation; word overlap leads to the wrong passages."""

    bundled = _SET
    metadata = bundled_metadata(
        "GenZooMiniReasoningRetrieval",
        "Everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        _SET,
        "ndcg_at_10",
        task_subtypes=["Reasoning as Retrieval"],
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
    )
