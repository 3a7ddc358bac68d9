"""Whether two models can be told apart on one search."""

import numpy as np
import pytest

from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.comparison import compare_queries
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.verdicts import log_estimate, verdicts

GOOD, BAD, OUTSIDE = (ModelKey(f"acme/{name}", "r1") for name in ("good", "bad", "outside"))
TASK = "helpdesk"


def test_a_difference_of_half_of_the_queries_is_told_apart(judged):
    store = ResultStore.load(judged.root)
    (found,) = verdicts(store, [(TASK, GOOD, BAD)])
    assert found.n == 40 and found.estimate == pytest.approx(0.25) and found.p_value < 0.001
    assert found.for_log.estimate == pytest.approx(0.5 * 20 / 200)  # the others do not differ
    assert found.needed.estimate == pytest.approx(found.for_log.estimate)
    assert found.for_log.low <= found.for_log.estimate <= found.for_log.high
    assert found.judging.per_query == 3 and found.is_decided


def test_without_a_record_of_the_judging_there_is_no_verdict(pooled, judged):
    (judged.root / "judging" / f"{TASK}.json").unlink()
    assert verdicts(ResultStore.load(judged.root), [(TASK, GOOD, BAD)]) == ()


def test_own_data_without_a_pool_have_a_verdict_too(pooled):
    pooled.task(TASK, dataset={"path": f"own/{TASK}", "revision": "v1"})
    store = ResultStore.load(pooled.root)
    (found,) = verdicts(store, [(TASK, GOOD, BAD)])
    (by_queries,) = compare_queries(store, GOOD, BAD, (TASK,))
    assert found.judging is None and found.interval == by_queries.interval and found.p_holm == by_queries.p_holm


def test_p_values_are_corrected_over_the_pairs_that_were_looked_at(judged):
    store = ResultStore.load(judged.root)
    pairs = [(TASK, GOOD, BAD), (TASK, GOOD, OUTSIDE), (TASK, BAD, OUTSIDE)]
    (alone,) = verdicts(store, pairs[:1])
    every = verdicts(store, pairs)
    assert [(each.model, each.reference) for each in every] == [pair[1:] for pair in pairs]
    assert every[0].p_holm > alone.p_holm == alone.p_value == every[0].p_value


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_estimate_for_the_log_is_unbiased_and_its_interval_covers_it(share):
    """A log in which a tenth or half of the queries disagree: the plain mean is far off, the weighed one is not."""
    rng = np.random.default_rng(0)
    log = np.concatenate([rng.normal(0.3, 0.3, int(1000 * share)), rng.normal(0.02, 0.1, 1000 - int(1000 * share))])
    order = np.argsort(-np.abs(log))
    top, others = order[:100], order[100:]
    estimates, covered, plain = [], 0, []
    runs = 300
    for seed in range(runs):
        drawn = np.random.default_rng(seed).choice(others, 60, replace=False)
        d, weights = np.concatenate([log[top], log[drawn]]), np.repeat([1.0, len(others) / 60], [100, 60])
        found = log_estimate(d, weights)
        estimates.append(found.estimate)
        plain.append(d.mean())
        covered += found.low <= log.mean() <= found.high
    assert abs(np.mean(estimates) - log.mean()) < 0.003 < abs(np.mean(plain) - log.mean())
    assert covered / runs >= 0.93
