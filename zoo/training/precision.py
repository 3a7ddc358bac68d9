"""Where bfloat16 is good enough: for answers wherever it is faster, for gradients only where they are checked.

On SmolLM2-135M they are not good enough: their noise is as large as that between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from genzoo.estimates import measure_speed
from genzoo.options import ResponseOptions

if TYPE_CHECKING:
    from genzoo.training.plan import Shape

ENOUGH = 0.99
FASTER, LARGE = 1.5, 50_000_000
"""How much faster bfloat16 must be, and how many parameters a backbone must have, for answers to be made in it: below that,
generation waits for other things than matrix products."""


def answers_in_bfloat16(options: ResponseOptions, shape: Shape | None, device: str | None = None) -> bool:
    """Whether the backbone answers in bfloat16: where the recipe lets it, it is large enough, and this machine is faster in it."""
    if options.precision != "auto" or shape is None or shape.n_parameters < LARGE:
        return False
    return measure_speed(device, "bfloat16") >= FASTER * measure_speed(device)


@dataclass(frozen=True)
class GradientCheck:
    """Cosines of the bfloat16 gradient with the float32 one, for each trained tensor; 1 is equal, 0 is noise.

    Attributes:
        cosines: Trained tensor -> the smallest cosine over the batches.
    """

    cosines: dict[str, float]

    @property
    def is_good(self) -> bool:
        """Whether every tensor's cosine is at least `ENOUGH`."""
        return all(value >= ENOUGH for value in self.cosines.values())

    def __str__(self) -> str:
        found = ", ".join(f"{name} {value:.3f}" for name, value in self.cosines.items())
        return f"bfloat16 gradients against float32: {found} (at least {ENOUGH} wanted)"


def check_gradients(
    gradients: Callable[[int, bool], Mapping[str, torch.Tensor]], steps: Iterable[int]
) -> GradientCheck:
    """Compare bfloat16 gradients with float32 ones.

    Args:
        gradients: From a step and whether bfloat16 is used to each trained tensor's gradient, flat.
        steps: The steps whose batches are compared.
    """
    cosines: dict[str, float] = {}
    for step in steps:
        rough = gradients(step, True)
        for name, exact in gradients(step, False).items():
            found = float(functional.cosine_similarity(exact, rough[name], dim=0))
            cosines[name] = min(found, cosines.get(name, 1.0))
    return GradientCheck(cosines)
