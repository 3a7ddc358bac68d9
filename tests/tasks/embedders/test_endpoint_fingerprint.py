"""A fingerprint survives the noise of batches and precision, and tells another model."""

import numpy as np
import pytest

from genzoo.errors import ZooError
from genzoo.tasks.embedders.endpoint_fingerprint import CANARY, PROBES, EndpointFingerprint, tolerance


def vectors(seed=0, width=384):
    return np.random.default_rng(seed).standard_normal((len(PROBES), width)) * 3


def shifted(rows, distance, seed=1):
    """Rows whose unit vectors are as far away as told, in random directions."""
    noise = np.random.default_rng(10_000 + seed).standard_normal(rows.shape)
    noise *= distance * np.linalg.norm(rows, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    return rows + noise


def taken(rows, noise=0.0, seed=5):
    return EndpointFingerprint.of(rows, shifted(rows, noise, seed))


def test_the_noise_of_float32_leaves_the_id_as_it_is():
    ids = [{taken(shifted(vectors(model), 1e-6, seed), 1e-6).id for seed in range(20)} for model in range(20)]
    assert sum(len(each) for each in ids) <= 22  # now and then a value is moved across the edge of a step


def test_another_model_has_another_id_and_is_not_the_same():
    found = [taken(vectors(model)) for model in range(200)]
    assert len({each.id for each in found}) == 200
    assert not any(found[0].is_same(each) for each in found[1:])


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3, 0.008, 0.05])
def test_the_same_model_is_recognised_under_its_own_noise(noise):
    first = taken(vectors(), noise)
    again = [taken(shifted(vectors(), noise, seed), noise, seed + 100) for seed in range(200)]
    assert all(first.is_same(each) and each.is_same(first) for each in again)
    assert all(first.is_canary(shifted(vectors(), noise, seed)[0]) for seed in range(200, 400))


@pytest.mark.parametrize(("noise", "change"), [(0.0, 0.043), (1e-6, 0.043), (0.008, 0.1), (0.05, 0.5), (0.15, 0.6)])
def test_a_change_beyond_the_noise_is_seen(noise, change):
    first = taken(vectors(), noise)
    others = [taken(shifted(vectors(), change, seed), noise, seed + 100) for seed in range(200)]
    assert not any(first.is_same(each) for each in others)
    assert not any(first.is_canary(vectors(seed)[0]) for seed in range(1, 200))


def test_a_server_that_grew_noisy_is_another_model():
    precise, coarse = taken(vectors(), 1e-6), taken(shifted(vectors(), 0.06), 0.05)
    assert not precise.is_same(coarse) and not coarse.is_same(precise)


def test_the_sketch_estimates_distances():
    for distance in (1e-4, 0.01, 0.3):
        found = [taken(vectors(seed)).distance(taken(shifted(vectors(seed), distance))) for seed in range(50)]
        assert 0.9 * distance < np.mean(found) < 1.6 * distance  # the largest of the probes, each within some 12 %


def test_another_width_is_another_model():
    assert taken(vectors()).distance(taken(vectors(width=256))) == float("inf")
    assert not taken(vectors()).is_same(taken(vectors(width=256)))


def test_lengths_do_not_matter():
    assert EndpointFingerprint.of(vectors(), vectors() * 7).noise < 1e-12


def test_answers_that_differ_are_no_embeddings():
    with pytest.raises(ZooError, match=r"two different embeddings for one text \(cosine -?0\."):
        EndpointFingerprint.of(vectors(0), vectors(1))


def test_a_record_gives_the_same_fingerprint():
    found = taken(vectors(), 0.008)
    again = EndpointFingerprint.read(found.record())
    assert again.id == found.id and again.distance(found) < 1e-6 and again.noise == found.noise
    assert again.is_canary(vectors()[0])


def test_tolerances_stay_within_limits():
    assert tolerance(0) == 0.02 and tolerance(10) == 0.3
    assert PROBES[0] == CANARY
    assert max(map(len, PROBES)) < 400
