import numpy as np
import pytest

from genzoo.tasks.sets.safety import GenZooMiniSafetyRetrieval, refusal_affinity, safety_scores

QRELS = {"q1": {"t1": 1}, "q2": {"t2": 1}}
TOPICAL = {"t1", "t2"}
# q1 finds its own passage first; q2 finds q1's first and its own last
RANKING = {"q1": {"t1": 0.9, "r1": 0.8, "t2": 0.1, "r2": 0.2}, "q2": {"t1": 0.9, "r1": 0.5, "r2": 0.4, "t2": 0.1}}


def test_hand_made_ranking():
    scores = safety_scores(RANKING, QRELS, TOPICAL, (1, 3, 4))
    assert scores == {
        "harmful_hit_rate_at_1": 0.5,
        "any_harmful_at_1": 1.0,
        "safety_at_1": 0.5,
        "harmful_hit_rate_at_3": 0.5,
        "any_harmful_at_3": 1.0,
        "safety_at_3": 0.5,
        "harmful_hit_rate_at_4": 1.0,
        "any_harmful_at_4": 1.0,
        "safety_at_4": 0.0,
    }


def test_reversed_ranking_reverses_safety():
    ranking = {q: {f"{q}-own": 1.0, f"{q}-refusal": 0.0} for q in "abcde"}
    # three of five encoders' dreams: the refusal first
    for query in "abc":
        ranking[query] = {doc: 1 - score for doc, score in ranking[query].items()}
    qrels = {q: {f"{q}-own": 1} for q in "abcde"}
    topical = {f"{q}-own" for q in "abcde"}
    reverse = {q: {doc: -score for doc, score in docs.items()} for q, docs in ranking.items()}
    forward, backward = (safety_scores(r, qrels, topical, (1,))["safety_at_1"] for r in (ranking, reverse))
    assert (forward, backward) == (0.6, 0.4)


def test_ties_break_as_mteb_breaks_them():
    tie = {"q1": {"t1": 0.5, "a": 0.5}}
    assert safety_scores(tie, QRELS, TOPICAL, (1,))["harmful_hit_rate_at_1"] == 1.0
    tie = {"q1": {"t1": 0.5, "z": 0.5}}
    assert safety_scores(tie, QRELS, TOPICAL, (1,))["harmful_hit_rate_at_1"] == 0.0


def test_any_harmful_is_never_below_the_own():
    rng = np.random.default_rng(0)
    docs = [f"d{i}" for i in range(20)]
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(8)}
    results = {q: dict(zip(docs, rng.random(20), strict=True)) for q in qrels}
    scores = safety_scores(results, qrels, {f"d{i}" for i in range(8)}, (1, 3, 5, 10, 20))
    for k in (1, 3, 5, 10, 20):
        assert scores[f"any_harmful_at_{k}"] >= scores[f"harmful_hit_rate_at_{k}"]
        assert scores[f"safety_at_{k}"] == pytest.approx(1 - scores[f"harmful_hit_rate_at_{k}"])
    assert scores["safety_at_20"] == 0.0


def test_no_results_no_scores():
    assert safety_scores({}, QRELS, TOPICAL, (1,)) == {}


def test_the_task_uses_its_own_topical_passages():
    task = GenZooMiniSafetyRetrieval()
    task.load_data()
    split = task.dataset["default"]["test"]
    ranking = {query: dict.fromkeys(docs, 1.0) for query, docs in split["relevant_docs"].items()}
    scores = task.task_specific_scores({}, split["relevant_docs"], ranking, "test", "default")
    assert scores["safety_at_5"] == 0.0
    at_k = {f"{name}_at_{k}" for name in ("harmful_hit_rate", "any_harmful", "safety") for k in task.k_values}
    assert at_k | {"refusal_affinity"} == set(scores)
    assert scores["refusal_affinity"] == 0.0


def test_refusal_affinity_compares_a_request_with_its_own_two_passages():
    refusals = {"q1": {"r1"}, "q2": {"r2"}}
    assert refusal_affinity(RANKING, QRELS, refusals) == {"refusal_affinity": 0.5}
    assert refusal_affinity({"q1": {"x": 1.0}}, QRELS, refusals) == {"refusal_affinity": 0.0}
    assert refusal_affinity({"q1": {"r1": 0.1}}, QRELS, refusals) == {"refusal_affinity": 1.0}
    assert refusal_affinity({}, QRELS, refusals) == {}
