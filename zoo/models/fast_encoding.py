"""Encoding without padding, in place of the stock way of sentence-transformers, on a CPU.

A batch of texts of mixed length is mostly padding, so on a CPU most of its time is spent on nothing. Packed, a batch costs what
its real tokens cost; tokens that all texts begin with (the prompt) are computed once. Both are exact: attention is causal, so the
states of a text depend on nothing after it, and the prompt's states on no text.

Only the trained tokens' states leave the backbone, which is what the following modules pool. The model's class and what it saves
stay those of sentence-transformers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.backbones.forward import Memory, Segments, can_pack, packed_states, rows_per_pass

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def pack(model: SentenceTransformer, n_tokens: int) -> SentenceTransformer:
    """Make a generative embedder encode without padding when it is on a CPU.

    Changes the model in place and returns it. Its embeddings stay the same up to rounding, its files the same exactly; only
    ``output_value="token_embeddings"`` then gives the states of the trained tokens alone. A backbone of a family that packing
    is not checked on is encoded in the stock way.

    Args:
        model: A model made by `genzoo.models.assembly.assemble`.
        n_tokens: Trained tokens at the end of every text.
    """
    module: Any = model[0]
    # An attribute of the instance: the class, whose name is saved in modules.json, stays the library's.
    module.forward = functools.partial(_forward, module, n_tokens)
    return model


def _forward(module: Any, n_tokens: int, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    ids, mask = features["input_ids"], features["attention_mask"].bool()
    is_right_padded = bool(mask[:, 0].all()) and not bool((mask[:, 1:] & ~mask[:, :-1]).any())
    if module.model.training or not is_right_padded or not can_pack(module.model):
        return type(module).forward(module, features, **kwargs)
    lengths = mask.sum(dim=1)
    shared = _shared_tokens(ids, int(lengths.min()) - n_tokens)
    rest = (lengths - shared).tolist()
    memory = _remember(module.model, ids[0, :shared])
    states = []
    for rows in rows_per_pass(rest):
        own = ids[rows, shared:][mask[rows, shared:]]
        states.append(_last_states(module.model, own, rest[rows], memory, shared, n_tokens))
    features[module.module_output_name] = torch.cat(states)
    features["input_ids"] = ids[torch.arange(len(ids))[:, None], lengths[:, None] + torch.arange(-n_tokens, 0)]
    features["attention_mask"] = torch.ones_like(features["input_ids"])
    return features


def _remember(model: Any, shared: Tensor) -> Memory | None:
    """Keys and values of the tokens that all texts begin with; None where there are none."""
    if not len(shared):
        return None
    memory: Memory = {}
    packed_states(model, model.get_input_embeddings()(shared), Segments([len(shared)], kept=memory), [0])
    return memory


def _last_states(model: Any, ids: Tensor, lengths: list[int], memory: Memory | None, start: int, n: int) -> Tensor:
    """The last `n` states ``(texts, n, H)`` of packed texts that look back on the same memory."""
    before = {layer: own * len(lengths) for layer, own in memory.items()} if memory else None
    embeddings = model.get_input_embeddings()(ids)
    states = packed_states(model, embeddings, Segments(lengths, before=before), [start] * len(lengths))
    ends = torch.tensor(lengths).cumsum(0)[:, None]
    return states[(ends + torch.arange(-n, 0)).to(states.device)]


def _shared_tokens(ids: Tensor, limit: int) -> int:
    """How many leading columns of ``(batch, length)`` are equal in all rows, at most `limit`; 0 where it would not pay."""
    if len(ids) < 2 or limit < 1:
        return 0
    differs = (ids[:, :limit] != ids[:1, :limit]).any(dim=0)
    found = int(differs.int().argmax()) if bool(differs.any()) else limit
    return found if found > 2 else 0
