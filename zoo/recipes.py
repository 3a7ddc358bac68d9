"""Recipe: everything that decides what a training run makes, with a digest, and the named recipes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from genzoo.registry import Registry


@dataclass(frozen=True)
class ResponseOptions:
    """How the backbone answers the queries (method step 1): greedy, with its chat template."""

    max_new_tokens: int = 64
    system_prompt: str | None = None
    limit: int = 0
    """Only this many queries of the log are answered, the others serve as texts; 0 answers all."""


@dataclass(frozen=True)
class ViewOptions:
    """Which (text, target) pairs are made of a query and its response; shares sum to 1.

    Attributes:
        answer: Query -> target of the response: the method itself.
        document: Response as a passage -> target of the response, so that passages land where answers do.
        meaning: Short text -> target of that text, for symmetric tasks.
        topic: The same under the classification and clustering prompts.
        unprompted: Of the answer views, the share whose query stands without a prompt.
        long: Of the document views, the share that joins several responses to one long passage.
    """

    answer: float = 1.0
    document: float = 0.0
    meaning: float = 0.0
    topic: float = 0.0
    unprompted: float = 0.0
    long: float = 0.0


@dataclass(frozen=True)
class LossOptions:
    """Weights of the two losses (paper: equal) and what keeps the expensive one cheap.

    Attributes:
        align: Weight of the mean squared error between embedding and target, per dimension, target of unit variance.
        recon: Weight of the next-token loss of the response given the soft prompts, in nats per token.
        recon_share: Share of each batch that the reconstruction loss looks at.
        recon_tokens: Only the first tokens of a response are scored.
    """

    align: float = 1.0
    recon: float = 1.0
    recon_share: float = 1.0
    recon_tokens: int = 512


@dataclass(frozen=True)
class OptimOptions:
    """AdamW with linear warm-up and decay; a learning rate for each kind of parameter."""

    steps: int = 5000
    batch: int = 32
    warmup: int = 100
    lr_rows: float = 3e-4
    lr_recon: float = 3e-4
    lr_align: float = 3e-4
    clip: float = 1.0
    align_first: int = 0
    """Steps at the start that train the alignment alone."""
    align_memory: int = 0
    """Solve the alignment projection at every step by a running ridge regression that remembers about this many steps;
    0 trains it with ``lr_align`` instead."""
    ridge: float = 80.0
    """Strength of that regression, and of the one that starts every training."""


@dataclass(frozen=True)
class Recipe:
    """What a training run makes, apart from the queries themselves."""

    name: str
    backbone: str
    teacher: str
    n_compression: int = 10
    n_thought: int = 0
    max_tokens: int = 512
    seed: int = 0
    held_out: int = 200
    """Answered queries kept out of training for the controls; at most a tenth of the answered ones."""
    response: ResponseOptions = field(default_factory=ResponseOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    losses: LossOptions = field(default_factory=LossOptions)
    optim: OptimOptions = field(default_factory=OptimOptions)

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

RECIPES.register(
    "smollm2-135m",
    Recipe(
        name="smollm2-135m",
        backbone="smollm2-135m",
        teacher="minilm",
        response=ResponseOptions(limit=12_160),
        views=ViewOptions(answer=0.45, document=0.25, meaning=0.15, topic=0.15, unprompted=0.2, long=0.15),
        losses=LossOptions(recon_share=0.35, recon_tokens=24),
        optim=OptimOptions(
            steps=420, batch=32, warmup=10, lr_rows=1e-3, lr_recon=1e-3, align_first=40, align_memory=200
        ),
    ),
)
