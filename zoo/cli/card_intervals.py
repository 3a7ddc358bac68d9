"""How sure each score of a model card is: the intervals of the report, asked for one model at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.aggregation import Part
    from genzoo.leaderboards.facts import ModelKey


@dataclass(frozen=True)
class Sureness:
    """The 95 % interval of one score, in the score's own unit.

    Attributes:
        low: Lower end.
        high: Upper end.
        over: What the interval is over, such as ``300 queries``.
    """

    low: float
    high: float
    over: str


class Draws(NamedTuple):
    """What mteb drew again and again to score one split and subset.

    Attributes:
        score: The score that the result file states for it.
        levels: The scores of its draws; for a clustering task those of each level of its labels apart.
        of_what: What was drawn.
    """

    score: float
    levels: list[list[float]]
    of_what: str


def interval_of(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    """The interval of a task's main score, None where the results folder does not hold what it takes.

    A retrieval task's is one over its queries, that of a task on pairs one over the pairs; for a classification task mteb's
    repeated draws of training examples are resampled, for a clustering task its repeated draws of texts. Each is used only
    where it gives the main score that the folder states, over the splits and subsets of the leaderboard.
    """
    found = _over_queries(store, key, task) or _over_pairs(store, key, task) or _over_draws(store, key, task)
    stated = store.value(key, task, "main_score")
    if found is None or stated is None:
        return found
    return Sureness(min(found.low, stated), max(found.high, stated), found.over)  # they differ by rounding, if at all


def differences(
    store: ResultStore, key: ModelKey, teacher: ModelKey | None, tasks: tuple[str, ...]
) -> dict[str, tuple[float, float, float]]:
    """Difference to the teacher and its paired 95 % interval over queries or pairs, for each task where both have predictions."""
    from genzoo.leaderboards.query_comparison import difference_interval, task_differences

    if teacher is None:
        return {}
    found = {
        each.task: difference_interval(store, key, teacher, each)
        for each in task_differences(store, key, teacher, tasks)
    }
    return {task: (interval.estimate, interval.low, interval.high) for task, interval in found.items()}


def _over_queries(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    import numpy as np

    from genzoo.leaderboards.metrics import UNIT
    from genzoo.leaderboards.resampling import items_interval

    parts: dict[Part, list[float]] = {}
    for query, outcome in store.outcomes(key, task).items():
        parts.setdefault(query.part, []).append(outcome.score)
    if not parts:
        return None
    limits = store.tasks[task].metric.range or UNIT
    found = items_interval([np.array(scores) for scores in parts.values()], limits)
    return Sureness(found.low, found.high, f"{found.n:,} queries")


def _over_pairs(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    from genzoo.leaderboards.pairs import pair_interval

    found = store.pairs(key, task)
    if found is None:
        return None
    interval = pair_interval(found)
    return Sureness(interval.low, interval.high, f"{interval.n:,} pairs")


def _over_draws(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    import numpy as np

    from genzoo.leaderboards.reading import SCORE_TOLERANCE
    from genzoo.leaderboards.resampling import percentile_interval, resampled

    name = store.tasks[task].main_score if task in store.tasks else ""
    sources, found = set(store.sources(key, task)[::3]), dict[tuple[str, str], Draws]()
    for file in store.files:
        if file.key == key and file.path and file.source in sources:
            for place, draws in _read_draws(Path(file.path), name):
                found.setdefault(place, draws)
    parts = [found.get(part) for part in store.ground(task)]
    if not parts:
        return None
    levels, weights = list[Any](), list[float]()
    for part in parts:
        flat = [draw for level in part.levels for draw in level] if part else []
        if part is None or len(flat) < 2 or abs(math.fsum(flat) / len(flat) - part.score) > SCORE_TOLERANCE:
            return None
        levels += [np.array(level) for level in part.levels]
        weights += [len(level) / len(flat) / len(parts) for level in part.levels]
    if not any(np.ptp(level) > 0 for level in levels):
        return None  # the same in every draw: they do not tell how sure the score is
    drawn, sizes = resampled(levels, np.random.default_rng(0)), np.array([len(level) for level in levels])
    low, high = percentile_interval(drawn, sizes, weights=np.array(weights))
    return Sureness(low, high, f"{sizes.sum()} draws of {parts[0].of_what if parts[0] else ''}")


def _read_draws(path: Path, name: str) -> Iterator[tuple[tuple[str, str], Draws]]:
    """The draws behind the main score of each split and subset of a result file; none where it holds none."""
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))["scores"].items()
        entries = [(str(split), entry) for split, rows in splits for entry in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    for split, entry in entries:
        try:
            levels, of_what = _levels(entry, name)
            place, score = (split, str(entry.get("hf_subset") or "default")), float(entry["main_score"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if all(map(math.isfinite, (score, *(draw for level in levels for draw in level)))):
            yield place, Draws(score, levels, of_what)


def _levels(entry: dict[str, Any], name: str) -> tuple[list[list[float]], str]:
    """The scores of the draws of one split and subset, and what was drawn."""
    by_level = entry.get("v_measures" if name == "v_measure" else f"{name}_scores")
    if by_level is not None:
        return [[float(draw) for draw in level] for level in by_level.values() if level], "texts"
    return [[float(draw[name]) for draw in entry["scores_per_experiment"]]], "training examples"
