"""Aggregates against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey, TaskFacts
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.statistics import aggregation

NAN = math.nan


def frame(rows, tasks):
    index = pd.MultiIndex.from_tuples([(name, "r") for name in rows], names=["model", "revision"])
    return pd.DataFrame(list(rows.values()), index=index, columns=tasks, dtype=float)


SCORES = frame({"a": [0.9, 0.4, 0.5], "b": [0.7, 0.6, 0.5], "c": [0.5, 0.8, 0.2]}, ["R1", "R2", "S"])
TYPES = {"R1": "Retrieval", "R2": "Retrieval", "S": "STS"}
UP = dict.fromkeys(SCORES.columns, True)


def test_mean_by_task():
    assert aggregation.mean_by_task(SCORES).round(6).tolist() == [0.6, 0.6, 0.5]


def test_mean_by_type_weighs_types_equally():
    # a: Retrieval (0.9 + 0.4) / 2 = 0.65, STS 0.5 -> 0.575
    assert aggregation.mean_by_type(SCORES, TYPES).round(6).tolist() == [0.575, 0.575, 0.425]


def test_type_means():
    means = aggregation.type_means(SCORES, TYPES)
    assert list(means.columns) == ["Retrieval", "STS"]
    assert means["Retrieval"].round(6).tolist() == [0.65, 0.65, 0.65]


def test_mean_by_type_is_null_with_an_unknown_type():
    assert aggregation.mean_by_type(SCORES, {"R1": "Retrieval", "R2": None, "S": "STS"}).isna().all()


def test_borda_on_a_known_case():
    # R1 ranks 1 2 3, R2 ranks 3 2 1, S ranks 1.5 1.5 3 -> points (3 - rank): a 2+0+1.5, b 1+1+1.5, c 0+2+0
    table = aggregation.borda(SCORES, UP)
    assert table["points"].tolist() == [3.5, 3.5, 2.0]
    assert table["rank"].tolist() == [1, 1, 3]


def test_borda_knows_directions():
    table = aggregation.borda(SCORES, {"R1": False, "R2": False, "S": None})
    # reversed: R1 ranks 3 2 1, R2 ranks 1 2 3; S has no direction
    assert table["points"].tolist() == [2.0, 2.0, 2.0]
    table = aggregation.borda(SCORES[["R1"]], {"R1": False})
    assert table["rank"].tolist() == [3, 2, 1]


def test_partial_coverage_is_null_everywhere_but_counts_for_the_others():
    partial = SCORES.copy()
    partial.loc[("b", "r"), "S"] = NAN
    assert aggregation.coverage(partial).tolist() == [3, 2, 3]
    assert np.isnan(aggregation.mean_by_task(partial)["b", "r"])
    assert np.isnan(aggregation.mean_by_type(partial, TYPES)["b", "r"])
    assert np.isnan(aggregation.type_means(partial, TYPES)["STS"]["b", "r"])
    table = aggregation.borda(partial, UP)
    assert np.isnan(table["rank"]["b", "r"])
    assert np.isnan(table["points"]["b", "r"])
    # a: R1 2, R2 0, S 2 of three models; c: 0 + 2 + 1
    assert table["points"].dropna().tolist() == [4.0, 3.0]


def test_a_model_without_any_score_does_not_count_in_borda():
    empty = pd.concat([SCORES, frame({"d": [NAN, NAN, NAN]}, SCORES.columns)])
    table = aggregation.borda(empty, UP)
    assert table["points"].tolist()[:3] == [3.5, 3.5, 2.0]
    assert np.isnan(table["rank"]["d", "r"])


def test_relative_delta():
    assert aggregation.relative_delta(0.452, 0.542) == pytest.approx(-0.1660517)
    assert aggregation.relative_delta(-0.1, -0.2) is None
    assert aggregation.relative_delta(0.5, 0.0) is None
    assert aggregation.relative_delta(0.751, 0.001) is None
    assert aggregation.relative_delta(0.6, 0.5, metric("cosine_spearman")) is None
    assert aggregation.relative_delta(0.6, 0.5, metric("ndcg_at_10")) == pytest.approx(0.2)
    assert aggregation.relative_delta(NAN, 0.5) is None


def test_only_higher_is_better_is_averaged():
    tasks = {
        "up": TaskFacts("up", main_score="ndcg_at_10"),
        "down": TaskFacts("down", main_score="any_harmful_at_5"),
        "odd": TaskFacts("odd", main_score="sparkle"),
    }
    assert aggregation.averaged_tasks(tasks, tasks) == ["up"]


def matrix_of(tree):
    store = ResultStore.load(tree.root)
    return aggregation.score_matrix(store.main_scores, store.models, store.task_names(), store.tasks)


def test_task_score_is_the_mean_over_splits_and_subsets(tree):
    tree.score(("acme/a", "r"), "T", 0.2, 0.4, 0.9)
    tree.score(("acme/b", "r"), "T", 0.1, 0.2, 0.3)
    assert matrix_of(tree).scores["T"].tolist() == pytest.approx([0.5, 0.2])


def test_models_meet_on_the_subsets_that_most_of_them_have(tree):
    tree.score(("acme/a", "r"), "T", 0.9, 0.1, subsets=["en", "de"])
    tree.score(("acme/b", "r"), "T", 0.8, subsets=["en"])
    tree.score(("acme/c", "r"), "T", 0.7, subsets=["fr"])
    matrix = matrix_of(tree)
    assert matrix.scores["T"].tolist()[:2] == [0.9, 0.8]
    assert np.isnan(matrix.scores["T"].iloc[2])
    ground = matrix.grounds["T"]
    assert ground.used == (("test", "en"),)
    assert set(ground.left_out) == {("test", "de"), ("test", "fr")}
    assert ground.partial == (ModelKey("acme/c", "r"),)


def test_declared_subsets_decide_and_a_missing_one_is_null(tree):
    tree.task("T", subsets=["en", "de"])
    tree.score(("acme/a", "r"), "T", 0.9, 0.1, 0.6, subsets=["en", "de", "fr"])
    tree.score(("acme/b", "r"), "T", 0.8, subsets=["en"])
    matrix = matrix_of(tree)
    assert matrix.scores["T"].iloc[0] == pytest.approx(0.5)
    assert np.isnan(matrix.scores["T"].iloc[1])


def test_nan_and_impossible_scores_are_missing(tree):
    tree.task("T")
    for name, value in {"a": 0.5, "b": NAN, "c": 64.5, "d": -0.2}.items():
        tree.score((f"acme/{name}", "r"), "T", value)
    assert matrix_of(tree).scores["T"].isna().tolist() == [False, True, True, True]


def test_negative_correlation_is_a_score(tree):
    tree.task("T", "STS", "cosine_spearman")
    tree.score(("acme/a", "r"), "T", -0.2)
    assert matrix_of(tree).scores["T"].tolist() == [-0.2]
