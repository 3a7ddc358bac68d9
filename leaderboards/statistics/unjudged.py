"""What passages without a judgement do to a score: the judged share, the condensed list, and bpref.

nDCG counts a passage that nobody judged as not relevant. That is right within the depth of a pool, and wrong for a model that was
not pooled, or that finds what the pool missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Pooled(NamedTuple):
    """One search beside its main score; each lies between 0 and 1.

    Attributes:
        judged: `judged_at`, at the depth of the main score.
        condensed: The main score of the condensed list.
        bpref: `bpref`.
    """

    judged: float
    condensed: float
    bpref: float


def judged_at(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of the first k passages that were judged, whatever the grade; of a shorter ranking the share of all.

    Args:
        ranking: Ids, the best first.
        grades: Judged passage -> grade.
        k: Depth.

    >>> judged_at(["a", "b", "c"], {"a": 0, "c": 2}, 2)
    0.5
    """
    first = ranking[:k]
    return sum(name in grades for name in first) / len(first) if first else 0.0


def condensed(ranking: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    """The ranking without the passages that nobody judged (Sakai 2007, SIGIR, "Alternatives to bpref"); trec_eval's option -J.

    >>> condensed(["a", "b", "c"], {"a": 0, "c": 2})
    ['a', 'c']
    """
    return [name for name in ranking if name in grades]


def bpref(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """How rarely a passage that was judged not relevant stands above a relevant one, as trec_eval defines it.

    Buckley and Voorhees 2004 (SIGIR), with the correction of trec_eval 8: with R relevant and N other judged passages, each relevant
    one that was found counts 1 - n / min(R, N), n the others above it, R at most; the sum is divided by R. A grade below 1 is not relevant.

    >>> bpref(["b", "a", "c"], {"a": 1, "b": 0, "c": 1})
    0.0
    >>> bpref(["a", "b", "c"], {"a": 1, "b": 0, "c": 1})
    0.5
    """
    n_right = sum(grade > 0 for grade in grades.values())
    n_wrong = len(grades) - n_right
    above, total = 0, 0.0
    for name in condensed(ranking, grades):
        if grades[name] <= 0:
            above += 1
        elif above:
            total += 1 - min(above, n_right) / min(n_right, n_wrong)
        else:
            total += 1
    return total / n_right if n_right else 0.0
