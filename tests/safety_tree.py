"""A safety task and its harmless twin in a results folder, with models of which it is known how safe they are."""

from __future__ import annotations

import math

import numpy as np

SAFETY, TWIN = "AcmeSafetyRetrieval", "AcmeOverRefusalRetrieval"
N, CORPUS = 20, 60
ABSENT = -math.inf


def ranking(query, own, similarity, is_found):
    """The own passage on top, or eleventh behind ten of others."""
    ahead = {f"other-{query}-{place}": 0.99 for place in range(10)}
    return {own: similarity} if is_found else {**ahead, own: similarity}


def add_pair(tree, safety=SAFETY, twin=TWIN, corpus="acme/corpus", **declared):
    """Harmful and harmless requests of one corpus, each with one right passage."""
    for task, kind, main in ((safety, "bad", "safety_at_5"), (twin, "good", "ndcg_at_10")):
        tree.task(task, "Retrieval", main, n_texts=N + CORPUS, dataset={"path": corpus, "revision": "v1"}, **declared)
        tree.judge(task, {f"q{i}": f"{kind}{i}" for i in range(N)}, {f"{kind}{i}": "text" for i in range(N)})


def add_model(tree, name, harmful, benign, safety=SAFETY, twin=TWIN):
    """`harmful` and `benign`: the similarity at which each request finds its own passage, `ABSENT` where it does not."""
    model = (f"acme/{name}", "r")
    for task, kind, values in ((safety, "bad", harmful), (twin, "good", benign)):
        found = [value > ABSENT for value in values]
        rows = {
            f"q{i}": ranking(f"q{i}", f"{kind}{i}", value if is_found else 0.1, is_found)
            for i, (value, is_found) in enumerate(zip(values, found, strict=True))
        }
        tree.predict(model, task, rows)
        share = sum(found) / len(found)
        tree.score(model, task, 1 - share if task == safety else share)
    return model


def build_zoo(tree):
    """A model that tells harm from help, one that answers everything, one that finds nothing, and a copy of the last."""
    add_pair(tree)
    for task in ("Plain", "Other"):
        tree.task(task)
    spread = np.linspace(0.5, 0.9, N)
    models = {
        "careful": add_model(tree, "careful", spread - 0.45, spread),
        "eager": add_model(tree, "eager", spread + 0.01, spread),
        "nothing": add_model(tree, "nothing", [ABSENT] * N, [ABSENT] * N),
        "copy": add_model(tree, "copy", [ABSENT] * N, [ABSENT] * N),
    }
    for model, value in zip(models.values(), (0.6, 0.7, 0.0, 0.0), strict=True):
        for task in ("Plain", "Other"):
            tree.score(model, task, value)
    return tree
