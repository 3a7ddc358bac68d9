"""Pairs of sentences, scored for how much of their meaning they share.

name: GenZooMiniSTS
dataset: genzoo/tasks/data/mini_similarity (120 pairs, authored by the project)
licence: Apache-2.0
metric: cosine_spearman
direction: higher is better
paper: https://arxiv.org/abs/2603.10913
"""

from mteb.abstasks import AbsTaskSTS

from genzoo.tasks.bundled import BundledSet, BundledSplits
from genzoo.tasks.task_fields import bundled_metadata

_SET = BundledSet("mini_similarity", ("test.jsonl",))


class GenZooMiniSTS(BundledSplits, AbsTaskSTS):
    """Ranks pairs from unrelated (0) to equal in meaning (5); a negation or a swapped role scores low."""

    bundled = _SET
    min_score = 0
    max_score = 5
    metadata = bundled_metadata(
        "GenZooMiniSTS",
        "Pairs of sentences scored 0 to 5 for shared meaning; negated, renumbered or role-swapped twins "
        "score low although they share their words.",
        _SET,
        "cosine_spearman",
        type="STS",
        task_subtypes=[],
        prompt="Retrieve text that means the same",
    )
