"""The number of queries that a comparison needs: at that number, the test finds the difference four times in five."""

import numpy as np
import pytest

from genzoo.leaderboards.statistics.power import QueriesNeeded, queries_needed, simulated_power
from genzoo.leaderboards.statistics.resampling import QueryDifference


def ndcg_like(rng, n, gain=0.06):
    """Half of the queries tie, as two embedders often rank alike; the others differ by steps of nDCG."""
    steps = np.array([-0.63, -0.37, -0.13, 0.13, 0.37, 0.63])
    weights = np.array([1, 2, 3, 3 + 20 * gain, 2 + 10 * gain, 1 + 5 * gain])
    return np.where(rng.random(n) < 0.5, 0.0, rng.choice(steps, size=n, p=weights / weights.sum()))


POPULATIONS = {
    "nearly normal": lambda rng, n: rng.normal(0.04, 0.2, n).clip(-1, 1),
    "many ties": ndcg_like,
    "few large gains": lambda rng, n: (rng.random(n) < 0.08) * rng.uniform(0.2, 1, n),
    "right or wrong": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], size=n, p=[0.05, 0.8, 0.15]),
    "skewed": lambda rng, n: rng.exponential(0.15, n).clip(0, 1) - 0.10,
    "large effect": lambda rng, n: rng.normal(0.3, 0.3, n).clip(-1, 1),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_at_the_number_asked_for_80_of_100_comparisons_tell_the_two_apart(name):
    """Fresh samples of the population that the judged queries stand for, each tested as a comparison tests them."""
    judged = POPULATIONS[name](np.random.default_rng(5), 20_000)
    found = queries_needed(judged)
    rng, hits = np.random.default_rng(99), 0
    runs = 1_000
    for seed in range(runs):
        sample = POPULATIONS[name](rng, found.needed)
        hits += QueryDifference("task", (sample,)).p_value(n_resamples=1_999, seed=seed) < 0.05
    assert abs(hits / runs - 0.8) <= 0.05, (found.needed, hits / runs)


@pytest.mark.parametrize("seed", [0, 2])
def test_from_fifty_queries_it_is_right_for_what_they_show(seed):
    judged = ndcg_like(np.random.default_rng(seed), 50, gain=0.15)
    found = queries_needed(judged)
    rng, runs, hits = np.random.default_rng(1), 1_000, 0
    for run in range(runs):
        sample = rng.choice(judged, found.needed)
        hits += QueryDifference("task", (sample,)).p_value(n_resamples=1_999, seed=run) < 0.05
    assert abs(hits / runs - 0.8) <= 0.05, (found.needed, hits / runs)
    assert found.n == 50 and found.more == max(0, found.needed - 50)
    assert found.low <= found.needed * 1.1


def test_above_the_simulated_numbers_the_normal_approximation_holds():
    judged = np.random.default_rng(2).normal(0.008, 0.2, 40_000)
    found = queries_needed(judged)
    assert found.needed > 1_500
    assert abs(simulated_power(judged, found.needed, n_simulated=1_000, seed=7) - 0.8) <= 0.05


def test_an_interval_with_zero_in_it_leaves_the_number_open():
    found = queries_needed(np.tile([0.3, -0.28], 20))
    assert found.high is None and found.low < found.needed
    assert queries_needed(np.full(9, 0.1)) is None


def test_no_difference_has_no_number():
    assert queries_needed(np.tile([0.3, -0.3], 20)).needed is None
    assert queries_needed(np.zeros(20)) == QueriesNeeded(20, 0.0, None, queries_needed(np.zeros(20)).low, None)
    assert QueriesNeeded(20, 0.0, None, None, None).more is None


def test_the_direction_does_not_matter():
    judged = ndcg_like(np.random.default_rng(3), 400, gain=0.2)
    assert queries_needed(judged).needed == queries_needed(-judged).needed
