"""The lean forward pass of a frozen backbone: texts one after the other in one row, without padding; to train and to encode.

In training the text is computed without gradients; gradients flow only through the trained tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from genzoo.compute import fast_products, small_products

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NAME = "genzoo_packed"
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma3_text", "smollm3")
"""Architectures whose attention this is checked against; all others take the padded way."""
TOKENS_PER_PASS = 512
"""More give a processor nothing to gain, and cost memory and its caches."""
Memory = dict[int, list[tuple[Tensor, Tensor]]]
"""Layer -> keys and values of each text, ``(1, heads, length, head dim)``."""


@dataclass
class Segments:
    """Where the texts lie in the row.

    Attributes:
        lengths: Of each text's part of the row.
        before: Keys and values that each text can look back on, from an earlier pass.
        kept: Filled with this pass's keys and values when it is a dictionary.
    """

    lengths: Sequence[int]
    before: Memory | None = None
    kept: Memory | None = None
    _masks: dict[tuple[int, int, int | None], Tensor | None] = field(default_factory=dict)

    def mask(self, length: int, total: int, window: int | None, device: torch.device) -> Tensor | None:
        """Which of ``total`` keys each of the last ``length`` positions sees; None for plain causal attention."""
        key = (length, total, window)
        if key not in self._masks:
            distance = torch.arange(total - length, total)[:, None] - torch.arange(total)
            seen = (distance >= 0) & (distance < (window or total))
            is_plain = length == total and (window is None or total <= window)
            self._masks[key] = None if is_plain else seen.to(device)
        return self._masks[key]


@small_products()
def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    segments: Segments | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of ``(1, heads, row, head dim)`` within each text; without segments, transformers' own."""
    if segments is None:
        options: dict[str, Any] = {"scaling": scaling, "sliding_window": sliding_window, **others}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    is_grouped = query.shape[1] > key.shape[1]
    rows = zip(*(tensor.split(list(segments.lengths), dim=2) for tensor in (query, key, value)), strict=True)
    parts, kept = [], []
    for place, (q, k, v) in enumerate(rows):
        if segments.kept is not None:
            kept.append((k, v))
        if segments.before is not None:
            earlier = segments.before[module.layer_idx][place]
            k, v = torch.cat([earlier[0], k], dim=2), torch.cat([earlier[1], v], dim=2)
        mask = segments.mask(q.shape[2], k.shape[2], sliding_window, q.device)
        how: dict[str, Any] = {"attn_mask": mask, "is_causal": mask is None, "scale": scaling, "enable_gqa": is_grouped}
        # An empty text has nothing to attend to, and some kernels refuse it.
        parts.append(functional.scaled_dot_product_attention(q, k, v, **how) if q.shape[2] else q)
    if segments.kept is not None:
        segments.kept[module.layer_idx] = kept
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attend)
# so that a call without segments has the masks that sdpa has
AttentionMaskInterface.register(NAME, sdpa_mask)


def can_pack(model: Any) -> bool:
    """Whether the architecture is one that this is checked against, and packing pays: on a GPU one padded call is faster."""
    return _is_known(model.base_model.config) and model.device.type == "cpu"


def _is_known(config: Any) -> bool:
    return config.get_text_config().model_type in FAMILIES and config._attn_implementation in ("sdpa", NAME)


def attend_packed(model: Any) -> None:
    """Let a model attend to packed texts where it can; calls without segments still get transformers' own attention."""
    if _is_known(model.base_model.config):
        model.base_model.config._attn_implementation = NAME


def rows_per_pass(lengths: Sequence[int], limit: int | None = None) -> Iterator[slice]:
    """Cut a batch into passes of at most `limit` tokens (`TOKENS_PER_PASS`), or one text where that is longer.

    >>> list(rows_per_pass([500, 10, 10, 2000]))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    limit, start, total = limit or TOKENS_PER_PASS, 0, 0
    for place, length in enumerate(lengths):
        if length and total and total + length > limit:  # a pass holds something
            yield slice(start, place)
            start, total = place, 0
        total += length
    yield slice(start, len(lengths))


def packed_states(model: Any, embeddings: Tensor, segments: Segments, starts: Sequence[int]) -> Tensor:
    """Last hidden states of packed texts.

    Args:
        model: Causal LM.
        embeddings: ``(row, H)``, the texts' input embeddings one after the other.
        segments: Where the texts lie, and what they look back on.
        starts: Position of each text's first embedding.

    Returns:
        ``(row, H)``.
    """
    lengths = zip(starts, segments.lengths, strict=True)
    positions = torch.cat([torch.arange(start, start + length) for start, length in lengths])[None]
    base = model.base_model
    # stays so: calls without segments go through the same attention and get transformers' own, in any thread
    base.config._attn_implementation = NAME
    out = base(
        inputs_embeds=embeddings[None],
        position_ids=positions.to(embeddings.device),
        # four dimensions tell transformers that the mask is made; the attention knows the segments instead
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool),
        use_cache=False,
        segments=segments,
    )
    return out.last_hidden_state[0]


def freeze(model: Any) -> Any:
    """Put a backbone in evaluation mode and take all its gradients away."""
    return model.eval().requires_grad_(False)


def pad_right(ids: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Token ids and mask, both ``(batch, longest)``, padded on the right with zeros."""
    rows = [torch.tensor(row, dtype=torch.long) for row in ids]
    mask = [torch.ones_like(row) for row in rows]
    return pad_sequence(rows, batch_first=True).to(device), pad_sequence(mask, batch_first=True).to(device)


def flat_ids(ids: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """All token ids one after the other."""
    return torch.tensor(list(chain.from_iterable(ids)), dtype=torch.long, device=device)


def input_scale(model: Any) -> float:
    """What the embedding layer multiplies its rows by: 1, but the square root of H in Gemma."""
    return float(getattr(model.get_input_embeddings(), "embed_scale", 1.0))


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


@torch.no_grad()
def remember(model: Any, ids: Sequence[Sequence[int]]) -> Memory | None:
    """Keys and values of texts, packed: layer -> each text's; None where all of them are empty."""
    if not any(ids):
        return None
    memory: Memory = {}
    for rows in rows_per_pass([len(row) for row in ids]):
        kept: Memory = {}
        lengths = [len(row) for row in ids[rows]]
        texts = model.get_input_embeddings()(flat_ids(ids[rows], model.device))
        packed_states(model, texts, Segments(lengths, kept=kept), [0] * len(lengths))
        for layer, pairs in kept.items():
            memory.setdefault(layer, []).extend(pairs)
    return memory


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


def pack(model: SentenceTransformer, n_tokens: int) -> SentenceTransformer:
    """Make a generative embedder encode without padding when it is on a CPU, where the time of a batch is mostly padding's.

    Tokens that all texts begin with (the prompt) are computed once. Both are exact: attention is causal, so the states of a text
    depend on nothing after it, and the prompt's states on no text. Changes the model in place and returns it. Its embeddings stay the same up to rounding, its files the same exactly; only
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


def is_packed(model: SentenceTransformer) -> bool:
    """Whether `pack` changed a model."""
    forward = vars(model[0]).get("forward")
    return isinstance(forward, functools.partial) and forward.func is _forward


@fast_products()
def _forward(module: Any, n_tokens: int, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    ids, mask = features["input_ids"], features["attention_mask"].bool()
    is_right_padded = bool(mask[:, 0].all()) and not bool((mask[:, 1:] & ~mask[:, :-1]).any())
    if module.model.training or not is_right_padded or not can_pack(module.model):
        return type(module).forward(module, features, **kwargs)
    lengths = mask.sum(dim=1)
    shared = _shared_tokens(ids, int(lengths.min()) - n_tokens)
    rest = (lengths - shared).tolist()
    memory = remember(module.model, [ids[0, :shared].tolist()])
    states = []
    for rows in rows_per_pass(rest):
        own = ids[rows, shared:][mask[rows, shared:]]
        states.append(_last_states(module.model, own, rest[rows], memory, shared, n_tokens))
    features[module.module_output_name] = torch.cat(states)
    features["input_ids"] = ids[torch.arange(len(ids))[:, None], lengths[:, None] + torch.arange(-n_tokens, 0)]
    features["attention_mask"] = torch.ones_like(features["input_ids"])
    return features


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
