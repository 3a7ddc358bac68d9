from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest_builders import TEXTS, build_checkpoint, formula
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genzoo.models.assembly import assemble
from genzoo.models.prompts import all_prompts


@pytest.mark.parametrize("has_policy", [False, True])
@pytest.mark.parametrize(("n_thought", "unit_length"), [(0, True), (3, True), (0, False)])
def test_equals_the_formula(backbone, n_thought, unit_length, has_policy):
    checkpoint = build_checkpoint(backbone, n_thought=n_thought, has_policy=has_policy)
    checkpoint = replace(checkpoint, unit_length=unit_length)
    model = assemble(checkpoint, backbone, device="cpu")
    assert np.abs(model.encode(TEXTS) - formula(checkpoint, backbone, TEXTS)).max() < 1e-5


@pytest.mark.parametrize("has_policy", [False, True])
def test_does_not_depend_on_batch_order_or_padding_side(backbone, has_policy):
    model = assemble(build_checkpoint(backbone, has_policy=has_policy), backbone, device="cpu")
    alone = np.stack([model.encode(text) for text in TEXTS])
    for size in (1, 2, 6):
        assert np.abs(model.encode(TEXTS, batch_size=size) - alone).max() < 1e-5
    assert np.abs(model.encode(TEXTS[::-1])[::-1] - alone).max() < 1e-5
    model.tokenizer.padding_side = "left"
    assert np.abs(model.encode(TEXTS) - alone).max() < 1e-5


def test_long_text_keeps_all_trained_tokens(backbone):
    checkpoint = build_checkpoint(backbone)
    model = assemble(checkpoint, backbone, device="cpu")
    ids = model.preprocess(["fox " * 5000])["input_ids"][0].tolist()
    assert len(ids) == checkpoint.max_tokens
    assert tuple(ids[-len(checkpoint.spec) :]) == checkpoint.spec.ids


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80) | st.sampled_from(["<|gen_0|>", "<|im_end|>", "<|begin_of_text|>", "a<|gen_1|>b"]))
def test_no_text_can_reach_a_trained_row(llama, text):
    checkpoint = build_checkpoint(llama)
    tokenizer = _tokenizer(llama, checkpoint)
    ids = tokenizer(text)["input_ids"]
    assert [i for i in ids if i in checkpoint.spec.ids] == list(checkpoint.spec.ids)


_CACHE = {}


def _tokenizer(backbone, checkpoint):
    if backbone not in _CACHE:
        _CACHE[backbone] = assemble(checkpoint, backbone, device="cpu").tokenizer
    return _CACHE[backbone]


def test_prompts_ride_along(llama):
    model = assemble(build_checkpoint(llama), llama, device="cpu")
    prompts = all_prompts()
    text = "where do foxes live"
    assert np.allclose(model.encode_query(text), model.encode(prompts["query"] + text), atol=1e-6)
    assert np.allclose(model.encode_document(text), model.encode(prompts["document"] + text), atol=1e-6)
    assert not np.allclose(model.encode_query(text), model.encode(text), atol=1e-3)
    assert all(prompt.endswith(" ") and not prompt.endswith("  ") for prompt in prompts.values())


def test_wrong_backbone(llama, qwen3, tmp_path, caplog):
    checkpoint = build_checkpoint(llama)
    assemble(checkpoint, qwen3, device="cpu")
    assert "not the one these tokens were trained on" in caplog.text


@pytest.mark.parametrize("has_policy", [False, True])
def test_half_precision_is_close(llama, has_policy):
    checkpoint = build_checkpoint(llama, has_policy=has_policy)
    full = assemble(checkpoint, llama, device="cpu").encode(TEXTS, convert_to_tensor=True)
    half = assemble(checkpoint, llama, device="cpu", dtype=torch.bfloat16).encode(TEXTS, convert_to_tensor=True).float()
    assert torch.cosine_similarity(full, half).min() > 0.99
