"""GenZoo(lite, v1) was chosen from published scores, and agrees with the whole benchmark as its description says."""

import mteb
import numpy as np
import pandas as pd
import pytest
from lite_selection import agreement, choose, cross_validated, mean_by_type, score_table

from genzoo.tasks.request import PlannedTask
from genzoo.tasks.sets.benchmarks import LITE_TASKS, own_benchmark


@pytest.fixture(scope="module")
def whole():
    return mteb.get_benchmark("MTEB(eng, v2)").tasks


@pytest.fixture(scope="module")
def published(whole, shared):
    return score_table(pd.read_parquet(shared / "data/published/mteb-eng-v2-main-scores.parquet"), whole)


def test_it_keeps_the_languages_and_covers_every_type(whole):
    assert {task.metadata.name for task in own_benchmark("genzoo-lite").tasks} == set(LITE_TASKS)
    assert {task.metadata.type for task in own_benchmark("genzoo-lite").tasks} == {task.metadata.type for task in whole}
    sts17 = next(task for task in own_benchmark("genzoo-lite").tasks if task.metadata.name == "STS17")
    assert sts17.hf_subsets == ["en-en"]


def test_it_costs_a_tenth(whole):
    cost = {task.metadata.name: PlannedTask.of(task).tokens for task in whole}
    assert all(cost.values())
    assert sum(cost[name] for name in LITE_TASKS) <= 0.1 * sum(cost.values())


def test_the_choice_and_its_agreement_come_from_the_published_scores(whole, published):
    types = {task.metadata.name: task.metadata.type for task in whole}
    cost = {task.metadata.name: PlannedTask.of(task).tokens for task in whole}
    found = choose(published, types, cost)
    assert len(published) == 183
    assert set(found.tasks) == set(LITE_TASKS)
    assert round(found.agreement, 3) == 0.962
    assert round(found.cost, 3) == 0.097
    unseen = cross_validated(published, types, cost, repeats=3)
    assert [round(min(unseen), 3), round(max(unseen), 3)] == [0.936, 0.952]


def test_what_its_description_says_of_the_order_of_boards_of_other_tasks_and_of_the_best_models(whole, published):
    from scipy.stats import kendalltau

    types = {task.metadata.name: task.metadata.type for task in whole}
    part, rest = published[list(LITE_TASKS)], published.drop(columns=list(LITE_TASKS))
    by_type = mean_by_type(published, types)
    best = by_type.sort_values(ascending=False).index[:20]
    figures = {
        "0.917": kendalltau(part.mean(axis=1), published.mean(axis=1)).statistic,
        "0.892": agreement(part, mean_by_type(rest, types), types),
        "0.850": agreement(part.loc[best], by_type[best], types),
    }
    assert {f"{value:.3f}" for value in figures.values()} == set(figures)
    assert all(shown in own_benchmark("genzoo-lite").description for shown in figures)


def test_agreement_on_a_case_that_is_known():
    types = {"a": "STS", "b": "STS", "c": "Retrieval"}
    scores = pd.DataFrame({"a": [1, 2, 3.0], "b": [3, 2, 1.0], "c": [1, 3, 2.0]}, index=["x", "y", "z"])
    whole = mean_by_type(scores, types)
    assert whole.tolist() == [1.5, 2.5, 2.0]
    assert agreement(scores[["c"]], whole, types) == 1.0
    # y and z tie in the part: two agreeing pairs of two untied, over the root of 2 * 3
    assert np.isclose(agreement(scores[["a", "c"]], whole, types), 2 / 6**0.5)
