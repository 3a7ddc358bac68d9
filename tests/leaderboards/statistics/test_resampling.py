"""A task's difference within its parts: estimate, exchange test and resampling, against formulas."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, spearmanr, t

from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.leaderboards.statistics.pairs import PairDifference, Pairs, PairScore
from genzoo.leaderboards.statistics.resampling import QueryDifference, items_interval, percentile_interval, resampled
from genzoo.leaderboards.statistics.significance import sign_flip_p


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return rng.normal(-0.1, 0.2, 90).clip(-1, 1), rng.normal(0.3, 0.2, 12).clip(-1, 1)


def test_the_difference_is_the_mean_of_the_parts(parts):
    found = QueryDifference("T", parts)
    assert found.estimate == pytest.approx((parts[0].mean() + parts[1].mean()) / 2)
    assert found.interval().estimate == found.estimate
    assert np.concatenate(parts).mean() < 0 < found.estimate  # pooled, the large part would decide
    assert (found.n, found.n_unequal) == (102, 102)
    assert found.interval().n == 102


def test_draws_have_the_variance_of_their_parts(parts):
    rng = np.random.default_rng(1)
    drawn = resampled(parts, rng, 20_000).mean(axis=0)
    assert drawn.mean() == pytest.approx(np.mean([part.mean() for part in parts]), abs=0.002)
    assert drawn.std() == pytest.approx(np.sqrt(sum(part.var() / len(part) for part in parts)) / 2, rel=0.03)


def test_the_test_flips_signs_within_the_parts(parts):
    """Under flipped signs the mean of the parts' means is normal, with the variance of its parts."""
    found = QueryDifference("T", parts)
    spread = np.sqrt(sum((part**2).mean() / len(part) for part in parts)) / 2
    assert found.p_value() == pytest.approx(2 * norm.sf(found.estimate / spread), abs=0.01)


def test_of_one_part_it_is_the_plain_bootstrap_and_test(parts):
    """scipy's percentile interval, at the level that the expansion for 90 queries asks for."""
    found, level = QueryDifference("T", parts[:1]), 1 - 2 * norm.cdf((90 / 89) ** 0.5 * t.ppf(0.025, 89))
    theirs = bootstrap((parts[0],), np.mean, method="percentile", n_resamples=20_000, confidence_level=level, rng=2)
    low, high = theirs.confidence_interval
    assert (found.interval().low, found.interval().high) == pytest.approx((low, high), abs=3e-3)
    assert found.interval() == found.interval(seed=0) != found.interval(seed=6)
    assert found.p_value() == sign_flip_p(parts[0][None])[0]


def test_long_parts_are_resampled_in_blocks(parts, monkeypatch):
    whole = resampled(parts, np.random.default_rng(3), 300)
    monkeypatch.setattr("genzoo.leaderboards.statistics.resampling.BLOCK", 100)
    assert resampled(parts, np.random.default_rng(3), 300) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("n", [8, 15, 41, 120])
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_intervals_cover_as_often_as_they_promise(n, shape):
    """6,000 simulated comparisons with a known difference: between 93 and 97 % of the intervals hold it."""
    rng = np.random.default_rng(n)
    noise = rng.normal(size=(6000, n)) if shape == "normal" else rng.gamma(6.0, size=(6000, n)) / 6.0**0.5 - 6.0**0.5
    counts = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=1500) / n
    intervals = [percentile_interval((counts @ (0.3 + row))[None], np.array([n])) for row in noise]
    assert 0.93 <= np.mean([low <= 0.3 <= high for low, high in intervals]) <= 0.97


def test_few_items_are_enumerated_with_their_weights():
    small = np.array([0.4, 0.1]), np.array([0.2, -0.3, 0.25, 0.05])
    signs = 1 - 2.0 * (np.arange(64)[:, None] >> np.arange(6) & 1)
    means = ((signs[:, :2] * small[0]).mean(axis=1) + (signs[:, 2:] * small[1]).mean(axis=1)) / 2
    found = QueryDifference("T", small)
    assert found.p_value() == np.mean(np.abs(means) >= abs(found.estimate) - 1e-12)


def test_a_difference_that_no_query_shows_is_no_point():
    found = QueryDifference("T", (np.zeros(40),)).interval()
    assert (found.low, found.high) == pytest.approx((-0.088, 0.088), abs=5e-4)
    found = QueryDifference("T", (np.full(12, 0.37),)).interval()
    assert 0 < found.low < 0.37 < found.high


def test_a_part_without_spread_counts_as_unsure_beside_a_varied_one(parts):
    perfect = np.ones(10)
    varied = parts[0].clip(-0.5, 0.5) + 0.5
    whole = items_interval([varied, perfect], (0.0, 1.0))
    alone = items_interval([varied], (0.0, 1.0))
    assert whole.estimate - whole.low > 1.5 * (alone.estimate - alone.low) / 2
    assert whole.high <= 1.0


def test_weights_are_those_of_the_parts():
    rng = np.random.default_rng(2)
    draws = rng.normal([[0.0], [1.0]], 0.1, (2, 50_000))
    low, high = percentile_interval(draws, np.array([1000, 1000]), weights=np.array([0.75, 0.25]))
    assert (low + high) / 2 == pytest.approx(0.25, abs=0.005)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.1 * np.sqrt(0.75**2 + 0.25**2), rel=0.03)


def paired(gold, ours, theirs, statistic="spearman"):
    def score(similarity):
        parts = {
            Part("test", f"s{place}"): Pairs(*each) for place, each in enumerate(zip(gold, similarity, strict=True))
        }
        return PairScore(statistic, parts)

    return PairDifference("T", score(ours), score(theirs))


def test_pairs_are_exchanged_and_drawn_within_their_parts():
    rng = np.random.default_rng(5)
    gold = [rng.normal(size=200), rng.normal(size=20)]
    ours, theirs = ([part + noise * rng.normal(size=len(part)) for part in gold] for noise in (1.0, 1.2))
    found = paired(gold, ours, theirs)
    each = [spearmanr(g, a)[0] - spearmanr(g, b)[0] for g, a, b in zip(gold, ours, theirs, strict=True)]
    assert found.estimate == pytest.approx(np.mean(each))
    null, drawn = found.null(rng, 2000), found.ours.resampled(2000, 1) - found.theirs.resampled(2000, 1)
    assert null.mean() == pytest.approx(0, abs=4 * null.std() / 2000**0.5)
    assert found.p_value() == pytest.approx(np.mean(np.abs(null) >= abs(found.estimate)), abs=0.05)
    interval = found.interval()
    assert interval.low < np.quantile(drawn, 0.03) < np.quantile(drawn, 0.97) < interval.high
    assert interval.n == 220


def test_equal_models_are_told_apart_as_rarely_as_it_says_with_parts_of_unequal_sizes():
    rng = np.random.default_rng(8)
    p = [QueryDifference("T", tuple(rng.choice([-0.4, 0, 0, 0.4], n) for n in (60, 12))).p_value(n_resamples=400)
         for _ in range(400)]  # fmt: skip
    assert np.mean(np.array(p) <= 0.05) <= 0.08
    assert sign_flip_p(np.full((1, 6), 0.2))[0] == 2 / 64
