"""Queries and responses -> training examples, the phases of a training, and batches in an order that depends on the seed alone."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from genzoo.backbones.generation import Response
from genzoo.jobs import CHARACTERS_PER_TOKEN
from genzoo.models import prompts
from genzoo.recipes.recipes import Recipe, ViewOptions

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingExample:
    """One training pair.

    Attributes:
        text: Prompt and input, as the backbone reads it before the trained tokens.
        target: Text that the embedding should stand for; the reconstruction loss scores it too.
        ended: Whether the target is complete, so that the model may learn to stop after it.
    """

    text: str
    target: str
    ended: bool


def first_sentence(text: str) -> str:
    """The first sentence of a text, or its first line where it has no full stop.

    >>> first_sentence("Polar bears live in the Arctic. They hunt seals.")
    'Polar bears live in the Arctic.'
    """
    line = text.strip().split("\n", 1)[0]
    found = re.match(r".{12,}?[.!?](?=\s|$)", line)
    return found.group(0) if found else line


def _cycle(items: Sequence[T], rng: random.Random) -> Callable[[], T]:
    """Draw without replacement, reshuffling when all were drawn."""
    order: list[T] = []

    def draw() -> T:
        if not order:
            order.extend(items)
            rng.shuffle(order)
        return order.pop()

    return draw


def make_examples(
    recipe: Recipe, responses: Sequence[Response], queries: Sequence[str], count: int, refused: Collection[str] = ()
) -> list[TrainingExample]:
    """Make ``count`` examples by the recipe's view shares; equal arguments give equal examples.

    Args:
        recipe: What is made.
        responses: To the queries that have one.
        queries: All texts that may stand for themselves.
        count: Of the examples.
        refused: Queries whose response is a refusal. Each refusal is a passage once, and no query's subject.
    """
    passages = _passages(responses, refused)
    views: ViewOptions = recipe.views
    rng = random.Random(recipe.seed)  # noqa: S311 - reproducible sampling
    # of its own: the same texts are drawn, whatever becomes of their prompts
    careless = random.Random(f"{recipe.seed}-prompts")  # noqa: S311 - reproducible sampling

    def under(prompt: str, text: str, *, is_query: bool) -> str:
        """The text under its prompt, bare, or (unless it is a query, which has another target there) under that of queries."""
        drawn = careless.random()
        if drawn < views.bare:
            return text
        return (prompts.QUERY if not is_query and drawn < views.bare + views.as_query else prompt) + text

    answered, passage, short = (_cycle(rows, rng) for rows in (responses, passages, passages))
    text, known = _cycle(queries, rng), {row.query: row for row in responses}
    kinds = ("answer", "document", "meaning", "topic")
    shares = [getattr(views, kind) for kind in kinds]
    examples = []
    for kind in rng.choices(kinds, shares, k=count):
        if kind == "answer":
            one = answered()
            prompt = "" if rng.random() < views.unprompted else prompts.QUERY
            examples.append(TrainingExample(under(prompt, one.query, is_query=True), one.response, one.finished))
        elif kind == "document":
            parts = [passage() for _ in range(rng.randint(2, 4) if rng.random() < views.long else 1)]
            joined = " ".join(part.response.strip() for part in parts)
            examples.append(
                TrainingExample(under(prompts.DOCUMENT, joined, is_query=False), joined, parts[-1].finished)
            )
        else:
            whole: Response | None
            is_query = rng.random() < 0.5
            if is_query:
                source = text()
                whole = None if source in refused else known.get(source)
            else:
                whole = short()
                source = first_sentence(whole.response)
            prompt = prompts.DOCUMENT if kind == "meaning" else rng.choice(prompts.TOPICS)
            target, ended = source, True
            if kind == "topic" and views.context and whole is not None and rng.random() < views.context:
                target, ended = whole.response, whole.finished
            examples.append(TrainingExample(under(prompt, source, is_query=is_query), target, ended))
    return examples


def _passages(responses: Sequence[Response], refused: Collection[str]) -> list[Response]:
    """The responses as passages: a refusal that many queries share is one."""
    shared = {row.response: row for row in reversed(responses) if row.query in refused}
    return [row for row in responses if row.query not in refused or shared[row.response] is row]


@dataclass(frozen=True)
class Phase:
    """Some steps that train alike; each phase draws its own examples and begins with a new optimiser.

    Attributes:
        kind: ``both``: both losses train everything. ``alignment``: the rows follow the alignment alone, the reconstruction
            trains its projection. ``reconstruction``: only that projection is trained; the embedding is finished and stays.
        start: Its first step.
        steps: How many there are.
    """

    kind: Literal["both", "alignment", "reconstruction"]
    start: int
    steps: int

    @property
    def end(self) -> int:
        """The step after its last."""
        return self.start + self.steps


def phases_of(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a recipe; at least the first.

    >>> from genzoo.recipes.fields import OptimOptions
    >>> recipe = Recipe("r", "smollm2-135m", "minilm", optim=OptimOptions(steps=100, align_last=20, recon_last=10))
    >>> [(phase.kind, phase.start, phase.steps) for phase in phases_of(recipe)]
    [('both', 0, 70), ('alignment', 70, 20), ('reconstruction', 90, 10)]
    """
    steps, optim = recipe.optim.steps, recipe.optim
    last = min(optim.recon_last, steps // 4) if recipe.reconstructs else 0
    align = min(optim.align_last, (steps - last) // 2) if recipe.losses.align else 0
    found = [Phase("both", 0, steps - align - last)]
    if align:
        found.append(Phase("alignment", found[-1].end, align))
    if last:
        found.append(Phase("reconstruction", found[-1].end, last))
    return tuple(found)


def phase_at(recipe: Recipe, step: int) -> Phase:
    """The phase that a step belongs to."""
    return next(phase for phase in phases_of(recipe) if step < phase.end)


def schedule(recipe: Recipe, step: int) -> float:
    """Share of the full learning rate: in each phase linear up over ``warmup`` steps, then linear down to nothing.

    >>> from genzoo.recipes.fields import OptimOptions
    >>> recipe = Recipe("r", "smollm2-135m", "minilm", optim=OptimOptions(steps=170, warmup=10, align_last=60))
    >>> [schedule(recipe, step) for step in (0, 9, 60, 110, 145)]
    [0.1, 1.0, 0.5, 0.1, 0.5]
    """
    phase, warmup = phase_at(recipe, step), recipe.optim.warmup
    into = step - phase.start
    return (into + 1) / warmup if into < warmup else (phase.steps - into) / max(1, phase.steps - warmup)


def recon_share(recipe: Recipe, step: int) -> float:
    """Share of a step's batch whose responses are scored: all where only the reconstruction is trained."""
    return 1.0 if phase_at(recipe, step).kind == "reconstruction" else recipe.losses.recon_share


def recon_tokens(recipe: Recipe, step: int) -> int:
    """How many tokens of a response are scored: there, as many as the backbone may write."""
    if phase_at(recipe, step).kind == "reconstruction":
        return max(recipe.losses.recon_tokens, recipe.response.max_new_tokens)
    return recipe.losses.recon_tokens


BUCKET = 16
GRADIENT = 2.0
"""A pass with gradients costs about this many forward passes: the weights are frozen and need none."""


def plan_batches(recipe: Recipe, examples: Sequence[TrainingExample]) -> list[list[TrainingExample]]:
    """Batches of like length, so that a step's memory is even and there is little padding where a GPU pads."""
    optim, rng = recipe.optim, random.Random(recipe.seed)  # noqa: S311 - reproducible order
    size = optim.batch * BUCKET
    batches, start = [], 0
    for phase in phases_of(recipe):
        end = start + phase.steps * optim.batch
        for first in range(start, end, size):
            bucket = sorted(examples[first : min(first + size, end)], key=lambda one: len(one.text))
            part = [bucket[at : at + optim.batch] for at in range(0, len(bucket), optim.batch)]
            rng.shuffle(part)
            batches += part
        start = end
    return batches


def chosen_for_recon(recipe: Recipe, step: int, size: int) -> list[int]:
    """Places in the batch that the reconstruction loss looks at."""
    rng = random.Random(f"{recipe.seed}-{step}")  # noqa: S311 - reproducible sampling
    return sorted(rng.sample(range(size), max(1, round(recon_share(recipe, step) * size))))


def scored_places(recipe: Recipe, step: int, place: int, length: int) -> list[int]:
    """Places in the response of the batch's example `place` that are scored; at least one, all where the share is 1."""
    share = recipe.losses.recon_positions
    if share == 1:
        return list(range(length))
    rng = random.Random(f"{recipe.seed}-{step}-{place}")  # noqa: S311 - reproducible sampling
    return sorted(rng.sample(range(length), max(1, round(share * length))))


def has_recon(recipe: Recipe, step: int) -> bool:
    """Whether a step computes the reconstruction loss."""
    return recipe.reconstructs and (step >= recipe.optim.align_first or not recipe.losses.align)


def step_costs(recipe: Recipe, batches: Sequence[Sequence[TrainingExample]], depth: float = 1.0) -> list[float]:
    """Tokens that each step pushes through the backbone, a token with gradients counted `GRADIENT` times.

    Args:
        recipe: Of the training.
        batches: One for each step.
        depth: Share of the backbone's layers that are run to embed a text.
    """
    costs = []
    for step, batch in enumerate(batches):
        text = sum(min(len(one.text) / CHARACTERS_PER_TOKEN, recipe.max_tokens) for one in batch)
        is_finished = phase_at(recipe, step).kind == "reconstruction"
        cost = text * (GRADIENT if recipe.lora.rank and not is_finished else 1)
        cost += (1 if is_finished else GRADIENT) * recipe.n_tokens * len(batch)
        cost *= depth
        if has_recon(recipe, step):
            limit = recon_tokens(recipe, step)
            answers = sum(min(len(one.target) / CHARACTERS_PER_TOKEN, limit) for one in batch)
            cost += GRADIENT * recon_share(recipe, step) * (answers + recipe.n_compression * len(batch))
        costs.append(cost)
    return costs
