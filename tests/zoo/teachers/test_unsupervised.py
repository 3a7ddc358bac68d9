"""The teacher that is made of the backbone itself."""

import json

import numpy as np
import pytest
import torch
from conftest_builders import SENTENCES, build_backbone
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.tokenizer import FIRST_WORDS, opening_of_an_answer, start_rows
from genzoo.errors import InputError
from genzoo.jobs import reporting_to
from genzoo.recipes.fields import UnsupervisedOptions
from genzoo.teachers.unsupervised import AFTER, BEFORE, RESTATE, fit_teacher, make_reader, teacher_name, whitening

TEXTS = [f"{text} {i}" for i, text in enumerate(SENTENCES * 4)]
OPTIONS = UnsupervisedOptions(layer=1, whiten=6, fit_texts=64, max_tokens=200)


@pytest.mark.parametrize("power", [0.5, 0.25, 0.0])
def test_whitened_states_have_the_covariance_of_the_power(power):
    torch.manual_seed(0)
    states = torch.randn(500, 12, dtype=torch.float64) @ torch.randn(12, 12, dtype=torch.float64) + 3
    weight, bias = whitening(states, 5, power)
    made = states @ weight.T + bias
    assert made.mean(dim=0).abs().max() < 1e-9
    # The kept directions are those of the largest variance, at full power all of variance 1.
    kept = torch.linalg.eigvalsh(states.T.cov())[-5:].flip(0)
    wanted = torch.eye(5, dtype=torch.float64) if power == 0.5 else torch.diag(kept ** (1 - 2 * power))
    assert (made.T.cov() - wanted).abs().max() < 1e-9 * wanted.max()


@pytest.mark.parametrize("wrap", ["prompt", "echo", "plain", "answer"])
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_folder_is_a_plain_sentence_transformer(tmp_path, family, wrap):
    backbone = build_backbone(tmp_path / "backbone", family, chat=family == "llama")
    options = UnsupervisedOptions(layer=1, whiten=6, fit_texts=64, max_tokens=200, wrap=wrap)
    folder = fit_teacher(backbone, TEXTS, options, tmp_path / "teacher", device="cpu")
    assert not list(folder.rglob("*.py"))
    modules = json.loads((folder / "modules.json").read_text())
    assert all(row["type"].startswith("sentence_transformers.") for row in modules)
    model = SentenceTransformer(str(folder), device="cpu")
    made = model.encode(TEXTS)
    assert made.shape == (64, 6)
    assert np.abs(np.cov(made.T) - np.eye(6)).max() < 1e-2
    assert np.abs(np.stack([model.encode(text) for text in TEXTS[:3]]) - made[:3]).max() < 1e-4
    # The same states, computed by hand from the whole backbone.
    tokenizer, whole = AutoTokenizer.from_pretrained(backbone), AutoModelForCausalLM.from_pretrained(backbone)
    frame = {"prompt": (BEFORE, AFTER), "echo": ("", ""), "plain": ("", ""), "answer": (RESTATE, "")}[wrap]
    pieces = [frame[0], TEXTS[0], *([TEXTS[0]] if wrap == "echo" else []), frame[1]]
    ids = tokenizer("")["input_ids"]
    for piece in pieces:
        ids = [*ids, *tokenizer(piece, add_special_tokens=False)["input_ids"]]
    embedded = whole.get_input_embeddings()(torch.tensor([ids]))
    if wrap == "answer":
        markup = len(tokenizer(opening_of_an_answer(tokenizer), add_special_tokens=False)["input_ids"])
        read, kept = (markup + FIRST_WORDS, FIRST_WORDS) if tokenizer.chat_template else (10, 10)
        # Gemma scales what it looks up.
        rows = start_rows(whole, tokenizer, read) * getattr(whole.get_input_embeddings(), "embed_scale", 1.0)
        embedded = torch.cat([embedded, rows[None].to(embedded)], dim=1)
    states = whole(inputs_embeds=embedded, output_hidden_states=True).hidden_states[1][0]
    states = states[-kept:] if wrap == "answer" else states
    size = states.square().mean(dim=-1, keepdim=True).add(whole.config.rms_norm_eps).rsqrt()
    dense = model[-1].linear
    assert np.abs(dense((states * size).mean(dim=0)).detach().numpy() - made[0]).max() < 1e-3 * np.abs(made[0]).max()


def test_simcse_learns(tmp_path):
    backbone = build_backbone(tmp_path / "backbone", "qwen3", bos=False)
    options = UnsupervisedOptions(layer=2, whiten=6, fit_texts=64, simcse_steps=12, simcse_batch=16, simcse_lr=0.01)
    told = []
    with reporting_to(lambda *words: told.append(words)):
        folder = fit_teacher(backbone, TEXTS, options, tmp_path / "a", device="cpu")
    plain = fit_teacher(
        backbone, TEXTS, UnsupervisedOptions(layer=2, whiten=6, fit_texts=64), tmp_path / "b", device="cpu"
    )
    weights = [SentenceTransformer(str(one), device="cpu")[0].model.state_dict() for one in (folder, plain)]
    changed = {name.split(".")[-2] for name, tensor in weights[0].items() if not torch.equal(tensor, weights[1][name])}
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert [done for _, done, _, remark in told if remark == "simcse"] == list(range(1, 13))


def test_bad_options_and_logs(tmp_path, llama):
    for options, texts, told in (
        (UnsupervisedOptions(layer=9, whiten=6), TEXTS, "layers 1 to 2"),
        (UnsupervisedOptions(layer=1, whiten=64), TEXTS, "the backbone is 32 wide"),
        (OPTIONS, TEXTS[:6], "needs more than 6 texts, the log has 6"),
        (UnsupervisedOptions(layer=1, whiten=6, simcse_steps=1), TEXTS, "needs twice as many texts"),
    ):
        with pytest.raises(InputError, match=told):
            fit_teacher(llama, texts, options, tmp_path / "teacher", device="cpu")
    assert not (tmp_path / "teacher").exists()


def test_name_changes_with_what_the_teacher_is_made_of():
    names = {
        teacher_name("a", OPTIONS, TEXTS, 0),
        teacher_name("b", OPTIONS, TEXTS, 0),
        teacher_name("a", UnsupervisedOptions(), TEXTS, 0),
        teacher_name("a", OPTIONS, TEXTS[1:], 0),
        teacher_name("a", OPTIONS, TEXTS, 1),
    }
    assert len(names) == 5


@pytest.mark.parametrize("wrap", ["prompt", "echo", "plain", "answer"])
@pytest.mark.parametrize("bos", [True, False])
def test_the_limit_holds_for_all_that_is_read(tmp_path, wrap, bos):
    """Also once the folder is saved: tokenizers cuts each occurrence of the text for itself."""
    backbone = build_backbone(tmp_path / "backbone", "llama", bos=bos, chat=False)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    parts = {"prompt": [BEFORE, AFTER], "answer": [RESTATE]}.get(wrap, [])
    added = int(bos) + sum(len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in parts)
    added += 10 if wrap == "answer" else 0
    shortest = added + (2 if wrap == "echo" else 1)
    if shortest > 1:
        with pytest.raises(InputError, match=f"unsupervised.max_tokens is {shortest - 1}: .* give at least {shortest}"):
            make_reader(backbone, UnsupervisedOptions(layer=1, whiten=6, wrap=wrap, max_tokens=shortest - 1))
    for limit in (shortest, shortest + 7):
        module = make_reader(backbone, UnsupervisedOptions(layer=1, whiten=6, wrap=wrap, max_tokens=limit))[0]
        SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(tmp_path / f"{limit}"))
        for reader in (module, SentenceTransformer(str(tmp_path / f"{limit}"), device="cpu")):
            first, other = (reader.preprocess([text * 100])["input_ids"][0].tolist() for text in ("fox ", "bears "))
            assert limit - (2 if wrap == "echo" else 1) < len(first) <= limit
            assert len(other) <= limit
            assert first != other
