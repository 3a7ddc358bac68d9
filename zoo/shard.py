"""The part of a long job that one of several machines takes."""

from __future__ import annotations

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
