"""The phases of a training, one after the other: what each of them trains, and its learning rates' schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from genzoo.recipes import Recipe


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

    >>> from genzoo.options import OptimOptions
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

    >>> from genzoo.options import OptimOptions
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
