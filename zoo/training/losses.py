"""The two losses of the method, alignment with the teacher's target and reconstruction of the response."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genzoo.backbones.forward import Segments, can_pack, flat_ids, packed_states, pad_right, rows_per_pass

LOGIT_NUMBERS = 1 << 24
"""Logits held at once: 64 MB in float32, 341 response positions of a vocabulary of 49,152."""

GRADIENT_TOKENS = 384
"""Tokens of a pass whose gradient is made at once: as fast as a whole batch of 16 in one pass, in 1.4 GB less."""


def alignment_loss(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error per dimension between ``(batch, D)`` embeddings and targets (paper: alignment loss)."""
    return (embeddings - targets).square().mean()


def response_loss(
    model: Any,
    soft_prompts: Tensor,
    responses: Sequence[Sequence[int]],
    scored: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Next-token loss of the responses given only the soft prompts (paper: reconstruction loss), in nats per token.

    On a CPU the gradient towards the soft prompts is made here, pass by pass: no more activations are held than one pass has.

    Args:
        model: Frozen causal LM.
        soft_prompts: ``(batch, n, H)``.
        responses: Token ids of each response, none of them empty.
        scored: Places in each response whose tokens are scored, ascending and at least one; None scores all. Logits, a fifth
            of the work of a small LLM, are made for no others.

    Returns:
        Scalar: the mean over all scored tokens of the batch.
    """
    if scored is None:
        scored = [range(len(row)) for row in responses]
    # What comes after the last one that is scored changes nothing.
    responses = [row[: places[-1] + 1] for row, places in zip(responses, scored, strict=True)]
    count = sum(map(len, scored))
    if not can_pack(model):
        return _scored_loss(model, _padded(model, soft_prompts, responses), responses, scored) / count
    rows = rows_per_pass([soft_prompts.shape[1] + len(row) for row in responses], GRADIENT_TOKENS)
    parts = [_PassLoss.apply(soft_prompts[part], model, responses[part], scored[part]) for part in rows]
    return torch.stack(parts).sum() / count


def _scored_loss(
    model: Any, states: Tensor, responses: Sequence[Sequence[int]], scored: Sequence[Sequence[int]]
) -> Tensor:
    """Summed loss of the scored places, from the states of all ``(tokens, H)``."""
    labels = flat_ids(responses, states.device)
    starts = accumulate(map(len, responses), initial=0)
    places = [start + place for start, row in zip(starts, scored, strict=False) for place in row]
    if len(places) < len(labels):
        picked = torch.tensor(places, device=states.device)
        states, labels = states[picked], labels[picked]
    return token_loss(model, states, labels)


class _PassLoss(torch.autograd.Function):
    """Summed loss of the responses of one pass; its gradient is made at once, and its activations are let go."""

    @staticmethod
    def forward(
        ctx: Any,
        soft_prompts: Tensor,
        model: Any,
        responses: Sequence[Sequence[int]],
        scored: Sequence[Sequence[int]],
    ) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        with torch.set_grad_enabled(wanted):
            leaf = soft_prompts.detach().requires_grad_(wanted)
            total = _scored_loss(model, _packed(model, leaf, responses), responses, scored)
        ctx.gradient = torch.autograd.grad(total, leaf)[0] if wanted else None
        return total.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        return ctx.gradient * gradients[0], None, None, None


@torch.no_grad()
def response_sums(model: Any, soft_prompts: Tensor, responses: Sequence[Sequence[int]]) -> Tensor:
    """Summed nats of each response by itself, ``(batch,)``: what `response_loss` is the mean of."""
    labels = flat_ids(responses, soft_prompts.device)
    states = (_packed if can_pack(model) else _padded)(model, soft_prompts, responses)
    lengths = [len(row) for row in responses]
    parts = zip(states.split(lengths), labels.split(lengths), strict=True)
    return torch.stack([token_loss(model, part, label) for part, label in parts])


def _packed(model: Any, soft_prompts: Tensor, responses: Sequence[Sequence[int]]) -> Tensor:
    """States that predict the response tokens, ``(tokens, H)``."""
    n = soft_prompts.shape[1]
    # The last token predicts nothing: it is never fed.
    shorter = [row[:-1] for row in responses]
    with torch.no_grad():
        fed = model.get_input_embeddings()(flat_ids(shorter, soft_prompts.device))
    texts = fed.split([len(row) for row in shorter])
    pieces = [part for pair in zip(soft_prompts.to(fed.dtype), texts, strict=True) for part in pair]
    lengths = [n + len(row) for row in shorter]
    states = packed_states(model, torch.cat(pieces), Segments(lengths), [0] * len(lengths))
    return torch.cat([part[n - 1 :] for part in states.split(lengths)])


def _padded(model: Any, soft_prompts: Tensor, responses: Sequence[Sequence[int]]) -> Tensor:
    n = soft_prompts.shape[1]
    padded, mask = pad_right(responses, soft_prompts.device)
    with torch.no_grad():
        fed = model.get_input_embeddings()(padded[:, :-1])
    inputs = torch.cat([soft_prompts.to(fed.dtype), fed], dim=1)
    attention = torch.cat([mask.new_ones(len(responses), n), mask[:, :-1]], dim=1)
    states = model.base_model(inputs_embeds=inputs, attention_mask=attention, use_cache=False).last_hidden_state
    return states[:, n - 1 :][mask.bool()]


def token_loss(model: Any, states: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy of ``(tokens, H)`` states; the logits of all positions are never held together."""
    head = model.get_output_embeddings()
    cap = getattr(model.base_model.config, "final_logit_softcapping", None)
    return _TokenLoss.apply(states, labels, head, cap)


class _TokenLoss(torch.autograd.Function):
    """Makes the gradient towards the states while it has the logits at hand, so that they are computed once and not kept."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, labels: Tensor, head: Any, cap: float | None) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(states) if wanted else None
        total = states.new_zeros((), dtype=torch.float32)
        size = max(1, LOGIT_NUMBERS // head.weight.shape[0])
        # On a CPU one buffer serves all slices, and the softmax takes the logits' place: new memory costs a sixth of their time.
        is_exact = states.dtype == torch.float32 and not torch.is_autocast_enabled(states.device.type)
        is_held = states.device.type == "cpu" and is_exact
        held = states.new_empty(min(size, len(labels)), head.weight.shape[0]) if is_held else None
        for start in range(0, len(labels), size):
            part, label = states[start : start + size], labels[start : start + size, None]
            logits = _logits(part, head, held)
            slope = None
            if cap:
                logits = torch.tanh_(logits.div_(cap))
                slope = 1 - logits.square()
                logits.mul_(cap)
            wanted_logits = logits.gather(1, label)
            if gradient is None:
                total += (logits.logsumexp(dim=1, keepdim=True) - wanted_logits).sum()
                continue
            # d loss / d logits = softmax - one-hot. One softmax gives both: the likeliest token's share never underflows.
            best, place = logits.max(dim=1, keepdim=True)
            shares = torch.softmax(logits, dim=1, out=None if held is None else logits)
            total += (best - shares.gather(1, place).log() - wanted_logits).sum()
            shares.scatter_add_(1, label, -torch.ones_like(best))
            shares = shares if slope is None else shares.mul_(slope)
            gradient[start : start + size] = shares.to(head.weight.dtype) @ head.weight
        ctx.gradient = gradient
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        return (ctx.gradient * gradients[0]).to(ctx.gradient.dtype), None, None, None


def _logits(states: Tensor, head: Any, held: Tensor | None) -> Tensor:
    """Float32 logits ``(tokens, vocabulary)``, in the memory that is held for them if there is any."""
    if held is None:
        return functional.linear(states, head.weight, head.bias).float()
    logits = torch.mm(states, head.weight.t(), out=held[: len(states)])
    return logits if head.bias is None else logits.add_(head.bias)
