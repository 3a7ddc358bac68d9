"""Tasks on pairs of texts: how sure a rank correlation or an average precision is, and what a difference of two is worth.

Such a score is no mean over its pairs, so pairs are resampled whole and the score is taken anew each time. A results folder
holds mteb's similarity of each pair and, beside it, `judgements/<Task>.json` with what people said of the pair.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genzoo.intervals import Floats, bounded_interval
from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading.result_files import SCORE_TOLERANCE, read_object, read_predictions
from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.leaderboards.statistics.resampling import (
    BLOCK,
    mean_of_parts,
    percentile_interval,
    score_of_ranks,
    weighted_ap,
    weighted_spearman,
)
from genzoo.leaderboards.statistics.significance import Interval, blocks
from genzoo.leaderboards.statistics.ties import ROUNDING, mid_ranks

RESAMPLES = 2_000
_KINDS = {  # mteb's name of a similarity -> its field of the predictions, and the sign that makes higher nearer
    "cosine": ("cosine_scores", 1),
    "manhattan": ("manhattan_distances", -1),
    "euclidean": ("euclidean_distances", -1),
    "similarity": ("similarity_scores", 1),
    "dot": ("dot_scores", 1),
}


class Pairs(NamedTuple):
    """One part of a task for one model: what people said ``(n,)`` and how near the model puts each pair ``(n,)``."""

    gold: Floats
    similarity: Floats


@dataclass(frozen=True)
class PairScore:
    """A task's main score for one model, with the pairs that give it.

    Attributes:
        statistic: ``spearman`` or ``ap``.
        parts: Pairs by split and subset; the score is the mean over these.
    """

    statistic: str
    parts: Mapping[Part, Pairs]

    @property
    def n(self) -> int:
        """Pairs in all."""
        return sum(len(part.gold) for part in self.parts.values())

    @property
    def value(self) -> float:
        """The score itself."""
        return float(np.mean([_whole(self.statistic, part) for part in self.parts.values()]))

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that the score can have."""
        return (-1.0, 1.0) if self.statistic == "spearman" else (0.0, 1.0)

    def resampled(self, n_resamples: int, seed: int) -> Floats:
        """``(n_resamples,)`` scores of samples drawn with replacement; equal seeds draw the same pairs for every model."""
        return self.draws(n_resamples, seed).mean(axis=0)

    def draws(self, n_resamples: int, seed: int) -> Floats:
        """The same for each part, in the order of their names: ``(parts, n_resamples)``."""
        rng, found = np.random.default_rng(seed), []
        for _, part in sorted(self.parts.items()):
            scores = [_statistic(self.statistic, part, counts) for counts in _draws(rng, n_resamples, len(part.gold))]
            found.append(np.concatenate(scores))
        return np.array(found)

    def items(self) -> list[Floats]:
        """For each part its score, as often as there is something that the score goes up or down with.

        An average precision is a mean over the pairs that belong together, so only these count.
        """
        parts = [part for _, part in sorted(self.parts.items())]
        counts = [len(part.gold) if self.statistic == "spearman" else int((part.gold > 0).sum()) for part in parts]
        whole = [_whole(self.statistic, part) for part in parts]
        return [np.full(max(1, count), value) for count, value in zip(counts, whole, strict=True)]


@dataclass(frozen=True, eq=False)
class PairDifference:
    """The difference "model minus reference" on the same pairs.

    Attributes:
        ours: The model.
        theirs: The reference, with the same parts.
    """

    task: str
    ours: PairScore
    theirs: PairScore
    unit: str = "pairs"
    n_resamples: int = RESAMPLES

    @property
    def n(self) -> int:
        """Pairs in all parts."""
        return self.ours.n

    @functools.cached_property
    def _ranked(self) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """For each part what people said and the two models' ranks of its pairs."""
        parts = sorted(self.ours.parts.items())
        return tuple(
            (part.gold, mid_ranks(part.similarity), mid_ranks(self.theirs.parts[place].similarity))
            for place, part in parts
        )

    @property
    def n_unequal(self) -> int:
        """Pairs that the two models rank differently."""
        return sum(int(np.count_nonzero(ours != theirs)) for _, ours, theirs in self._ranked)

    @property
    def estimate(self) -> float:
        """The difference of the two scores."""
        return self.ours.value - self.theirs.value

    def null(self, rng: np.random.Generator, n_draws: int) -> Floats:
        """``(n_draws,)`` differences with a coin flip for each pair which model ranked it so.

        Similarities are exchanged as ranks, since two models' cosines live on different scales.
        """
        statistic, gaps = self.ours.statistic, np.zeros(n_draws)
        for gold, ours, theirs in self._ranked:
            found = []
            for rows in blocks(n_draws, len(ours), BLOCK):
                swap = rng.integers(0, 2, size=(rows, len(ours)), dtype=np.int8) == 1
                one, other = np.where(swap, theirs, ours), np.where(swap, ours, theirs)
                found.append(score_of_ranks(statistic, gold, one) - score_of_ranks(statistic, gold, other))
            gaps += np.concatenate(found) / len(self._ranked)
        return gaps

    def interval(self, *, n_resamples: int = RESAMPLES, seed: int = 0) -> Interval:
        """The difference with its interval over the pairs."""
        draws = self.ours.draws(n_resamples, seed) - self.theirs.draws(n_resamples, seed)
        low, high = self.ours.limits
        items = [one - other[0] for one, other in zip(self.ours.items(), self.theirs.items(), strict=True)]
        is_copy = [
            np.array_equal(part.similarity, self.theirs.parts[place].similarity)
            for place, part in sorted(self.ours.parts.items())
        ]
        return _interval(self.estimate, draws, _sizes(self.ours), items, (low - high, high - low), is_copy)

    def p_value(self, *, n_resamples: int = RESAMPLES, seed: int = 0) -> float:
        """Two-sided, of the exchange test of the difference."""
        swapped = self.null(np.random.default_rng(seed), n_resamples)
        hits = int((np.abs(swapped) >= abs(self.estimate) - ROUNDING).sum())
        return (hits + 1) / (n_resamples + 1)


def pair_interval(score: PairScore, *, n_resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The score with its percentile interval over the pairs, drawn within each part."""
    draws, sizes = score.draws(n_resamples, seed), _sizes(score)
    return _interval(score.value, draws, sizes, score.items(), score.limits, [False] * len(draws))


def read_gold(root: Path, task: str, problems: list[Problem]) -> tuple[str, dict[Part, Floats]]:
    """The data revision of a task's judgements and what people said of its pairs; empty where there is no such file."""
    source = f"judgements/{task}.json"
    data = read_object(root / source, source, problems)
    parts: dict[Part, Floats] = {}
    try:
        for subset, splits in data.get("pairs", {}).items():
            for split, gold in splits.items():
                parts[Part(split, subset)] = np.array(gold, dtype=float)
    except (AttributeError, TypeError, ValueError) as error:
        problems.append(Problem(source, f"is not a file of judgements ({type(error).__name__}: {error}): left out"))
        return "", {}
    return str(data.get("data_revision")), parts


def read_pairs(
    root: Path, key: ModelKey, task: str, gold: Mapping[Part, Floats], metric_name: str, stated: float | None
) -> PairScore | None:
    """A model's similarities, if they give the score that is stated; None otherwise, and for any other metric."""
    *kinds, statistic = metric_name.split("_")
    if statistic not in {"spearman", "ap"} or not gold or stated is None:
        return None
    _, data = read_predictions(root, key, task, [])
    # "max_ap" is that of whichever similarity does best; a plain "spearman" is that of the model's own.
    for kind in _KINDS if kinds == ["max"] else kinds or ["similarity"]:
        found = _of_kind(data, gold, kind)
        if found and abs((score := PairScore(statistic, found)).value - stated) <= SCORE_TOLERANCE:
            return score
    return None


def _of_kind(data: Any, gold: Mapping[Part, Floats], kind: str) -> dict[Part, Pairs]:
    name, sign = _KINDS.get(kind, ("", 1))
    parts = {}
    try:
        for part, said in gold.items():
            similarity = sign * np.array(data[part.subset][part.split][name], dtype=float)
            if similarity.shape != said.shape or not np.isfinite(similarity).all():
                return {}
            parts[part] = Pairs(said, similarity)
    except (KeyError, TypeError, ValueError):
        return {}
    return parts


def _sizes(score: PairScore) -> npt.NDArray[np.int64]:
    return np.array([len(part.gold) for _, part in sorted(score.parts.items())])


def _interval(
    estimate: float,
    draws: Floats,
    sizes: npt.NDArray[np.int64],
    items: list[Floats],
    limits: tuple[float, float],
    is_exact: list[bool],
) -> Interval:
    """The percentile interval of ``(parts, n_resamples)`` draws.

    A part that is the same in every draw, as a perfect ranking is, gets the interval of as many equal items, put together
    with that of the others by the square-and-add rule; unless it is exact, as between a model and its copy.
    """
    low, high = percentile_interval(draws, sizes)
    flat = [
        part
        for part, drawn, exact in zip(items, draws, is_exact, strict=True)
        if np.ptp(drawn) < ROUNDING and not exact
    ]
    if flat:
        share, middle = len(flat) / len(draws), mean_of_parts(flat)
        less, more = (share * abs(end - middle) for end in bounded_interval(flat, limits))
        low, high = estimate - math.hypot(estimate - low, less), estimate + math.hypot(high - estimate, more)
    return Interval(estimate, max(low, limits[0]), min(high, limits[1]), int(sizes.sum()))


def _draws(rng: np.random.Generator, n_resamples: int, n: int) -> Iterator[Floats]:
    """How often each of n pairs was drawn, ``(rows, n)`` at a time."""
    for rows in blocks(n_resamples, n, BLOCK):
        yield rng.multinomial(n, np.full(n, 1 / n), size=rows).astype(float)


def _whole(name: str, part: Pairs) -> float:
    return float(_statistic(name, part, np.ones((1, len(part.gold))))[0])


def _statistic(name: str, part: Pairs, counts: Floats) -> Floats:
    return weighted_spearman(*part, counts) if name == "spearman" else weighted_ap(*part, counts)
