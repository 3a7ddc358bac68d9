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


def found_by_the_test(judged, n, shares=None, runs=300):
    """The share of comparisons on n queries like the judged ones that tell the models apart, each tested as a comparison tests them."""
    rng = np.random.default_rng(99)
    samples = (rng.choice(judged, n, p=shares) for _ in range(runs))
    tests = (QueryDifference("task", (sample,)) for sample in samples)
    return np.mean([test.p_value(n_resamples=999, seed=seed) < 0.05 for seed, test in enumerate(tests)])


@pytest.mark.parametrize(
    ("name", "n"), [*((name, 60) for name in POPULATIONS), ("skewed", 5_000), ("few large gains", 5_000)]
)
def test_at_the_number_asked_for_80_of_100_comparisons_tell_the_two_apart(name, n):
    judged = POPULATIONS[name](np.random.default_rng(5), n)
    found = queries_needed(judged)
    power = found_by_the_test(judged, found.needed)
    is_smallest_testable = found.needed <= 10 and power > 0.8
    assert abs(power - 0.8) <= 0.05 or is_smallest_testable, (found.needed, power)
    assert found.n == n and found.more == max(0, found.needed - n)


def test_queries_that_stand_for_several_of_the_log_count_as_often():
    rng = np.random.default_rng(4)
    judged = np.concatenate([rng.normal(0.3, 0.3, 40), rng.normal(0.05, 0.15, 60)])
    weights = np.repeat([1.0, 12.0], [40, 60])
    found = queries_needed(judged, weights=weights)
    assert found.estimate == pytest.approx(np.average(judged, weights=weights))
    assert found.needed > 2 * queries_needed(judged).needed
    assert abs(found_by_the_test(judged, found.needed, weights / weights.sum()) - 0.8) <= 0.05


def test_above_the_simulated_numbers_the_normal_approximation_holds():
    judged = np.random.default_rng(2).normal(0.008, 0.2, 40_000)
    found = queries_needed(judged)
    assert found.needed > 1_500
    assert abs(simulated_power(judged, found.needed, n_simulated=100, seed=7) - 0.8) <= 0.1


def test_an_interval_with_zero_in_it_leaves_the_number_open():
    found = queries_needed(np.tile([0.3, -0.28], 20))
    assert found.high is None and found.low < found.needed
    assert queries_needed(np.full(9, 0.1)) is None


def test_no_difference_has_no_number():
    assert queries_needed(np.tile([0.3, -0.3], 20)).needed is None
    assert queries_needed(np.zeros(20)) == QueriesNeeded(20, 0.0, None, queries_needed(np.zeros(20)).low, None)
    assert QueriesNeeded(20, 0.0, None, None, None).more is None


def test_the_direction_does_not_matter():
    judged = ndcg_like(np.random.default_rng(3), 400, gain=0.6)
    assert queries_needed(judged).needed == queries_needed(-judged).needed
