"""Vectors are explained by what made them: alone, mixed, rounded, and near."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sentence_transformers.util import quantize_embeddings

from genzoo.tasks.doctor.matching import EIGHT_BITS, FULL, ONE_BIT, Answers, explain, resemblance
from genzoo.tasks.doctor.variants import RIGHT, Variant

TEXTS = [
    "where do polar bears live",
    "how do I change a flat tyre\non my bicycle\nbefore the rain comes",
    "a library keeps books that people borrow and bring back later",
    "the quick brown fox jumps over the lazy dog near the river bank",
    "what is this",
    "books\nbears\nbikes",
    "why does it rain so often in the west of the country",
    "a cat",
]
LONG = "the quick brown fox jumps over the lazy dog near the river bank " * 30


def answers(reference, vectors, texts=TEXTS):
    return Answers.of("document", texts, vectors, reference)


def made(reference, variant, texts=TEXTS):
    return reference.embed(variant, "document", texts)


@pytest.mark.parametrize(
    "variant",
    [
        RIGHT,
        Variant("prompt-lost"),
        Variant("other-prompt", "line-breaks-replaced"),
        Variant("prompt-lost", pooling="pooling-all-tokens"),
        Variant(pooling="tokens-not-appended", projection="projections-skipped"),
    ],
)
def test_one_variant_explains_all(reference, variant):
    (match,) = explain(reference, answers(reference, 3 * made(reference, variant)))
    assert (match.variant, match.rows) == (variant, tuple(range(len(TEXTS))))
    assert match.distance < 1e-6


def test_a_part_of_an_index_is_of_another_kind(reference):
    vectors = made(reference, RIGHT)
    vectors[5:] = made(reference, Variant("prompt-lost"))[5:]
    found = {match.variant: match.rows for match in explain(reference, answers(reference, vectors))}
    assert found == {RIGHT: (0, 1, 2, 3, 4), Variant("prompt-lost"): (5, 6, 7)}


def test_a_limit_and_a_fault_at_once(reference):
    variant = Variant("prompt-lost", limit=128)
    texts = [*TEXTS, LONG]
    (match,) = explain(reference, answers(reference, made(reference, variant, texts), texts))
    assert match.variant == variant


def test_nothing_known(reference):
    vectors = np.random.default_rng(0).standard_normal((len(TEXTS), reference.widths[0]))
    (match,) = explain(reference, answers(reference, vectors))
    assert match.variant is None
    assert len(match.rows) == len(TEXTS)
    same, other = resemblance(answers(reference, vectors), made(reference, RIGHT))
    assert abs(same - other) < 0.3


def test_noise_of_bfloat16_is_right_and_more_is_near(reference):
    rng = np.random.default_rng(0)
    right = made(reference, RIGHT)

    def noisy(distance):
        noise = rng.standard_normal(right.shape)
        size = distance * np.linalg.norm(right, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        return answers(reference, right + noise * size)

    (match,) = explain(reference, noisy(0.05))
    assert (match.variant, match.is_near) == (RIGHT, False)
    (match,) = explain(reference, noisy(0.2))
    assert (match.variant, match.is_near) == (RIGHT, True)


@pytest.mark.parametrize(
    ("precision", "kind"), [("int8", EIGHT_BITS), ("uint8", EIGHT_BITS), ("binary", ONE_BIT), ("ubinary", ONE_BIT)]
)
def test_rounded_numbers(reference, precision, kind):
    for variant in (RIGHT, Variant("prompt-lost")):
        vectors = made(reference, variant).astype(np.float32)
        found = answers(reference, quantize_embeddings(vectors, precision))
        if kind == ONE_BIT:  # a width of 12 is padded to two bytes
            found = answers(reference, np.where(vectors > 0, 1, 0))
        assert found.precision == kind
        (match,) = explain(reference, found)
        assert match.variant == variant


def test_what_a_policy_adds_counts_less_than_what_ranks():
    """Rounding along its axis is no other embedding; to leave the policy out is one."""
    rng = np.random.default_rng(0)
    axis, plain = np.eye(12)[3], rng.standard_normal((4, 12))
    plain[:, 3] = 0
    plain /= np.linalg.norm(plain, axis=1)[:, None]
    model = SimpleNamespace(widths=(12, 16), policy_axis=2 * axis)
    theirs = Answers.of("query", list("abcd"), 3 * (plain + 0.65 * axis), model)
    gaps = {moved: theirs.distances(range(4), plain + moved * axis).max() for moved in (0.65, 0.5, 0)}
    assert gaps[0.65] < 1e-9
    assert (
        0.02 < gaps[0.5] < theirs.tolerance < replace(theirs, axis=None).distances(range(4), plain + 0.5 * axis).min()
    )
    assert gaps[0] > 1.5 * theirs.tolerance
    assert theirs.distances([0], np.ones((1, 16)))[0] > theirs.tolerance  # of another space, cut


def test_bits_are_unpacked():
    model = SimpleNamespace(widths=(16, 32), policy_axis=None)
    bits = np.random.default_rng(0).standard_normal((4, 16)) > 0
    packed = np.packbits(bits, axis=1)
    for vectors in (packed, packed.astype(int) - 128):
        found = Answers.of("query", list("abcd"), vectors, model)
        assert found.precision == ONE_BIT
        assert ((found.vectors > 0) == bits).all()
    assert Answers.of("query", list("abcd"), bits * 0.5, model).precision == FULL


def test_fewer_numbers_are_compared_with_the_first(reference):
    (match,) = explain(reference, answers(reference, made(reference, RIGHT)[:, :8]))
    assert match.variant == RIGHT
    (match,) = explain(reference, answers(reference, np.ones((len(TEXTS), 99))))
    assert match.variant is None
