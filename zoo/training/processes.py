"""The processes that train together, as accelerate started them; one process alone needs none of this.

Every process holds the whole plan and its own share of each batch, scaled by the whole batch's counts, so that summed gradients
are the whole batch's gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from accelerate import PartialState

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

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the block before the others, which then find its files."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()
