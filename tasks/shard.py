"""The part of a run that one of several machines takes."""

from __future__ import annotations

from dataclasses import dataclass

from genzoo.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Every n-th pair of model and task, beginning at the i-th; together the n shards are the whole run.

    >>> [place for place in range(5) if Shard(2, 3).takes(place)]
    [1, 4]
    """

    i: int = 1
    n: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`, such as `2/4`."""
        i, _, n = text.partition("/")
        if not (i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
            raise InputError(f"shard {text!r}: expected i/n with i from 1 to n, such as 2/4")
        return cls(int(i), int(n))

    def takes(self, place: int) -> bool:
        """Whether the pair at this place, counted from 0, is of this shard."""
        return place % self.n == self.i - 1

    def count(self, total: int) -> int:
        """How many of so many pairs are of this shard."""
        return len(range(self.i - 1, total, self.n))


WHOLE = Shard()
