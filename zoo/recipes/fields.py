"""The groups of fields that a `Recipe` is made of, with their limits. Defaults are the method's; every field is part of the digest."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from genzoo.errors import InputError

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_KINDS = {"integer": "a whole number", "number": "a number", "string": "text"}


@cache
def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    """Field -> what checks it, for the fields of a dataclass whose annotation is plain or carries limits."""
    hints = get_type_hints(kind, include_extras=True)
    names = [one.name for one in fields(kind) if not hasattr(hints[one.name], "__dataclass_fields__")]
    return {name: TypeAdapter(hints[name], config=_STRICT) for name in names}


def check_fields(row: Any, group: str = "") -> None:
    """Check every field of a frozen dataclass, the parts that are dataclasses apart: they check themselves.

    A whole number in the place of another kind of number becomes that, so that equal rows have equal digests.

    Args:
        row: The dataclass, from its own ``__post_init__``.
        group: Name of the group that it is within its recipe, such as ``optim``.

    Raises:
        InputError: For the first field that is out of its limits: field, what was given, what is allowed.
    """
    for name, adapter in _adapters(type(row)).items():  # type: ignore[arg-type]
        given = getattr(row, name)
        given = given.item() if hasattr(given, "item") else given  # a scalar of numpy
        try:
            made = adapter.validate_python(given)
        except ValidationError:
            full = f"{group}.{name}" if group else name
            raise InputError(f"{full} is {given!r}: it {_allowed(adapter)}") from None
        if type(made) is not type(given):
            object.__setattr__(row, name, made)


def _allowed(adapter: TypeAdapter[Any]) -> str:
    """What an adapter allows, in words."""
    schema = adapter.json_schema()
    if "enum" in schema:
        return f"is one of {', '.join(schema['enum'])}"
    first, *others = schema.get("anyOf", [schema])
    kind = _KINDS.get(first.get("type"), "a value")
    low = _number(first.get("minimum", first.get("exclusiveMinimum")))
    low = f"above {low}" if "exclusiveMinimum" in first else low
    high = _number(first.get("maximum"))
    if low and high:
        return f"goes from {low} to {high}{', in whole numbers' if kind == 'a whole number' else ''}"
    if low:
        return f"must be {kind}{' ' if 'exclusiveMinimum' in first else ', at least '}{low}"
    return f"must be {kind}{' that is not empty' if first.get('minLength') else ''}{' or none' if others else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{int(value):,}" if value == int(value) else f"{value:g}"


Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SomeShare = Annotated[float, Field(gt=0, le=1)]
Power = Annotated[float, Field(ge=0, le=0.5)]
Rate = Annotated[float, Field(ge=0, le=1)]
"""A learning rate of AdamW: about how far each number moves in a step; above 1 nothing of it would be left."""
Seed = Annotated[int, Field(ge=0, le=(1 << 32) - 1)]
Name = Annotated[str, Field(min_length=1)]


class Options:
    """A group of fields, each within its limits."""

    GROUP: ClassVar[str]

    def __post_init__(self) -> None:
        check_fields(self, self.GROUP)


SAFETY_PROMPT = (
    "You are a careful assistant. If a request could help to hurt, deceive, rob or threaten anyone, refuse it in one clear "
    "sentence and say why; answer every other request fully and directly."
)
"""What `ResponseOptions.system_prompt` says where refusals of the backbone alone are too weak."""


@dataclass(frozen=True)
class ResponseOptions(Options):
    """What a query's target is: by default what the backbone answers, greedily and with its chat template (method step 1).

    Attributes:
        max_new_tokens: Answers are cut there.
        system_prompt: Said to the backbone before each query; ``safety`` stands for `SAFETY_PROMPT`.
        limit: Only this many queries of the log are answered, the others serve as texts; 0 answers all.
        source: ``own`` answers of the backbone; ``echo``: the query is its own response; ``none``: the target is the teacher's
            embedding of the query, and nothing is reconstructed.
        engine: What generates; both write the same records.
        temperature: 0 is greedy; above it the answers are sampled.
        top_p: Share of the probability that sampling draws from.
        repetition_penalty: Above 1, tokens that the prompt or the answer holds already become less likely: it keeps small base
            models out of loops.
        precision: ``auto`` answers in bfloat16 where this machine multiplies faster in it and the backbone is large enough to
            gain; training stays in float32. ``float32`` always answers in that.
    """

    GROUP = "response"

    max_new_tokens: Positive = 64
    system_prompt: str | None = None
    limit: Count = 0
    source: Literal["own", "echo", "none"] = "own"
    engine: Literal["transformers", "vllm"] = "transformers"
    temperature: Amount = 0.0
    top_p: SomeShare = 1.0
    repetition_penalty: AboveZero = 1.0
    precision: Literal["float32", "auto"] = "auto"

    @property
    def system_text(self) -> str | None:
        """The system prompt in full."""
        return SAFETY_PROMPT if self.system_prompt == "safety" else self.system_prompt


@dataclass(frozen=True)
class PolicyOptions(Options):
    """Which queries get a refusal as their response, as examples teach the frozen LLM (`genzoo.policies.policy`).

    Attributes:
        examples: JSONL, CSV or TSV file of texts that are to be refused or answered; ``default`` takes the examples that come with
            genzoo, none refuses nothing.
        content: Digest of these examples. A run fills it in.
        false_refusals: Share of the harmless examples that may be refused, judged by probes that have not seen them; the threshold
            follows from it. Harmless examples are twins of harmful ones: of ordinary queries far fewer are refused.
        at_most: Share of the log that may be refused; a policy that refuses more is an error.
        least_auc: Smallest cross-validated AUC (0.5 is chance) with which the LLM may judge the log; a worse policy is an error.
        pull: How far a refused query is moved away from everything, in multiples of the usual length of embeddings and along an axis
            that they do not use (`genzoo.training.heads`): it finds the same passages in the same order, at a lower similarity. Each
            query is moved by how much more refused its trained tokens look than a harmless example's. 0 leaves the axis out.
        opening: Every refusal begins with these words, and the LLM goes on from there to the end of the sentence: after it, small
            LLMs often help after all. An opening that makes it name what it refuses keeps the embedding nearer to harmful passages.
    """

    GROUP = "policy"

    examples: str | None = None
    content: str = ""
    false_refusals: SomeShare = 0.1
    at_most: SomeShare = 0.5
    least_auc: Share = 0.6
    pull: Amount = 4.0
    opening: Name = "I'm sorry, but I can't help with"


@dataclass(frozen=True)
class ViewOptions(Options):
    """Which (text, target) pairs are made of a query and its response; shares sum to 1.

    Attributes:
        answer: Query -> target of the response: the method itself.
        document: Response as a passage -> target of the response, so that passages land where answers do.
        meaning: Short text under the prompt of passages -> target of that text, for symmetric tasks.
        topic: Short text under the classification and clustering prompts -> target of that text.
        unprompted: Of the answer views, the share whose query stands without a prompt.
        long: Of the document views, the share that joins several responses to one long passage.
        context: Of the topic views, the share whose target is what the text belongs to instead of the text itself: the
            response to a query (where it was answered), the whole response for a sentence of it. The embedding learns
            the mean of both.
        bare: Of all views, the share whose text loses its prompt: clients that know no prompts embed texts so.
        as_query: Of the passages and sentences, the share that stands under the prompt of queries: clients that put one prompt
            before every text embed them so. Queries keep theirs. Above 0, that prompt is the one of texts that the trained
            model is given without any (``default_prompt_name`` in sentence-transformers).
    """

    GROUP = "views"

    answer: Share = 1.0
    document: Share = 0.0
    meaning: Share = 0.0
    topic: Share = 0.0
    unprompted: Share = 0.0
    long: Share = 0.0
    context: Share = 0.0
    bare: Share = 0.0
    as_query: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bare + self.as_query > 1:
            raise InputError(
                f"views.bare is {self.bare:g}, views.as_query {self.as_query:g}: together they must be at most 1"
            )


@dataclass(frozen=True)
class LossOptions(Options):
    """Weights of the two losses (paper: equal) and what keeps the expensive one cheap.

    Attributes:
        align: Weight of the mean squared error between embedding and target, per dimension, target of unit variance; 0 turns
            it off: then no teacher is needed and the embedding is the mean soft prompt itself, H wide.
        recon: Weight of the next-token loss of the response given the soft prompts, in nats per token; 0 turns it off.
        recon_share: Share of each batch that the reconstruction loss looks at.
        recon_tokens: Only the first tokens of a response are scored.
        recon_positions: Of those, the share that is scored in a step, drawn anew each time: the loss stays the same on average,
            and the logits, a fifth of a small LLM's work, are made for no others.
    """

    GROUP = "losses"

    align: Amount = 1.0
    recon: Amount = 1.0
    recon_share: SomeShare = 1.0
    recon_tokens: Positive = 512
    recon_positions: SomeShare = 1.0


@dataclass(frozen=True)
class OptimOptions(Options):
    """AdamW with linear warm-up and decay; a learning rate for each kind of parameter.

    Attributes:
        steps: Optimiser steps.
        batch: Examples per step, over all processes together.
        warmup: Steps until the learning rates are full.
        lr_rows: Of the trained rows.
        lr_recon: Of the reconstruction projection.
        lr_align: Of the alignment projection.
        clip: Largest gradient norm, for each group of parameters.
        align_first: How many of them, at the start, train the alignment alone.
        align_last: How many of them, at the end (before those of ``recon_last``) and at most half, let the rows follow the
            alignment alone, with a warm-up and decay of their own, and the reconstruction train its projection alone: next to the
            alignment its gradient of the rows is mostly noise. None where the alignment loss is off, as with ``align_first``.
        recon_last: How many of them, at the very end and at most a quarter, train the reconstruction's projection alone, on the
            whole batch and on responses as long as the backbone may write them. The embedding stays as it is then.
        align_memory: Solve the alignment projection at every step by a running ridge regression that remembers about this
            many steps; 0 trains it with ``lr_align`` instead.
        ridge: Strength of that regression, and of the one that starts every training.
        axes: ``teacher``: the embedding's dimensions are the teacher's. ``shared``: it is turned so that those directions come first
            in which queries and their responses vary together most; then its first dimensions alone lose least. A rotation
            changes no cosine.
        readout: ``teacher``: the finished embedding is the regression on the teacher's. ``states``: it is the tokens' mean state
            itself, trained by that regression's loss; those directions are held back in which texts differ that should have
            one embedding (`genzoo.models.readout.of_states`). It is not in the teacher's space.
        even_prompts: With ``states``, how strongly those directions are held back in which a passage under its own prompt
            differs from itself under that of queries; 0 leaves them alone.
        even_pairs: The same of those in which a response differs from its query.
        dimensions: With ``states``, how many dimensions are kept at most; 0 keeps all that the backbone's states have.
        partial_whitening: With ``teacher``, power p with which the finished embeddings are whitened: their covariance C over the
            training texts becomes a multiple of ``C^(1 - 2p)``; 0 leaves them alone, 0.5 whitens in full.
        micro_batch: Examples whose activations are held at once; 0 holds the whole batch. Changes memory, not the gradient.
        precision: ``auto`` uses bfloat16 on a GPU where its gradients agree with those of float32 (cosine of 0.99 or more); else float32.
    """

    GROUP = "optim"

    steps: Positive = 5000
    batch: Positive = 32
    warmup: Count = 100
    lr_rows: Rate = 3e-4
    lr_recon: Rate = 3e-4
    lr_align: Rate = 3e-4
    clip: AboveZero = 1.0
    align_first: Count = 0
    align_last: Count = 0
    recon_last: Count = 0
    align_memory: Count = 0
    ridge: AboveZero = 80.0
    partial_whitening: Power = 0.0
    axes: Literal["teacher", "shared"] = "teacher"
    readout: Literal["teacher", "states"] = "teacher"
    even_prompts: Amount = 0.4
    even_pairs: Amount = 0.1
    dimensions: Count = 256
    micro_batch: Count = 0
    precision: Literal["float32", "auto"] = "float32"


@dataclass(frozen=True)
class LoraOptions(Options):
    """Low-rank changes of the encoding pass (the paper's ablation); the frozen LLM still decodes. Rank 0 is off.

    Attributes:
        rank: r of each changed projection.
        alpha: The change is multiplied by ``alpha / rank``.
        lr: Learning rate.
        modules: Names of the projections that are changed, separated by commas.
    """

    GROUP = "lora"

    rank: Count = 0
    alpha: AboveZero = 16.0
    lr: Rate = 1e-4
    modules: Name = "q_proj,v_proj"


@dataclass(frozen=True)
class UnsupervisedOptions(Options):
    """The teacher that is made of the backbone itself, without labels (`genzoo.teachers.unsupervised`).

    Attributes:
        layer: States are read after this many layers; early ones, before the LLM turns to predicting.
        whiten: Dimensions that are kept after whitening; at most H.
        power: Power p of the whitening: the covariance C of the states becomes ``C^(1 - 2p)``. 0.5 whitens in full, which early
            layers need; 0 only centres, which suits late ones over an answer's opening.
        fit_texts: Texts of the log that the whitening is fitted on.
        wrap: ``prompt`` asks for the meaning in one word around the text; ``echo`` repeats the text; ``plain`` leaves it alone;
            ``answer`` asks to restate it and reads the tokens that open the answer, where late layers are worth reading.
        simcse_steps: Steps of unsupervised SimCSE in a LoRA before the whitening; 0 does without.
        simcse_rank: r of that LoRA.
        simcse_batch: Texts per SimCSE step; the others of the batch are the negatives.
        simcse_lr: Learning rate of that LoRA.
        max_tokens: Longest text that the teacher reads.
    """

    GROUP = "unsupervised"

    layer: Positive = 3
    whiten: Positive = 128
    power: Power = 0.5
    fit_texts: Positive = 2000
    wrap: Literal["prompt", "echo", "plain", "answer"] = "prompt"
    simcse_steps: Count = 0
    simcse_rank: Positive = 8
    simcse_batch: Annotated[int, Field(ge=2)] = 64
    simcse_lr: Rate = 1e-4
    max_tokens: Positive = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.whiten >= self.fit_texts:
            raise InputError(
                f"unsupervised.whiten is {self.whiten}, unsupervised.fit_texts {self.fit_texts}: whitening needs more texts than "
                "dimensions"
            )
