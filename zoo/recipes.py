"""Recipe: everything that decides what a training run makes, with a digest, and the named recipes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from genzoo.errors import InputError
from genzoo.limits import check_fields
from genzoo.options import (
    Count,
    LoraOptions,
    LossOptions,
    Name,
    OptimOptions,
    Positive,
    ResponseOptions,
    Seed,
    UnsupervisedOptions,
    ViewOptions,
)
from genzoo.registry import Registry

UNSUPERVISED = "unsupervised"
"""Name of the teacher that is made of the recipe's own backbone and the query log."""


@dataclass(frozen=True)
class Recipe:
    """What a training run makes, apart from the queries themselves.

    Attributes:
        name: Of the recipe; not part of the digest.
        backbone: Key of `genzoo.backbones.BACKBONES`, folder, or ``org/name@commit``.
        teacher: ``unsupervised``, key of `genzoo.teachers.TEACHERS`, SentenceTransformer folder, or ``org/name@commit``.
        n_compression: Trailing trained tokens, whose mean is the embedding.
        n_thought: Leading trained tokens, scratch space that is not pooled.
        max_tokens: Longest input, trained tokens included.
        seed: Of everything random.
        held_out: Answered queries kept out of training for the controls; at most a tenth of the answered ones.
    """

    name: str
    backbone: Name
    teacher: Name
    n_compression: Positive = 10
    n_thought: Count = 0
    max_tokens: Positive = 512
    seed: Seed = 0
    held_out: Count = 200
    response: ResponseOptions = field(default_factory=ResponseOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    losses: LossOptions = field(default_factory=LossOptions)
    optim: OptimOptions = field(default_factory=OptimOptions)
    lora: LoraOptions = field(default_factory=LoraOptions)
    unsupervised: UnsupervisedOptions = field(default_factory=UnsupervisedOptions)

    def __post_init__(self) -> None:
        check_fields(self)
        views = self.views.answer + self.views.document + self.views.meaning + self.views.topic
        for wrong, told in (
            (
                self.n_tokens >= self.max_tokens,
                f"max_tokens is {self.max_tokens}: no room beside {self.n_tokens} trained tokens",
            ),
            (not (self.losses.align or self.reconstructs), "both losses are off: nothing would be trained"),
            (not 0.999 < views < 1.001, f"the shares of the views sum to {views:g}: they must sum to 1"),
        ):
            if wrong:
                raise InputError(f"recipe {self.name}: {told}")

    @property
    def n_tokens(self) -> int:
        """How many tokens are trained."""
        return self.n_thought + self.n_compression

    @property
    def reconstructs(self) -> bool:
        """Whether the reconstruction loss is on."""
        return self.losses.recon > 0 and self.response.source != "none"

    def digest(self) -> str:
        """16 hex characters over every field that is not its default, the name apart.

        A field that a later version adds with a default leaves the digests of older recipes alone.
        """
        facts = _non_default(replace(self, name=""))
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def _non_default(row: Any) -> dict[str, Any]:
    """Fields of a dataclass that differ from their defaults, nested ones likewise."""
    facts = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if is_dataclass(value):
            value = _non_default(value)
            if value:
                facts[one.name] = value
        elif value != one.default:
            facts[one.name] = value
    return facts


RECIPES: Registry[Recipe] = Registry("recipe", "genzoo list --recipes")

# What a laptop can do: short answers, a small share of them reconstructed, the alignment solved instead of descended.
_SMALL_VIEWS = ViewOptions(answer=0.45, document=0.25, meaning=0.15, topic=0.15, unprompted=0.2, long=0.15)
_SMALL_LOSSES = LossOptions(recon_share=0.35, recon_tokens=24)
_SMALL_OPTIM = OptimOptions(
    steps=420, batch=32, warmup=10, lr_rows=1e-3, lr_recon=1e-3, align_first=40, align_memory=200
)
RECIPES.register(
    "smollm2-135m-minilm",
    Recipe(
        name="smollm2-135m-minilm",
        backbone="smollm2-135m",
        teacher="minilm",
        response=ResponseOptions(limit=12_160),
        views=_SMALL_VIEWS,
        losses=_SMALL_LOSSES,
        optim=_SMALL_OPTIM,
    ),
)

# The paper's settings: one epoch of 160,000 queries, answers of up to 500 tokens, an unsupervised teacher on the same backbone.
for _backbone, _lr in {
    "qwen3-0.6b": 3e-4,
    "qwen3-1.7b": 3e-4,
    "qwen3-4b": 3e-4,
    "qwen3-8b": 3e-4,
    "qwen2.5-0.5b": 5e-4,
    "qwen2.5-1.5b": 5e-4,
    "qwen2.5-3b": 5e-4,
    "qwen2.5-7b": 5e-4,
    "llama-3.2-1b": 5e-4,
    "llama-3.2-3b": 5e-4,
    "llama-3.1-8b": 5e-4,
    "mistral-7b-instruct-v0.3": 5e-4,  # not in the paper; Llama's rate
}.items():
    RECIPES.register(
        _backbone,
        Recipe(
            name=_backbone,
            backbone=_backbone,
            teacher=UNSUPERVISED,
            response=ResponseOptions(max_new_tokens=500),
            optim=OptimOptions(lr_rows=_lr, lr_recon=_lr, lr_align=_lr, precision="auto"),
        ),
    )

# A teacher of early layers knows words, not meanings: half of the texts that are asked for their topic stand for what they belong
# to, the regression is held back harder, and the embeddings are partly whitened. A last phase follows the alignment alone: it
# was worth more than doubling the steps with both losses.
_SELF_OPTIM = replace(
    _SMALL_OPTIM, steps=1125, align_last=150, recon_last=75, lr_rows=3e-3, ridge=1000.0, partial_whitening=0.35
)
# A base model only goes on writing: told what stands before it, and kept out of loops, it answers in sentences.
_BASE_MODEL = ResponseOptions(
    limit=5_000,
    system_prompt="Below are questions from users and helpful answers in two or three full sentences.",
    repetition_penalty=1.2,
)
RECIPES.register(
    "smollm2-135m",
    Recipe(
        name="smollm2-135m",
        backbone="smollm2-135m",
        teacher=UNSUPERVISED,
        response=ResponseOptions(limit=12_160),
        views=replace(_SMALL_VIEWS, context=0.5),
        losses=_SMALL_LOSSES,
        optim=_SELF_OPTIM,
        unsupervised=UnsupervisedOptions(layer=2, whiten=256, fit_texts=4000),
    ),
)
# The last layer, read where an answer opens, knows what the text is about: centred, it teaches more than an early one's whitened mean.
RECIPES.register(
    "gemma3-270m",
    Recipe(
        name="gemma3-270m",
        backbone="gemma3-270m",
        teacher=UNSUPERVISED,
        response=_BASE_MODEL,
        views=replace(_SMALL_VIEWS, context=0.5),
        losses=_SMALL_LOSSES,
        optim=replace(_SELF_OPTIM, steps=300, align_last=75, recon_last=0),
        unsupervised=UnsupervisedOptions(layer=18, whiten=256, power=0.0, fit_texts=4000, wrap="answer"),
    ),
)
