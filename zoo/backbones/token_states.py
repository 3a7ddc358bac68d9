"""States of a frozen backbone at the trained tokens that follow each text, with gradients towards these; packed or padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from genzoo.backbones.forward import (
    Memory,
    Segments,
    can_pack,
    flat_ids,
    input_scale,
    packed_states,
    pad_right,
    remember,
)


def token_states(
    model: Any,
    ids: Sequence[Sequence[int]],
    rows: Tensor,
    *,
    text_grad: bool = False,
    memory: Memory | None = None,
) -> Tensor:
    """Last hidden states at the trained tokens.

    Args:
        model: Causal LM, frozen but for a LoRA.
        ids: Token ids of each text, without the trained tokens.
        rows: ``(n, H)`` embedding rows of the trained tokens, as they stand in the embedding matrix.
        text_grad: Keep gradients through the text too, which a LoRA needs.
        memory: The texts' keys and values, where `remember` has them already.

    Returns:
        ``(batch, n, H)``, with gradients towards ``rows`` (and the LoRA) only.
    """
    appended = (rows * input_scale(model)).to(model.dtype)
    if can_pack(model):
        if text_grad:
            return _packed_with_text_grad(model, ids, appended)
        return _packed_token_states(model, ids, appended, memory or remember(model, ids))
    window = getattr(model.base_model.config, "sliding_window", None)
    if text_grad or (window and max(map(len, ids)) + len(rows) > window):
        return _whole_token_states(model, ids, appended)
    return _padded_token_states(model, ids, appended)


def _packed_token_states(model: Any, ids: Sequence[Sequence[int]], appended: Tensor, memory: Memory | None) -> Tensor:
    batch, (n, hidden) = len(ids), appended.shape
    segments = Segments([n] * batch, before=memory)
    return packed_states(model, appended.repeat(batch, 1), segments, [len(row) for row in ids]).view(batch, n, hidden)


def _packed_with_text_grad(model: Any, ids: Sequence[Sequence[int]], appended: Tensor) -> Tensor:
    n, lengths = len(appended), [len(row) for row in ids]
    with torch.no_grad():
        texts = model.get_input_embeddings()(flat_ids(ids, appended.device))
    pieces = [torch.cat([text, appended]) for text in texts.split(lengths)]
    wholes = [length + n for length in lengths]
    states = packed_states(model, torch.cat(pieces), Segments(wholes), [0] * len(ids))
    return torch.stack([part[-n:] for part in states.split(wholes)])


def _padded_token_states(model: Any, ids: Sequence[Sequence[int]], appended: Tensor) -> Tensor:
    batch, (n, _) = len(ids), appended.shape
    lengths = torch.tensor([len(row) for row in ids], device=appended.device)
    options: dict[str, Any] = {"position_ids": lengths[:, None] + torch.arange(n, device=appended.device)}
    if int(lengths.max()) > 0:
        padded, mask = pad_right(ids, appended.device)
        with torch.no_grad():
            cache = DynamicCache(config=model.config)
            model.base_model(input_ids=padded, attention_mask=mask, past_key_values=cache, use_cache=True)
        options["past_key_values"] = cache
        options["attention_mask"] = torch.cat([mask, mask.new_ones(batch, n)], dim=1)
    return model.base_model(inputs_embeds=appended.expand(batch, n, -1), use_cache=True, **options).last_hidden_state


def _whole_token_states(model: Any, ids: Sequence[Sequence[int]], appended: Tensor) -> Tensor:
    """One pass over texts and trained tokens, padded on the right, gradients everywhere."""
    n = len(appended)
    padded, mask = pad_right([[*row, *[0] * n] for row in ids], appended.device)
    with torch.no_grad():
        texts = model.get_input_embeddings()(padded)
    lengths = torch.tensor([len(row) for row in ids], device=mask.device)
    places = lengths[:, None] + torch.arange(n, device=mask.device)
    rows = torch.arange(len(ids), device=mask.device)[:, None]
    inputs = texts.index_put((rows, places), appended.expand(len(ids), n, -1))
    states = model.base_model(inputs_embeds=inputs, attention_mask=mask, use_cache=False).last_hidden_state
    return states[rows, places]
