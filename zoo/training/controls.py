"""What training must be judged by: held-out queries, each beside another query's answer.

A falling reconstruction loss mostly shows that the soft prompts became a generic opening of an answer. Only the difference to the
loss under *another* query's soft prompts (the shuffled control) is about the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genzoo import prompts
from genzoo.checkpoint import TokenCheckpoint
from genzoo.forward import freeze, token_states
from genzoo.lora import changed_by
from genzoo.tokens import plain_ids
from genzoo.training.losses import response_loss
from genzoo.training.responses import Response


@dataclass(frozen=True)
class Controls:
    """Held-out figures.

    Attributes:
        n: Held-out queries.
        recon_own: Nats per token of the backbone's own response given the query's soft prompts; lower is better.
        recon_shuffled: The same given another query's soft prompts.
        cosine_own: Mean cosine between embedding and target of the own response; higher is better. None without a teacher.
        cosine_other: Mean cosine between embedding and the other responses' targets.
        top1: Share of queries whose own response is the nearest of all n.
    """

    n: int
    recon_own: float
    recon_shuffled: float
    cosine_own: float | None
    cosine_other: float | None
    top1: float | None

    @property
    def recon_gap(self) -> float:
        """Nats per token that are about this query: shuffled minus own; higher is better."""
        return self.recon_shuffled - self.recon_own


@torch.inference_mode()
def measure_controls(
    checkpoint: TokenCheckpoint,
    model: Any,
    tokenizer: Any,
    held_out: Sequence[Response],
    targets: Mapping[str, Tensor],
    batch_size: int = 16,
) -> Controls:
    """Measure a checkpoint on queries that training never saw.

    Args:
        checkpoint: Trained tokens.
        model: The causal LM that they were trained on.
        tokenizer: Its tokenizer.
        held_out: Queries and the backbone's own responses, at least two.
        targets: Response text -> ``(D,)`` teacher embedding; empty where there is no teacher.
        batch_size: Queries at once.
    """
    freeze(model)
    t = {name: tensor.to(model.device) for name, tensor in checkpoint.tensors().items()}
    room, states = checkpoint.max_tokens - len(checkpoint.spec), []
    for start in range(0, len(held_out), batch_size):
        texts = [prompts.QUERY + row.query for row in held_out[start : start + batch_size]]
        with changed_by(model, checkpoint.lora):
            states.append(token_states(model, plain_ids(tokenizer, texts, room), t["rows"]))
    compressed = torch.cat(states)[:, checkpoint.spec.n_thought :].float()
    soft = compressed @ t["recon_weight"].T + t["recon_bias"]
    own: tuple[float | None, ...] = (None, None, None)
    if targets:
        embeddings = soft.mean(dim=1) @ t["align_weight"].T + t["align_bias"]
        own = _nearness(embeddings, torch.stack([targets[row.response] for row in held_out]).to(embeddings))
    return Controls(
        n=len(held_out),
        recon_own=_recon(model, tokenizer, soft, held_out, batch_size),
        recon_shuffled=_recon(model, tokenizer, soft.roll(1, dims=0), held_out, batch_size),
        cosine_own=own[0],
        cosine_other=own[1],
        top1=own[2],
    )


def _nearness(embeddings: Tensor, wanted: Tensor) -> tuple[float, float, float]:
    """Mean cosine with the own target, with the others, and the share of queries that are nearest to their own."""
    cosines = functional.normalize(embeddings) @ functional.normalize(wanted).T
    n, own = len(cosines), cosines.diagonal()
    nearest = (cosines.argmax(dim=1) == torch.arange(n, device=cosines.device)).float().mean()
    return float(own.mean()), float((cosines.sum() - own.sum()) / (n * (n - 1))), float(nearest)


def _recon(model: Any, tokenizer: Any, soft: Tensor, rows: Sequence[Response], batch_size: int) -> float:
    """Mean nats per response token over all rows."""
    ids = tokenizer([row.response for row in rows], add_special_tokens=False, split_special_tokens=True)["input_ids"]
    total, count = 0.0, 0
    for start in range(0, len(rows), batch_size):
        part = ids[start : start + batch_size]
        tokens = sum(map(len, part))
        total += float(response_loss(model, soft[start : start + batch_size], part)) * tokens
        count += tokens
    return total / count
