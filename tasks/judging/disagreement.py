"""On which queries embedders disagree: rank-biased overlap, and queries chosen by it and at random."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genzoo.errors import InputError
from genzoo.text import plural

PERSISTENCE = 0.9
"""Of the reader that rank-biased overlap imagines: the first ten places weigh 86 % (Webber et al. 2010, section 5)."""


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float = PERSISTENCE) -> float:
    """How alike two rankings are, from 0 (nothing in common) to 1 (equal), the first places weighing most.

    The extrapolated form RBO_ext for lists of equal or unequal length (Webber, Moffat and Zobel 2010, ACM TOIS 28(4), equation 32):
    below the end of the lists the agreement is taken to go on as it was there.

    Args:
        one: Ids, the best first, each once.
        other: Likewise.
        p: Chance that a reader goes on to the next place.

    >>> round(rank_biased_overlap("abc", "abc"), 6), rank_biased_overlap("ab", "cd")
    (1.0, 0.0)
    """
    short, long = sorted((list(one), list(other)), key=len)
    s, n = len(short), len(long)
    if not s:
        return float(not n)
    seen_short, seen_long = set[str](), set[str]()
    common, total, common_at_s = 0, 0.0, 0
    for depth in range(1, n + 1):
        new_long = long[depth - 1]
        new_short = short[depth - 1] if depth <= s else None
        common += new_long == new_short
        if new_long != new_short:
            common += (new_long in seen_short) + (new_short in seen_long if new_short is not None else 0)
        seen_long.add(new_long)
        if new_short is not None:
            seen_short.add(new_short)
        if depth == s:
            common_at_s = common
        agreement = common / depth
        if depth > s:
            agreement += common_at_s * (depth - s) / (s * depth)
        total += agreement * p**depth
    return (1 - p) / p * total + ((common - common_at_s) / n + common_at_s / s) * p**n


def disagreement(rankings: Sequence[Sequence[str]]) -> float:
    """One less the mean rank-biased overlap of every two rankings, from 0 (all equal) to 1; 0 for a single ranking."""
    pairs = list(itertools.combinations(rankings, 2))
    return 1 - sum(rank_biased_overlap(*pair) for pair in pairs) / len(pairs) if pairs else 0.0


@dataclass(frozen=True)
class Selection:
    """Which queries of a log are judged.

    Attributes:
        n_log: Queries of the log, each counted once.
        disagreed: Ids of those that were chosen because the embedders disagree on them most, the most disagreed first.
        drawn: Ids of those that were drawn at random among the others.
    """

    n_log: int
    disagreed: tuple[str, ...]
    drawn: tuple[str, ...]

    @property
    def queries(self) -> tuple[str, ...]:
        """All of them."""
        return self.disagreed + self.drawn

    @property
    def effect(self) -> str:
        """What the choice does to an estimate, in a sentence; empty where all queries were taken."""
        n = len(self.queries)
        if n == self.n_log:
            return ""
        if not self.disagreed:
            return f"The {n:,} queries were drawn at random from a log of {self.n_log:,}: scores and differences are estimates for the log."
        top = f"The {len(self.disagreed):,} queries on which the embedders disagree most, of {self.n_log:,}, are among those judged"
        if len(self.drawn) < 2:
            return (
                f"{top}. Differences between embedders are larger on these than in the log, and no estimate for the log can be made "
                "of them: they show where the embedders differ, not by how much."
            )
        return (
            f"{top}, with {len(self.drawn):,} drawn at random from the others. Plain means describe the judged queries and overstate "
            "differences; the estimate for the log weighs each query by the number of queries that it stands for."
        )


def choose(scores: Mapping[str, float], n_queries: int | None, most_disagreed: int, seed: int) -> Selection:
    """Choose queries to judge.

    Args:
        scores: Query -> `disagreement`.
        n_queries: How many in all; every query if None.
        most_disagreed: How many of these are the ones with the highest disagreement; the rest are drawn at random.
        seed: Of the draw.

    Raises:
        InputError: For numbers that cannot be met.
    """
    total = len(scores)
    _check("most_disagreed", most_disagreed, total)
    wanted = total if n_queries is None and not most_disagreed else n_queries or most_disagreed
    _check("n_queries", wanted, total, 1)
    if wanted == total:
        return Selection(total, (), tuple(scores))
    if most_disagreed > wanted:
        raise InputError(f"most_disagreed is {most_disagreed}, more than the {wanted} queries to judge")
    shuffled = list(scores)
    rng = random.Random(seed)  # noqa: S311  (a sample, no secret)
    rng.shuffle(shuffled)
    top = sorted(shuffled, key=lambda query: -scores[query])[:most_disagreed]  # equals in random order
    others = [query for query in scores if query not in set(top)]
    return Selection(total, tuple(top), tuple(rng.sample(others, wanted - len(top))))


def extended(kept: Selection, log: Sequence[str], n_queries: int | None, most_disagreed: int, seed: int) -> Selection:
    """The same queries and more, drawn at random from the rest of the log.

    Args:
        kept: The queries so far; all of them stay, whatever is asked for.
        log: Ids of all queries.
        n_queries: How many there are to be in all; None for no more.
        most_disagreed: How many of these by disagreement: no more than there are.
        seed: Of the draw.

    Raises:
        InputError: The log has fewer queries, or more by disagreement are asked for.
    """
    if most_disagreed > len(kept.disagreed):
        raise InputError(
            f"most_disagreed is {most_disagreed}: the pool has {len(kept.disagreed)} such queries, and queries that are added are drawn "
            "at random. Leave it out, or make a new pool"
        )
    more = (n_queries or 0) - len(kept.queries)
    taken = set(kept.queries)
    rest = [query for query in log if query not in taken]
    _check("n_queries", n_queries or 0, len(taken) + len(rest))
    if more <= 0:
        return kept
    drawn = random.Random(seed).sample(rest, more)  # noqa: S311  (a sample, no secret)
    return Selection(kept.n_log, kept.disagreed, (*kept.drawn, *drawn))


def _check(name: str, number: int, total: int, least: int = 0) -> None:
    if not least <= number <= total:
        named = f"{name} (-n)" if name == "n_queries" else name
        raise InputError(f"{named} is {number}: the log has {plural(total, 'distinct query')}")
