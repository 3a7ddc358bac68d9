"""Every family's way from a query log to a decoded embedding, on a tiny random model of the real architecture class."""

import json
from dataclasses import replace

import numpy as np
from conftest_builders import SENTENCES
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import genzoo
from genzoo.backbones.generation import Query
from genzoo.backbones.tokenizer import is_spare, spare_rows
from genzoo.models.exported import export, read_exported
from genzoo.models.loading import load_decoder
from genzoo.recipes.recipes import LossOptions, OptimOptions, Recipe, ResponseOptions, UnsupervisedOptions
from genzoo.training.pipeline import TrainingRun

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES * 2)]


def _recipe(family):
    return Recipe(
        "family",
        str(family),
        "unsupervised",
        n_compression=3,
        n_thought=1,
        max_tokens=64,
        response=ResponseOptions(max_new_tokens=5),
        losses=LossOptions(recon_share=0.5, recon_tokens=8),
        optim=OptimOptions(steps=6, batch=4, warmup=1, lr_rows=1e-2, lr_recon=1e-2, align_first=1, align_memory=20),
        unsupervised=UnsupervisedOptions(layer=1, whiten=8, fit_texts=32, max_tokens=128),
    )


def test_from_log_to_decoded_embedding(family, tmp_path):
    run = TrainingRun(_recipe(family), QUERIES, tmp_path, device="cpu", batch_size=8)
    checkpoint = run.train()
    rows = [json.loads(line) for line in (tmp_path / "tokens" / "history.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert all(np.isfinite(row["align"]) for row in rows)
    assert checkpoint.dim == 8
    model = genzoo.load(str(tmp_path), device="cpu")
    texts = ["where do foxes live", "a much longer text about the river bank and the library that keeps books", "x"]
    together = model.encode_query(texts)
    assert np.abs(together - np.stack([model.encode_query(text) for text in texts])).max() < 1e-4
    small = SentenceTransformer(str(export(checkpoint, family, tmp_path / "small", "adapter", name="x")), device="cpu")
    assert np.abs(small.encode_query(texts) - together).max() < 1e-4 * np.abs(together).max()
    readings = load_decoder(str(tmp_path), device="cpu").read(texts, max_new_tokens=4)
    assert np.abs(np.array([one.embedding for one in readings]) - together).max() < 1e-3 * np.abs(together).max()
    assert all(isinstance(one.decoded, str) for one in readings)


def test_from_log_to_exports_of_the_first_layers_alone(family, tmp_path):
    """What is trained at an exit layer is loaded by stock libraries and decoded by the whole LLM."""
    checkpoint = TrainingRun(
        replace(_recipe(family), exit_layer=1), QUERIES, tmp_path, device="cpu", batch_size=8
    ).train()
    assert (checkpoint.exit_layer, checkpoint.depth) == (1, "layer 1 of 2")
    model = genzoo.load(str(tmp_path), device="cpu")
    assert len(model[0].model.layers) == 1
    texts = ["where do foxes live", "a much longer text about the river bank and the library that keeps books", "x"]
    wanted = model.encode_query(texts)
    for form in ("merged", "adapter"):
        folder = export(checkpoint, family, tmp_path / form, form, name="x")
        stock = SentenceTransformer(str(folder), device="cpu")
        assert len(stock[0].model.layers) == 1
        assert np.abs(stock.encode_query(texts) - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())
        assert (
            np.abs(genzoo.load(folder, device="cpu").encode_query(texts) - wanted).max() < 1e-5 * np.abs(wanted).max()
        )
        assert read_exported(folder).digest() == checkpoint.digest()
        readings = load_decoder(str(folder), device="cpu").read(texts, max_new_tokens=4)
        assert np.abs(np.array([one.embedding for one in readings]) - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert AutoConfig.from_pretrained(tmp_path / "merged").num_hidden_layers == 1
    assert (tmp_path / "merged/model.safetensors").stat().st_size < (family / "model.safetensors").stat().st_size


def test_spare_rows_are_nothing_that_text_can_become(family):
    tokenizer = AutoTokenizer.from_pretrained(family)
    size = AutoModelForCausalLM.from_pretrained(family).get_input_embeddings().num_embeddings
    assert len(spare_rows(tokenizer, size, (), 10)) == 10
    ordinary = tokenizer("fox", add_special_tokens=False)["input_ids"][0]
    assert not is_spare(tokenizer, ordinary, size)
    assert not is_spare(tokenizer, size, size)  # beyond the embedding matrix
    if tokenizer.bos_token_id is not None:
        assert not is_spare(tokenizer, tokenizer.bos_token_id, size)
    if tokenizer.chat_template:
        assert not is_spare(tokenizer, tokenizer.convert_tokens_to_ids("<|im_start|>"), size)
