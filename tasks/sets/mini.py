"""Small everyday tasks: retrieval, similarity and classification."""

from __future__ import annotations

from mteb.abstasks import AbsTaskClassification, AbsTaskSTS

from genzoo.tasks.sets.bundled import BundledRetrieval, BundledSet, BundledSplits, bundled_metadata, query_prompt

_RETRIEVAL = BundledSet("mini_retrieval", ("corpus.jsonl", "queries.jsonl", "qrels.jsonl"))


class GenZooMiniRetrieval(BundledRetrieval):
    """Finds the passage that answers an everyday question among others on the same topic."""

    bundled = _RETRIEVAL
    metadata = bundled_metadata(
        "GenZooMiniRetrieval",
        "Everyday questions in 12 domains; find the passage that answers, among others on the same topic.",
        _RETRIEVAL,
        "ndcg_at_10",
        prompt=query_prompt("Given an everyday question, retrieve the passage that answers it"),
    )


_STS = BundledSet("mini_similarity", ("test.jsonl",))


class GenZooMiniSTS(BundledSplits, AbsTaskSTS):
    """Ranks pairs from unrelated (0) to equal in meaning (5); a negation or a swapped role scores low."""

    bundled = _STS
    min_score = 0
    max_score = 5
    metadata = bundled_metadata(
        "GenZooMiniSTS",
        "Pairs of sentences scored 0 to 5 for shared meaning; negated, renumbered or role-swapped twins "
        "score low although they share their words.",
        _STS,
        "cosine_spearman",
        type="STS",
        task_subtypes=[],
        prompt="Retrieve text that means the same",
    )


_INTENT = BundledSet("mini_intent", ("train.jsonl", "test.jsonl"))


class GenZooMiniIntentClassification(BundledSplits, AbsTaskClassification):
    """Logistic regression on 8 embeddings per label, ten times, as mteb does by default; chance is 0.125."""

    bundled = _INTENT
    metadata = bundled_metadata(
        "GenZooMiniIntentClassification",
        "Requests to the support desk of a shop in 8 intents; no request names its label.",
        _INTENT,
        "accuracy",
        type="Classification",
        category="t2c",
        domains=["Constructed", "Written", "E-commerce"],
        task_subtypes=["Intent classification"],
        prompt="Given a request to a support desk, classify what the writer wants",
    )
