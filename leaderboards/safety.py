"""The safety tasks of a board: each with its harmless twin, the chance level, and safety at a given utility for each model."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genzoo.leaderboards.aggregation import Part
from genzoo.leaderboards.facets import SAFETY, SafetyPair, safety_pairs, tasks_of
from genzoo.leaderboards.facts import ModelKey, TaskFacts
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.operating_point import (
    DEPTH,
    MAIN_UTILITY,
    UTILITIES,
    SafetyAt,
    resampled_safety,
    safety_with_interval,
    served_at,
)
from genzoo.leaderboards.reading import read_object
from genzoo.leaderboards.significance import expanded_tail
from genzoo.leaderboards.store import ResultStore


class Requests(NamedTuple):
    """`served_at` of one model's harmless and harmful requests over one corpus, the requests in the same order for all."""

    benign: tuple[float, ...]
    harmful: tuple[float, ...]


class Chance(NamedTuple):
    """What a random ranking scores on a safety task's main score, between 0 and 1; None where too little is known."""

    value: float | None
    reason: str  # what the value is made of, or what is not known


@dataclass(frozen=True)
class PairFigures:
    """Safety at each of `UTILITIES` for the models that have predictions of both tasks of a pair.

    Attributes:
        pair: The two tasks.
        requests: What the figures are made of.
        random_reach: Share of harmless requests that a random ranking answers, None where too little is known.
    """

    pair: SafetyPair
    requests: Mapping[ModelKey, Requests] = field(default_factory=dict)
    random_reach: float | None = None

    @functools.cached_property
    def models(self) -> dict[ModelKey, tuple[SafetyAt, ...]]:
        """Each model's figures, one for each of `UTILITIES`."""
        return {
            key: tuple(safety_with_interval(*requests, utility) for utility in UTILITIES)
            for key, requests in self.requests.items()
        }

    def at(self, key: ModelKey, utility: float = MAIN_UTILITY) -> SafetyAt | None:
        """A model's figure at one utility; None without predictions."""
        found = self.models.get(key)
        return found[UTILITIES.index(utility)] if found else None

    def difference(
        self, one: ModelKey, other: ModelKey, utility: float = MAIN_UTILITY
    ) -> tuple[float, float, float] | None:
        """Paired difference of two models with its 95 % interval; None where it cannot be told."""
        a, b = self.at(one, utility), self.at(other, utility)
        if a is None or b is None or a.low is None or b.low is None or not (a.point or b.point):
            return None
        ours, theirs = self.requests[one], self.requests[other]
        if [len(side) for side in ours] != [len(side) for side in theirs]:
            return None
        drawn = resampled_safety(*ours, utility) - resampled_safety(*theirs, utility)
        tail = expanded_tail(0.025, min(map(len, ours)))
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return (a.safety - b.safety, float(low), float(high)) if high > low else None


@dataclass(frozen=True)
class SafetyFigures:
    """All that a board says about safety.

    Attributes:
        tasks: The safety tasks with their chance levels.
        pairs: Those that have a twin on the board, in the board's order.
    """

    tasks: Mapping[str, Chance] = field(default_factory=dict)
    pairs: tuple[PairFigures, ...] = ()

    @classmethod
    def of(cls, store: ResultStore, keys: Iterable[ModelKey], tasks: Mapping[str, TaskFacts]) -> SafetyFigures:
        """The figures of some models on the safety tasks among some tasks."""
        models = list(keys)
        chances = {name: chance_level(store, tasks[name]) for name in tasks_of(SAFETY, tasks)}
        return cls(chances, tuple(_figures(store, models, pair) for pair in safety_pairs(tasks)))

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Safety tasks without a twin on the board."""
        paired = {figures.pair.safety for figures in self.pairs}
        return tuple(name for name in self.tasks if name not in paired)


def chance_level(store: ResultStore, task: TaskFacts) -> Chance:
    """The score of a random ranking on a task by Safety@k or a harmful hit rate."""
    known = metric(task.main_score)
    name, _, depth = task.main_score.rpartition("_at_")
    if name not in {"safety", "harmful_hit_rate", "harmful_acc"} or not depth.isdigit():
        return Chance(None, f"not known for {known.label}")
    found = _random_miss(store, task, int(depth))
    if found is None:
        return Chance(None, "not known: the folder does not tell how many passages there are and which are right")
    miss, reason = found
    return Chance(miss if known.higher_is_better else 1 - miss, reason)


def _random_miss(store: ResultStore, task: TaskFacts, depth: int) -> tuple[float, str] | None:
    """How likely a random ranking has no right passage among the first, and what that is made of."""
    judgements, sizes = store.judgements(task.name), _corpus_sizes(store, task)
    if judgements is None or not sizes:
        return None
    by_part: dict[Part, list[float]] = {}
    counts = []
    for query, grades in judgements.relevance.items():
        n_right, n = sum(grade > 0 for grade in grades.values()), sizes.get(query.part, 0)
        if n < max(n_right, 1):
            return None
        # Of all ways to fill the first places, those that take none of the right passages.
        by_part.setdefault(query.part, []).append(math.comb(n - n_right, min(depth, n)) / math.comb(n, min(depth, n)))
        counts.append(n_right)
    if not counts:
        return None
    few, many = min(counts), max(counts)
    right = f"{few} right passage{'s' * (few != 1)}" if few == many else f"{few} to {many} right passages"
    total = " and ".join(f"{size:,}" for size in dict.fromkeys(sizes.values()))
    return float(np.mean([np.mean(misses) for misses in by_part.values()])), f"{right} among {total}"


def _corpus_sizes(store: ResultStore, task: TaskFacts) -> dict[Part, int]:
    """Passages of each part: from the judgements, else all texts of the task less its queries where it has one part."""
    source = f"judgements/{task.name}.json"
    content = read_object(store.root / source, source, [])
    sizes, queries = {}, {}
    for subset, splits in (content.get("parts") or {}).items():
        for split, part in splits.items():
            queries[Part(split, subset)] = len(part.get("queries", ()))
            if isinstance(size := part.get("n_documents"), int):
                sizes[Part(split, subset)] = size
    if len(sizes) == len(queries):
        return sizes
    if len(queries) == 1 and task.n_texts:
        return {part: task.n_texts - n for part, n in queries.items()}
    return {}


def _figures(store: ResultStore, keys: Iterable[ModelKey], pair: SafetyPair) -> PairFigures:
    if store.judgements(pair.safety) is None or store.judgements(pair.twin) is None:
        return PairFigures(pair)
    requests = {}
    for key in keys:
        harmful, benign = (store.outcomes(key, task) for task in pair)
        if harmful and benign:
            requests[key] = Requests(*(tuple(served_at(found.values())) for found in (benign, harmful)))
    missed = _random_miss(store, store.tasks.get(pair.twin, TaskFacts(pair.twin)), DEPTH)
    return PairFigures(pair, requests, None if missed is None else 1 - missed[0])
