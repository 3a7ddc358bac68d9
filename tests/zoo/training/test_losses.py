"""The two losses equal their plain form."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from genzoo.training.losses import response_loss


@pytest.mark.parametrize("attention", ["sdpa", "eager"])  # without padding, and with
@pytest.mark.parametrize("scored", [None, [[0, 2], [0], [1]], [[1], [0], [0]]])
def test_response_loss_equals_the_plain_one(backbone, scored, attention):
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32, attn_implementation=attention)
    model.eval().requires_grad_(False)
    soft = (torch.randn(3, 4, 32) * 0.2).requires_grad_()
    responses = [[30, 31, 32, 2], [40], [50, 51]]
    lean = response_loss(model, soft, responses, scored)
    total, count = 0.0, 0
    for place, (prompt, ids) in enumerate(zip(soft, responses, strict=True)):
        inputs = torch.cat([prompt, model.get_input_embeddings()(torch.tensor(ids))])[None]
        picked = torch.tensor(scored[place] if scored else range(len(ids)))
        logits = model(inputs_embeds=inputs).logits[0, 3 : 3 + len(ids)][picked]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(ids)[picked], reduction="sum")
        count += len(picked)
    plain = total / count
    assert abs(float((lean - plain).detach())) < 1e-5
    lean_gradient = torch.autograd.grad(lean, soft)[0]
    plain_gradient = torch.autograd.grad(plain, soft)[0]
    assert (lean_gradient - plain_gradient).abs().max() <= 1e-3 * plain_gradient.abs().max()


def test_sliced_logits_change_nothing(backbone, monkeypatch):
    from genzoo.training import losses

    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32).eval().requires_grad_(False)
    soft = (torch.randn(2, 3, 32) * 0.2).requires_grad_()
    responses = [list(range(20, 45)), list(range(60, 70))]
    whole = torch.autograd.grad(response_loss(model, soft, responses), soft)[0]
    monkeypatch.setattr(losses, "LOGIT_NUMBERS", 8 * model.config.vocab_size)
    sliced = torch.autograd.grad(response_loss(model, soft, responses), soft)[0]
    assert (whole - sliced).abs().max() <= 1e-4 * whole.abs().max()
