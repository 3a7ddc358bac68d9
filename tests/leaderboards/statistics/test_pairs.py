"""Intervals and tests of tasks on pairs, against scipy, scikit-learn and simulated data."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import average_precision_score

from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.comparison import compare_queries
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.leaderboards.statistics.pairs import PairDifference, Pairs, PairScore, pair_interval
from genzoo.leaderboards.statistics.resampling import weighted_ap, weighted_spearman

GOOD, POOR = ("acme/good", "r1"), ("acme/poor", "r1")


def drawn(seed, n=60, noise=1.0, statistic="spearman"):
    """Pairs with a known relation, with ties on both sides."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2 if statistic == "ap" else 6, n).astype(float)
    return Pairs(gold, np.round(gold + noise * rng.normal(size=n), 1))


@pytest.mark.parametrize("seed", range(5))
def test_resampled_scores_are_those_of_the_pairs_written_out(seed):
    counts = np.random.default_rng(seed).multinomial(60, np.full(60, 1 / 60), size=4).astype(float)
    pairs, labelled = drawn(seed), drawn(seed, statistic="ap")
    for row, correlation, precision in zip(
        counts, weighted_spearman(*pairs, counts), weighted_ap(*labelled, counts), strict=True
    ):
        gold, similarity = (np.repeat(values, row.astype(int)) for values in pairs)
        assert correlation == pytest.approx(spearmanr(gold, similarity)[0], abs=1e-12)
        gold, similarity = (np.repeat(values, row.astype(int)) for values in labelled)
        assert precision == pytest.approx(average_precision_score(gold, similarity), abs=1e-12)


def score(pairs, statistic="spearman"):
    return PairScore(statistic, {Part("test", "default"): pairs})


def compared(ours, theirs):
    """Interval and p-value of the difference of two models."""
    found = PairDifference("T", ours, theirs)
    return found.interval(), found.p_value()


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """A bivariate normal of correlation r has Spearman's 6/pi asin(r/2)."""
    rng, correlation, hits, trials = np.random.default_rng(7), 0.6, 0, 400
    truth = 6 / np.pi * np.arcsin(correlation / 2)
    for trial in range(trials):
        one, other = rng.normal(size=(2, 150))
        interval = pair_interval(
            score(Pairs(one, correlation * one + np.sqrt(1 - correlation**2) * other)), n_resamples=400, seed=trial
        )
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / trials <= 0.98


@pytest.mark.parametrize("statistic", ["spearman", "ap"])
def test_equal_models_are_called_different_as_rarely_as_it_says(statistic):
    rng, trials, found = np.random.default_rng(11), 300, 0
    for trial in range(trials):
        gold = rng.integers(0, 2, 120).astype(float) if statistic == "ap" else rng.normal(size=120)
        shared = gold + rng.normal(size=120)
        ours, theirs = (score(Pairs(gold, shared + rng.normal(size=120)), statistic) for _ in range(2))
        found += PairDifference("T", ours, theirs).p_value(n_resamples=200, seed=trial) < 0.05
    assert found / trials <= 0.08  # three standard errors above 0.05 would be 0.088


@pytest.mark.parametrize("statistic", ["spearman", "ap"])
def test_a_clear_difference_is_found_and_reproducible(statistic):
    ours, theirs = drawn(1, 300, 0.3, statistic), drawn(1, 300, 0.3, statistic)
    theirs = Pairs(theirs.gold, np.random.default_rng(2).permutation(theirs.similarity))
    interval, p = compared(score(ours, statistic), score(theirs, statistic))
    assert interval.low > 0
    assert p == 1 / 2001
    assert compared(score(ours, statistic), score(theirs, statistic)) == (interval, p)
    back, same = compared(score(theirs, statistic), score(ours, statistic))
    assert (back.estimate, same) == (-interval.estimate, p)


def test_the_order_of_the_file_says_nothing():
    """Tied similarities are one group, in the exchange as in the score: right pairs first or last, the p-value is the same."""
    rng = np.random.default_rng(6)
    gold = rng.integers(0, 2, 60).astype(float)
    ours, theirs = np.round(gold + 1.5 * rng.normal(size=60)), np.round(gold + 0.8 * rng.normal(size=60))
    found = []
    for order in (np.argsort(gold), np.argsort(-gold), rng.permutation(60)):
        models = (score(Pairs(gold[order], each[order]), "ap") for each in (ours, theirs))
        found.append(PairDifference("T", *models).p_value(n_resamples=4000))
    assert np.ptp(found) < 0.03
    assert 0.01 < found[0] < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_the_exchange_scores_tied_ranks_as_scikit_learn_does(seed):
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, 50).astype(float)
    ours, theirs = (rng.integers(0, 6, 50).astype(float) for _ in range(2))
    models = [score(Pairs(gold, each), "ap") for each in (ours, theirs)]
    ranks = [rankdata(each) for each in (ours, theirs)]
    swap = np.random.default_rng(9).integers(0, 2, size=(5, 50), dtype=np.int8) == 1
    straight = [
        average_precision_score(gold, np.where(row, ranks[1], ranks[0]))
        - average_precision_score(gold, np.where(row, ranks[0], ranks[1]))
        for row in swap
    ]
    assert PairDifference("T", *models).null(np.random.default_rng(9), 5) == pytest.approx(straight)


@pytest.mark.parametrize("statistic", ["spearman", "ap"])
def test_a_perfect_ranking_of_few_pairs_is_no_certainty(statistic):
    gold = np.repeat([0.0, 1.0], 20) if statistic == "ap" else np.arange(40.0)
    ours, theirs = (score(Pairs(gold, gold + shift), statistic) for shift in (0, np.linspace(0, 0.1, 40)))
    interval = pair_interval(ours)
    assert 0.8 < interval.low < 0.96
    assert interval.high == 1.0
    copy, _ = compared(ours, ours)
    assert (copy.low, copy.estimate, copy.high) == (0, 0, 0)  # one model twice: no other pair can tell them apart
    other, p = compared(ours, theirs)
    assert other.low < other.estimate == 0 < other.high
    assert p == 1


def test_parts_of_pairs_count_alike():
    large, small = drawn(1, 200, 0.5), drawn(2, 20, 2.0)
    both = PairScore("spearman", {Part("test", "a"): large, Part("test", "b"): small})
    each = [PairScore("spearman", {Part("test", "a"): part}) for part in (large, small)]
    found = pair_interval(both)
    assert found.estimate == pytest.approx(np.mean([one.value for one in each]))
    widths = [interval.high - interval.low for interval in map(pair_interval, each)]
    assert found.high - found.low == pytest.approx(np.hypot(*widths) / 2, rel=0.15)


@pytest.fixture
def measured(tree):
    """Two models on STSBenchmark with the pairs behind their scores."""
    tree.task("STSBenchmark", kind="STS", main="cosine_spearman")
    gold = drawn(3, 80).gold
    tree.judge_pairs("STSBenchmark", gold)
    for model, noise in ((GOOD, 0.3), (POOR, 3.0)):
        similarity = gold + noise * np.random.default_rng(5).normal(size=80)
        tree.predict(model, "STSBenchmark", {"cosine_scores": list(similarity), "similarity_scores": list(gold)})
        tree.score(model, "STSBenchmark", round(float(spearmanr(gold, similarity)[0]), 6))
    return tree


def test_pairs_are_compared_beside_queries(measured):
    store = ResultStore.load(measured.root)
    good, poor = ModelKey(*GOOD), ModelKey(*POOR)
    (found,) = compare_queries(store, good, poor, store.task_names())
    assert (found.unit, found.interval.n, found.outcomes) == ("pairs", 80, None)
    stated = store.value(good, "STSBenchmark", "main_score") - store.value(poor, "STSBenchmark", "main_score")
    assert found.interval.estimate == pytest.approx(stated, abs=1e-5)
    assert found.is_significant


def test_what_does_not_give_the_stated_score_is_not_used(measured):
    measured.score(POOR, "STSBenchmark", 0.99)
    store = ResultStore.load(measured.root)
    assert store.pairs(ModelKey(*POOR), "STSBenchmark") is None
    assert store.pairs(ModelKey(*GOOD), "STSBenchmark") is not None
    measured.judge_pairs("STSBenchmark", [1.0] * 80, data="other")
    assert ResultStore.load(measured.root).pairs(ModelKey(*GOOD), "STSBenchmark") is None


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"pairs": 3}', '{"data_revision": "v1", "pairs": {"default": {"test": ["x"]}}}']
)
def test_damaged_judgements_of_pairs_are_none(measured, content):
    measured.write("judgements/STSBenchmark.json", content)
    assert ResultStore.load(measured.root).pairs(ModelKey(*GOOD), "STSBenchmark") is None


def test_the_best_similarity_of_a_pair_classification_is_found(tree):
    tree.task("MRPC", kind="PairClassification", main="max_ap")
    gold = drawn(3, 80, statistic="ap").gold
    near = gold + np.random.default_rng(5).normal(size=80)
    tree.judge_pairs("MRPC", gold)
    tree.predict(GOOD, "MRPC", {"cosine_scores": [0.0] * 80, "euclidean_distances": list(-near)})
    tree.score(GOOD, "MRPC", round(float(average_precision_score(gold, near)), 6))
    found = ResultStore.load(tree.root).pairs(ModelKey(*GOOD), "MRPC")
    assert found.value == pytest.approx(average_precision_score(gold, near))
