"""Each switch of a recipe does what it says, on a tiny model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest_builders import SENTENCES
from sentence_transformers import SentenceTransformer

import genzoo
from genzoo.backbones.generation import Query
from genzoo.errors import CheckpointError, InputError
from genzoo.jobs import reporting_to
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.exported import export
from genzoo.models.loading import load_decoder
from genzoo.recipes.recipes import (
    LossOptions,
    OptimOptions,
    Recipe,
    ResponseOptions,
    override,
)
from genzoo.training.examples import scored_places
from genzoo.training.pipeline import TrainingRun
from genzoo.training.trainer import ENOUGH, TokenTrainer

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES * 2)]


@pytest.fixture
def recipe(llama, tiny_teacher):
    return Recipe(
        "options",
        str(llama),
        str(tiny_teacher),
        n_compression=3,
        max_tokens=64,
        response=ResponseOptions(max_new_tokens=5),
        losses=LossOptions(recon_tokens=8),
        optim=OptimOptions(steps=5, batch=4, warmup=1, lr_rows=1e-2, lr_recon=1e-2),
    )


def _trained(recipe, folder):
    checkpoint = TrainingRun(recipe, QUERIES, folder, device="cpu", batch_size=16).train()
    rows = [json.loads(line) for line in (folder / "tokens" / "history.jsonl").read_text().splitlines()]
    return checkpoint, rows


def _trainer(recipe, folder):
    run = TrainingRun(recipe, QUERIES, folder, device="cpu", batch_size=16)
    examples = run.examples()
    targets = run.targets([one.target for one in examples])
    trainer = TokenTrainer(recipe, *run.causal_lm, examples, targets, folder / "tokens")
    trainer.warm_start()
    return trainer


def _gradients(trainer):
    trainer.backward(trainer.batches[0], 0)
    return {name: p.grad.clone() for name, p in trainer.heads.named_parameters() if p.grad is not None}


def test_alignment_only(recipe, tmp_path):
    checkpoint, rows = _trained(override(recipe, {"losses.recon": 0}), tmp_path)
    assert all(row["recon"] is None and row["align"] is not None for row in rows)
    # What nothing trains stays where it starts: soft prompts are the normalised states, scaled.
    off_diagonal = checkpoint.recon_weight - torch.diag(checkpoint.recon_weight.diagonal())
    assert off_diagonal.abs().max() == 0


def test_reconstruction_only_needs_no_teacher(recipe, tmp_path, monkeypatch):
    from genzoo.training import pipeline

    monkeypatch.setattr(pipeline, "load_teacher", lambda *a: pytest.fail("loaded a teacher"))
    checkpoint, rows = _trained(override(recipe, {"losses.align": 0}), tmp_path)
    assert all(row["align"] is None and row["recon"] > 0 for row in rows)
    assert checkpoint.dim == checkpoint.hidden_size
    assert torch.equal(checkpoint.align_weight, torch.eye(checkpoint.hidden_size))
    assert checkpoint.info["controls"]["cosine_own"] is None


@pytest.mark.parametrize(("thought", "compression"), [(0, 1), (0, 5), (0, 10), (2, 3)])
def test_number_of_tokens(recipe, tmp_path, thought, compression):
    checkpoint, _ = _trained(replace(recipe, n_thought=thought, n_compression=compression), tmp_path)
    assert checkpoint.rows.shape[0] == thought + compression
    assert (checkpoint.spec.n_thought, checkpoint.spec.n_compression) == (thought, compression)
    assert genzoo.load(str(tmp_path), device="cpu").encode(["a fox"]).shape == (1, 12)


@pytest.mark.parametrize("source", ["echo", "none"])
def test_response_source_without_generation(recipe, tmp_path, monkeypatch, source):
    from genzoo.training import pipeline

    monkeypatch.setattr(pipeline, "make_engine", lambda *a: pytest.fail("generated"))
    _, rows = _trained(override(recipe, {"response.source": source}), tmp_path)
    run = TrainingRun(override(recipe, {"response.source": source}), QUERIES, tmp_path, device="cpu")
    assert all(one.target == one.text.removeprefix("Write the answer to this: ") for one in run.examples())
    assert all((row["recon"] is None) == (source == "none") for row in rows)


def test_micro_batches_change_no_gradient(recipe, tmp_path):
    whole = _gradients(_trainer(recipe, tmp_path))
    parts = _gradients(_trainer(override(recipe, {"optim.micro_batch": 1}), tmp_path))
    assert set(whole) == set(parts) == {"rows", "recon.weight", "recon.bias", "align.weight", "align.bias"}
    for name, gradient in whole.items():
        assert (gradient - parts[name]).abs().max() <= 1e-3 * gradient.abs().max()


def test_share_of_positions_is_the_whole_loss_on_average(recipe, tmp_path):
    """Drawn anew at every step, for each example by itself, so that neither micro-batches nor processes change it."""
    half = override(recipe, {"losses.recon_positions": 0.5})
    drawn = [scored_places(half, step, 1, 8) for step in range(400)]
    assert {len(places) for places in drawn} == {4}
    assert all(places == sorted(set(places)) for places in drawn)
    counts = [sum(place in places for places in drawn) for place in range(8)]
    assert all(160 <= count <= 240 for count in counts)  # 200 expected; 4 standard deviations
    assert scored_places(half, 0, 1, 1) == [0]
    assert scored_places(recipe, 0, 1, 3) == [0, 1, 2]
    whole, parts = (
        _gradients(_trainer(override(half, {"optim.micro_batch": size}), tmp_path / str(size))) for size in (0, 1)
    )
    full = _gradients(_trainer(recipe, tmp_path / "full"))
    for name, gradient in whole.items():
        assert (gradient - parts[name]).abs().max() <= 1e-3 * gradient.abs().max()
    assert not torch.equal(whole["recon.weight"], full["recon.weight"])
    assert torch.equal(whole["align.weight"], full["align.weight"])


def test_gradients_equal_the_plain_way(recipe, tmp_path):
    """Against the loss written down naively: gradients through everything, one text at a time, full logits."""
    trainer = _trainer(recipe, tmp_path)
    lean, batch, model = _gradients(trainer), trainer.batches[0], trainer.model
    embed, heads = model.get_input_embeddings(), trainer.heads
    wanted, losses, count, aligned = trainer.target_rows(batch), 0.0, 0, 0.0
    for place, (text, answer) in enumerate(
        zip(trainer.text_ids(batch), trainer.response_ids(batch, trainer.recipe.losses.recon_tokens), strict=True)
    ):
        inputs = torch.cat([embed(torch.tensor(text)), heads.rows])[None]
        embedding, z = heads(model(inputs_embeds=inputs, output_hidden_states=True).hidden_states[-1][:, -3:])
        aligned = aligned + (embedding[0] - wanted[place]).square().mean() / len(batch)
        fed = torch.cat([heads.soft_prompts(z)[0], embed(torch.tensor(answer))])[None]
        logits = model(inputs_embeds=fed).logits[0, 2 : 2 + len(answer)]
        losses = losses + torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum")
        count += len(answer)
    names, parameters = zip(*heads.named_parameters(), strict=True)
    plain = dict(zip(names, torch.autograd.grad(aligned + losses / count, parameters), strict=True))
    for name, gradient in plain.items():
        assert (gradient - lean[name]).abs().max() <= 1e-3 * gradient.abs().max(), name


def test_gradient_check_tells_good_from_bad(recipe, tmp_path, monkeypatch):
    trainer = _trainer(recipe, tmp_path)
    found = trainer.check_gradients()
    assert set(found) == {"rows", "recon.weight", "recon.bias", "align.weight", "align.bias"}
    assert not trainer.is_bfloat16
    assert all(p.grad is None for p in trainer.heads.parameters())
    backward = TokenTrainer.backward

    def noisy(self, batch, step):
        made = backward(self, batch, step)
        if self.is_bfloat16:
            self.heads.rows.grad = torch.randn_like(self.heads.rows)
        return made

    monkeypatch.setattr(TokenTrainer, "backward", noisy)
    bad = trainer.check_gradients()
    assert bad["rows"] < ENOUGH
    # Without any rounding the check passes.
    monkeypatch.setattr(TokenTrainer, "autocast", lambda self: torch.autocast("cpu", enabled=False))
    monkeypatch.setattr(TokenTrainer, "backward", backward)
    assert min(trainer.check_gradients().values()) >= ENOUGH


def test_lora_trains_saves_loads_and_decodes(recipe, tmp_path, llama):
    changed = override(recipe, {"lora.rank": 2, "lora.lr": 0.05})
    checkpoint, _ = _trained(changed, tmp_path)
    assert any(tensor.abs().max() > 0 for name, tensor in checkpoint.lora.items() if name.endswith(".up"))
    assert TokenCheckpoint.load(tmp_path / "checkpoint").digest() == checkpoint.digest()
    assert replace(checkpoint, lora={}).digest() != checkpoint.digest()
    texts = ["where do foxes live", "a library keeps books"]
    embeddings = genzoo.load(str(tmp_path), device="cpu").encode_query(texts)
    readings = load_decoder(str(tmp_path), device="cpu").read(texts, max_new_tokens=3)
    assert np.abs(np.array([one.embedding for one in readings]) - embeddings).max() < 1e-3 * np.abs(embeddings).max()
    without = replace(checkpoint, lora={}).save(tmp_path / "without")
    assert np.abs(genzoo.load(str(without), device="cpu").encode_query(texts) - embeddings).max() > 1e-3
    with pytest.raises(CheckpointError, match="--merge"):
        export(checkpoint, llama, tmp_path / "small", "adapter", name="x")
    # Stopped and resumed: the low-rank changes and their moments are part of the state.
    assert _trained(changed, tmp_path)[0].digest() == checkpoint.digest()


def test_tokens_read_half_way_are_trained_at_that_layer(recipe, tmp_path, llama):
    """With a LoRA below it; resumed runs are bit-equal, and the layers above have no part in the encoding pass."""
    changed = override(recipe, {"exit_layer": 1, "lora.rank": 2, "lora.lr": 0.05})
    trainer = _trainer(changed, tmp_path / "first")
    assert trainer.heads.mean.abs().max() > 0
    with torch.no_grad():
        states = trainer.states(trainer.batches[0])
        for parameter in trainer.model.base_model.layers[1].parameters():
            parameter.mul_(3)
        assert torch.equal(trainer.states(trainer.batches[0]), states)
    checkpoint, _ = _trained(changed, tmp_path / "whole")
    assert {name.split(".")[1] for name in checkpoint.lora} == {"0"}
    assert checkpoint.digest() != replace(checkpoint, exit_layer=0).digest()

    def stop(stage, done, total, remark):
        if stage == "training" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), reporting_to(stop):
        _trained(changed, tmp_path / "cut")
    assert _trained(changed, tmp_path / "cut")[0].digest() == checkpoint.digest()
    texts = ["where do foxes live", "a library keeps books"]
    embeddings = genzoo.load(str(tmp_path / "whole"), device="cpu").encode_query(texts)
    merged = SentenceTransformer(str(export(checkpoint, llama, tmp_path / "merged", "merged", name="x")), device="cpu")
    assert np.abs(merged.encode_query(texts) - embeddings).max() < 1e-5 * max(1, np.abs(embeddings).max())
    decoder = load_decoder(str(tmp_path / "whole"), device="cpu")
    readings = decoder.read(texts, max_new_tokens=3)
    assert np.abs(np.array([one.embedding for one in readings]) - embeddings).max() < 1e-3 * np.abs(embeddings).max()
    assert len(decoder.model.base_model.layers) == 2  # the whole LLM decodes


def test_lora_of_unknown_projection(recipe, tmp_path):
    with pytest.raises(InputError, match=r"no projection is named xyz: this backbone has .*q_proj"):
        _trained(override(recipe, {"lora.rank": 2, "lora.modules": "xyz"}), tmp_path)
