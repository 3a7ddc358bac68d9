"""Examples -> batches in an order that depends on the seed alone, and what each of them will cost."""

from __future__ import annotations

import random
from collections.abc import Sequence

from genzoo.estimates import CHARACTERS_PER_TOKEN
from genzoo.recipes import Recipe
from genzoo.training.phases import phase_at, phases_of, recon_share, recon_tokens
from genzoo.training.views import Example

BUCKET = 16
GRADIENT = 2.0
"""A pass with gradients costs about this many forward passes: the weights are frozen and need none."""


def plan_batches(recipe: Recipe, examples: Sequence[Example]) -> list[list[Example]]:
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


def step_costs(recipe: Recipe, batches: Sequence[Sequence[Example]]) -> list[float]:
    """Tokens that each step pushes through the backbone, a token with gradients counted `GRADIENT` times."""
    costs = []
    for step, batch in enumerate(batches):
        text = sum(min(len(one.text) / CHARACTERS_PER_TOKEN, recipe.max_tokens) for one in batch)
        is_finished = phase_at(recipe, step).kind == "reconstruction"
        cost = text * (GRADIENT if recipe.lora.rank and not is_finished else 1)
        cost += (1 if is_finished else GRADIENT) * recipe.n_tokens * len(batch)
        if has_recon(recipe, step):
            limit = recon_tokens(recipe, step)
            answers = sum(min(len(one.target) / CHARACTERS_PER_TOKEN, limit) for one in batch)
            cost += GRADIENT * recon_share(recipe, step) * (answers + recipe.n_compression * len(batch))
        costs.append(cost)
    return costs
