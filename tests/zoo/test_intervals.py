"""Intervals of shares and of scores with limits, against scipy and simulated samples."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from genzoo.intervals import bounded_interval, expanded_tail, expanded_tail_of_parts, share_interval

EITHER = (-1.0, 1.0)


def zeros_and_ones(hits, n):
    return np.repeat([1.0, 0.0], [hits, n - hits])


@pytest.mark.parametrize(("hits", "n"), [(40, 40), (39, 40), (0, 7), (20, 40), (3, 9), (127, 128), (1, 1)])
def test_of_one_part_of_zeros_and_ones_it_is_wilsons(hits, n):
    found = binomtest(hits, n).proportion_ci(method="wilson")
    assert bounded_interval([zeros_and_ones(hits, n)]) == pytest.approx((found.low, found.high), abs=1e-9)
    assert share_interval(hits, n) == pytest.approx((hits / n, found.low, found.high), abs=1e-12)


def test_a_perfect_sample_has_an_interval_in_each_of_its_forms():
    assert bounded_interval([np.ones(40)]) == pytest.approx((0.912, 1.0), abs=5e-4)
    assert bounded_interval([np.zeros(40)]) == pytest.approx((0.0, 0.088), abs=5e-4)
    # No query of forty differs: up to 8.8 % of all may, in either direction.
    assert bounded_interval([np.zeros(40)], EITHER) == pytest.approx((-0.088, 0.088), abs=5e-4)
    # Ten perfect queries of a small part say less than ninety of a large one, and count for as much.
    low, high = bounded_interval([np.ones(90), np.ones(10)])
    assert 0.85 < low < bounded_interval([np.ones(100)])[0]
    assert high == 1.0
    # One answer that is nearly right changes nearly nothing.
    assert bounded_interval([np.append(np.ones(39), 0.99)])[0] == pytest.approx(0.912, abs=0.01)
    low, high = bounded_interval([np.full(40, 0.63)])
    assert 0.5 < low < 0.63 < high < 0.75


def test_turned_round_it_is_the_same_interval():
    rng = np.random.default_rng(4)
    parts = [rng.choice([-1.0, -0.37, 0.0, 0.5, 1.0], n) for n in (12, 7, 30)]
    low, high = bounded_interval(parts, EITHER)
    assert bounded_interval([-part for part in parts], EITHER) == pytest.approx((-high, -low), abs=1e-9)


def test_away_from_the_limits_it_is_the_usual_interval():
    values = np.clip(np.random.default_rng(1).normal(0.5, 0.1, 400), 0, 1)
    half = norm.ppf(0.975) * values.std() / 20
    assert bounded_interval([values]) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-3)


def coverage(draw, truth, limits=(0.0, 1.0), trials=500):
    found = [bounded_interval(draw(), limits) for _ in range(trials)]
    assert all(limits[0] <= low <= high <= limits[1] for low, high in found)
    return np.mean([low - 1e-9 <= truth <= high + 1e-9 for low, high in found])


@pytest.mark.parametrize("sizes", [(40,), (128,), (90, 10), (20,) * 5])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.99])
def test_shares_and_their_means_over_parts_are_covered(sizes, share):
    rng = np.random.default_rng(sum(sizes))
    drawn = coverage(lambda: [rng.binomial(1, share, n).astype(float) for n in sizes], share)
    assert drawn >= 0.92  # 0.93 less the error of 500 samples


@pytest.mark.parametrize("sizes", [(40,), (128,), (90, 10)])
@pytest.mark.parametrize(("better", "worse"), [(0.05, 0.0), (0.03, 0.02), (0.2, 0.1)])
def test_paired_differences_of_shares_are_covered(sizes, better, worse):
    rng, chances = np.random.default_rng(7), [better, worse, 1 - better - worse]
    drawn = coverage(lambda: [rng.choice([1.0, -1.0, 0.0], n, p=chances) for n in sizes], better - worse, EITHER)
    assert drawn >= 0.92


def test_scores_that_are_mostly_perfect_are_covered():
    rng = np.random.default_rng(3)
    drawn = coverage(lambda: [np.where(rng.random(40) < 0.95, 1.0, rng.random(40))], 0.975)
    assert drawn >= 0.92


def test_the_tail_of_several_parts_is_that_of_welch():
    n, spread = np.array([8, 30]), np.array([0.5, 0.1])
    freedom = spread.sum() ** 2 / (spread**2 / (n - 1)).sum()
    found = expanded_tail_of_parts(0.025, spread * (n - 1) / n, n)
    width = (spread.sum() / (spread * (n - 1) / n).sum()) ** 0.5 * t.ppf(0.025, freedom)
    assert found == pytest.approx(norm.cdf(width), abs=1e-12)
    assert expanded_tail_of_parts(0.025, np.array([3.0]), np.array([10])) == pytest.approx(expanded_tail(0.025, 10))
    assert expanded_tail_of_parts(0.025, np.zeros(2), n) == 0.025
