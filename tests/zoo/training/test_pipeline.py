import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest_builders import SENTENCES
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.generation import Query, TransformersEngine
from genzoo.errors import TrainingError, ZooError
from genzoo.jobs import reporting_to
from genzoo.models.assembly import assemble
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.recipes.recipes import LossOptions, OptimOptions, Recipe, ResponseOptions, ViewOptions, override
from genzoo.training.heads import TokenHeads
from genzoo.training.pipeline import TrainingRun
from genzoo.training.responses import generate_responses, read_responses

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES)]


@pytest.fixture
def recipe(backbone, tiny_teacher):
    return Recipe(
        "test",
        str(backbone),
        str(tiny_teacher),
        n_compression=3,
        n_thought=1,
        max_tokens=64,
        response=ResponseOptions(max_new_tokens=6),
        views=ViewOptions(answer=0.5, document=0.2, meaning=0.2, topic=0.1, unprompted=0.5, long=0.5),
        losses=LossOptions(recon_share=0.5, recon_tokens=8),
        optim=OptimOptions(steps=30, batch=4, warmup=2, lr_rows=1e-2, lr_recon=1e-2, align_first=2, align_memory=20),
    )


def _run(recipe, folder, **options):
    return TrainingRun(recipe, QUERIES, folder, device="cpu", batch_size=4, **options)


def test_whole_pipeline_learns_and_folds(recipe, backbone, tmp_path):
    run = _run(recipe, tmp_path)
    checkpoint = run.train()
    history = [json.loads(line) for line in (tmp_path / "tokens" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == list(range(1, 31))
    recon = [line["recon"] for line in history if line["recon"] is not None]
    assert history[0]["recon"] is None
    assert np.mean(recon[-5:]) < np.mean(recon[:5])
    assert TokenCheckpoint.load(tmp_path / "checkpoint").digest() == checkpoint.digest()
    assert checkpoint.default_prompt_name is None
    _, held = run.split(run.responses())
    assert ("controls" in checkpoint.info) == (len(held) > 1)
    # The folded five tensors give what the heads gave in training.
    from genzoo.training.trainer import TokenTrainer

    examples = run.examples()
    trainer = TokenTrainer(
        recipe, *run.causal_lm, examples, run.targets([e.target for e in examples]), tmp_path / "tokens"
    )
    assert trainer.restore()
    batch = examples[:5]
    from genzoo.backbones.token_states import token_states

    with torch.no_grad():
        embeddings, _ = trainer.heads(token_states(trainer.model, trainer.text_ids(batch), trainer.heads.rows))
    model = assemble(replace(checkpoint, unit_length=False), backbone, device="cpu")
    got = model.encode([one.text for one in batch]) * trainer.target_scale
    assert np.abs(got - embeddings.numpy()).max() < 1e-3 * np.abs(got).max()


def test_shared_axes_turn_the_embedding_and_nothing_else(recipe, backbone, tmp_path):
    recipe = override(recipe, {"optim.steps": 8, "optim.partial_whitening": 0.3, "views.as_query": 0.2})
    queries = [Query(f"q{place}", f"{SENTENCES[place % len(SENTENCES)]} {place}") for place in range(30)]
    folders = {"teacher": tmp_path / "plain", "shared": tmp_path / "turned"}
    plain, made = (
        TrainingRun(override(recipe, {"optim.axes": axes}), queries, folder, device="cpu").train()
        for axes, folder in folders.items()
    )
    turned = TokenCheckpoint.load(tmp_path / "turned" / "checkpoint")
    assert (plain.axes, plain.default_prompt_name) == (None, "query")
    texts = [query.text for query in QUERIES]
    before, after = (
        torch.tensor(assemble(one, backbone, device="cpu").encode(texts, prompt_name="query")).double()
        for one in (plain, turned)
    )
    assert torch.allclose(turned.in_teacher_space(after), before, atol=1e-4 * float(before.abs().max()))
    assert torch.allclose(after @ after.T, before @ before.T, rtol=1e-3)
    turned_half, half = (one.var(dim=0)[: one.shape[1] // 2].sum() for one in (after, before))
    assert turned_half > half
    for name in ("cosine_own", "top1", "recon_own", "decoded"):
        assert turned.info["controls"][name] == pytest.approx(plain.info["controls"][name], abs=1e-4)
    assert replace(made, axes=None).in_teacher_space(after) is None, (
        "an exported folder does not know how it was turned"
    )
    assert replace(made, axes=None).digest() == made.digest()


def test_states_as_embeddings_are_nearer_under_another_prompt(recipe, backbone, tmp_path):
    changes = {"optim.steps": 8, "optim.axes": "shared", "optim.readout": "states", "optim.dimensions": 12}
    queries = [Query(f"q{place}", f"{SENTENCES[place % len(SENTENCES)]} {place}") for place in range(30)]
    passages = [f"{text} That is so." for text in SENTENCES]
    nearness = {}
    for strength in (0.0, 20.0):
        made = override(recipe, changes | {"optim.even_prompts": strength, "optim.even_pairs": 0.0})
        folder = tmp_path / f"run-{strength}"
        folder.mkdir()
        TrainingRun(made, queries, folder, device="cpu").train()
        checkpoint = TokenCheckpoint.load(folder / "checkpoint")
        assert (checkpoint.dim, checkpoint.axes) == (12, None)
        assert checkpoint.in_teacher_space(torch.zeros(1, 12)) is None
        assert checkpoint.info["controls"]["top1"] is None
        assert checkpoint.info["controls"]["decoded"] is not None
        model = assemble(checkpoint, backbone, device="cpu")
        own, careless = (model.encode(passages, prompt_name=name) for name in ("document", "query"))
        nearness[strength] = float((own * careless).sum(axis=1).mean())
    assert nearness[20.0] > nearness[0.0]


def test_stopped_run_goes_on_bit_equal(recipe, tmp_path):
    whole = _run(recipe, tmp_path / "whole").train()

    class StopError(Exception):
        pass

    def stop(stage, done, total, remark):
        if stage == "training" and done == 27:  # two steps after a saved state
            raise StopError

    with pytest.raises(StopError), reporting_to(stop):
        _run(recipe, tmp_path / "cut").train()
    resumed = _run(recipe, tmp_path / "cut").train()
    assert resumed.digest() == whole.digest()
    lines = (tmp_path / "cut" / "tokens" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 31))


def test_last_phase_follows_the_first_and_its_rows_the_alignment_alone(recipe, tmp_path):
    from genzoo.training.trainer import TokenTrainer

    longer = override(recipe, {"optim.steps": 40, "optim.align_last": 10})
    checkpoint = _run(longer, tmp_path / "longer").train()
    _run(recipe, tmp_path / "first").train()
    first, whole = (
        [json.loads(line) for line in (tmp_path / name / "tokens" / "history.jsonl").read_text().splitlines()]
        for name in ("first", "longer")
    )
    for before, after in zip(first, whole, strict=False):
        # Not bit-equal: the teacher embeds the two runs' targets in other batches.
        assert before["align"] == pytest.approx(after["align"], rel=1e-4)
        assert (before["recon"] or 0) == pytest.approx(after["recon"] or 0, rel=1e-4)
    assert whole[-1]["step"] == whole[-1]["steps"] == 40

    run = _run(longer, tmp_path / "longer")
    examples = run.examples()
    trainer = TokenTrainer(
        longer, *run.causal_lm, examples, run.targets([e.target for e in examples]), tmp_path / "longer" / "tokens"
    )
    assert trainer.restore()
    assert torch.equal(trainer.heads.rows.cpu(), checkpoint.rows)

    def gradients(recon, last):
        """Of the 31st step, which is the first phase's last where the other has 9."""
        trainer.recipe = override(longer, {"losses.recon": recon, "optim.align_last": last})
        trainer.backward(examples[:4], 30)
        return trainer.heads.rows.grad.clone(), trainer.heads.recon.weight.grad.clone()

    rows, projection = gradients(1.0, 10)
    assert torch.equal(rows, gradients(5.0, 10)[0])  # not the reconstruction's
    assert not torch.allclose(rows, gradients(1.0, 9)[0], rtol=1e-2)
    assert torch.equal(projection, gradients(1.0, 9)[1])  # its projection learns on


def test_last_reconstruction_phase_leaves_the_embedding_alone(recipe, tmp_path):
    longer = override(recipe, {"optim.steps": 40, "optim.recon_last": 10})
    before, after = (_run(one, tmp_path / str(one.optim.steps)).train() for one in (recipe, longer))
    assert torch.equal(after.rows, before.rows)
    states = torch.randn(6, 32)

    def embed(checkpoint):
        soft = states @ checkpoint.recon_weight.T + checkpoint.recon_bias
        return soft, soft @ checkpoint.align_weight.T + checkpoint.align_bias

    (soft, embeddings), (other_soft, other_embeddings) = embed(before), embed(after)
    # Not bit-equal: the teacher embeds the two runs' targets in other batches.
    assert (embeddings - other_embeddings).abs().max() <= 1e-3 * embeddings.abs().max()
    assert (soft - other_soft).abs().max() > 0.05 * soft.abs().max()
    history = [json.loads(line) for line in (tmp_path / "40" / "tokens" / "history.jsonl").read_text().splitlines()]
    assert all(row["recon"] and row["align"] for row in history[30:])


def test_stop_in_the_middle_of_a_step_goes_on_bit_equal(recipe, tmp_path, monkeypatch):
    whole = _run(recipe, tmp_path / "whole").train()
    solve, calls = TokenHeads.solve_alignment, []

    def interrupted(self, ridge):
        calls.append(1)
        if len(calls) == 28:  # the rows have moved, the step is not counted yet
            raise KeyboardInterrupt
        solve(self, ridge)

    monkeypatch.setattr(TokenHeads, "solve_alignment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(recipe, tmp_path / "cut").train()
    assert _run(recipe, tmp_path / "cut").train().digest() == whole.digest()


@pytest.mark.parametrize("changes", [{"optim.align_last": 10}, {"optim.align_last": 5, "optim.recon_last": 5}])
def test_stop_in_the_last_phase_goes_on_bit_equal(recipe, tmp_path, changes):
    longer = override(recipe, changes)
    whole = _run(longer, tmp_path / "whole").train()

    def stop(stage, done, total, remark):
        if stage == "training" and done == 27:
            raise KeyboardInterrupt  # saves step 27

    with pytest.raises(KeyboardInterrupt), reporting_to(stop):
        _run(longer, tmp_path / "cut").train()
    assert _run(longer, tmp_path / "cut").train().digest() == whole.digest()


def test_nothing_is_answered_before_everything_is_at_hand(recipe, tmp_path):
    for changes, told in (({"teacher": "nosuch"}, "unknown teacher"), ({"backbone": "/nosuch/dir"}, "no folder")):
        with pytest.raises(ZooError, match=told):
            _run(override(recipe, changes), tmp_path).train()
    assert not any(tmp_path.iterdir())


def test_state_of_another_run_is_refused(recipe, tmp_path):
    _run(recipe, tmp_path).train()
    with pytest.raises(TrainingError, match="another run"):
        _run(replace(recipe, seed=7), tmp_path).train()


def test_finished_stages_load_no_model(recipe, tmp_path, monkeypatch):
    _run(recipe, tmp_path).train()
    from genzoo.training import pipeline

    monkeypatch.setattr(pipeline, "load_causal_lm", lambda *a: pytest.fail("loaded the backbone"))
    monkeypatch.setattr(pipeline, "load_teacher", lambda *a: pytest.fail("loaded the teacher"))
    run = _run(recipe, tmp_path)
    assert len(run.responses()) == len(read_responses(tmp_path / "responses.jsonl"))
    run.targets([one.target for one in run.examples()])


def test_nan_stops_with_the_step_and_the_last_good_state_goes_on(recipe, tmp_path, monkeypatch):
    from genzoo.training.trainer import TokenTrainer

    backward = TokenTrainer.backward

    def broken(self, batch, step):
        align, recon, pooled = backward(self, batch, step)
        return (align * float("nan") if step == 27 else align), recon, pooled

    monkeypatch.setattr(TokenTrainer, "backward", broken)
    with pytest.raises(
        TrainingError, match=r"the alignment loss became nan at step 27 \(batch starts with .*state of step 25 is kept"
    ):
        _run(recipe, tmp_path / "broken").train()
    monkeypatch.undo()
    assert _run(recipe, tmp_path / "broken").train().digest() == _run(recipe, tmp_path / "whole").train().digest()


def test_responses_survive_a_kill_at_any_byte(backbone, tmp_path):
    path = tmp_path / "responses.jsonl"
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    engine = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=5))
    whole = generate_responses(QUERIES, tmp_path, lambda: engine, batch_size=4)
    data = path.read_bytes()
    for cut in range(1, len(data), len(data) // 7):
        path.write_bytes(data[:cut])
        assert generate_responses(QUERIES, tmp_path, lambda: engine, batch_size=4) == whole
        ids = [row.id for row in read_responses(path)]
        assert sorted(ids) == sorted(query.id for query in QUERIES)


def test_batched_responses_equal_single_ones(backbone, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    engine = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=6))
    batched = generate_responses(QUERIES, tmp_path / "b", lambda: engine, batch_size=8)
    single = generate_responses(QUERIES, tmp_path / "s", lambda: engine, batch_size=1)
    assert batched == single


def test_damaged_responses_are_named(tmp_path):
    path = tmp_path / "responses.jsonl"
    path.write_text('{"id": "a"}\n{"id": "b", "query": "q", "response": "r", "finish_reason": "stop", "n_tokens": 1}\n')
    with pytest.raises(TrainingError, match="line 1 is damaged"):
        read_responses(path)


def test_full_disk_keeps_the_last_good_state(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    from genzoo.training import state

    kept = state.StateFolder(tmp_path, {"recipe": "a"})
    kept.save({"x": torch.ones(3)}, {"step": "25"})

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(
        TrainingError, match=r"the last saved state is kept: No space left on device: free some space; then run"
    ):
        kept.save({"x": torch.zeros(3)}, {"step": "50"})
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    tensors, facts = kept.load()
    assert (facts["step"], tensors["x"].sum()) == ("25", 3)
    (tmp_path / "state.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="is damaged"):
        kept.load()
