"""Intervals and tests against scipy, hand-computed cases and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.errors import InputError
from genzoo.leaderboards.statistics.significance import (
    blocks,
    can_reject,
    holm,
    least_p,
    mean_test,
    sign_flip_p,
)

RNG = np.random.default_rng(7)
D = RNG.normal(0.03, 0.05, 25)


def flip_p(differences, **how):
    return float(sign_flip_p(np.asarray(differences, dtype=float)[None], **how)[0])


@pytest.mark.parametrize("n", [2, 5, 8, 12])
def test_exact_permutation_equals_scipy(n):
    stats = pytest.importorskip("scipy.stats")
    theirs = stats.permutation_test(
        (D[:n],), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    # scipy doubles the smaller tail; for a statistic that is symmetric under sign flips this is the same number.
    assert flip_p(D[:n]) == pytest.approx(theirs.pvalue)


def test_equal_pairs_have_a_p_value_of_one():
    """Every drawn sum is as large as none; so is one of rounding errors."""
    rows = np.zeros((3, 40))
    rows[1, :2], rows[2, :3] = (0.5, -0.5), (0.1, 0.2, -0.3)
    assert sign_flip_p(rows).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("n", [20, 61])
def test_drawn_p_value_does_not_depend_on_direction(n):
    rows = RNG.normal(0.2, 1.0, (5, n))
    assert sign_flip_p(rows).tolist() == sign_flip_p(-rows).tolist()


def test_drawn_permutation_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    weak = D - 0.02
    theirs = stats.permutation_test((weak,), np.mean, permutation_type="samples", n_resamples=50_000, rng=3)
    assert flip_p(weak, n_resamples=50_000, seed=4) == pytest.approx(theirs.pvalue, abs=0.006)


def test_smallest_p_values():
    # All five differences have one sign: of 32 patterns only this one and its mirror reach the sum.
    assert flip_p([0.4, 0.3, 0.2, 0.4, 0.3]) == 2 / 32
    assert flip_p(np.ones(40), n_resamples=999) == 1 / 1000


def test_the_seed_decides():
    assert flip_p(D - 0.02, seed=5) == flip_p(D - 0.02, seed=5)
    assert flip_p(D - 0.02, seed=5) != flip_p(D - 0.02, seed=6)


def test_blocks_hold_what_fits_and_add_up():
    assert list(blocks(10, 3, 12)) == [4, 4, 2]
    assert list(blocks(3, 100, 12)) == [1, 1, 1]
    assert list(blocks(0, 3, 12)) == []


def test_holm_by_hand():
    # sorted 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 -> 0.02, 0.03, 0.06, max(0.04, 0.06)
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []
    first, missing, second = holm([0.01, np.nan, 0.02])
    assert (first, second) == (0.02, 0.02)
    assert np.isnan(missing)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_holm_only_raises_and_keeps_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_impossible_p_values_are_refused():
    with pytest.raises(InputError, match="p-values"):
        holm([1.2])


@pytest.mark.parametrize("n", [6, 10, 41])
def test_false_positives_are_at_most_five_percent(n):
    p = sign_flip_p(np.random.default_rng(n).standard_t(4, size=(6000, n)), n_resamples=2000, seed=2)
    assert (p > 0).all()
    assert np.mean(p <= 0.05) <= 0.05 + 2 * (0.05 * 0.95 / 6000) ** 0.5  # two standard errors of the simulation


def test_a_real_difference_is_found():
    noise = np.random.default_rng(5).normal(size=(500, 41))
    assert np.mean(sign_flip_p(noise + 0.8, n_resamples=2000) <= 0.05) > 0.95


def test_holm_keeps_the_familywise_error():
    """Ten comparisons without any difference: in at most 5 % of 1,500 families is one of them called significant."""
    p = sign_flip_p(np.random.default_rng(9).normal(size=(15_000, 20)), n_resamples=1000).reshape(1500, 10)
    assert np.mean([(holm(row) < 0.05).any() for row in p]) <= 0.05 + 2 * (0.05 * 0.95 / 1500) ** 0.5


def test_mean_test_is_students_t_where_the_differences_are_symmetric():
    d = np.array([-0.02, 0.01, 0.03, 0.05, 0.07, 0.10])
    d = np.concatenate([d, 0.08 - d])  # symmetric about 0.04: no third moment
    from scipy import stats

    theirs = stats.ttest_1samp(d, 0.0)
    found = mean_test(d)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_mean_test_leaves_zero_out_exactly_where_p_is_below_five_percent():
    rng = np.random.default_rng(1)
    for n in (7, 10, 41):
        for _ in range(300):
            found = mean_test(rng.exponential(size=n) - rng.uniform(0, 1.5))
            assert (found.interval.low > 0 or found.interval.high < 0) == (found.p_value < 0.05)


@pytest.mark.parametrize(("draw", "least"), [("normal", 0.93), ("exponential", 0.89)])
def test_intervals_over_tasks_cover_the_mean_as_often_as_promised(draw, least):
    """93 to 97 % of normal differences and at least 90 % of skewed ones, less one point for the 3,000 that are drawn."""
    rng = np.random.default_rng(2)
    for n in (6, 10, 20, 41):
        rows = rng.normal(size=(3000, n)) if draw == "normal" else rng.exponential(size=(3000, n)) - 1
        found = [mean_test(row).interval for row in rows]
        assert least <= np.mean([each.low <= 0 <= each.high for each in found]) <= 0.97


def test_no_p_value_below_what_the_signs_of_so_few_tasks_can_give():
    """Six tasks all favour one of two equal models in one case of 32; with their queries the spread may speak."""
    d = [0.40, 0.41, 0.39, 0.40, 0.42, 0.38]
    assert mean_test(d).p_value == least_p(6) == 1 / 32
    assert mean_test(d, np.full(6, 0.001)).p_value < 0.001


def test_equal_differences_are_no_interval_of_zero_width():
    assert mean_test([0.1, 0.1, 0.1]).interval is None
    assert mean_test([0.1] * 7).p_value == least_p(7)
    assert mean_test([0.0] * 7).p_value == 1.0
    with_queries = mean_test([0.1] * 3, [0.01] * 3).interval
    assert with_queries.high - with_queries.low > 0.2


def test_one_or_two_tasks_have_no_interval():
    assert tuple(mean_test([0.3])) == (None, None)
    assert tuple(mean_test([])) == (None, None)
    assert mean_test([0.3, 0.2]).interval is None
    assert mean_test([0.3, 0.2]).p_value >= 0.5


def test_intervals_end_where_the_scores_do():
    assert mean_test([0.9, 0.2, 0.9], limit=1.0).interval.high == 1.0


def test_a_test_that_cannot_reject_is_not_in_the_family():
    """Ten tests over five items never reach 0.05; six items reach 0.031, which survives alone and not among two."""
    five, six, many = 2 / 2**5, 2 / 2**6, 2 / 2**40
    assert can_reject([many, *[five] * 10]).tolist() == [True, *[False] * 10]
    assert can_reject([six]).tolist() == [True]
    assert can_reject([six, six]).tolist() == [False, False]
    assert can_reject([six, many]).tolist() == [False, True]
    assert can_reject([many] * 200).all()
    assert can_reject([]).tolist() == []


def test_leaving_out_what_cannot_reject_keeps_the_error_of_the_family():
    rng, trials = np.random.default_rng(12), 400
    false = 0
    for _ in range(trials):
        samples = [rng.choice([-1.0, 0.0, 1.0], n, p=[0.1, 0.8, 0.1]) for n in (20, 30, 40, 60, 80, 120)]
        least = [2.0 ** (1 - np.count_nonzero(sample)) for sample in samples]
        p = [sign_flip_p(sample[None], n_resamples=500)[0] for sample in samples]
        kept = np.where(can_reject(least), p, np.nan)
        false += bool(np.nanmin(np.append(holm(kept), 1.0)) <= 0.05)
    assert false / trials <= 0.08
