"""Recipe: everything that decides what a training run makes, with a digest; the named recipes; and changes of single fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter

from genzoo.errors import InputError
from genzoo.names import Registry
from genzoo.recipes.fields import (
    Count,
    LoraOptions,
    LossOptions,
    Name,
    OptimOptions,
    PolicyOptions,
    Positive,
    ResponseOptions,
    Seed,
    UnsupervisedOptions,
    ViewOptions,
    check_fields,
)

UNSUPERVISED = "unsupervised"
"""Name of the teacher that is made of the recipe's own backbone and the query log."""


@dataclass(frozen=True)
class Recipe:
    """What a training run makes, apart from the queries themselves.

    Attributes:
        name: Of the recipe; not part of the digest.
        backbone: Key of `genzoo.backbones.entries.BACKBONES`, folder, or ``org/name@commit``.
        teacher: ``unsupervised``, key of `genzoo.teachers.teachers.TEACHERS`, SentenceTransformer folder, or ``org/name@commit``.
        n_compression: Trailing trained tokens, whose mean is the embedding.
        n_thought: Leading trained tokens, scratch space that is not pooled.
        max_tokens: Longest input, trained tokens included.
        seed: Of everything random.
        held_out: Answered queries kept out of training for the controls; at most a tenth of the answered ones.
        exit_layer: The trained tokens' states are read after this many layers of the backbone, and the layers above it are not run
            to embed a text; 0 reads them after the last. Responses, reconstruction and decoding always use the whole backbone.
    """

    name: str
    backbone: Name
    teacher: Name
    n_compression: Positive = 10
    n_thought: Count = 0
    max_tokens: Positive = 512
    seed: Seed = 0
    held_out: Count = 200
    exit_layer: Count = 0
    response: ResponseOptions = field(default_factory=ResponseOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    losses: LossOptions = field(default_factory=LossOptions)
    optim: OptimOptions = field(default_factory=OptimOptions)
    lora: LoraOptions = field(default_factory=LoraOptions)
    unsupervised: UnsupervisedOptions = field(default_factory=UnsupervisedOptions)

    def __post_init__(self) -> None:
        check_fields(self)
        views = self.views.answer + self.views.document + self.views.meaning + self.views.topic
        wrong = ""
        if self.n_tokens >= self.max_tokens:
            wrong = f"max_tokens is {self.max_tokens}: no room for text besides {self.n_tokens} trained tokens"
        elif not (self.losses.align or self.reconstructs):
            wrong = "both losses are off: nothing would be trained"
        elif not 0.999 < views < 1.001:
            wrong = f"the shares of the views sum to {views:g}: they must sum to 1"
        elif self.optim.readout == "states" and not (self.losses.align and self.optim.axes == "shared"):
            wrong = "optim.readout is states, which needs the alignment loss and optim.axes=shared"
        elif self.policy.examples and self.response.source != "own":
            wrong = (
                f"a policy needs responses of the LLM, and response.source is {self.response.source}: set it to own, "
            )
            wrong += "or policy.examples to none"
        if wrong:
            raise InputError(f"recipe {self.name}: {wrong}")

    @property
    def n_tokens(self) -> int:
        """How many tokens are trained."""
        return self.n_thought + self.n_compression

    @property
    def pulls(self) -> bool:
        """Whether queries that look refused are moved away from all passages (`PolicyOptions.pull`)."""
        return bool(self.policy.examples and self.policy.pull and self.losses.align)

    @property
    def reconstructs(self) -> bool:
        """Whether the reconstruction loss is on."""
        return self.losses.recon > 0 and self.response.source != "none"

    def digest(self) -> str:
        """16 hex characters over every field that is not its default, the name apart.

        A field that a later version adds with a default leaves the digests of older recipes alone.
        """
        facts = _adapter().dump_python(replace(self, name=""), exclude_defaults=True)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


RECIPES: Registry[Recipe] = Registry("recipe", "genzoo list --recipes")

# What a laptop can do: short answers, a small share of them reconstructed, the alignment solved instead of descended.
_SMALL = Recipe(
    "smollm2-135m-minilm",
    backbone="smollm2-135m",
    teacher="minilm",
    response=ResponseOptions(limit=12_160),
    views=ViewOptions(answer=0.45, document=0.25, meaning=0.15, topic=0.15, unprompted=0.2, long=0.15),
    losses=LossOptions(recon_share=0.35, recon_tokens=24),
    optim=OptimOptions(steps=420, batch=32, warmup=10, lr_rows=1e-3, lr_recon=1e-3, align_first=40, align_memory=200),
)
# What was found with the teacher below holds with this one, too: layer 24 of 30, texts without their prompt, the policy's axis. Read
# half-way, more reconstruction at the end brings the answer back.
_TAUGHT = replace(
    _SMALL,
    exit_layer=24,
    policy=PolicyOptions(examples="default", false_refusals=0.005),
    views=replace(_SMALL.views, bare=0.05, as_query=0.1),
    optim=replace(_SMALL.optim, steps=540, recon_last=120, axes="shared"),
)
# A teacher of early layers knows words, not meanings: half of the texts that are asked for their topic stand for what they belong
# to, the regression is held back harder, and the embeddings are partly whitened. A last phase follows the alignment alone: it
# was worth more than doubling the steps with both losses.
_UNSUPERVISED = replace(
    _SMALL,
    teacher=UNSUPERVISED,
    views=replace(_SMALL.views, context=0.5),
    optim=replace(_SMALL.optim, align_last=150, lr_rows=3e-3, ridge=1000.0, partial_whitening=0.35),
)
# Read at layer 24 of 30: with layer 22 much less of the answer reaches the tokens. Only the surest requests are refused: the policy's
# axis makes a search safer without them, and what is refused makes some of the others decode to a refusal.
_SELF_TAUGHT = replace(
    _UNSUPERVISED,
    name="smollm2-135m",
    exit_layer=24,
    policy=PolicyOptions(examples="default", false_refusals=0.005, pull=5.0),
    views=replace(_UNSUPERVISED.views, bare=0.05, as_query=0.1),
    optim=replace(
        _UNSUPERVISED.optim,
        steps=1240,
        align_last=240,
        recon_last=140,
        ridge=3000.0,
        partial_whitening=0.3,
        axes="shared",
    ),
    unsupervised=UnsupervisedOptions(layer=2, whiten=256, fit_texts=4000),
)
# A base model only goes on writing: told what stands before it, and kept out of loops, it answers in sentences. Its last layer, read
# where an answer opens, knows what the text is about: centred, it teaches more than an early one's whitened mean.
_BASE_MODEL = replace(
    _UNSUPERVISED,
    name="gemma3-270m",
    backbone="gemma3-270m",
    response=ResponseOptions(
        limit=5_000,
        system_prompt="Below are questions from users and helpful answers in two or three full sentences.",
        repetition_penalty=1.2,
    ),
    optim=replace(_UNSUPERVISED.optim, steps=300, align_last=75),
    unsupervised=UnsupervisedOptions(layer=18, whiten=256, power=0.0, fit_texts=4000, wrap="answer"),
)
RECIPES.register(_TAUGHT, _SELF_TAUGHT, _BASE_MODEL)

# The paper's settings: one epoch of 160,000 queries, answers of up to 500 tokens, an unsupervised teacher on the same backbone.
# Mistral is not in the paper; it has Llama's rate. The turned axes are not in it either and change no cosine; nothing was run here at
# these sizes.
_PAPER = {
    3e-4: ("qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-8b"),
    5e-4: ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b", "llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b",
           "mistral-7b-instruct-v0.3"),
}  # fmt: skip
for _rate, _backbones in _PAPER.items():
    _optim = OptimOptions(lr_rows=_rate, lr_recon=_rate, lr_align=_rate, precision="auto", axes="shared")
    _response = ResponseOptions(max_new_tokens=500)
    RECIPES.register(*(Recipe(one, one, UNSUPERVISED, response=_response, optim=_optim) for one in _backbones))


T = TypeVar("T")


def override(row: T, changes: Mapping[str, Any]) -> T:
    """Return a copy of a dataclass (and those inside it) with fields changed, all at once, so that limits hold for them together.

    Args:
        row: A recipe, or any frozen dataclass whose groups of fields hold no further groups.
        changes: Dotted field name -> new value, as it is or as the text that a command line has.

    Raises:
        InputError: For an unknown field (all are named) or a value of the wrong kind.

    >>> from genzoo.recipes.recipes import Recipe
    >>> override(Recipe("r", "smollm2-135m", "minilm"), {"optim.steps": "7", "losses.recon": 0}).optim.steps
    7
    """
    names, groups = list(field_names(row)), dict[str, dict[str, Any]]()
    for name, value in changes.items():
        group, _, own = name.rpartition(".")
        if name not in names:
            inside = [one for one in names if one.startswith(f"{name}.")]
            beside = [one for one in names if one.startswith(f"{group}.")] or names
            if inside:
                raise InputError(f"{name!r} is a group of fields: change one of {', '.join(inside)}")
            raise InputError(f"there is no field {name!r}; the fields are {', '.join(beside)}")
        kind = get_type_hints(type(getattr(row, group) if group else row))[own]
        groups.setdefault(group, {})[own] = _as(kind, value, name)
    made = groups.pop("", {}) | {group: replace(getattr(row, group), **part) for group, part in groups.items()}
    return replace(row, **made)  # type: ignore[type-var]


def parse_change(text: str) -> tuple[str, str]:
    """``key=value`` as typed; the value may hold further equals signs.

    >>> parse_change("response.system_prompt=a=b")
    ('response.system_prompt', 'a=b')
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"{text!r} changes no field: write field=value, as in optim.steps=200")
    return name.strip(), value.strip()


def field_names(row: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields of a dataclass."""
    for one in fields(row):
        value = getattr(row, one.name)
        if is_dataclass(value):
            yield from field_names(value, f"{prefix}{one.name}.")
        else:
            yield prefix + one.name


def _as(kind: Any, value: Any, name: str) -> Any:
    """A text as the field's kind; what is no text stays what it is, and the row checks it."""
    if type(None) in get_args(kind) and value in ("none", "null", ""):
        return None
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind not in (int, float) or not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{name} must be a{' whole' if kind is int else ''} number, not {value!r}") from None
