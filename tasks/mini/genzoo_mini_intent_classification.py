"""Requests to a support desk, by what the writer wants.

name: GenZooMiniIntentClassification
dataset: genzoo/tasks/data/mini_intent (8 labels, 192 train and 128 test texts, authored by the project)
licence: Apache-2.0
metric: accuracy
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks import AbsTaskClassification

from genzoo.tasks.bundled import BundledSet, BundledSplits
from genzoo.tasks.task_fields import bundled_metadata

_SET = BundledSet("mini_intent", ("train.jsonl", "test.jsonl"))


class GenZooMiniIntentClassification(BundledSplits, AbsTaskClassification):
    """Logistic regression on 8 embeddings per label, ten times, as mteb does by default; chance is 0.125."""

    bundled = _SET
    metadata = bundled_metadata(
        "GenZooMiniIntentClassification",
        "Requests to the support desk of a shop in 8 intents; no request names its label.",
        _SET,
        "accuracy",
        type="Classification",
        category="t2c",
        domains=["Constructed", "Written", "E-commerce"],
        task_subtypes=["Intent classification"],
        prompt="Given a request to a support desk, classify what the writer wants",
    )
