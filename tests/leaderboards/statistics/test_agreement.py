"""Agreement of judges against published examples and scikit-learn."""

import itertools

import numpy as np
import pytest

from genzoo.leaderboards.statistics.agreement import agreement, cohen_kappa, krippendorff_alpha

# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", data C: four observers, twelve units; * is missing.
PUBLISHED = {
    "A": "1 2 3 3 2 1 4 1 2 * * *",
    "B": "1 2 3 3 2 2 4 1 2 5 * 3",
    "C": "* 3 3 3 2 3 4 2 2 5 1 *",
    "D": "1 2 3 3 2 4 4 1 2 5 1 *",
}


def published():
    return {
        judge: {f"u{place:02d}": None if value == "*" else int(value) for place, value in enumerate(row.split())}
        for judge, row in PUBLISHED.items()
    }


def test_alpha_is_krippendorffs_own_on_his_example():
    found = agreement(published())
    assert found.alpha == pytest.approx(0.815, abs=5e-4)
    assert (found.n_items, found.n_judges, found.kappa) == (11, 4, None)
    assert found.low < found.alpha <= found.high and found.reading == "reliable"


def by_definition(units):
    """Alpha from all pairs of grades of one unit and of all units, with the ordinal distance of the paper."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    counts = {value: values.count(value) for value in set(values)}

    def distance(one, other):
        low, high = sorted((one, other))
        return (
            sum(count for value, count in counts.items() if low <= value <= high) - (counts[one] + counts[other]) / 2
        ) ** 2

    observed = sum(
        distance(*pair) / (len(unit) - 1) for unit in units for pair in itertools.permutations(unit, 2)
    ) / len(values)
    expected = sum(distance(*pair) for pair in itertools.permutations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_its_definition_on_random_judges(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 4, size=(rng.integers(2, 5), 30))
    truth = rng.integers(0, 4, 30)
    table = np.where(rng.random(table.shape) < 0.6, truth, table)
    grades = {
        f"judge {row}": {f"i{place}": int(value) for place, value in enumerate(values) if rng.random() < 0.8}
        for row, values in enumerate(table)
    }
    units = [[own[f"i{place}"] for own in grades.values() if f"i{place}" in own] for place in range(30)]
    assert agreement(grades).alpha == pytest.approx(by_definition(units), abs=1e-12)


def test_kappa_is_cohens_on_a_published_table():
    # Cohen 1960, table 1: proportions of 200 cases, kappa .492
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    one, other = zip(
        *((row, column) for row, column in np.ndindex(3, 3) for _ in range(table[row, column])), strict=True
    )
    assert cohen_kappa(one, other) == pytest.approx(0.492, abs=5e-4)
    found = agreement(
        {
            "a": dict(zip(map(str, range(200)), one, strict=True)),
            "b": dict(zip(map(str, range(200)), other, strict=True)),
        }
    )
    assert found.kappa == pytest.approx(0.492, abs=5e-4) and found.equal == pytest.approx(0.7)


def test_perfect_opposite_and_chance_agreement():
    same = {"a": {str(n): n % 4 for n in range(40)}, "b": {str(n): n % 4 for n in range(40)}}
    assert agreement(same).alpha == agreement(same).kappa == agreement(same).equal == 1
    opposite = {"a": same["a"], "b": {item: 3 - grade for item, grade in same["b"].items()}}
    assert agreement(opposite).alpha < -0.9 and agreement(opposite).reading == "too low to rely on"
    rng = np.random.default_rng(0)
    chance = {judge: {str(n): int(rng.integers(0, 4)) for n in range(3000)} for judge in "ab"}
    assert abs(agreement(chance).alpha) < 0.05


def test_where_there_is_nothing_to_agree_on():
    assert (
        agreement({"a": {"x": 1}, "b": {"y": 1}}) is None
        and agreement({}) is None
        and agreement({"a": {"x": 1}}) is None
    )
    assert agreement({"a": {"x": None}, "b": {"x": 1}}) is None
    found = agreement({"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 1}})
    assert found.alpha is None and found.kappa is None and found.equal == 1 and "all grades are equal" in found.reading
    assert krippendorff_alpha(np.array([[2.0, 0.0], [0.0, 2.0]])) == 1
