"""Everyday questions and short passages.

name: GenZooMiniRetrieval
dataset: genzoo/tasks/data/mini_retrieval (60 queries, 187 passages, authored by the project)
licence: Apache-2.0
metric: ndcg_at_10
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.bundled import BundledRetrieval, BundledSet
from genzoo.tasks.task_fields import CITATION, PAPER, WRITTEN, query_prompt

_SET = BundledSet("mini_retrieval", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniRetrieval(BundledRetrieval):
    """Finds the passage that answers an everyday question among others on the same topic."""

    bundled = _SET
    metadata = TaskMetadata(
        name="GenZooMiniRetrieval",
        description="Everyday questions in 12 domains; find the passage that answers, among others on the same topic.",
        dataset=_SET.reference,
        reference=PAPER,
        type="Retrieval",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=WRITTEN,
        domains=["Constructed", "Written"],
        task_subtypes=["Question Answering Retrieval"],
        license="apache-2.0",
        annotations_creators="LM-generated",
        dialect=[],
        sample_creation="LM-generated and verified",
        prompt=query_prompt("Given an everyday question, retrieve the passage that answers it"),
        bibtex_citation=CITATION,
    )
