"""One model's embeddings under every fault that clients are known for: prompts, line breaks, pooling, projections, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn

from genzoo.jobs import report
from genzoo.models.loading import find_checkpoint, load
from genzoo.publishing.verify import local_name

QUERY, DOCUMENT = "query", "document"
PROMPTS: dict[str, Callable[[str, str], str]] = {
    "": lambda own, other: own,
    "prompt-lost": lambda own, other: "",
    "other-prompt": lambda own, other: other,
    "prompt-blank-lost": lambda own, other: own.rstrip(),
    "prompt-twice": lambda own, other: own + own,
    "other-prompt-added": lambda own, other: other + own,
}
"""Fault -> what then stands before a text, of the prompts of its own and of the other side; the empty name is no fault."""
TEXTS: dict[str, Callable[[str], str]] = {
    "": lambda text: text,
    "line-breaks-replaced": lambda text: text.replace("\n", " "),
}
POOLINGS: dict[str, Callable[[torch.Tensor, int, int], torch.Tensor]] = {
    "": lambda states, added, pooled: states[-pooled:].mean(0),
    "pooling-all-tokens": lambda states, added, pooled: states.mean(0),
    "tokens-not-appended": lambda states, added, pooled: states[:-added].mean(0),
    "pooling-last-token": lambda states, added, pooled: states[-1],
    "pooling-last-text-token": lambda states, added, pooled: states[-added - 1],
    "pooling-first-token": lambda states, added, pooled: states[0],
    "pooling-thought-tokens": lambda states, added, pooled: states[-added:].mean(0),
    "states-normalised": lambda states, added, pooled: nn.functional.normalize(states[-pooled:], dim=-1).mean(0),
}
"""Fault -> the embedding before the projections, of the last hidden states ``(tokens, H)``, how many tokens are added to a text, and
how many of them are pooled."""
PROJECTIONS: dict[str, tuple[str, ...]] = {
    "": ("recon", "align"),
    "reconstruction-skipped": ("align",),
    "alignment-skipped": ("recon",),
    "projections-skipped": (),
}
_LIMITS = (32, 64, 100, 128, 200, 256, 300, 384, 400, 500, 510, 512, 1000, 1024, 2048, 4096, 8192)
"""Longest inputs in tokens that clients commonly set."""


@dataclass(frozen=True)
class Variant:
    """A way to embed texts with a model: a key of each of the tables above, and the longest input (0 is the model's own)."""

    prompt: str = ""
    text: str = ""
    pooling: str = ""
    projection: str = ""
    limit: int = 0

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with it, the limit apart."""
        return tuple(filter(None, (self.prompt, self.text, self.pooling, self.projection)))

    @property
    def n_faults(self) -> int:
        """How much is wrong with it."""
        return len(self.faults) + (self.limit > 0)


RIGHT = Variant()


def variants(prompts: Iterable[str] = tuple(PROMPTS), limit: int = 0) -> list[Variant]:
    """Every combination at one limit, the right one first."""
    return [Variant(*parts, limit) for parts in product(prompts, TEXTS, POOLINGS, PROJECTIONS)]


class ReferenceModel:
    """A generative model that embeds rightly and, on request, with faults.

    Args:
        name: Zoo model, checkpoint folder, exported folder, or ``org/name@<commit>``.

    Attributes:
        name: As it was given.
        checkpoint: Its trained tokens.
        prompts: By ``query`` and ``document``.

    Raises:
        ZooError: There is no such model, or it is not a generative one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        place = local_name(name)
        self.checkpoint = find_checkpoint(place)
        self.prompts = {side: self.checkpoint.prompts().get(side) or "" for side in (QUERY, DOCUMENT)}
        self._module: Any = load(place, device="cpu")[0]
        self._read: dict[str, tuple[int, ...]] = {}
        self._pooled: dict[tuple[int, ...], dict[str, np.ndarray]] = {}
        self._vectors: dict[tuple[tuple[int, ...], str, str], np.ndarray] = {}
        self._weights = {key: tensor.float().numpy() for key, tensor in self.checkpoint.tensors().items()}

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of an embedding, and of one without the last projection."""
        return self.checkpoint.dim, self.checkpoint.hidden_size

    @property
    def policy_axis(self) -> np.ndarray | None:
        """``(D,)``: along which its content policy moves refused queries; None where it has none."""
        axis = self.checkpoint.policy.get("direction")
        return None if axis is None else axis.double().numpy()

    def embed(self, variant: Variant, side: str, texts: Sequence[str]) -> np.ndarray:
        """Embeddings `(texts, width)` of float32; each different sequence of tokens is computed once."""
        made = []
        for done, text in enumerate(texts):
            report("comparing", done, len(texts), self.name)
            ids = self._ids(self._text(variant, side, text), variant.limit)
            made.append(self._vector(ids, variant.pooling, variant.projection))
        return np.stack(made)

    def n_tokens(self, side: str, text: str) -> int:
        """Tokens of a text with its prompt and the added tokens, however long it is."""
        return len(self._tokens(self._text(RIGHT, side, text)))

    def other_limits(self, longest: int) -> list[int]:
        """Limits other than the model's own at which a text of so many tokens would be cut elsewhere, or not at all.

        Shorter ones first; then longer ones from the longest on, as a text agrees with every limit that is above its length.
        """
        own = self.checkpoint.max_tokens
        shorter = [limit for limit in _LIMITS if limit < min(own, longest)]
        longer = [limit for limit in (*_LIMITS, longest) if own < limit <= longest]
        return [*shorter, *sorted(longer, reverse=True)]

    def _text(self, variant: Variant, side: str, text: str) -> str:
        other = self.prompts[QUERY if side == DOCUMENT else DOCUMENT]
        return PROMPTS[variant.prompt](self.prompts[side], other) + TEXTS[variant.text](text)

    def _tokens(self, text: str) -> tuple[int, ...]:
        if text not in self._read:
            self._read[text] = tuple(self._module.tokenizer(text, truncation=False)["input_ids"])
        return self._read[text]

    def _ids(self, text: str, limit: int) -> tuple[int, ...]:
        ids, added = self._tokens(text), len(self.checkpoint.spec)
        kept = max((limit or self.checkpoint.max_tokens) - added, 1)
        return ids[:-added][:kept] + ids[-added:]

    @torch.inference_mode()
    def _states(self, ids: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The states of one sequence in every pooling."""
        if ids not in self._pooled:
            row = torch.tensor([ids])
            features = {"input_ids": row, "attention_mask": torch.ones_like(row), "modality": "text"}
            # the class's own method: `genzoo.backbones.forward.pack` keeps the states of the trained tokens alone
            states = type(self._module).forward(self._module, features)["token_embeddings"][0].float()
            spec = self.checkpoint.spec
            counts = len(spec), spec.n_compression
            self._pooled[ids] = {name: pool(states, *counts).numpy() for name, pool in POOLINGS.items()}
        return self._pooled[ids]

    def _vector(self, ids: tuple[int, ...], pooling: str, projection: str) -> np.ndarray:
        key = ids, pooling, projection
        if key not in self._vectors:
            vector = self._states(ids)[pooling]
            for part in PROJECTIONS[projection]:
                if part == "align":
                    vector = self.checkpoint.aligned(torch.from_numpy(vector)).numpy()
                else:
                    vector = self._weights[f"{part}_weight"] @ vector + self._weights[f"{part}_bias"]
            self._vectors[key] = vector
        return self._vectors[key]
