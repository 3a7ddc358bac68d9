"""Which models can be told apart, and the ranks that this leaves open."""

import numpy as np
import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.statistics.standing import can_decide, rank_standings, told_apart


def test_clear_differences_leave_one_rank_each():
    rng = np.random.default_rng(0)
    scores = np.array([0.9, 0.3, 0.6])[:, None] + rng.normal(0, 0.01, (3, 20))
    assert [tuple(each) for each in rank_standings(scores)] == [(1, 1, 1, True), (3, 3, 3, False), (2, 2, 2, False)]


def test_equal_models_keep_up_and_may_hold_any_rank():
    scores = 0.5 + np.random.default_rng(1).normal(0, 0.05, (6, 20))
    found = rank_standings(scores)
    assert {(each.low, each.high, each.tied_for_first) for each in found} == {(1, 6, True)}


@pytest.mark.parametrize("n_models", [2, 3, 70])
def test_copies_have_one_rank_and_one_interval(n_models):
    """Equal means share the better rank, whatever order the models come in."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0.5, 0.1, (n_models, 12))
    scores = np.vstack([scores, scores[:1]])
    found = rank_standings(scores)
    assert found[0] == found[-1]
    assert rank_standings(scores[::-1])[0] == found[0]


def test_float_noise_orders_nothing():
    scores = np.array([[0.1, 0.2, 0.6], [0.2, 0.6, 0.1], [0.6, 0.1, 0.2]] * 2).T.reshape(3, 6)
    assert len(set(scores.mean(axis=1).tolist())) > 1  # sums in another order
    assert {each.rank for each in rank_standings(scores)} == {1}


def test_one_that_is_not_different_from_the_leader_tied_for_first_even_below_one_that_falls_behind():
    """The erratic model has the lowest mean, and is the one that cannot be told apart from the leader."""
    rng = np.random.default_rng(3)
    scores = np.array([0.60, 0.55, 0.54])[:, None] + rng.normal(0, 0.005, (3, 20))
    scores[2] += np.where(np.arange(20) % 2, 0.3, -0.3)
    leader, steady, erratic = rank_standings(scores)
    assert (leader.tied_for_first, steady.tied_for_first, erratic.tied_for_first) == (True, False, True)
    assert erratic.low == 1


@pytest.mark.parametrize(("n_models", "n_tasks", "boards"), [(2, 6, 400), (5, 10, 300), (20, 6, 100), (40, 20, 60)])
def test_boards_of_equal_models_rarely_show_a_difference(n_models, n_tasks, boards):
    """At most 5 % of boards (the bound leaves three standard errors for the few that are drawn here)."""
    rng = np.random.default_rng(4)
    shown = [told_apart(rng.normal(0.5, 0.1, (n_models, n_tasks)), seed=k).any() for k in range(boards)]
    assert np.mean(shown) <= 0.05 + 3 * (0.05 * 0.95 / boards) ** 0.5


def test_the_intervals_of_a_board_hold_all_true_ranks_as_often_as_promised():
    rng, quality = np.random.default_rng(5), np.linspace(0.4, 0.6, 10)
    held = []
    for seed in range(100):
        scores = quality[:, None] + rng.normal(0, 0.12, (10, 40)) + rng.normal(0, 0.2, 40)
        found = rank_standings(scores, seed=seed)
        held.append(all(each.low <= 10 - place <= each.high for place, each in enumerate(found)))
    assert np.mean(held) >= 0.93


def test_six_tasks_decide_between_two_models_and_between_more_only_with_their_queries():
    assert can_decide(6, 2, has_items=False)
    assert not can_decide(5, 2, has_items=False)
    assert not can_decide(6, 3, has_items=False)
    assert not can_decide(10, 40, has_items=False)
    assert can_decide(6, 40, has_items=True)
    assert not can_decide(2, 2, has_items=True)
    assert not can_decide(41, 1, has_items=True)


@pytest.mark.parametrize("n_models", [2, 3, 5, 20])
def test_a_leader_forty_points_ahead_on_six_tasks_with_queries_is_told_apart(n_models):
    rng = np.random.default_rng(6)
    for seed in range(10):
        chance = np.clip(0.35 + rng.normal(0, 0.05, (n_models, 6)), 0.05, 0.6)
        chance[0] += 0.4
        hits = rng.random((n_models, 6, 60)) < chance[:, :, None]
        noise = np.mean([np.cov(hits[:, task]) / 60 for task in range(6)], axis=0)
        assert told_apart(hits.mean(axis=2), noise, seed=seed)[0, 1:].all()


def test_noise_of_the_queries_keeps_a_lucky_agreement_of_tasks_from_counting():
    """Seven tasks with almost the same small difference, each on queries that move it by far more."""
    scores = np.array([[0.52, 0.521, 0.519, 0.52, 0.522, 0.518, 0.52], [0.50] * 7])
    assert told_apart(scores).any()
    assert not told_apart(scores, np.eye(2) * 0.05**2).any()


def test_board_shows_ranks_where_the_tasks_can_decide(tree):
    rng = np.random.default_rng(7)
    for place in range(12):
        tree.task(f"T{place:02}")
        for name, level in (("a", 0.8), ("b", 0.5), ("c", 0.5)):
            tree.score((f"acme/{name}", "r"), f"T{place:02}", level + float(rng.normal(0, 0.02)))
    tree.benchmark("Short", [f"T{place:02}" for place in range(6)])
    store = ResultStore.load(tree.root)
    board = Leaderboard.from_store(store)
    assert [(board.standings[row.key].low, board.standings[row.key].high) for row in board.rows] == [
        (1, 1),
        (2, 3),
        (2, 3),
    ]
    assert [board.standings[row.key].tied_for_first for row in board.rows] == [True, False, False]
    assert board.undecided == ""
    short = Leaderboard.from_store(store, benchmark="Short")
    assert short.standings == {}
    assert short.undecided == "6 tasks cannot decide between 3 models, whatever they score: no rank intervals."


def test_models_with_partial_coverage_take_no_rank(tree):
    for place in range(6):
        tree.task(f"T{place}")
        for name in ("a", "b", "c"):
            if name != "c" or place:
                tree.score((f"acme/{name}", "r"), f"T{place}", 0.5 + 0.1 * (name == "a"))
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    assert sorted(key.model for key in board.standings) == ["acme/a", "acme/b"]


def test_predictions_let_few_tasks_decide(tree):
    """Four tasks of forty queries: the model that finds everything is told apart from the one that finds little."""
    rng = np.random.default_rng(8)
    documents = {f"d{n}": f"text {n}" for n in range(40)}
    for task in ("A", "B", "C", "D"):
        tree.task(task, main="hit_rate_at_1")
        tree.judge(task, {f"q{n}": f"d{n}" for n in range(40)}, documents)
        for name, chance in (("good", 0.9), ("poor", 0.1), ("bad", 0.12)):
            right = rng.random(40) < chance
            rankings = {f"q{n}": {f"d{n if right[n] else (n + 1) % 40}": 0.9, "x": 0.1} for n in range(40)}
            tree.score((f"acme/{name}", "r"), task, float(right.mean()))
            tree.predict((f"acme/{name}", "r"), task, rankings)
    board = Leaderboard.from_store(ResultStore.load(tree.root), reference="bad")
    assert [board.standings[row.key].tied_for_first for row in board.rows] == [True, False, False]
    first, second = board.rows[0].comparison, next(row for row in board.rows if row.key.model == "acme/poor").comparison
    assert first.has_items
    assert first.is_significant
    assert second.can_decide
    assert not second.is_significant


def test_large_boards_hold_their_error_where_the_luck_of_half_of_the_models_is_skewed():
    # Student's t with Holm's correction over 2,145 pairs tells models apart on every eighth of these boards.
    rng, wrong = np.random.default_rng(7), 0
    for seed in range(24):
        luck = rng.normal(0, 0.03, (66, 10))
        luck[::2] = 0.05 * (rng.exponential(size=(33, 10)) - 1)
        wrong += told_apart(0.5 + luck, seed=seed).any()
    assert wrong <= 1
