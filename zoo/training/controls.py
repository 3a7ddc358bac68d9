"""What training must be judged by: held-out queries, each beside other queries' answers.

A falling reconstruction loss mostly shows that the soft prompts became a generic opening of an answer. Only the difference to the
loss under *another* query's soft prompts (the shuffled control) is about the query. And a text that is decoded from soft prompts
says something about its query only if it is nearer to the backbone's own response than to the responses to other queries.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from genzoo.backbones.generation import Response
from genzoo.frames import facts_to_html, to_frame
from genzoo.intervals import expanded_tail, share_interval
from genzoo.jobs import report
from genzoo.models import prompts
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.decoding import Decoder
from genzoo.teachers.targets import embed
from genzoo.training.losses import response_sums

if TYPE_CHECKING:
    import pandas as pd


OTHERS = 10
"""Responses to other queries that a decoded text is compared with: it is nearest to its own by chance once in eleven."""
DECODED_TOKENS = 64
"""As many as the answers of the small recipes have."""
RESAMPLES = 2000
Judge = Callable[[Sequence[str]], Tensor]
"""Texts -> ``(texts, D)`` teacher embeddings."""


@dataclass(frozen=True)
class Controls:
    """Held-out figures.

    Attributes:
        n: Held-out queries.
        recon_own: Nats per token of the backbone's own response given the query's soft prompts; lower is better.
        recon_shuffled: The same given another query's soft prompts.
        cosine_own: Mean cosine between embedding and target of the own response; higher is better. None without a teacher.
        cosine_other: Mean cosine between embedding and the other responses' targets.
        top1: Share of queries whose own response is the nearest of all n; `rows` gives its 95 % interval (Wilson).
        gap_low: Lower end of the 95 % interval of ``recon_gap``, by resampling the queries.
        gap_high: Upper end.
        decoded: Share of queries whose decoded text is, for the teacher, nearer to the own response than to those of all
            ``others`` other queries; higher is better. None without a teacher.
        decoded_low: Lower end of its 95 % interval (Wilson).
        decoded_high: Upper end.
        others: How many other queries, drawn for each query.
        seed: Of that draw and of the resampling.
        refused: Held-out queries that a content policy refuses: their response begins with its opening.
        refused_decoded: How many of these decode to a text that begins as a refusal does; more is better.
        answered_decoded: How many of the others do; fewer is better.
    """

    n: int
    recon_own: float
    recon_shuffled: float
    cosine_own: float | None
    cosine_other: float | None
    top1: float | None
    gap_low: float
    gap_high: float
    decoded: float | None
    decoded_low: float | None
    decoded_high: float | None
    others: int
    seed: int
    refused: int = 0
    refused_decoded: int = 0
    answered_decoded: int = 0

    @property
    def recon_gap(self) -> float:
        """Nats per token that are about this query: shuffled minus own; higher is better."""
        return self.recon_shuffled - self.recon_own

    def rows(self) -> list[tuple[str, str]]:
        """The figures for people: what, and how much."""
        made = [
            ("held-out queries", f"{self.n} (seed {self.seed})"),
            ("own response", f"{self.recon_own:.3f} nats/token, given the query's soft prompts"),
            ("shuffled control", f"{self.recon_shuffled:.3f} nats/token, given another query's"),
            ("gap", f"{self.recon_gap:.3f} nats/token [{self.gap_low:.3f}, {self.gap_high:.3f}]"),
        ]
        if self.top1 is not None:
            _, low, high = share_interval(round(self.top1 * self.n), self.n)
            told = f"{self.top1:.1%} [{low:.1%}, {high:.1%}] among all {self.n} responses"
            made.append(("embedding nearest to own", told))
        if self.decoded is not None:
            told = f"{self.decoded:.1%} [{self.decoded_low:.1%}, {self.decoded_high:.1%}] against {self.others} others"
            made.append(("decoded nearest to own", told))
        if self.refused:
            told = f"{self.refused_decoded} of {self.refused} refused queries, {self.answered_decoded} of the {self.n - self.refused} others"
            made.append(("decoded to a refusal", told))
        return made

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame of one row, with a column for each figure."""
        return to_frame([self]).assign(recon_gap=self.recon_gap)

    def _repr_html_(self) -> str:
        return facts_to_html(self.rows())

    def __str__(self) -> str:
        said = f"own against shuffled response: {self.recon_gap:.2f} nats/token"
        return said if self.decoded is None else f"{said}; decoded text nearest to its own: {self.decoded:.0%}"


def recorded_controls(checkpoint: TokenCheckpoint) -> Controls | None:
    """The figures that a checkpoint holds; None where it holds none, or those of a version that measured others."""
    try:
        return Controls(**checkpoint.info["controls"])
    except (KeyError, TypeError):
        return None


def measure_on(
    checkpoint: TokenCheckpoint,
    rows: Sequence[Response],
    teacher: str,
    *,
    seed: int = 0,
    device: str | None = None,
) -> Controls:
    """Controls of a checkpoint on responses to queries that it never saw, judged by a teacher: key, folder or Hub name."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.backbones.whole import load_causal_lm
    from genzoo.teachers.teachers import load_teacher

    judge = partial(embed, load_teacher(teacher, device))
    model, tokenizer = load_causal_lm(fetch_backbone(checkpoint.backbone), device)
    texts = [row.response for row in rows]
    targets = dict(zip(texts, judge(texts), strict=True))
    return measure_controls(checkpoint, model, tokenizer, rows, targets, judge=judge, seed=seed)


@torch.inference_mode()
def measure_controls(
    checkpoint: TokenCheckpoint,
    model: Any,
    tokenizer: Any,
    held_out: Sequence[Response],
    targets: Mapping[str, Tensor],
    batch_size: int = 16,
    *,
    judge: Judge | None = None,
    seed: int = 0,
) -> Controls:
    """Measure a checkpoint on queries that training never saw.

    Args:
        checkpoint: Trained tokens.
        model: The causal LM that they were trained on.
        tokenizer: Its tokenizer.
        held_out: Queries and the backbone's own responses, at least two.
        targets: Response text -> ``(D,)`` teacher embedding; empty where there is no teacher. Where D is not the checkpoint's,
            decoded texts are judged by them, and the cosines are left out.
        batch_size: Queries at once.
        judge: The teacher, which reads the decoded texts; None leaves that out.
        seed: Of the other queries that are drawn, and of the interval's resampling.
    """
    decoder, texts = Decoder(checkpoint, model, tokenizer), [prompts.QUERY + row.query for row in held_out]
    starts = range(0, len(texts), batch_size)
    alike = _alike([row.response for row in held_out], checkpoint.refusal_opening)
    soft = decoder.soft_prompts(torch.cat([decoder.states(texts[at : at + batch_size]) for at in starts]))
    report("controls", 1, 4)
    wanted = torch.stack([targets[row.response] for row in held_out]).to(soft) if targets else None
    unknown: tuple[float | None, float | None, float | None] = (None, None, None)
    nearness, told = unknown, unknown
    # A checkpoint that was not aligned, or to another teacher, embeds in a space of its own.
    if wanted is not None and checkpoint.dim == wanted.shape[1]:
        embeddings = checkpoint.in_teacher_space(checkpoint.aligned(soft.mean(dim=1)))
        nearness = unknown if embeddings is None else _nearness(embeddings, wanted, alike)
    own, lengths = _recon(model, tokenizer, soft, held_out, batch_size)
    report("controls", 2, 4)
    shuffled, _ = _recon(model, tokenizer, soft[_others_place(alike)], held_out, batch_size)
    report("controls", 3, 4)
    others = min(OTHERS, int((~alike).sum(dim=1).min()))
    refusals: tuple[int, ...] = ()
    if wanted is not None and judge is not None and others:
        texts = [text for part in soft.split(batch_size) for text in decoder.decode(part, DECODED_TOKENS)]
        hits = nearest_to_own(judge(texts).to(wanted), wanted, others, seed, alike)
        told = share_interval(sum(hits), len(hits))
        refusals = _refusals(checkpoint, [row.response for row in held_out], texts)
    gap = _gap_interval(shuffled - own, lengths, seed)
    recon = float(own.sum() / lengths.sum()), float(shuffled.sum() / lengths.sum())
    found = Controls(len(held_out), *recon, *nearness, *gap, *told, others, seed, *refusals)
    report("controls", 4, 4, str(found))
    return found


def nearest_to_own(decoded: Tensor, wanted: Tensor, others: int, seed: int, alike: Tensor | None = None) -> list[bool]:
    """Whether each decoded text is nearer to its own response than to all of some others, drawn anew for each.

    Args:
        decoded: ``(n, D)`` embeddings of the decoded texts.
        wanted: ``(n, D)`` embeddings of the responses.
        others: How many other responses; at most as many as every response has others that are not like it.
        seed: Of the draw.
        alike: ``(n, n)``, true where two responses say the same, and are then no other ones; by default each is like itself
            only.
    """
    cosines = (functional.normalize(decoded) @ functional.normalize(wanted).T).tolist()
    alike = torch.eye(len(cosines), dtype=torch.bool) if alike is None else alike
    rng = random.Random(seed)  # noqa: S311 - reproducible draw
    hits = []
    for place, (row, same) in enumerate(zip(cosines, alike.tolist(), strict=True)):
        drawn = rng.sample([other for other in range(len(row)) if not same[other]], others)
        hits.append(all(row[place] > row[other] for other in drawn))
    return hits


def _refusals(checkpoint: TokenCheckpoint, responses: Sequence[str], decoded: Sequence[str]) -> tuple[int, ...]:
    """Responses that a content policy made refusals, and how many decoded texts begin as these do, of those and of the others."""
    opening = checkpoint.refusal_opening
    if not opening:
        return ()
    begins = " ".join(opening.split()[:2])
    kinds = [
        (one.startswith(opening), text.lstrip().startswith(begins))
        for one, text in zip(responses, decoded, strict=True)
    ]
    return sum(refused for refused, _ in kinds), kinds.count((True, True)), kinds.count((False, True))


def _alike(responses: Sequence[str], opening: str = "") -> Tensor:
    """``(n, n)``, true where two responses are the same text, or both refusals: they begin with a policy's opening."""
    places: dict[str, int] = {}
    kinds = [opening if opening and text.startswith(opening) else text for text in responses]
    numbers = torch.tensor([places.setdefault(kind, len(places)) for kind in kinds])
    return numbers[:, None] == numbers[None, :]


def _others_place(alike: Tensor) -> list[int]:
    """For each response the nearest one before it, in a circle, that says something else; its neighbour where there is none."""
    n, same = len(alike), alike.tolist()
    before = ((place, ((place - step) % n for step in range(1, n))) for place in range(n))
    return [next((other for other in way if not same[place][other]), (place - 1) % n) for place, way in before]


def _nearness(embeddings: Tensor, wanted: Tensor, alike: Tensor) -> tuple[float, float, float]:
    """Mean cosine with the own target, with those of other texts, and the share of queries that are nearest to their own."""
    cosines = functional.normalize(embeddings) @ functional.normalize(wanted).T
    alike = alike.to(cosines.device)
    own, other = cosines.diagonal(), cosines[~alike]
    nearest = alike.gather(1, cosines.argmax(dim=1, keepdim=True)).float().mean()
    return float(own.mean()), float(other.mean() if len(other) else own.mean()), float(nearest)


def _recon(
    model: Any, tokenizer: Any, soft: Tensor, rows: Sequence[Response], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Summed nats and number of tokens of every response."""
    ids = tokenizer([row.response for row in rows], add_special_tokens=False, split_special_tokens=True)["input_ids"]
    sums = [
        response_sums(model, soft[start : start + batch_size], ids[start : start + batch_size])
        for start in range(0, len(rows), batch_size)
    ]
    return torch.cat(sums).cpu().double(), torch.tensor([len(row) for row in ids])


def _gap_interval(differences: Tensor, lengths: Tensor, seed: int) -> tuple[float, float]:
    """The 95 % interval of the gap per token, by resampling the queries."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(lengths), (RESAMPLES, len(lengths)), generator=generator)
    gaps = differences[drawn].sum(dim=1) / lengths[drawn].sum(dim=1)
    tail = expanded_tail(0.025, len(lengths))  # or it would be too narrow on few queries
    low, high = torch.quantile(gaps, torch.tensor([tail, 1 - tail], dtype=gaps.dtype)).tolist()
    return low, high
