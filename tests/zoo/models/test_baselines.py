"""The training-free baselines do what the paper says of them."""

import numpy as np
import pytest
import torch
from conftest_builders import build_backbone
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.tokenizer import plain_ids, start_rows
from genzoo.backbones.whole import load_causal_lm
from genzoo.errors import CheckpointError, InputError
from genzoo.models import prompts
from genzoo.models.baselines import BEFORE, BETWEEN, echo, hyde, mean_pooled, untrained
from genzoo.models.entries import BASELINES

TEXTS = ["where do polar bears live", "", "the quick brown fox " * 60, "a <|im_start|> b"]


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def folder(request, tmp_path_factory):
    return build_backbone(tmp_path_factory.mktemp("backbone"), request.param, bos=request.param == "llama")


def states(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]


def test_mean_pooled_is_the_mean_of_the_last_states(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = plain_ids(tokenizer, [TEXTS[0]])[0]
    expected = states(folder, ids).mean(dim=0).numpy()
    assert np.abs(mean_pooled(folder, device="cpu").encode(TEXTS[0]) - expected).max() < 1e-5


def test_untrained_tokens_are_the_states_behind_an_open_answer(folder):
    model = untrained(folder, device="cpu", max_tokens=100)
    lm, tokenizer = load_causal_lm(folder, "cpu")
    rows = start_rows(lm, tokenizer, 10)
    prompt = model.prompts["query"]
    assert prompt == prompts.QUERY
    for text in TEXTS[:2]:
        inputs = lm.get_input_embeddings()(torch.tensor(plain_ids(tokenizer, [prompt + text])))[0]
        with torch.no_grad():
            states = lm.base_model(inputs_embeds=torch.cat([inputs, rows])[None]).last_hidden_state[0]
        assert np.abs(model.encode_query(text) - states[-10:].mean(dim=0).numpy()).max() < 1e-5


def test_echo_pools_the_second_occurrence(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = echo(folder, device="cpu", max_tokens=200)
    bare = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (BEFORE, TEXTS[0], BETWEEN)]
    ids = [*tokenizer("")["input_ids"], *bare[0], *bare[1], *bare[2], *bare[1]]
    expected = states(folder, ids)[-len(bare[1]) :].mean(dim=0).numpy()
    assert np.abs(model.encode(TEXTS[0]) - expected).max() < 1e-5


def test_echo_sees_the_end_of_a_text_at_its_beginning(folder):
    """Mean pooling of causal states cannot: the states of equal beginnings are equal."""
    pair = ["one two three four five six bears", "one two three four five six foxes"]
    first, second = (model[0] for model in (mean_pooled(folder, device="cpu"), echo(folder, device="cpu")))
    plain = first(first.preprocess(pair))["token_embeddings"]
    assert (plain[0, :3] - plain[1, :3]).abs().max() < 1e-5
    features = second(second.preprocess(pair))
    starts = features["attention_mask"].argmax(dim=1)
    echoed = [features["token_embeddings"][row, start] for row, start in enumerate(starts)]
    assert (echoed[0] - echoed[1]).abs().max() > 1e-3


def test_echo_does_not_depend_on_the_batch_and_cuts_both_alike(folder):
    model = echo(folder, device="cpu", max_tokens=120)
    together = model.encode(TEXTS)
    alone = np.stack([model.encode(text) for text in TEXTS])
    assert np.isfinite(together).all()
    assert np.abs(together - alone).max() < 1e-5
    features = model[0].preprocess(TEXTS)
    assert features["input_ids"].shape[1] <= 120
    assert int(features["echo_mask"].sum(dim=1).min()) >= 1


def test_hyde_embeds_the_answers_of_queries_and_documents_as_they_are(folder):
    model, plain = hyde(folder, device="cpu", max_new_tokens=6), mean_pooled(folder, device="cpu")
    texts = [text for text in TEXTS if text]
    answers = model[0].answers(texts)
    assert answers == model[0].answers(texts)  # greedy
    assert set(answers) != set(texts)
    assert np.abs(model.encode_query(texts) - plain.encode(answers)).max() < 1e-5
    assert np.abs(model.encode(texts) - plain.encode(answers)).max() < 1e-5
    assert np.abs(model.encode_document(texts) - plain.encode(texts)).max() < 1e-5
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in plain.parameters())


def test_revisions_of_baselines_differ_but_that_of_the_mean_is_the_backbones():
    revisions = [one.revision("a" * 40) for one in BASELINES]
    assert revisions[0] == "a" * 40
    assert len(set(revisions)) == len(BASELINES)
    assert all(len(revision) == 40 for revision in revisions)


@pytest.mark.parametrize("build", [mean_pooled, echo, untrained])
def test_the_limit_holds_for_all_that_is_read_or_is_refused(folder, build):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    frame = sum(len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in (BEFORE, BETWEEN))
    added = len(tokenizer("")["input_ids"]) + {mean_pooled: 0, echo: frame, untrained: 10}[build]
    shortest = added + (2 if build is echo else 1)
    if shortest > 1:
        with pytest.raises((InputError, CheckpointError), match=f"max_tokens is {shortest - 1}"):
            build(folder, device="cpu", max_tokens=shortest - 1).encode("a fox")
    for limit in (shortest, shortest + 7):
        module = build(folder, device="cpu", max_tokens=limit)[0]
        first, other = (module.preprocess([text * 100])["input_ids"][0].tolist() for text in ("fox ", "bears "))
        assert limit - 2 < len(first) <= limit
        assert len(other) <= limit
        assert first != other
