"""Long work: the share that one of several machines takes, how fast it goes, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from genzoo.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Every count-th item, beginning at the number-th, both counted from 1; the shards together are the whole job.

    >>> [place for place in range(5) if Shard(2, 3).takes(place)]
    [1, 4]
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``.

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        first, _, second = text.partition("/")
        if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
            raise InputError(f"{text!r} is no shard: write i/n with 1 <= i <= n, as in 2/8")
        return cls(int(first), int(second))

    def takes(self, place: int) -> bool:
        """Whether the item at this place, counted from 0, is of this shard."""
        return place % self.count == self.number - 1

    def size(self, total: int) -> int:
        """How many of so many items are of this shard."""
        return len(range(self.number - 1, total, self.count))

    def file_name(self, stem: str, suffix: str) -> str:
        """A name of its own for what this shard writes: ``responses.jsonl``, or ``responses-2-of-8.jsonl``."""
        return f"{stem}{suffix}" if self.count == 1 else f"{stem}-{self.number}-of-{self.count}{suffix}"


WHOLE = Shard()


CHARACTERS_PER_TOKEN = 4.2
"""English text under a byte-pair vocabulary of some ten thousand entries."""


def measure_speed(device: str | None = None, dtype: str = "float32") -> float:
    """Floating-point operations per second of a matrix product on this machine now; takes half a second."""
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    left, right = (torch.randn(1024, 1024, device=where).to(getattr(torch, dtype)) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < 0.5:
        start = time.perf_counter()
        (left @ right)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


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
