"""Nothing that a backbone's generation config ships reaches what it writes, but for the tokens that end a text."""

import json
import re
import shutil
import sys
import types

import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint

from genzoo.backbones import generation
from genzoo.backbones.generation import (
    Query,
    TransformersEngine,
    VllmEngine,
    begun_text,
    chat_text,
    continued,
    end_tokens,
    generate,
    make_response,
    shipped_config,
)
from genzoo.backbones.whole import load_causal_lm
from genzoo.models.baselines import hyde
from genzoo.models.decoding import Decoder
from genzoo.recipes.fields import ResponseOptions

TEXTS = ["where do polar bears live", "how do I change a flat tyre", "books", "the quick brown fox"]
HABITS = [
    {"repetition_penalty": 1.7},
    {"no_repeat_ngram_size": 1},
    {"bad_words_ids": [[row] for row in range(40, 200)]},
    {"suppress_tokens": list(range(40, 200))},
    {"begin_suppress_tokens": list(range(4, 300))},
    {"min_new_tokens": 12},
    {"min_length": 200},
    {"do_sample": True, "temperature": 2.0, "top_k": 5},
    {"num_beams": 3, "length_penalty": 3.0},
    {"forced_eos_token_id": 5},
    {"forced_bos_token_id": 7},
    {"exponential_decay_length_penalty": [1, 9.0]},
    {"sequence_bias": [[[50], 100.0]]},
    {"max_length": 3},
    {"guidance_scale": 4.0},
    {"num_return_sequences": 2, "do_sample": True},
    {"encoder_repetition_penalty": 3.0},
    {"stop_strings": ["e"]},
    {"return_dict_in_generate": True, "output_scores": True},
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A backbone that writes long texts of many tokens, and what it writes."""
    folder = build_backbone(tmp_path_factory.mktemp("habits") / "plain", "llama", tied=True, chat=False)
    return folder, written(folder)


def written(folder):
    """Answers, decoded texts and HyDE's passages on a backbone."""
    model, tokenizer = load_causal_lm(folder, "cpu")
    engine = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=10))
    answers = [row.response for row in engine.answer([Query(str(n), text) for n, text in enumerate(TEXTS)])]
    soft = torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(1))
    decoded = Decoder(build_checkpoint(folder), model, tokenizer).decode(soft, 10)
    passages = hyde(folder, max_new_tokens=10, device="cpu")[0].answers(TEXTS)
    return answers, decoded, passages


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: next(iter(habit)))
def test_shipped_habits_change_nothing(plain, habit, tmp_path):
    folder, expected = plain
    other = shutil.copytree(folder, tmp_path / "with-habits")
    path = other / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | habit))
    assert shipped_config(other).to_diff_dict().keys() >= habit.keys()
    assert written(other) == expected


def test_the_habits_would_have_been_seen(plain):
    """The test above can fail: the library itself follows the config."""
    model, tokenizer = load_causal_lm(plain[0], "cpu")
    inputs = {
        "input_ids": tokenizer([TEXTS[0]], return_tensors="pt")["input_ids"],
        "max_new_tokens": 10,
        "pad_token_id": 0,
    }
    expected = generate(model, tokenizer, **inputs)
    assert model.generate(**inputs, do_sample=False).equal(expected)
    model.generation_config.repetition_penalty = 1.7
    assert not model.generate(**inputs, do_sample=False).equal(expected)
    assert generate(model, tokenizer, **inputs).equal(expected)
    assert model.generation_config.repetition_penalty == 1.7


def test_what_is_asked_for_is_done(plain):
    model, tokenizer = load_causal_lm(plain[0], "cpu")
    queries = [Query(str(n), text) for n, text in enumerate(TEXTS)]
    greedy, penalised, sampled = (
        TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=10, **options)).answer(queries)
        for options in ({}, {"repetition_penalty": 1.7}, {"temperature": 2.0})
    )
    assert greedy != penalised
    assert greedy != sampled


def test_every_token_that_ends_a_text_ends_it(plain):
    """Llama 3 names three of them."""
    model, tokenizer = load_causal_lm(plain[0], "cpu")
    inputs = {
        "input_ids": tokenizer([TEXTS[0]], return_tensors="pt")["input_ids"],
        "max_new_tokens": 10,
        "pad_token_id": 0,
    }
    free = generate(model, tokenizer, **inputs)[0, inputs["input_ids"].shape[1] :].tolist()
    end = next(token for token in free if token != free[0])
    model.generation_config.eos_token_id = [299, end]
    cut = generate(model, tokenizer, **inputs)[0, inputs["input_ids"].shape[1] :].tolist()
    assert cut == free[: free.index(end) + 1]
    assert end_tokens(model.generation_config, tokenizer) == [299, end]
    model.generation_config.eos_token_id = None
    assert end_tokens(model.generation_config, tokenizer) == [tokenizer.eos_token_id]


def test_vllm_is_told_what_ends_a_text_and_nothing_else(plain, tmp_path, monkeypatch):
    folder = shutil.copytree(plain[0], tmp_path / "with-habits")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [2, 9], "repetition_penalty": 1.7, "temperature": 0.6, "top_k": 20}))
    seen = {}
    fake = types.ModuleType("vllm")
    fake.LLM = lambda **options: seen.update(engine=options)
    fake.SamplingParams = lambda **options: seen.update(sampling=options)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    VllmEngine(folder, load_causal_lm(folder, "cpu")[1], ResponseOptions())
    assert seen["engine"]["generation_config"] == "vllm"
    sampling = seen["sampling"]
    assert (sampling["stop_token_ids"], sampling["repetition_penalty"], sampling["temperature"]) == ([2, 9], 1.0, 0.0)
    path.unlink()
    VllmEngine(folder, load_causal_lm(folder, "cpu")[1], ResponseOptions())
    assert seen["sampling"]["stop_token_ids"] == [2]


@pytest.mark.parametrize(
    "line",
    ["{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}", "{{ strftime_now('%d %b %Y') }}"],
)
def test_answers_do_not_depend_on_the_day(plain, line):
    """Chat templates such as Llama's write the date of the day into the question."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(plain[0])
    tokenizer.chat_template = "Today Date: " + line + "{% for m in messages %} {{ m['content'] }}{% endfor %}"
    assert chat_text(tokenizer, "books", None) == "Today Date: 26 Jul 2024 books"


@pytest.mark.parametrize(
    ("text", "response", "reason"),
    [
        ("I won't help to rob a bank. However, first", "I won't help to rob a bank.", "stop"),
        ("I won't help. to rob 1.5 banks? Well", "I won't help. to rob 1.5 banks?", "stop"),
        ("I won't help to rob a", "I won't help to rob a", "length"),
    ],
)
def test_answer_with_an_opening_ends_with_its_sentence(text, response, reason):
    opening = "I won't help. to" if "help." in text else "I won't help to"
    made = make_response(Query("q", "how to rob a bank"), text, False, 9, opening)
    assert (made.response, made.finish_reason) == (response, reason)


@pytest.mark.parametrize("chat", [True, False])
def test_opening_is_part_of_the_prompt_and_of_the_answer(chat, tmp_path):
    model, tokenizer = load_causal_lm(build_backbone(tmp_path / "llama", "llama", chat=chat), "cpu")
    options, query = ResponseOptions(max_new_tokens=5), Query("q", "how to rob a bank")
    (plain,) = TransformersEngine(model, tokenizer, options).answer([query])
    (begun,) = TransformersEngine(model, tokenizer, options, "I won't help to").answer([query])
    assert begun.response.startswith("I won't help to")
    assert not plain.response.startswith("I won't")
    asked = begun_text(tokenizer, query.text, None, "I won't help to")
    ids = tokenizer(asked, add_special_tokens=not chat, return_tensors="pt")["input_ids"]
    made = generate(model, tokenizer, input_ids=ids, max_new_tokens=5)[0, ids.shape[1] :].tolist()
    expected = make_response(query, continued(tokenizer, "I won't help to", made), False, 5, "I won't help to").response
    assert begun.response == expected


@pytest.mark.parametrize("chat", [True, False])
def test_nothing_is_generated_after_the_sentence_of_an_opening(chat, tmp_path, monkeypatch):
    model, tokenizer = load_causal_lm(build_backbone(tmp_path / "llama", "llama", chat=chat), "cpu")
    options = ResponseOptions(max_new_tokens=30)
    queries = [Query(str(place), f"how to rob a bank {place}") for place in range(6)]
    monkeypatch.setattr(
        generation, "_SENTENCE_END", re.compile("[ae](?=.|$)", re.DOTALL)
    )  # a random LLM ends few sentences

    def answers(over):
        monkeypatch.setattr(generation, "_SENTENCE_OVER", re.compile(over, re.DOTALL))
        return TransformersEngine(model, tokenizer, options, "I won't help to").answer(queries)

    whole, short = answers("(?!)"), answers("[ae].")
    assert [row.response for row in short] == [row.response for row in whole]
    assert sum(row.n_tokens for row in short) < sum(row.n_tokens for row in whole)
