"""How long a stage still takes, when its steps are not all alike."""

from __future__ import annotations

import time
from collections.abc import Sequence


class Pace:
    """Time left, from what was done so far and what each step costs.

    Args:
        costs: Cost of each step, in any unit.
        start: Steps that an earlier run had done.
        clock: Gives seconds.
    """

    def __init__(self, costs: Sequence[float], start: int = 0, clock: object = None) -> None:
        self._clock = clock if callable(clock) else time.perf_counter
        self._total = [0.0]
        for cost in costs:
            self._total.append(self._total[-1] + cost)
        self._start, self._began = start, self._clock()

    def seconds_left(self, done: int) -> float | None:
        """Seconds until the last step, after ``done`` steps; None before the first."""
        made = self._total[done] - self._total[self._start]
        if made <= 0:
            return None
        return (self._clock() - self._began) * (self._total[-1] - self._total[done]) / made
