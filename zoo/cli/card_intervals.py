"""How sure each score of a model card is: the intervals of the report, asked for one model at a time."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.facts import ModelKey


@dataclass(frozen=True)
class Sureness:
    """The 95 % interval of one score, in the score's own unit.

    Attributes:
        low: Lower end.
        high: Upper end.
        over: What was resampled, such as ``300 queries``.
    """

    low: float
    high: float
    over: str


def interval_of(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    """The interval of a task's main score, None where the results folder does not hold what it takes.

    A retrieval task's is a bootstrap over its queries, that of a task on pairs one over the pairs; for a classification task
    mteb's repeated draws of training examples are resampled, for a clustering task its repeated draws of texts. Each is used
    only where it gives the main score that the folder states.
    """
    return _over_queries(store, key, task) or _over_pairs(store, key, task) or _over_draws(store, key, task)


def differences(
    store: ResultStore, key: ModelKey, teacher: ModelKey | None, tasks: tuple[str, ...]
) -> dict[str, tuple[float, float, float]]:
    """Difference to the teacher and its paired 95 % interval over queries or pairs, for each task where both have predictions."""
    from genzoo.leaderboards.query_comparison import compare_queries

    if teacher is None:
        return {}
    return {
        found.task: (found.interval.estimate, found.interval.low, found.interval.high)
        for found in compare_queries(store, key, teacher, tasks)
    }


def _over_queries(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    outcomes = store.outcomes(key, task)
    if not outcomes:
        return None
    sizes: dict[Any, int] = {}
    for query in outcomes:
        sizes[query.part] = sizes.get(query.part, 0) + 1
    # A task's score is the mean of its parts' means: a query of a small part counts for more.
    total, n_parts = len(outcomes), len(sizes)
    scores = [outcome.score * total / (n_parts * sizes[query.part]) for query, outcome in outcomes.items()]
    return _bootstrap(scores, f"{total:,} queries")


def _over_pairs(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    from genzoo.leaderboards.pairs import pair_interval

    found = store.pairs(key, task)
    if found is None:
        return None
    interval = pair_interval(found)
    return Sureness(interval.low, interval.high, f"{interval.n:,} pairs")


def _over_draws(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    from genzoo.leaderboards.reading import SCORE_TOLERANCE

    name = store.tasks[task].main_score if task in store.tasks else ""
    sources = set(store.sources(key, task)[::3])
    paths = [file.path for file in store.files if file.key == key and file.path and file.source in sources]
    found = [_read_draws(Path(path), name) for path in paths]
    stated = store.value(key, task, "main_score")
    if len(found) != 1 or stated is None:
        return None
    ((draws, of_what),) = found
    if len(draws) < 2 or abs(math.fsum(draws) / len(draws) - stated) > SCORE_TOLERANCE:
        return None
    return _bootstrap(draws, f"{len(draws)} draws of {of_what}")


def _read_draws(path: Path, name: str) -> tuple[list[float], str]:
    """The main score of each draw of a result file with a single split and subset, and what is drawn; empty where there are none."""
    try:
        ((part,),) = json.loads(path.read_text(encoding="utf-8"))["scores"].values()
        draws, of_what = [float(draw[name]) for draw in part.get("scores_per_experiment") or ()], "training examples"
        if name == "v_measure" and "v_measures" in part:
            draws, of_what = [float(draw) for level in part["v_measures"].values() for draw in level], "texts"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], ""
    return (draws if all(map(math.isfinite, draws)) else []), of_what


def _bootstrap(scores: list[float], over: str) -> Sureness:
    import numpy as np

    from genzoo.leaderboards.significance import bootstrap_intervals

    low, high = bootstrap_intervals(np.array([scores]))
    return Sureness(float(low[0]), float(high[0]), over)
