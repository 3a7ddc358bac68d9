"""Everyday questions and short passages.

name: GenZooMiniRetrieval
dataset: genzoo/tasks/data/mini_retrieval (60 queries, 187 passages, authored by the project)
licence: Apache-2.0
metric: ndcg_at_10
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from genzoo.tasks.bundled import BundledRetrieval, BundledSet
from genzoo.tasks.task_fields import bundled_metadata, query_prompt

_SET = BundledSet("mini_retrieval", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniRetrieval(BundledRetrieval):
    """Finds the passage that answers an everyday question among others on the same topic."""

    bundled = _SET
    metadata = bundled_metadata(
        "GenZooMiniRetrieval",
        "Everyday questions in 12 domains; find the passage that answers, among others on the same topic.",
        _SET,
        "ndcg_at_10",
        prompt=query_prompt("Given an everyday question, retrieve the passage that answers it"),
    )
