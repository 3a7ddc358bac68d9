"""Observations whose explanation is one inference away.

name: GenZooMiniReasoningRetrieval
dataset: genzoo/tasks/data/mini_reasoning (40 queries in 8 domains, 120 passages, authored by the project)
licence: Apache-2.0
metric: ndcg_at_10
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.bundled import BundledRetrieval, BundledSet
from genzoo.tasks.task_fields import CITATION, PAPER, WRITTEN, query_prompt

_SET = BundledSet("mini_reasoning", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniReasoningRetrieval(BundledRetrieval):
    """Finds the principle behind an observation; word overlap leads to the wrong passages."""

    bundled = _SET
    metadata = TaskMetadata(
        name="GenZooMiniReasoningRetrieval",
        description="Everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        dataset=_SET.reference,
        reference=PAPER,
        type="Retrieval",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=WRITTEN,
        domains=["Constructed", "Written"],
        task_subtypes=["Reasoning as Retrieval"],
        license="apache-2.0",
        annotations_creators="LM-generated",
        dialect=[],
        sample_creation="LM-generated and verified",
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
        bibtex_citation=CITATION,
    )
