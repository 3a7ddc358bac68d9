"""The lean forward pass of a frozen backbone: texts one after the other in one row, without padding; to train and to encode.

In training the text is computed without gradients; gradients flow only through the trained tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface
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
SHORTEST_OPENING = 3
"""Tokens that texts must have in common for it to pay."""
Memory = dict[int, list[tuple[Tensor, Tensor]]]
"""Layer -> keys and values of each text, ``(1, heads, length, head dim)``."""


@dataclass
class Segments:
    """Where the texts lie in the row.

    Attributes:
        lengths: Of each text's part of the row.
        before: Keys and values that each text can look back on, from an earlier pass.
        kept: Filled, when it is a dictionary, with all keys and values that each text can look back on after this pass.
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
        if segments.before is not None:
            earlier = segments.before[module.layer_idx][place]
            k, v = torch.cat([earlier[0], k], dim=2), torch.cat([earlier[1], v], dim=2)
        if segments.kept is not None:
            kept.append((k, v))
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


@torch.no_grad()
def remember(model: Any, ids: Sequence[Sequence[int]]) -> Memory | None:
    """Keys and values of texts, packed: layer -> each text's; None where all of them are empty.

    What several texts begin with, such as a prompt, is computed once: attention is causal, so it depends on nothing that follows.
    """
    if not any(ids):
        return None
    openings, chosen = shared_openings(ids)
    if not openings:
        return _remember(model, ids, None, [0] * len(ids))
    known = _remember(model, openings, None, [0] * len(openings))
    before: Memory = {}
    for layer, own in known.items():
        nothing = own[0][0][:, :, :0], own[0][1][:, :, :0]
        before[layer] = [nothing if place is None else own[place] for place in chosen]
    starts = [0 if place is None else len(openings[place]) for place in chosen]
    return _remember(model, [row[start:] for row, start in zip(ids, starts, strict=True)], before, starts)


def shared_openings(ids: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[int | None]]:
    """What texts that begin alike have in common, and for each text the place of its opening in that list, None if it has none.

    At least one token of each text is left.

    >>> shared_openings([[1, 2, 3, 4], [1, 2, 3, 5, 6], [7, 8, 9, 1]])
    ([[1, 2, 3]], [0, 0, None])
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(ids):
        if len(row) >= SHORTEST_OPENING:
            groups.setdefault(tuple(row[:SHORTEST_OPENING]), []).append(place)
    openings: list[list[int]] = []
    chosen: list[int | None] = [None] * len(ids)
    for places in groups.values():
        if len(places) > 1:
            for place in places:
                chosen[place] = len(openings)
            columns = zip(*(ids[place][:-1] for place in places), strict=False)
            openings.append([column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)])
    return openings, chosen


def _remember(model: Any, ids: Sequence[Sequence[int]], before: Memory | None, starts: Sequence[int]) -> Memory:
    memory: Memory = {}
    for rows in rows_per_pass([len(row) for row in ids]):
        kept: Memory = {}
        lengths = [len(row) for row in ids[rows]]
        texts = model.get_input_embeddings()(flat_ids(ids[rows], model.device))
        earlier = None if before is None else {layer: own[rows] for layer, own in before.items()}
        packed_states(model, texts, Segments(lengths, before=earlier, kept=kept), starts[rows])
        for layer, pairs in kept.items():
            memory.setdefault(layer, []).extend(pairs)
    return memory


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
