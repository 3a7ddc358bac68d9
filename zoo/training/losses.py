"""The two losses of the method: alignment with the teacher's target, reconstruction of the response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from genzoo.forward import pad_right

LOGIT_ROWS = 512
"""Response positions whose logits are held at once: 512 rows of 50,000 logits are 100 MB."""


def alignment_loss(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error per dimension between ``(batch, D)`` embeddings and targets (paper: alignment loss)."""
    return (embeddings - targets).square().mean()


def response_loss(model: Any, soft_prompts: Tensor, responses: Sequence[Sequence[int]]) -> Tensor:
    """Next-token loss of the responses given only the soft prompts (paper: reconstruction loss), in nats per token.

    Args:
        model: Frozen causal LM.
        soft_prompts: ``(batch, n, H)``.
        responses: Token ids of each response, none of them empty.

    Returns:
        Scalar: the mean over all response tokens of the batch.
    """
    n = soft_prompts.shape[1]
    padded, mask = pad_right(responses, soft_prompts.device)
    with torch.no_grad():
        # The last token predicts nothing: it is never fed.
        fed = model.get_input_embeddings()(padded[:, :-1])
    inputs = torch.cat([soft_prompts.to(fed.dtype), fed], dim=1)
    attention = torch.cat([mask.new_ones(len(responses), n), mask[:, :-1]], dim=1)
    states = model.base_model(inputs_embeds=inputs, attention_mask=attention, use_cache=False).last_hidden_state
    keep = mask.bool()
    return _token_loss(model, states[:, n - 1 :][keep], padded[keep]) / keep.sum()


def _token_loss(model: Any, states: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy, a slice of positions at a time; logits are made again in the backward pass, not kept."""
    head: nn.Module = model.get_output_embeddings()

    def loss_of(part: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(head(part).float(), wanted, reduction="sum")

    parts = zip(states.split(LOGIT_ROWS), labels.split(LOGIT_ROWS), strict=True)
    if len(states) <= LOGIT_ROWS or not torch.is_grad_enabled():
        return torch.stack([loss_of(part, wanted) for part, wanted in parts]).sum()
    return torch.stack([checkpoint(loss_of, part, wanted, use_reentrant=False) for part, wanted in parts]).sum()
