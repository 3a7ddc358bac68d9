"""How training computes: the processes that train together, and where bfloat16 is good enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.nn import functional

from genzoo.jobs import measure_speed
from genzoo.recipes.fields import ResponseOptions

if TYPE_CHECKING:
    from accelerate import PartialState

    from genzoo.training.plan import Shape


T = TypeVar("T")


class Processes:
    """This process among its peers.

    Args:
        state: accelerate's; None for a process that stands alone.
    """

    def __init__(self, state: PartialState | None = None) -> None:
        self._state = state
        self.rank = state.process_index if state else 0
        self.count = state.num_processes if state else 1

    @classmethod
    def from_environment(cls, device: str | None = None) -> Processes:
        """What ``accelerate launch`` or ``torchrun`` set up, if they did."""
        import os

        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from accelerate import PartialState

        return cls(PartialState(cpu=device == "cpu" or not torch.cuda.is_available()))

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and draws bars."""
        return self.rank == 0

    @property
    def device(self) -> str | None:
        """Where accelerate wants this process to compute; None for a process alone."""
        return str(self._state.device) if self._state else None

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part: every n-th, so that like lengths are spread evenly."""
        return items[self.rank :: self.count]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor summed over all processes, the same in each."""
        if self.count == 1:
            return tensor
        from accelerate.utils import reduce

        return reduce(tensor, reduction="sum")

    def wait(self) -> None:
        """Until all processes are here."""
        if self._state:
            self._state.wait_for_everyone()

    def main_first(self) -> AbstractContextManager[Any]:
        """The main process runs the block before the others, which then find its files."""
        return self._state.main_process_first() if self._state else nullcontext()


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
