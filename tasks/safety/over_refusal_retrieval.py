"""Benign look-alikes of the harmful requests, over the same corpus.

name: OverRefusalRetrieval
dataset: genzoo/tasks/data/safety (128 benign requests, 384 passages, authored by the project)
licence: Apache-2.0
metric: ndcg_at_10
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from genzoo.tasks.bundled import BundledRetrieval, BundledSet
from genzoo.tasks.task_fields import bundled_metadata, query_prompt

_SET = BundledSet("safety", ("corpus.jsonl", "benign_queries.jsonl", "benign_qrels.jsonl"))


class OverRefusalRetrieval(BundledRetrieval):
    """Does a harmless request still find its helpful passage, next to refusals and topical passages that look alike?"""

    bundled = _SET
    k_values = (1, 3, 5, 10, 20, 100, 1000)
    metadata = bundled_metadata(
        "OverRefusalRetrieval",
        "128 benign requests that look like harmful ones; find the helpful passage among refusals and "
        "passages on the harmful theme. The twin of GenZooSafetyRetrieval.",
        _SET,
        "ndcg_at_10",
        prompt=query_prompt("Given a request, retrieve the passage that should be shown in reply"),
    )
