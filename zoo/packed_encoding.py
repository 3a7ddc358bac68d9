"""Encoding without padding: the texts of a batch stand one after another, and each attends to itself alone.

A batch of texts of mixed length is mostly padding, so on a CPU most of its time is spent on nothing. Packed, a batch costs what
its real tokens cost; tokens that all texts begin with (the prompt) are computed once. Both are exact: attention is causal, so the
states of a text depend on nothing after it, and the prompt's states on no text.

Only the trained tokens' states leave the backbone, which is what the following modules pool. The model's class and what it saves
stay those of sentence-transformers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NAME = "genzoo_packed_encoding"
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma3_text", "smollm3")
"""Backbones whose attention this is checked against; all others take the stock way."""


@dataclass(frozen=True)
class Layout:
    """Where the texts of a packed row stand.

    Attributes:
        shared: Tokens that all texts begin with; they stand once, in front.
        lengths: Tokens of each text after those.
    """

    shared: int
    lengths: tuple[int, ...]

    @property
    def total(self) -> int:
        """Tokens of the row."""
        return self.shared + sum(self.lengths)

    def positions(self, device: torch.device) -> Tensor:
        """``(1, total)``: the place of each token in its own text."""
        parts = [torch.arange(self.shared), *(torch.arange(self.shared, self.shared + n) for n in self.lengths)]
        return torch.cat(parts).to(device)[None]

    def last(self, n: int, device: torch.device) -> Tensor:
        """``(batch, n)``: the places of each text's last n tokens in the row."""
        ends = torch.tensor(self.lengths).cumsum(0) + self.shared
        return (ends[:, None] + torch.arange(-n, 0)).to(device)


def pack(model: SentenceTransformer, n_tokens: int) -> SentenceTransformer:
    """Make a generative embedder encode without padding when it is on a CPU.

    Changes the model in place and returns it. Its embeddings stay the same up to rounding, its files the same exactly; only
    ``output_value="token_embeddings"`` then gives the states of the trained tokens alone. A backbone of a family that this is
    not checked on is left as it is.

    Args:
        model: A model made by `genzoo.assembly.assemble`.
        n_tokens: Trained tokens at the end of every text.
    """
    module: Any = model[0]
    config = module.model.config.get_text_config()
    if config.model_type in FAMILIES and module.model.config._attn_implementation == "sdpa":
        module.model.config._attn_implementation = NAME
        # An attribute of the instance: the class, whose name is saved in modules.json, stays the library's.
        module.forward = functools.partial(_forward, module, n_tokens)
    return model


def is_packed(model: SentenceTransformer) -> bool:
    """Whether `pack` took effect."""
    return isinstance(getattr(model[0], "forward", None), functools.partial)


def _forward(module: Any, n_tokens: int, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    ids, mask = features["input_ids"], features["attention_mask"].bool()
    is_right_padded = bool(mask[:, 0].all()) and not bool((mask[:, 1:] & ~mask[:, :-1]).any())
    if ids.device.type != "cpu" or module.model.training or not is_right_padded:
        return type(module).forward(module, features, **kwargs)
    lengths = mask.sum(dim=1)
    shared = _shared_tokens(ids, int(lengths.min()) - n_tokens)
    layout = Layout(shared, tuple((lengths - shared).tolist()))
    rest = ids[:, shared:][mask[:, shared:]]
    states = module.model(
        input_ids=torch.cat([ids[0, :shared], rest])[None],
        position_ids=layout.positions(ids.device),
        # four dimensions tell transformers that the mask is made already; packed attention knows its layout instead
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool),
        use_cache=False,
        packed_layout=layout,
    ).last_hidden_state[0]
    places = layout.last(n_tokens, ids.device)
    row = torch.cat([ids[0, :shared], rest])
    features[module.module_output_name] = states[places]
    features["input_ids"] = row[places]
    features["attention_mask"] = torch.ones_like(places)
    return features


def _shared_tokens(ids: Tensor, limit: int) -> int:
    """How many leading columns of ``(batch, length)`` are equal in all rows, at most `limit`; 0 where it would not pay."""
    if len(ids) < 2 or limit < 1:
        return 0
    differs = (ids[:, :limit] != ids[:1, :limit]).any(dim=0)
    found = int(differs.int().argmax()) if bool(differs.any()) else limit
    return found if found > 2 else 0


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    packed_layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each text and towards the tokens that all texts begin with.

    Args:
        module: The attention layer.
        query: ``(1, heads, total, head dimension)``.
        key: ``(1, key heads, total, head dimension)``.
        value: As `key`.
        attention_mask: Not used when packed.
        scaling: Of the scores.
        sliding_window: How far back a token looks, itself included.
        packed_layout: Where the texts stand; without it this is transformers' own attention.
        kwargs: Passed on to that.

    Returns:
        ``(1, total, heads, head dimension)``, and no attention weights.
    """
    if packed_layout is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, sliding_window=sliding_window, **kwargs
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    out = torch.empty_like(query)

    def attend(start: int, stop: int, before: int) -> None:
        """Let the tokens from start to stop see themselves and the first `before` tokens of the row."""
        mask = None
        if before or (sliding_window and stop - start > sliding_window):
            mask = _mask(stop - start, before, sliding_window)
        seen_k, seen_v = key[:, :, start:stop], value[:, :, start:stop]
        if before:
            seen_k = torch.cat([key[:, :, :before], seen_k], dim=2)
            seen_v = torch.cat([value[:, :, :before], seen_v], dim=2)
        out[:, :, start:stop] = scaled_dot_product_attention(
            query[:, :, start:stop], seen_k, seen_v, attn_mask=mask, is_causal=mask is None, scale=scaling
        )

    start = packed_layout.shared
    if start:
        attend(0, start, 0)
    for length in packed_layout.lengths:
        attend(start, start + length, packed_layout.shared)
        start += length
    return out.transpose(1, 2).contiguous(), None


@functools.lru_cache(maxsize=1024)
def _mask(length: int, shared: int, window: int | None) -> Tensor:
    """Boolean ``(length, shared + length)``: which tokens each token of a text may look at."""
    own, other = torch.arange(shared, shared + length)[:, None], torch.arange(shared + length)[None]
    seen = other <= own
    return seen if window is None else seen & (own - other < window)


AttentionInterface.register(NAME, packed_attention)
# an unpacked call of the same model has the masks that sdpa has
AttentionMaskInterface.register(NAME, sdpa_mask)
