"""The lean forward pass gives the states and gradients of the plain one."""

import copy
import json
import threading

import numpy as np
import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint
from transformers import AutoModelForCausalLM

from genzoo.backbones import forward
from genzoo.backbones.forward import freeze, pack
from genzoo.models.assembly import assemble


def test_what_texts_begin_with_is_computed_once(backbone, monkeypatch):
    model = freeze(AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32))
    lengths, packed = [], forward.packed_states
    monkeypatch.setattr(
        forward, "packed_states", lambda *given: (lengths.append(list(given[2].lengths)), packed(*given))[1]
    )
    ids = [[5, 6, 7, 8, 1], [5, 6, 7, 8, 2, 3], [9, 9], [5, 6, 7, 8, 1]]
    found = forward.remember(model, ids)
    assert lengths == [[4], [1, 2, 2, 1]]
    for place, row in enumerate(ids):
        for layer, pairs in forward.remember(model, [row]).items():
            for one, other in zip(found[layer][place], pairs[0], strict=True):
                assert torch.allclose(one, other, atol=1e-6)


TEXTS = [
    "where do polar bears live",
    "",
    "the quick brown fox " * 40,
    "café 東京 🙂",
    "where do polar bears live and what",
    "a",
]


@pytest.fixture(scope="module", params=forward.FAMILIES[:5])
def pair(request, tmp_path_factory):
    """The same model, stock and packed."""
    folder = build_backbone(tmp_path_factory.mktemp("family"), request.param)
    checkpoint = build_checkpoint(folder, n_thought=1, has_policy=request.param in ("llama", "gemma3_text"))
    stock = assemble(checkpoint, folder, device="cpu")
    packed = pack(assemble(checkpoint, folder, device="cpu"), len(checkpoint.spec))
    return stock, packed


@pytest.fixture
def packed_calls(monkeypatch):
    """How many shared tokens and texts each packed pass held."""
    calls = []
    states = forward._last_states

    def counted(model, ids, lengths, memory, start, n):
        calls.append((start, len(lengths)))
        return states(model, ids, lengths, memory, start, n)

    monkeypatch.setattr(forward, "_last_states", counted)
    return calls


def test_the_prompt_is_computed_once(pair, packed_calls):
    stock, packed = pair
    packed.encode(TEXTS, prompt_name="query")
    stock.encode(TEXTS)
    assert len(packed_calls) == 1
    shared, texts = packed_calls[0]
    assert texts == len(TEXTS)
    assert shared >= 3


@pytest.mark.parametrize("tokens", [1, 30, 80])
def test_a_large_batch_takes_several_passes(pair, packed_calls, monkeypatch, tokens):
    monkeypatch.setattr(forward, "TOKENS_PER_PASS", tokens)
    stock, packed = pair
    got = packed.encode(TEXTS, prompt_name="query", batch_size=len(TEXTS))
    assert np.abs(got - stock.encode(TEXTS, prompt_name="query")).max() < 1e-5
    assert sum(texts for _, texts in packed_calls) == len(TEXTS)
    assert len(packed_calls) == len(TEXTS) if tokens == 1 else 1 < len(packed_calls) < len(TEXTS)


@pytest.mark.parametrize("prompt", [None, "query", "document"])
@pytest.mark.parametrize("size", [1, 2, 6])
def test_equals_the_stock_way(pair, prompt, size):
    stock, packed = pair
    expected = stock.encode(TEXTS, prompt_name=prompt)
    assert np.abs(packed.encode(TEXTS, prompt_name=prompt, batch_size=size) - expected).max() < 1e-5
    stock.max_seq_length = packed.max_seq_length = 24
    try:
        cut = stock.encode(TEXTS, prompt_name=prompt)
        assert np.abs(packed.encode(TEXTS, prompt_name=prompt, batch_size=size) - cut).max() < 1e-5
    finally:
        stock.max_seq_length = packed.max_seq_length = 64


def test_equal_texts_and_texts_that_begin_alike(pair):
    stock, packed = pair
    for texts in (["same text"] * 3, ["same text", "same text and more", "same"], [""] * 2):
        assert np.abs(packed.encode(texts) - stock.encode(texts)).max() < 1e-5


def test_left_padding_takes_the_stock_way(pair):
    stock, packed = pair
    expected = stock.encode(TEXTS)
    packed.tokenizer.padding_side = "left"
    try:
        assert np.abs(packed.encode(TEXTS) - expected).max() < 1e-5
    finally:
        packed.tokenizer.padding_side = "right"


def test_an_unpacked_call_of_the_same_backbone_is_the_stock_one(pair):
    stock, _ = pair
    features = {k: v for k, v in stock.preprocess(TEXTS).items() if isinstance(v, torch.Tensor)}
    with torch.no_grad():
        inner = [model[0].model(**features).last_hidden_state for model in pair]
    kept = features["attention_mask"].bool()
    assert (inner[0] - inner[1])[kept].abs().max() < 1e-5


def test_a_sliding_window_is_kept(tmp_path):
    folder = build_backbone(tmp_path, "mistral")
    config = json.loads((folder / "config.json").read_text())
    config["sliding_window"] = 6
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = build_checkpoint(folder)
    stock, packed = (assemble(checkpoint, folder, device="cpu") for _ in range(2))
    pack(packed, len(checkpoint.spec))
    expected = stock.encode(TEXTS, prompt_name="query")
    assert np.abs(packed.encode(TEXTS, prompt_name="query") - expected).max() < 1e-5
    config["sliding_window"] = None
    (folder / "config.json").write_text(json.dumps(config))
    assert np.abs(assemble(checkpoint, folder, device="cpu").encode(TEXTS, prompt_name="query") - expected).max() > 1e-3


def test_saved_files_are_the_stock_ones(tmp_path):
    folder = build_backbone(tmp_path / "backbone", "llama")
    checkpoint = build_checkpoint(folder)
    stock, packed = (assemble(checkpoint, folder, device="cpu") for _ in range(2))
    for name, model in (("stock", stock), ("packed", pack(packed, len(checkpoint.spec)))):
        model.encode(TEXTS)
        model.save_pretrained(str(tmp_path / name), create_model_card=False)
    files = sorted(p.relative_to(tmp_path / "stock") for p in (tmp_path / "stock").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "packed") for p in (tmp_path / "packed").rglob("*") if p.is_file())
    for file in files:
        assert (tmp_path / "stock" / file).read_bytes() == (tmp_path / "packed" / file).read_bytes(), file


def test_a_copy_encodes_by_itself(pair):
    _, packed = pair
    twin = copy.deepcopy(packed)
    with torch.no_grad():
        twin[0].model.get_input_embeddings().weight.zero_()
    assert np.abs(packed.encode(TEXTS) - twin.encode(TEXTS)).max() > 1e-3


def test_threads_do_not_disturb_each_other(pair):
    _, packed = pair
    expected = packed.encode(TEXTS)
    found = [None] * 4

    def work(place):
        found[place] = packed.encode(TEXTS[:: 1 if place % 2 else -1])[:: 1 if place % 2 else -1]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.abs(vectors - expected).max() < 1e-5 for vectors in found)


def test_an_unknown_family_takes_the_stock_way(tmp_path, packed_calls):
    folder = build_backbone(tmp_path, "llama")
    checkpoint = build_checkpoint(folder)
    stock, packed = (assemble(checkpoint, folder, device="cpu") for _ in range(2))
    pack(packed, len(checkpoint.spec))[0].model.config.model_type = "somethingelse"
    assert np.abs(packed.encode(TEXTS) - stock.encode(TEXTS)).max() < 1e-6
    assert packed_calls == []
