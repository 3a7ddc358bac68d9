"""What is trained folds into the method's form, partly whitened or not."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genzoo.errors import TrainingError
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.policies.reading import RefusalReading
from genzoo.training.heads import TokenHeads
from genzoo.training.readout import PATIENCE, of_states, of_teacher


def test_fold_refuses_a_singular_projection():
    heads = TokenHeads(torch.randn(3, 8), 3, 4, 0.1)
    with torch.no_grad():
        heads.recon.weight[0] = 0
    with pytest.raises(TrainingError, match="singular"):
        heads.fold(_readout(heads))


def _trained_heads(dim=4, texts=400):
    """Heads with uneven statistics, an alignment solved on ``texts`` random states, and those states' ``(texts, 8)`` z."""
    torch.manual_seed(0)
    heads = TokenHeads(torch.randn(3, 8), 3, dim, 0.1)
    heads.start_from(torch.randn(texts, 3, 8) * torch.arange(1, 9) + 2, None, 0.0)
    z = torch.randn(texts, 8) * torch.linspace(0.2, 3, 8) + 0.5
    heads.remember(z, z @ torch.randn(8, dim) + 0.1 * torch.randn(texts, dim), keep=1.0)
    heads.solve_alignment(1.0)
    return heads, z.double()


def _readout(heads, power=0.0, scale=1.0):
    """What reads the teacher's embedding from ``z``."""
    weight, bias = (part.detach().double() / scale for part in (heads.align.weight, heads.align.bias))
    return of_teacher(heads.gram, weight, bias, power)


@pytest.mark.parametrize("power", [0.0, 0.2, 0.5])
def test_partial_whitening_changes_the_spectrum_as_told(power):
    heads, z = _trained_heads()
    plain = z @ heads.align.weight.double().T + heads.align.bias.double()
    readout = _readout(heads, power)
    got = z @ readout.weight.T + readout.bias
    assert torch.allclose(readout.moment, got.T @ got / len(got), rtol=1e-5)
    if not power:
        assert torch.equal(got, plain)
        return
    assert got.mean(dim=0).abs().max() <= 1e-9
    before, after = torch.linalg.eigvalsh(plain.T.cov()), torch.linalg.eigvalsh(got.T.cov())
    expected = before.pow(1 - 2 * power)
    assert torch.allclose(after, expected * before.sum() / expected.sum(), rtol=1e-6)
    change = torch.linalg.lstsq(plain - plain.mean(dim=0), got).solution
    assert torch.allclose(change, change.T, atol=1e-8), (
        "the map is symmetric: the embedding stays in the teacher's space"
    )


def test_folded_tensors_hold_the_partial_whitening():
    heads, _ = _trained_heads()
    states = torch.randn(5, 3, 8).double() * 3
    folded = {name: tensor.double() for name, tensor in heads.fold(_readout(heads, 0.3, scale=2.0)).items()}
    got = (states @ folded["recon_weight"].T + folded["recon_bias"]).mean(dim=1) @ folded["align_weight"].T
    z = ((states - heads.mean) / heads.scale).mean(dim=1)
    readout = _readout(heads, 0.3)
    assert torch.allclose(got + folded["align_bias"], (z @ readout.weight.T + readout.bias) / 2.0, atol=1e-4)


def test_whitening_of_a_wide_teacher_leaves_empty_directions_empty():
    heads, z = _trained_heads(dim=12)  # wider than the backbone: at most 8 directions vary
    readout = _readout(heads, 0.5)
    values = torch.linalg.eigvalsh((z @ readout.weight.T + readout.bias).T.cov())
    assert torch.isfinite(values).all()
    assert (values > 1e-6 * values[-1]).sum() <= 8


@pytest.mark.parametrize("power", [0.0, 0.3])
def test_shared_axes_put_first_what_queries_and_responses_have_in_common(power):
    heads, z = _trained_heads()
    readout = _readout(heads, power)
    common = torch.linalg.pinv(readout.weight) @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    shared = torch.randn(400, 1).double() @ common[None]
    pairs = 0.1 * z + shared, 0.1 * z[torch.randperm(400)] + shared
    axes = readout.shared_axes(*pairs)
    assert torch.equal(readout.shared_axes(*pairs, width=2), axes[:2])
    assert torch.allclose(axes @ axes.T, torch.eye(4, dtype=torch.float64), atol=1e-12)
    direction = torch.nn.functional.normalize(readout.weight @ common, dim=0)
    assert float((axes[0] @ direction).abs()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("power", [0.0, 0.35])
@pytest.mark.parametrize("is_turned", [False, True])
def test_policy_moves_refused_queries_along_an_axis_and_changes_nothing_else(power, is_turned):
    torch.manual_seed(0)
    heads = TokenHeads(torch.randn(3, 8), 3, 6, 0.1)
    heads.start_from(torch.randn(700, 3, 8) + 2, None, 0.0)
    z, place = torch.randn(700, 8), torch.arange(700)
    queries, refused = place < 400, place >= 300
    z[:, 6] = queries
    z[:, 7] = refused.float() - 0.1 * torch.rand(700)
    heads.remember(z, z[:, :5] @ torch.randn(5, 6), keep=1.0)  # one direction is empty
    heads.solve_alignment(1e-3)
    read = np.zeros(8)
    read[6], read[7] = 2, 1  # what is no query is read as far from refused
    scale = 4.0
    readout = _readout(heads, power, scale)
    head = readout.policy_head(RefusalReading(read, -2.0, 1.0, np.zeros(0)), 0.3)
    axis, length = readout.policy_axis()
    plain = z.double() @ readout.weight.T + readout.bias
    assert length == pytest.approx(float(plain.square().sum(dim=1).mean().sqrt()), rel=0.01)
    turn = readout.shared_axes(z[400:], z[400:], policy_first=True) if is_turned else torch.eye(6).double()
    assert torch.allclose(turn @ turn.T, torch.eye(6, dtype=torch.float64), atol=1e-9)
    if is_turned:
        assert float((turn[0] @ axis).abs()) == pytest.approx(1, abs=1e-9)
    axes = turn if is_turned else None
    folded = heads.fold(readout, axes, head) | {"policy": heads.fold_policy(head, axes)}
    states = z.double() * heads.scale + heads.mean
    checkpoint = SimpleNamespace(**folded)
    checkpoint._refusal = partial(TokenCheckpoint._refusal, checkpoint)
    soft = states @ folded["recon_weight"].double().T + folded["recon_bias"]
    got = TokenCheckpoint.aligned(checkpoint, soft) @ turn
    along = got @ axis / length
    assert along[:300].tolist() == pytest.approx([0] * 300, abs=1e-4)
    moved = 0.3 * (z[300:400, 7] - PATIENCE)
    assert along[300:400].tolist() == pytest.approx(moved.tolist(), abs=1e-4)
    assert along[400:].tolist() == pytest.approx([0] * 300, abs=1e-4)  # no queries, however refused they look
    rest = torch.eye(6, dtype=torch.float64) - torch.outer(axis, axis)
    assert torch.allclose(got @ rest, plain @ rest, atol=1e-4)


def test_states_are_held_back_where_texts_differ_that_should_have_one_embedding():
    heads, z = _trained_heads()
    noisy = torch.zeros(8, dtype=torch.float64)
    noisy[2] = 1.0
    pairs = z, z + torch.randn(400, 1).double() * noisy
    mean = z.mean(dim=0)
    plain, held = of_states(heads.gram, [(*pairs, 0.0)]), of_states(heads.gram, [(*pairs, 3.0), (z, z, 5.0)])
    assert torch.allclose(z @ plain.weight.T + plain.bias, z - mean, atol=1e-6)
    # all of the differences' variance lies in one of eight directions: there it is 8 where the mean is 1
    factors = torch.ones(8, dtype=torch.float64)
    factors[2] = (1 + 3.0 * 8) ** -0.5
    assert torch.allclose(z @ held.weight.T + held.bias, (z - mean) * factors, atol=1e-6)
