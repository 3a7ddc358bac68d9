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


def as_time(seconds: float | None) -> str:
    """Seconds for people.

    >>> as_time(42), as_time(600), as_time(9000), as_time(None)
    ('42 s', '10 min', '2 h 30 min', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
