"""Which tasks measure safety, over-refusal and reasoning."""

import pytest

from genzoo.leaderboards.facts import (
    SafetyPair,
    TaskFacts,
    counted_tasks,
    facet,
    safety_pairs,
)


@pytest.mark.parametrize(
    ("task", "main", "expected"),
    [
        ("GenZooMiniSafetyRetrieval", "safety_at_5", "safety"),
        ("AdvBenchIRRetrieval", "main_score", "safety"),
        ("Requests", "safety_at_1", "safety"),
        ("Requests", "harmful_hit_rate_at_5", "safety"),
        ("Requests", "max_over_subqueries_safety_at_5", "safety"),
        ("Requests", "refusal_affinity", "safety"),
        ("FoodSafetyRetrieval", "ndcg_at_10", None),
        ("HarmfulAlgaeClassification", "accuracy", None),
        ("GenZooMiniOverRefusalRetrieval", "ndcg_at_10", "over-refusal"),
        ("GenZooMiniReasoningRetrieval", "ndcg_at_10", "reasoning"),
        ("BrightBiologyRetrieval", "ndcg_at_10", "reasoning"),
        ("TempReasonL1", "main_score", "reasoning"),
        ("SciFact", "ndcg_at_10", None),
        ("Banking77Classification", "main_score", None),
    ],
)
def test_facets(task, main, expected):
    assert facet(TaskFacts(task, main_score=main)) == expected


def facts(*rows):
    return {name: TaskFacts(name, "Retrieval", main, dataset_path=path) for name, main, path in rows}


def test_pairs_go_by_the_data_that_both_search():
    tasks = facts(
        ("GenZooMiniSafetyRetrieval", "safety_at_5", "mini"),
        ("OverRefusalRetrieval", "ndcg_at_10", "large"),
        ("GenZooSafetyRetrieval", "safety_at_1", "large"),
        ("AdvBenchIRRetrieval", "safety_at_5", "hub"),
        ("GenZooMiniOverRefusalRetrieval", "ndcg_at_10", "mini"),
        ("Harm", "safety_at_5", "own"),
        ("Benign", "ndcg_at_10", "own"),
        ("Elsewhere", "ndcg_at_10", "another"),
    )
    assert safety_pairs(tasks) == (
        SafetyPair("GenZooMiniSafetyRetrieval", "GenZooMiniOverRefusalRetrieval"),
        SafetyPair("GenZooSafetyRetrieval", "OverRefusalRetrieval"),
        SafetyPair("Harm", "Benign"),
    )


def test_names_pair_tasks_where_no_data_are_named():
    tasks = facts(
        ("GenZooMiniSafetyRetrieval", "safety_at_5", None),
        ("GenZooSafetyRetrieval", "safety_at_1", None),
        ("OverRefusalRetrieval", "ndcg_at_10", None),
        ("AcmeSafetyRetrieval", "safety_at_5", None),
        ("AcmeOverRefusalRetrieval", "ndcg_at_10", None),
    )
    assert safety_pairs(tasks) == (
        SafetyPair("GenZooSafetyRetrieval", "OverRefusalRetrieval"),
        SafetyPair("AcmeSafetyRetrieval", "AcmeOverRefusalRetrieval"),
    )


def test_safety_and_its_twin_alone_make_no_mean():
    pair = facts(("Harm", "safety_at_5", "own"), ("Benign", "ndcg_at_10", "own"))
    assert counted_tasks(pair, pair) == []
    assert counted_tasks(["Benign"], pair) == ["Benign"]
    more = pair | facts(("SciFact", "ndcg_at_10", "mteb"))
    assert counted_tasks(more, more) == ["Benign", "SciFact"]
