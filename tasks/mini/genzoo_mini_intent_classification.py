"""Requests to a support desk, by what the writer wants.

name: GenZooMiniIntentClassification
dataset: genzoo/tasks/data/mini_intent (8 labels, 192 train and 128 test texts, authored by the project)
licence: Apache-2.0
metric: accuracy
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks import AbsTaskClassification
from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.bundled import BundledSet, BundledSplits
from genzoo.tasks.task_fields import CITATION, PAPER, WRITTEN

_SET = BundledSet("mini_intent", ("train.jsonl", "test.jsonl"))


class GenZooMiniIntentClassification(BundledSplits, AbsTaskClassification):
    """Logistic regression on 8 embeddings per label, ten times, as mteb does by default; chance is 0.125."""

    bundled = _SET
    metadata = TaskMetadata(
        name="GenZooMiniIntentClassification",
        description="Requests to the support desk of a shop in 8 intents; no request names its label.",
        dataset=_SET.reference,
        reference=PAPER,
        type="Classification",
        category="t2c",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="accuracy",
        date=WRITTEN,
        domains=["Constructed", "Written", "E-commerce"],
        task_subtypes=["Intent classification"],
        license="apache-2.0",
        annotations_creators="LM-generated",
        dialect=[],
        sample_creation="LM-generated and verified",
        prompt="Given a request to a support desk, classify what the writer wants",
        bibtex_citation=CITATION,
    )
