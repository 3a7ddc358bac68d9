"""Rank-biased overlap by its definition, and the choice of queries."""

import itertools
import random

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.disagreement import choose, disagreement, extended, rank_biased_overlap


def by_definition(one, other, p, depth):
    """The sum of Webber et al., equation 4, over lists that go on as they ended: agreement at each depth, by sets."""
    total = 0.0
    for d in range(1, depth + 1):
        agreement = len(set(one[:d]) & set(other[:d])) / d if d <= len(one) else None
        last = len(set(one) & set(other)) / len(one)
        total += (last if agreement is None else agreement) * p ** (d - 1)
    return (1 - p) * total


@pytest.mark.parametrize("seed", range(20))
def test_lists_of_equal_length_give_the_infinite_sum_of_the_definition(seed):
    rng = random.Random(seed)
    one, other = (rng.sample(range(15), 8) for _ in range(2))
    assert rank_biased_overlap(one, other, 0.9) == pytest.approx(by_definition(one, other, 0.9, 2000), abs=1e-9)


def test_lists_of_unequal_length_are_extrapolated_as_equation_32_has_it():
    # l = 7, s = 3: X_s = 2, X_l = 3; every term written out by hand
    short, long, p = "abc", "bxadefc", 0.9
    x = [0, 1, 2, 2, 2, 2, 3]
    terms = sum(x[d - 1] / d * p**d for d in range(1, 8)) + sum(x[2] * (d - 3) / (3 * d) * p**d for d in range(4, 8))
    x = [0, 1, 2, 2, 2, 2, 3]
    expected = (1 - p) / p * terms + ((3 - 2) / 7 + 2 / 3) * p**7
    assert rank_biased_overlap(short, long, p) == pytest.approx(expected, abs=1e-12)
    assert rank_biased_overlap(long, short, p) == pytest.approx(expected, abs=1e-12)


def test_it_weighs_the_first_places_most_and_is_symmetric():
    base = "abcdefghij"
    first, last = "bacdefghij", "abcdefghji"
    assert rank_biased_overlap(base, first) < rank_biased_overlap(base, last) < 1
    assert rank_biased_overlap(base, first) == pytest.approx(rank_biased_overlap(first, base))
    assert rank_biased_overlap("", "") == 1 and rank_biased_overlap("", "a") == 0


def test_disagreement_is_the_mean_over_pairs_of_models():
    rankings = ["abc", "acb", "xyz"]
    expected = sum(1 - rank_biased_overlap(*pair) for pair in itertools.combinations(rankings, 2)) / 3
    assert disagreement(rankings) == pytest.approx(expected) and disagreement(["abc"]) == 0


SCORES = {f"q{n}": n / 100 for n in range(50)}


def test_all_queries_are_taken_in_the_order_of_the_log_unless_fewer_are_asked_for():
    chosen = choose(SCORES, None, 0, 0)
    assert chosen.queries == tuple(SCORES) and chosen.effect == ""


def test_the_most_disagreed_come_with_a_random_sample_of_the_others():
    chosen = choose(SCORES, 20, 5, 0)
    assert chosen.disagreed == ("q49", "q48", "q47", "q46", "q45")
    assert len(set(chosen.drawn)) == 15 and not set(chosen.drawn) & set(chosen.disagreed)
    assert "estimate for the log weighs" in chosen.effect
    assert choose(SCORES, 20, 5, 0) == chosen != choose(SCORES, 20, 5, 1)
    assert "no estimate for the log" in choose(SCORES, None, 5, 0).effect
    assert "drawn at random from a log of 50" in choose(SCORES, 5, 0, 0).effect


def test_each_of_the_others_is_drawn_equally_often():
    counts = dict.fromkeys(SCORES, 0)
    for seed in range(2000):
        for query in choose(SCORES, 10, 5, seed).drawn:
            counts[query] += 1
    others = [counts[f"q{n}"] for n in range(45)]
    assert sum(others) == 10_000 and max(abs(count - 2000 * 5 / 45) for count in others) < 5 * (222 * 8 / 9) ** 0.5


def test_queries_of_equal_disagreement_are_chosen_at_random():
    assert len({choose(dict.fromkeys("abcdef", 0.5), 2, 1, seed).disagreed for seed in range(40)}) == 6


@pytest.mark.parametrize(("n", "most"), [(51, 0), (None, 51), (3, 5), (0, 0), (None, -1)])
def test_numbers_that_cannot_be_met_are_refused(n, most):
    with pytest.raises(InputError, match=r"most_disagreed|n_queries"):
        choose(SCORES, n if n != 0 else -1, most, 0)


def test_queries_are_added_at_random_and_none_is_taken_away():
    kept = choose(SCORES, 20, 5, 0)
    more = extended(kept, list(SCORES), 30, 5, 0)
    assert more.queries[:20] == kept.queries and len(set(more.queries)) == 30 and more.disagreed == kept.disagreed
    assert extended(kept, list(SCORES), 10, 0, 0) == extended(kept, list(SCORES), None, 0, 0) == kept
    counts = dict.fromkeys(SCORES, 0)
    for seed in range(1000):
        for query in extended(kept, list(SCORES), 25, 0, seed).drawn[15:]:
            counts[query] += 1
    others = [count for count in counts.values() if count]
    assert len(others) == 30 and max(abs(count - 1000 * 5 / 30) for count in others) < 5 * (167 * 25 / 30) ** 0.5


@pytest.mark.parametrize(
    ("n", "most", "message"), [(51, 0, "the log has 50 distinct queries"), (30, 6, "drawn at random. Leave it out")]
)
def test_an_addition_that_cannot_be_made_is_refused(n, most, message):
    with pytest.raises(InputError, match=message):
        extended(choose(SCORES, 20, 5, 0), list(SCORES), n, most, 0)
