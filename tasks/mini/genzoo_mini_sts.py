"""Pairs of sentences, scored for how much of their meaning they share.

name: GenZooMiniSTS
dataset: genzoo/tasks/data/mini_similarity (120 pairs, authored by the project)
licence: Apache-2.0
metric: cosine_spearman
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.bundled import BundledSet, BundledSplits
from genzoo.tasks.task_fields import CITATION, PAPER, WRITTEN

_SET = BundledSet("mini_similarity", ("test.jsonl",))


class GenZooMiniSTS(BundledSplits, AbsTaskSTS):
    """Ranks pairs from unrelated (0) to equal in meaning (5); a negation or a swapped role scores low."""

    bundled = _SET
    min_score = 0
    max_score = 5
    metadata = TaskMetadata(
        name="GenZooMiniSTS",
        description="Pairs of sentences scored 0 to 5 for shared meaning; negated, renumbered or role-swapped twins "
        "score low although they share their words.",
        dataset=_SET.reference,
        reference=PAPER,
        type="STS",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
        date=WRITTEN,
        domains=["Constructed", "Written"],
        task_subtypes=[],
        license="apache-2.0",
        annotations_creators="LM-generated",
        dialect=[],
        sample_creation="LM-generated and verified",
        prompt="Retrieve text that means the same",
        bibtex_citation=CITATION,
    )
