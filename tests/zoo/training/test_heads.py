"""What is trained folds into the method's form, partly whitened or not."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genzoo.errors import TrainingError
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.readout import PATIENCE, of_teacher
from genzoo.training.heads import TokenHeads


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


def test_folded_tensors_hold_the_partial_whitening():
    heads, _ = _trained_heads()
    states = torch.randn(5, 3, 8).double() * 3
    folded = {name: tensor.double() for name, tensor in heads.fold(_readout(heads, 0.3, scale=2.0)).items()}
    got = (states @ folded["recon_weight"].T + folded["recon_bias"]).mean(dim=1) @ folded["align_weight"].T
    z = ((states - heads.mean) / heads.scale).mean(dim=1)
    readout = _readout(heads, 0.3)
    assert torch.allclose(got + folded["align_bias"], (z @ readout.weight.T + readout.bias) / 2.0, atol=1e-4)


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
    head = readout.policy_head(torch.from_numpy(read), -2.0, 0.3)
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
