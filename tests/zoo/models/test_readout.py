"""What is read from the tokens' states: whitened, turned, held back."""

import pytest
import torch

from genzoo.models.readout import of_states, of_teacher


def _regression(dim=4, texts=400):
    """``(9, 9)`` gram of random z ``(texts, 8)`` and a constant, weight and bias of a regression on them, and that z."""
    torch.manual_seed(0)
    z = (torch.randn(texts, 8) * torch.linspace(0.2, 3, 8) + 0.5).double()
    inputs = torch.cat([z, torch.ones(texts, 1).double()], dim=1)
    targets = z @ torch.randn(8, dim).double() + 0.1 * torch.randn(texts, dim).double()
    solution = torch.linalg.lstsq(inputs, targets).solution.T
    return inputs.T @ inputs, solution[:, :-1], solution[:, -1], z


@pytest.mark.parametrize("power", [0.0, 0.2, 0.5])
def test_partial_whitening_changes_the_spectrum_as_told(power):
    gram, weight, bias, z = _regression()
    plain = z @ weight.T + bias
    readout = of_teacher(gram, weight, bias, power)
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


def test_whitening_of_a_wide_teacher_leaves_empty_directions_empty():
    *regression, z = _regression(dim=12)  # wider than the backbone: at most 8 directions vary
    readout = of_teacher(*regression, 0.5)
    values = torch.linalg.eigvalsh((z @ readout.weight.T + readout.bias).T.cov())
    assert torch.isfinite(values).all()
    assert (values > 1e-6 * values[-1]).sum() <= 8


@pytest.mark.parametrize("power", [0.0, 0.3])
def test_shared_axes_put_first_what_queries_and_responses_have_in_common(power):
    *regression, z = _regression()
    readout = of_teacher(*regression, power)
    common = torch.linalg.pinv(readout.weight) @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    shared = torch.randn(400, 1).double() @ common[None]
    pairs = 0.1 * z + shared, 0.1 * z[torch.randperm(400)] + shared
    axes = readout.shared_axes(*pairs)
    assert torch.equal(readout.shared_axes(*pairs, width=2), axes[:2])
    assert torch.allclose(axes @ axes.T, torch.eye(4, dtype=torch.float64), atol=1e-12)
    direction = torch.nn.functional.normalize(readout.weight @ common, dim=0)
    assert float((axes[0] @ direction).abs()) == pytest.approx(1, abs=0.01)


def test_states_are_held_back_where_texts_differ_that_should_have_one_embedding():
    gram, _, _, z = _regression()
    noisy = torch.zeros(8, dtype=torch.float64)
    noisy[2] = 1.0
    pairs = z, z + torch.randn(400, 1).double() * noisy
    mean = z.mean(dim=0)
    plain, held = of_states(gram, [(*pairs, 0.0)]), of_states(gram, [(*pairs, 3.0), (z, z, 5.0)])
    assert torch.allclose(z @ plain.weight.T + plain.bias, z - mean, atol=1e-6)
    # all of the differences' variance lies in one of eight directions: there it is 8 where the mean is 1
    factors = torch.ones(8, dtype=torch.float64)
    factors[2] = (1 + 3.0 * 8) ** -0.5
    assert torch.allclose(z @ held.weight.T + held.bias, (z - mean) * factors, atol=1e-6)
