"""Safety: what makes a task one of safety, what follows for means and ranks, and safety at a given utility."""

import json
import math

import numpy as np
import pytest
from safety_tree import ABSENT, CORPUS, SAFETY, TWIN, N, add_model, add_pair, build_zoo

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.safety import SafetyFigures, resampled_safety, safety_at_utility, safety_with_interval


@pytest.fixture
def zoo(tree):
    """A model that tells harm from help, one that answers everything, one that finds nothing, and a copy of the last."""
    return build_zoo(tree)


def board_of(tree, **options):
    return Leaderboard.from_store(ResultStore.load(tree.root), **options)


def values(board, attribute):
    return {row.label: getattr(row, attribute) for row in board.rows}


def test_finding_nothing_wins_no_mean_and_no_rank(zoo):
    board = board_of(zoo)
    # The harmless twin is a retrieval task like the other two: 1.0 where every request finds its passage.
    assert values(board, "mean_task") == pytest.approx({"eager": 2.4 / 3, "careful": 2.2 / 3, "nothing": 0, "copy": 0})
    assert [row.types["Retrieval"] for row in board.rows] == [row.mean_task for row in board.rows]
    assert values(board, "borda") == {"eager": 1, "careful": 2, "nothing": 3, "copy": 3}
    assert [column.label for column in board.columns_of("mean")] == [
        "Mean (task) without safety",
        "Borda rank without safety",
    ]
    assert [column.label for column in board.columns_of("type")] == ["Retrieval without safety"]
    assert board.rows[0].scores[SAFETY] == 0.0
    assert "safety" in {caveat.kind for caveat in board.caveats}


def test_a_missing_safety_score_costs_no_mean(zoo):
    (zoo.root / f"results/acme__eager/r/{SAFETY}.json").unlink()
    eager = board_of(zoo).rows[0]
    assert (eager.label, eager.covered, eager.borda) == ("eager", 3, 1)


def test_comparisons_count_safety_neither_in_the_mean_nor_as_a_win(zoo):
    found = next(row for row in board_of(zoo, reference="careful").rows if row.label == "nothing").comparison
    assert found.deltas[SAFETY] == pytest.approx(1 - 0.0)
    assert (found.wins, found.losses) == (0, 3)
    assert found.delta == pytest.approx(-2.2 / 3)


@pytest.mark.parametrize("main", ["harmful_hit_rate_at_5", "any_harmful_at_1", "refusal_affinity", "safety_at_20"])
def test_every_metric_of_safety_is_kept_out_whatever_the_task_is_called(tree, main):
    tree.task("Plain")
    tree.task("Requests", main=main)
    for name, plain, harm in (("good", 0.8, 0.3), ("bad", 0.2, 0.9)):
        tree.score((f"acme/{name}", "r"), "Plain", plain)
        tree.score((f"acme/{name}", "r"), "Requests", harm)
    board = board_of(tree)
    assert [(row.label, row.mean_task, row.borda) for row in board.rows] == [("good", 0.8, 1), ("bad", 0.2, 2)]


def test_a_plain_task_with_safety_in_its_name_counts(tree):
    tree.task("FoodSafetyRetrieval", main="ndcg_at_10")
    tree.score(("acme/m", "r"), "FoodSafetyRetrieval", 0.4)
    board = board_of(tree)
    assert board.rows[0].mean_task == 0.4
    assert board.safety.tasks == {}


def test_a_folder_without_declarations_is_read_by_the_metrics_in_its_files(tree):
    for name, plain, harm in (("good", 0.8, 0.3), ("bad", 0.2, 0.9)):
        tree.score((f"acme/{name}", "r"), "Plain", plain)
        tree.score(
            (f"acme/{name}", "r"), "Requests", harm, extra={"safety_at_5": harm, "harmful_hit_rate_at_5": 1 - harm}
        )
        tree.score((f"acme/{name}", "r"), "FoodSafety", plain)
    board = board_of(tree)
    assert list(board.safety.tasks) == ["Requests"]
    assert board.tasks["Requests"].main_score == "safety_at_5"
    assert values(board, "mean_task") == pytest.approx({"good": 0.8, "bad": 0.2})
    assert board.counted == ("FoodSafety", "Plain")  # its files show nDCG@10, whatever its name says


def test_of_written_down_scores_the_name_decides_and_that_is_said(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("model,SciFact,AdvBenchIRRetrieval\na,0.6,0.1\nb,0.2,1.0\n")
    board = Leaderboard.from_store(ResultStore.load(path))
    assert values(board, "mean_task") == {"a": 0.6, "b": 0.2}
    (caveat,) = [each for each in board.caveats if each.kind == "safety"]
    assert (
        "Known as safety tasks by their names only, because no result names the metric: AdvBenchIRRetrieval"
        in caveat.text
    )


def test_at_a_given_utility_the_useless_come_last(zoo):
    (pair,) = board_of(zoo).safety.pairs
    at = {key.model: pair.at(key) for key in pair.models}
    assert [at[f"acme/{name}"].safety for name in ("careful", "eager", "nothing", "copy")] == pytest.approx(
        [1, 0.3, 0, 0]
    )
    assert [at[f"acme/{name}"].point is None for name in ("careful", "eager", "nothing")] == [False, False, True]
    order = sorted(at, key=lambda model: at[model].order)
    assert set(order[:2]) == {"acme/nothing", "acme/copy"}
    assert at["acme/nothing"].order == at["acme/copy"].order
    assert at["acme/nothing"].order < safety_with_interval([0.5] * N, [0.9] * N, 0.7).order  # serves all harm


def test_a_board_of_safety_alone_is_in_the_order_of_safety_at_a_utility(zoo):
    zoo.benchmark("Safe", [SAFETY, TWIN])
    board = board_of(zoo, benchmark="Safe")
    assert board.columns_of("mean") == ()
    assert board.columns_of("type") == ()
    assert [row.label for row in board.rows] == ["careful", "eager", "copy", "nothing"]
    assert board.standings == {}
    column = board.columns_of("safety")[0]
    assert (column.label, board.best(column)) == ("Safety at 70\u00a0% utility", 1.0)
    assert board.best(next(each for each in board.columns_of("task") if each.key == SAFETY)) is None


def test_where_no_model_reaches_the_utility_none_is_best(tree):
    add_pair(tree)
    for name in ("a", "b"):
        add_model(tree, name, [ABSENT] * N, [ABSENT] * N)
    board = board_of(tree)
    assert board.best(board.columns_of("safety")[0]) is None


def test_chance_level_is_that_of_a_random_ranking(zoo):
    chance = board_of(zoo).safety.tasks[SAFETY]
    assert chance.value == pytest.approx(1 - 5 / CORPUS)
    assert chance.reason == f"1 relevant passage among {CORPUS}"
    rng = np.random.default_rng(0)
    assert np.mean(rng.permuted(np.tile(np.arange(CORPUS), (4000, 1)), axis=1)[:, :5].min(axis=1) > 0) == pytest.approx(
        chance.value, abs=0.02
    )


def test_chance_level_counts_all_right_passages_and_turns_with_the_metric(zoo):
    path = zoo.root / f"judgements/{SAFETY}.json"
    content = json.loads(path.read_text())
    part = content["parts"]["default"]["test"]
    part["n_documents"] = 10  # the judgements know the corpus better than the number of texts
    part["relevance"]["q0"] = {"bad0": 1, "bad1": 1, "unjudged": 0}
    path.write_text(json.dumps(content))
    two = math.comb(8, 5) / math.comb(10, 5)
    assert board_of(zoo).safety.tasks[SAFETY].value == pytest.approx((two + (N - 1) * 0.5) / N)
    zoo.task(SAFETY, main="harmful_hit_rate_at_5", dataset={"path": "acme/corpus", "revision": "v1"})
    found = board_of(zoo).safety.tasks[SAFETY]
    assert found.value == pytest.approx(1 - (two + (N - 1) * 0.5) / N)
    assert found.reason == "1 to 2 relevant passages among 10"


def test_an_unknown_chance_level_is_said(zoo):
    (zoo.root / f"judgements/{SAFETY}.json").unlink()
    found = board_of(zoo).safety.tasks[SAFETY]
    assert found.value is None
    assert "not known" in found.reason


def test_without_predictions_nothing_is_said_of_a_utility(zoo):
    for path in (zoo.root / "predictions").rglob("*.json"):
        path.unlink()
    board = board_of(zoo)
    assert board.columns_of("safety") == ()
    assert [pair.requests for pair in board.safety.pairs] == [{}]


def test_the_interval_chooses_its_threshold_anew_and_counts_out_of_reach_as_zero():
    # 15 of 20 harmless requests can be answered, so 70 % are out of reach in many resamples.
    benign = [0.5] * 15 + [ABSENT] * 5
    drawn = resampled_safety(benign, [0.4] * N, 0.7)
    share = float(np.mean(drawn == 0.0))
    rng = np.random.default_rng(3)
    assert share == pytest.approx(np.mean(rng.binomial(20, 0.75, 20_000) < 14), abs=0.03)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    found = safety_with_interval(benign, [0.4] * N, 0.7)
    assert (found.safety, found.low, found.high) == (1.0, 0.0, 1.0)


def test_a_share_at_the_edge_has_an_interval_of_some_width():
    found = safety_with_interval([0.9] * 40, [0.1] * 40, 0.7)
    assert (found.safety, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.9124, abs=1e-3)  # Wilson's of 40 of 40
    assert safety_with_interval([0.9] * 5, [0.1] * 40, 0.7).low is None
    nothing = safety_with_interval([ABSENT] * 40, [ABSENT] * 40, 0.7)
    assert (nothing.safety, nothing.low, nothing.high, nothing.point) == (0.0, 0.0, 0.0, None)


def test_intervals_cover():
    """Normal similarities: 95 % intervals hold the true safety at 70 % utility in at least 92 of 100 samples."""
    rng, hits = np.random.default_rng(5), 0
    truth = 0.5 * (1 + math.erf((np.quantile(rng.normal(0, 1, 400_000), 0.3) + 1) / 2**0.5))
    for _ in range(200):
        found = safety_with_interval(rng.normal(0, 1, 40).tolist(), rng.normal(-1, 1, 40).tolist(), 0.7)
        hits += found.low <= truth <= found.high
    assert hits >= 184


def test_differences_of_two_models_are_paired(zoo):
    store = ResultStore.load(zoo.root)
    (pair,) = SafetyFigures.of(store, store.models, store.tasks).pairs
    careful, eager, nothing = (store.find(name) for name in ("careful", "eager", "nothing"))
    delta, low, high = pair.difference(careful, eager)
    assert delta == pytest.approx(0.7)
    assert low < delta <= high
    assert pair.difference(careful, careful) is None  # no width, so no interval
    assert pair.difference(nothing, store.find("copy")) is None


@pytest.mark.parametrize("similarity", [math.nan, -math.inf])
def test_a_similarity_that_is_no_number_serves_nobody(zoo, similarity):
    from genzoo.leaderboards.reading.predictions import Hit, Outcome
    from genzoo.leaderboards.safety import served_at

    values = served_at([Outcome(0.0, (), Hit("d", similarity, 1)), Outcome(0.0, (), Hit("d", 0.5, 1))])
    assert values == [ABSENT, 0.5]
    assert safety_at_utility(values, [0.1], 0.5).threshold == 0.5
