"""The model's own embeddings, and each fault as a stock client makes it."""

import numpy as np
import pytest
from changed_models import pooled, without
from torch import nn

from genzoo.errors import CheckpointError
from genzoo.tasks.doctor.variants import (
    POOLINGS,
    PROJECTIONS,
    PROMPTS,
    RIGHT,
    TEXTS,
    ReferenceModel,
    Variant,
    variants,
)
from genzoo.tasks.embedders.endpoint_fingerprint import unit

TEXT = "where do polar bears live\nand what do they eat?"
LONG = "the quick brown fox jumps over the lazy dog " * 60


def gap(reference, variant, side, text, vector):
    (own,) = reference.embed(variant, side, [text])
    return float(np.linalg.norm(unit(own) - unit(vector)))


@pytest.mark.parametrize("text", [TEXT, LONG, "No."])
def test_the_right_variant_is_the_model(reference, stock, text):
    assert gap(reference, RIGHT, "query", text, stock.encode_query(text)) < 1e-5
    assert gap(reference, RIGHT, "document", text, stock.encode_document(text)) < 1e-5


def test_the_right_variant_is_the_model_of_another_family(qwen3, tmp_path):
    from conftest_builders import build_checkpoint

    import genzoo

    folder = build_checkpoint(qwen3).save(tmp_path / "model")
    made = genzoo.load(folder, device="cpu").encode_query(LONG)
    assert gap(ReferenceModel(str(folder)), RIGHT, "query", LONG, made) < 1e-5


@pytest.mark.parametrize(
    ("fault", "prompt"),
    [
        ("prompt-lost", ""),
        ("other-prompt", "Write the answer to this: "),
        ("prompt-blank-lost", "Restate this passage:"),
        ("prompt-twice", "Restate this passage: Restate this passage: "),
        ("other-prompt-added", "Write the answer to this: Restate this passage: "),
    ],
)
def test_prompts(reference, stock, fault, prompt):
    found = stock.encode(TEXT, prompt=prompt)
    assert gap(reference, Variant(prompt=fault), "document", TEXT, found) < 1e-5
    assert gap(reference, RIGHT, "document", TEXT, found) > 0.05


@pytest.mark.parametrize(
    ("fault", "mode"),
    [("pooling-all-tokens", "mean"), ("pooling-last-token", "lasttoken"), ("pooling-first-token", "cls")],
)
def test_poolings(reference, stock, fault, mode):
    found = pooled(stock, mode).encode(TEXT, prompt=stock.prompts["query"])
    assert gap(reference, Variant(pooling=fault), "query", TEXT, found) < 1e-5


def test_states_of_unit_length(reference, stock):
    def normalised(module, given, features):
        return features | {"token_embeddings": nn.functional.normalize(features["token_embeddings"], dim=-1)}

    with stock[0].register_forward_hook(normalised):
        found = stock.encode(TEXT, prompt=stock.prompts["query"])
    assert gap(reference, Variant(pooling="states-normalised"), "query", TEXT, found) < 1e-5
    assert gap(reference, RIGHT, "query", TEXT, found) > 0.05


def test_a_tokenizer_without_the_trained_tokens(reference, stock):
    from tokenizers.processors import TemplateProcessing

    bare = pooled(stock, "mean")
    tokenizer = bare.tokenizer
    first = tokenizer.bos_token
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, tokenizer.bos_token_id)]
    )
    found = bare.encode(TEXT, prompt=stock.prompts["query"])
    assert gap(reference, Variant(pooling="tokens-not-appended"), "query", TEXT, found) < 1e-5


def test_skipped_projections(reference, stock):
    found = without(stock, "Dense", "CNN").encode(TEXT, prompt=stock.prompts["query"])
    assert found.shape == (reference.widths[1],)
    assert gap(reference, Variant(projection="projections-skipped"), "query", TEXT, found) < 1e-5


def test_other_limits(reference, stock):
    stock.max_seq_length = 64
    found = stock.encode_query(LONG)
    assert gap(reference, Variant(limit=64), "query", LONG, found) < 1e-5
    assert gap(reference, RIGHT, "query", LONG, found) > 0.05
    length = reference.n_tokens("query", LONG)
    limits = reference.other_limits(length)
    assert limits.index(64) < limits.index(length) < limits.index(300)
    assert 256 not in limits
    assert reference.other_limits(40) == [32]


def test_every_combination_once():
    found = variants()
    assert found[0] == RIGHT
    assert len(set(found)) == len(found) == len(PROMPTS) * len(TEXTS) * len(POOLINGS) * len(PROJECTIONS)
    assert Variant("prompt-lost", limit=64).n_faults == 2


def test_any_other_model_is_refused(tiny_teacher):
    with pytest.raises(CheckpointError, match="is not a genzoo checkpoint"):
        ReferenceModel(str(tiny_teacher))
