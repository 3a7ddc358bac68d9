"""The lean forward pass: one frozen backbone, the text without gradients, gradients only where the trained tokens stand.

It is exact: the trained tokens come last and attention is causal, so the states of the text depend on nothing that is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


def freeze(model: Any) -> Any:
    """Put a backbone in evaluation mode and take all its gradients away."""
    return model.eval().requires_grad_(False)


def pad_right(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both ``(batch, longest)``, padded on the right with zeros."""
    longest = max(len(row) for row in ids)
    padded = torch.zeros(len(ids), longest, dtype=torch.long)
    mask = torch.zeros(len(ids), longest, dtype=torch.long)
    for place, row in enumerate(ids):
        padded[place, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[place, : len(row)] = 1
    return padded.to(device), mask.to(device)


def token_states(model: Any, ids: Sequence[Sequence[int]], rows: Tensor) -> Tensor:
    """Last hidden states at the trained tokens.

    Args:
        model: Frozen causal LM.
        ids: Token ids of each text, without the trained tokens.
        rows: ``(n, H)`` embeddings of the trained tokens.

    Returns:
        ``(batch, n, H)``, with gradients towards ``rows`` only.
    """
    batch, (n, _) = len(ids), rows.shape
    appended = rows.to(model.dtype).expand(batch, n, -1)
    lengths = torch.tensor([len(row) for row in ids], device=rows.device)
    positions = lengths[:, None] + torch.arange(n, device=rows.device)
    options: dict[str, Any] = {"position_ids": positions}
    if int(lengths.max()) > 0:
        padded, mask = pad_right(ids, rows.device)
        with torch.no_grad():
            cache = DynamicCache(config=model.config)
            model.base_model(input_ids=padded, attention_mask=mask, past_key_values=cache, use_cache=True)
        options["past_key_values"] = cache
        options["attention_mask"] = torch.cat([mask, mask.new_ones(batch, n)], dim=1)
    return model.base_model(inputs_embeds=appended, use_cache=True, **options).last_hidden_state
