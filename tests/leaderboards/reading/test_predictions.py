"""Per-query scores from predictions and judgements, and what is made of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from genzoo.errors import InputError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.comparison import compare_queries
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import query_score
from genzoo.leaderboards.safety import operating_curve, safety_at_utility, served_at
from genzoo.leaderboards.searches.telling import telling_searches
from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.reports.card_scores import interval_of
from genzoo.reports.chapters.reference import query_table

GOOD, POOR = ("acme/good", "r1"), ("acme/poor", "r1")
DOCUMENTS = {f"d{place}": f"document {place}" for place in range(6)}


@pytest.mark.parametrize(
    "metric", ["ndcg_at_10", "ndcg_at_3", "recall_at_5", "map_at_10", "precision_at_5", "mrr_at_10"]
)
def test_query_scores_are_those_of_trec_eval(metric):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    name, k = metric.split("_at_")
    measure = {"ndcg": "ndcg_cut", "recall": "recall", "map": "map_cut", "precision": "P", "mrr": "recip_rank"}[name]
    rng = np.random.default_rng(3)
    qrels = {f"q{q}": {f"d{d}": int(rng.integers(0, 3)) for d in rng.choice(30, 6, replace=False)} for q in range(20)}
    qrels = {q: {**right, "d0": 1} for q, right in qrels.items()}
    run = {q: {f"d{d}": float(rng.normal()) for d in rng.choice(30, 20, replace=False)} for q in qrels}
    if name == "mrr":  # trec_eval's reciprocal rank has no cut-off
        run = {q: dict(sorted(found.items(), key=lambda hit: -hit[1])[:10]) for q, found in run.items()}
    wanted = {measure} if measure in {"recip_rank"} else {f"{measure}.{k}"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    for q, found in run.items():
        ranking = sorted(found, key=lambda d: (found[d], d), reverse=True)
        key = measure if measure == "recip_rank" else f"{measure}_{k}"
        assert query_score(metric, ranking, qrels[q]) == pytest.approx(theirs[q][key], abs=1e-9)


@pytest.fixture
def judged(tree):
    """Two models on twelve queries: one finds every document first, the other every one second."""
    tree.task("GenZooMiniReasoningRetrieval", main="ndcg_at_10")
    queries = {f"q{place:02}": f"d{place % 6}" for place in range(12)}
    tree.judge("GenZooMiniReasoningRetrieval", queries, DOCUMENTS)
    other = {right: f"d{(int(right[1:]) + 1) % 6}" for right in DOCUMENTS}
    tree.predict(GOOD, "GenZooMiniReasoningRetrieval", {q: {d: 0.9, other[d]: 0.5} for q, d in queries.items()})
    tree.predict(POOR, "GenZooMiniReasoningRetrieval", {q: {d: 0.4, other[d]: 0.6} for q, d in queries.items()})
    tree.score(GOOD, "GenZooMiniReasoningRetrieval", 1.0)
    tree.score(POOR, "GenZooMiniReasoningRetrieval", 0.63093)
    return tree


def test_outcomes_of_both_models(judged):
    store = ResultStore.load(judged.root)
    good, poor = (store.outcomes(ModelKey(*model), "GenZooMiniReasoningRetrieval") for model in (GOOD, POOR))
    assert {outcome.score for outcome in good.values()} == {1.0}
    assert {round(outcome.score, 5) for outcome in poor.values()} == {0.63093}
    assert {(outcome.right.rank, outcome.right.similarity) for outcome in poor.values()} == {(2, 0.4)}


def test_predictions_that_do_not_give_the_reported_score_are_not_used(judged):
    judged.score(POOR, "GenZooMiniReasoningRetrieval", 0.7)
    assert ResultStore.load(judged.root).outcomes(ModelKey(*POOR), "GenZooMiniReasoningRetrieval") == {}


def test_judgements_of_other_data_are_not_used(judged):
    judged.judge("GenZooMiniReasoningRetrieval", {"q00": "d0"}, DOCUMENTS, data="other")
    assert ResultStore.load(judged.root).judgements("GenZooMiniReasoningRetrieval") is None


@pytest.mark.parametrize("content", ["{", "[]", '{"parts": 3}', '{"parts": {"default": {"test": {}}}}'])
def test_damaged_judgements_are_none(judged, content):
    judged.write("judgements/GenZooMiniReasoningRetrieval.json", content)
    assert ResultStore.load(judged.root).judgements("GenZooMiniReasoningRetrieval") is None


def test_comparison_over_queries(judged):
    store = ResultStore.load(judged.root)
    (found,) = compare_queries(store, ModelKey(*GOOD), ModelKey(*POOR), store.task_names())
    assert found.outcomes == (12, 0, 0)
    assert found.interval.estimate == pytest.approx(1 - 0.63093, abs=1e-5)
    assert found.interval.n == 12
    assert found.p_value == found.p_holm == 2 / 2**12
    assert found.is_significant


def in_parts(tree, task, right, *, metric="recall_at_1", **facts):
    """A task of several parts: (split, subset) -> model -> for each query whether the model finds its document first."""
    tree.task(task, main=metric, **facts)
    judged, predicted, scores = {}, {}, {}
    for (split, subset), by_model in right.items():
        for model, hits in by_model.items():
            names = [f"q{place}" for place in range(len(hits))]
            part = {"queries": {}, "documents": {}, "relevance": {name: {"d0": 1} for name in names}}
            judged.setdefault(subset, {})[split] = part
            found = {name: {"d0": 0.5, "d1": 0.1 if hit else 0.9} for name, hit in zip(names, hits, strict=True)}
            predicted.setdefault(model, {}).setdefault(subset, {})[split] = found
            row = {"main_score": sum(hits) / len(hits), metric: sum(hits) / len(hits), "hf_subset": subset}
            scores.setdefault(model, {}).setdefault(split, []).append(row)
    tree.write(f"judgements/{task}.json", {"task": task, "data_revision": "v1", "parts": judged})
    for (name, revision), by_split in scores.items():
        below, about = f"{name.replace('/', '__')}/{revision}/{task}", {"dataset_revision": "v1", "task_name": task}
        tree.write(f"results/{below}.json", {**about, "mteb_version": "2.26.24", "scores": by_split})
        tree.write(f"predictions/{below}_predictions.json", predicted[name, revision])


def hits(right, n):
    return [place < right for place in range(n)]


def test_subsets_of_unequal_size_count_alike(tree):
    """Ahead on the small subset by more than it is behind on the large one: the score says ahead, and so do its queries."""
    in_parts(tree, "T", {("test", "large"): {GOOD: hits(60, 90), POOR: hits(72, 90)},
                         ("test", "small"): {GOOD: hits(19, 20), POOR: hits(10, 20)}})  # fmt: skip
    store, good, poor = ResultStore.load(tree.root), ModelKey(*GOOD), ModelKey(*POOR)
    (found,) = compare_queries(store, good, poor, ("T",))
    row = Leaderboard.from_store(store)
    printed = row.row(good).scores["T"] - row.row(poor).scores["T"]
    assert found.interval.estimate == pytest.approx(printed) == pytest.approx((60 / 90 + 0.95 - 0.8 - 0.5) / 2)
    assert 0 < found.interval.low < found.interval.estimate < found.interval.high
    assert found.p_value < 0.05
    assert found.outcomes == (9, 89, 12)
    assert (found.interval.n, found.n_unequal) == (110, 21)


def test_the_difference_is_that_of_the_scores_shown(judged):
    """A file that rounds its score to three digits: the table's difference is that of the two scores beside it."""
    judged.score(POOR, "GenZooMiniReasoningRetrieval", 0.632)
    store = ResultStore.load(judged.root)
    (found,) = compare_queries(store, ModelKey(*GOOD), ModelKey(*POOR), store.task_names())
    assert found.interval.estimate == 1 - 0.632
    assert found.interval.low <= found.interval.estimate <= found.interval.high


def test_parts_of_a_single_query_have_wide_intervals(tree):
    right = {("test", f"s{place}"): {GOOD: hits(1, 1), POOR: hits(place % 2, 1)} for place in range(12)}
    in_parts(tree, "T", right)
    store = ResultStore.load(tree.root)
    (found,) = compare_queries(store, ModelKey(*GOOD), ModelKey(*POOR), ("T",))
    assert (found.interval.estimate, found.p_value, found.outcomes) == (0.5, 2 / 2**6, (6, 6, 0))
    assert -1 < found.interval.low < 0.5 < found.interval.high <= 1


def test_a_split_beside_the_score_is_no_part_of_it(tree):
    """The score is that of the test split; the validation split has other queries, which the other model does not have."""
    in_parts(tree, "T", {("validation", "default"): {GOOD: hits(30, 30)},
                         ("test", "default"): {GOOD: hits(12, 24), POOR: hits(18, 24)}})  # fmt: skip
    store, good, poor = ResultStore.load(tree.root), ModelKey(*GOOD), ModelKey(*POOR)
    assert store.ground("T") == (Part("test", "default"),)
    assert store.value(good, "T", "main_score") == Leaderboard.from_store(store).row(good).scores["T"] == 0.5
    assert len(store.outcomes(good, "T")) == 24
    (found,) = compare_queries(store, good, poor, ("T",))
    assert (found.interval.estimate, found.interval.n) == (-0.25, 24)
    assert interval_of(store, good, "T").over == "24 queries"
    assert store.only([good]).value(good, "T", "main_score") == 0.75  # alone, all that it has is common ground


def test_declared_splits_are_the_ground(tree):
    parts = {("dev", "default"): {GOOD: hits(30, 30), POOR: hits(30, 30)}, ("test", "default"): {GOOD: hits(12, 24)}}
    in_parts(tree, "T", parts, splits=["test"])
    store, good, poor = ResultStore.load(tree.root), ModelKey(*GOOD), ModelKey(*POOR)
    assert (store.value(good, "T", "main_score"), store.value(poor, "T", "main_score")) == (0.5, None)
    assert store.outcomes(poor, "T") == {}


def test_a_perfect_score_over_unequal_subsets_stays_within_its_limits(tree):
    in_parts(tree, "T", {("test", "large"): {GOOD: hits(90, 90)}, ("test", "small"): {GOOD: hits(10, 10)}})
    found = interval_of(ResultStore.load(tree.root), ModelKey(*GOOD), "T")
    assert (found.low, found.high) == (pytest.approx(0.86, abs=0.01), 1.0)


def test_a_share_is_wilsons(tree):
    in_parts(tree, "All", {("test", "default"): {GOOD: hits(40, 40)}})
    in_parts(tree, "One", {("test", "default"): {GOOD: hits(39, 40)}})
    store = ResultStore.load(tree.root)
    for task, right in (("All", 40), ("One", 39)):
        found, wilson = interval_of(store, ModelKey(*GOOD), task), binomtest(right, 40).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def test_what_cannot_be_significant_makes_no_room_for_itself(tree):
    """Five queries that differ give 2 / 2**5 at the least: that is no test, and the other tasks are not corrected for it."""
    some = hits(20, 40)
    in_parts(tree, "Clear", {("test", "default"): {GOOD: hits(26, 40), POOR: some}})
    for place in range(4):
        in_parts(tree, f"Few{place}", {("test", "default"): {GOOD: hits(25, 40), POOR: some}})
    store = ResultStore.load(tree.root)
    clear, *few = compare_queries(store, ModelKey(*GOOD), ModelKey(*POOR), ("Clear", "Few0", "Few1", "Few2", "Few3"))
    assert clear.p_value == clear.p_holm == 2 / 2**6
    assert clear.is_significant
    assert [(each.is_testable, each.is_significant, each.n_unequal) for each in few] == [(False, False, 5)] * 4
    table = query_table(store, ModelKey(*GOOD), ModelKey(*POOR), ("Clear", "Few0"))
    assert [row[4].display for row in table.rows][1] == "–"
    assert "differ on 5 of 40 queries: too few" in table.rows[1][4].description


def test_telling_searches_name_the_miss(judged):
    store = ResultStore.load(judged.root)
    first, *_ = telling_searches(store, [ModelKey(*GOOD), ModelKey(*POOR)], store.task_names())
    assert (first.text, first.right) == ("text of q00", ("d0",))
    assert first.document(first.outcomes[ModelKey(*POOR)].top[0].document) == "document 1"


values = st.lists(st.one_of(st.floats(-1, 1), st.just(-math.inf)), min_size=1, max_size=30)


@given(values, values, st.floats(0.01, 1))
def test_the_threshold_is_the_highest_that_keeps_the_utility(benign, harmful, utility):
    point = safety_at_utility(benign, harmful, utility)
    wanted = math.ceil(utility * len(benign) - 1e-9)
    reachable = sum(value > -math.inf for value in benign) >= wanted
    assert (point is not None) == reachable
    if point is not None:
        assert sum(value >= point.threshold for value in benign) >= wanted
        assert sum(value > point.threshold for value in benign) < wanted
        assert point.safety == 1 - sum(value >= point.threshold for value in harmful) / len(harmful)


@given(values, values)
def test_the_curve_only_falls(benign, harmful):
    curve = operating_curve(benign, harmful)
    assert [point.utility for point in curve] == sorted(point.utility for point in curve)
    assert [point.safety for point in curve] == sorted((point.safety for point in curve), reverse=True)


def test_a_document_below_the_depth_is_not_served(judged):
    outcomes = ResultStore.load(judged.root).outcomes(ModelKey(*POOR), "GenZooMiniReasoningRetrieval").values()
    assert served_at(outcomes, depth=1) == [-math.inf] * 12
    assert served_at(outcomes, depth=2) == [0.4] * 12
    with pytest.raises(InputError, match="utility is 70"):
        safety_at_utility([0.5], [0.5], 70)
