"""Rounded products: which layers, how near, what is refused; and a run in bfloat16 from the command to the board, for every family."""

import json
import logging

import numpy as np
import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint
from torch import nn

import genzoo
from genzoo.backbones import precision
from genzoo.backbones.precision import (
    ROUNDED,
    RoundedLinear,
    can_round,
    damped,
    precision_of,
    round_products,
    try_bfloat16,
)
from genzoo.errors import FailedRunsError, InputError
from genzoo.models.assembly import policy_axis
from genzoo.models.decoding import Decoder
from genzoo.models.loading import find_checkpoint

TEXTS = ["where do polar bears live", "", "the quick brown fox " * 12]


def make_model(backbone, folder):
    """A run's folder over a tiny backbone, and its model."""
    build_checkpoint(backbone).save(folder / "checkpoint")
    return genzoo.load(folder, device="cpu")


@pytest.fixture
def model(llama, tmp_path):
    return make_model(llama, tmp_path)


def test_a_product_is_rounded_and_its_bias_is_not():
    linear = nn.Linear(64, 32)
    with torch.no_grad():
        linear.bias.fill_(1000.37)  # as large as the biases of Qwen2's keys
    inputs = torch.randn(5, 64)
    got = RoundedLinear(linear)(inputs)
    exact = inputs.bfloat16().double() @ linear.weight.detach().bfloat16().double().T + linear.bias.double()
    assert got.dtype == torch.float32
    assert 0 < (got - exact).abs().max() < 0.02  # of the product alone; the bias itself would be rounded by up to 2
    linear.bias = None
    got = RoundedLinear(linear, is_rounded_later=True)(inputs)
    assert got.dtype == torch.bfloat16
    assert torch.equal(got.float(), RoundedLinear(linear)(inputs))


def test_first_layer_keys_and_values_stay_and_all_comes_back(family, tmp_path):
    model = make_model(family, tmp_path)
    body, before = model[0].model, model.encode(TEXTS)
    undo = round_products(body)
    rounded = {name for name, part in body.named_modules() if isinstance(part, RoundedLinear)}
    kinds = ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    assert rounded == {f"layers.1.{kind}" for kind in kinds}
    kept = {name for name in rounded if body.get_submodule(name).is_rounded_later}
    assert kept == {"layers.1.mlp.gate_proj", "layers.1.mlp.up_proj"}
    assert precision_of(model) == ROUNDED
    assert not np.array_equal(model.encode(TEXTS), before)
    undo()
    assert precision_of(model) == "float32"
    assert np.array_equal(model.encode(TEXTS), before)


def cosines(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_every_family_runs_in_bfloat16_from_end_to_end(family, tmp_path, caplog):
    """Scores, records, a second run that measures nothing, and one in float32 that measures again."""
    model = make_model(family, tmp_path / "run")
    exact = model.encode(TEXTS)
    try_bfloat16(model, TEXTS, is_asked_for=True)
    assert cosines(model.encode(TEXTS), exact).min() > 0.995
    assert np.abs(model.encode(TEXTS, batch_size=1) - model.encode(TEXTS)).max() < 0.05 * np.abs(exact).max()

    def run(asked):
        caplog.clear()
        results = genzoo.evaluate(
            tmp_path / "run", "GenZooMiniSTS", output=tmp_path / "out", precision=asked, evidence=False
        )
        (path,) = (tmp_path / "out" / "environment").glob("*/*.json")
        record = json.loads((path.with_suffix("") / "GenZooMiniSTS.json").read_text())
        return json.loads(path.read_text())["dtype"], record["precision"], results.to_frame()

    caplog.set_level(logging.INFO, "genzoo")
    dtype, recorded, first = run("bfloat16")
    assert (dtype, recorded) == (ROUNDED, ROUNDED)
    for asked in ("bfloat16", "auto"):
        assert run(asked)[0] == ROUNDED
        assert "measured again" not in caplog.text
    dtype, recorded, second = run("float32")
    assert (dtype, recorded) == ("float32", "float32")
    assert "another precision was asked for" in caplog.text
    assert run("auto")[0] == "float32"  # it goes on as the folder began
    assert not first.equals(second)


def test_auto_takes_bfloat16_where_it_pays_and_is_near_enough(model, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "genzoo")
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert not try_bfloat16(model, TEXTS)  # a tiny backbone gains nothing
    monkeypatch.setattr(precision, "LARGE", 0)
    monkeypatch.setattr(precision, "ENOUGH", 1.01)
    assert not try_bfloat16(model, TEXTS)
    assert precision_of(model) == "float32"
    assert "float32, as in bfloat16 its embeddings" in caplog.text
    monkeypatch.setattr(precision, "ENOUGH", 0.99)
    assert try_bfloat16(model, TEXTS)
    assert not can_round(model)  # it is done


def test_the_axis_of_a_policy_counts_a_quarter(llama, tmp_path, monkeypatch, caplog):
    """By the arithmetic, in both libraries; and a model with a policy is tried so."""
    axis, rows = torch.tensor([0.0, 3.0]), torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    for found in (damped(rows, axis), torch.from_numpy(damped(rows.numpy(), axis.numpy()))):
        assert torch.allclose(found, torch.tensor([[0.6, 0.2], [1.0, 0.0]]))
    assert torch.equal(damped(rows[:, :1], axis), rows[:, :1])  # the axis is in the dimension that was cut off
    wide = torch.ones(2, 3)
    assert torch.equal(damped(wide, axis), wide)
    assert torch.equal(damped(rows, None), rows)

    caplog.set_level(logging.INFO, "genzoo")
    for name, value in (("LARGE", 0), ("ENOUGH", 0.9), ("has_bfloat16", lambda: True)):
        monkeypatch.setattr(precision, name, value)
    for has_policy in (False, True):
        checkpoint = build_checkpoint(llama, has_policy=has_policy)
        checkpoint.save(tmp_path / str(has_policy))
        model = genzoo.load(tmp_path / str(has_policy), device="cpu", dtype="auto")
        assert ("their policy's axis counted a quarter" in caplog.text) == has_policy
        axis = policy_axis(model)
        assert torch.equal(axis, checkpoint.policy["direction"]) if has_policy else axis is None


def test_no_instructions_no_bfloat16(model, monkeypatch):
    monkeypatch.setattr(precision, "LARGE", 0)
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert not try_bfloat16(model, TEXTS)


def test_load_takes_auto(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "LARGE", 0)
    monkeypatch.setattr(precision, "ENOUGH", 0.9)
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    make_model(llama, tmp_path)
    assert precision_of(genzoo.load(tmp_path, device="cpu", dtype="auto")) == ROUNDED


def test_a_rounded_backbone_does_not_decode(tmp_path):
    backbone = build_backbone(tmp_path / "tied", tied=True)
    model, checkpoint = make_model(backbone, tmp_path / "run"), find_checkpoint(tmp_path / "run")
    round_products(model[0].model)
    assert Decoder.over(checkpoint, backbone, model) is None


def test_a_model_that_genzoo_does_not_run_is_left_as_it_is(tiny_teacher, tmp_path):
    genzoo.evaluate(tiny_teacher, "GenZooMiniSTS", output=tmp_path, precision="bfloat16", evidence=False)
    (path,) = (tmp_path / "environment").glob("*/*.json")
    assert json.loads(path.read_text())["dtype"] == "float32"


def test_results_of_two_precisions_are_recorded_as_such(llama, tmp_path):
    """The same model, one task in each; what follows is in float32, as on a machine without the instructions."""
    make_model(llama, tmp_path / "run")
    for asked, task in (
        ("bfloat16", "GenZooMiniSTS"),
        ("float32", "GenZooMiniReasoningRetrieval"),
        ("auto", "GenZooMiniRetrieval"),
    ):
        genzoo.evaluate(tmp_path / "run", task, output=tmp_path / "out", precision=asked, evidence=False)
    (path,) = (tmp_path / "out" / "environment").glob("*/*.json")
    assert json.loads(path.read_text())["dtype"] == "bfloat16 products and float32"
    found = {one.stem: json.loads(one.read_text())["precision"] for one in path.with_suffix("").glob("*.json")}
    assert found == {
        "GenZooMiniSTS": ROUNDED,
        "GenZooMiniReasoningRetrieval": "float32",
        "GenZooMiniRetrieval": "float32",
    }


def test_what_cannot_be_is_refused(llama, tmp_path, monkeypatch):
    make_model(llama, tmp_path / "run")
    with pytest.raises(InputError, match="precision is 'int8': give auto, float32 or bfloat16"):
        genzoo.evaluate(tmp_path / "run", "GenZooMiniSTS", output=tmp_path / "out", precision="int8")
    monkeypatch.setattr(precision, "can_round", lambda model: False)  # as on a GPU
    with pytest.raises(FailedRunsError, match="cannot multiply in bfloat16"):
        genzoo.evaluate(
            tmp_path / "run", "GenZooMiniSTS", output=tmp_path / "out", precision="bfloat16", evidence=False
        )
