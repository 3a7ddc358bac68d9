"""The states at the trained tokens, and the gradients towards them, are those of the plain pass."""

import torch
from conftest_builders import TEXTS
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones import forward
from genzoo.backbones import token_states as module
from genzoo.backbones.forward import freeze
from genzoo.backbones.token_states import token_states
from genzoo.backbones.tokenizer import plain_ids


def test_packed_padded_and_single_passes_agree(family, monkeypatch):
    """Also where a text is longer than the sliding window, where it is empty, and where several begin alike or are equal."""
    model = freeze(AutoModelForCausalLM.from_pretrained(family, dtype=torch.float32))
    rows = (torch.randn(3, 32) * 0.2).requires_grad_()
    ids = [[5, 6, 7, 8], [40, 41, 42] * 8, [9], [5, 6, 7, 2, 1], [40, 41, 42] * 8]
    weight = torch.randn(len(ids), 3, 32)

    def outcome(states):
        return states.detach(), torch.autograd.grad((states * weight).sum(), rows)[0]

    single = []
    for text in ids:
        embedded = model.get_input_embeddings()(torch.tensor(text))
        inputs = torch.cat([embedded, rows * forward.input_scale(model)])[None]
        single.append(model.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state[0, -3:])
    truth = outcome(torch.stack(single))
    found = [outcome(token_states(model, ids, rows)), outcome(token_states(model, ids, rows, text_grad=True))]
    monkeypatch.setattr(module, "can_pack", lambda model: False)
    found += [outcome(token_states(model, ids, rows)), outcome(token_states(model, ids, rows, text_grad=True))]
    for states, gradient in found:
        assert (states - truth[0]).abs().max() < 1e-4
        assert (gradient - truth[1]).abs().max() < 1e-3 * truth[1].abs().max()


def test_lean_forward_equals_the_plain_one(backbone):
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32).eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    rows = (torch.randn(4, 32) * 0.2).requires_grad_()
    ids = plain_ids(tokenizer, TEXTS)
    lean = token_states(model, ids, rows)
    plain = []
    for row in ids:
        inputs = torch.cat([model.get_input_embeddings()(torch.tensor(row, dtype=torch.long)), rows])[None]
        plain.append(model.base_model(inputs_embeds=inputs).last_hidden_state[0, -4:])
    plain = torch.stack(plain)
    assert (lean - plain).abs().max() < 1e-5
    weights = torch.randn_like(lean)
    lean_gradient = torch.autograd.grad((lean * weights).sum(), rows)[0]
    plain_gradient = torch.autograd.grad((plain * weights).sum(), rows)[0]
    assert (lean_gradient - plain_gradient).abs().max() <= 1e-3 * plain_gradient.abs().max()
