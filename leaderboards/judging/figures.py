"""What a results folder says about judgements: the judges' agreement, unjudged passages, and the queries that a comparison needs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genzoo.files import strict_json, write_text
from genzoo.intervals import Floats
from genzoo.leaderboards.comparison import task_differences
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import QueryKey, metric_depth
from genzoo.leaderboards.reading.result_files import read_object
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.agreement import Agreement, agreement
from genzoo.leaderboards.statistics.power import QueriesNeeded, queries_needed
from genzoo.leaderboards.statistics.resampling import QueryDifference, percentile_interval, resampled
from genzoo.leaderboards.statistics.significance import Interval
from genzoo.tasks.judging.judgements import Judging, is_pool, read_judging

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

FOLDER = "judging"
_LEAST = 10  # queries of a stratum, below which no interval is given


@dataclass(frozen=True)
class Stratum:
    """Queries of the log that were chosen in one way.

    Attributes:
        size: Queries of the log that they stand for.
        queries: Ids of those that were judged completely.
    """

    size: int
    queries: frozenset[str]


@dataclass(frozen=True)
class TaskJudging:
    """How the judgements of a task were made.

    Attributes:
        grades: Judge -> item -> grade; the judges are numbered, as a results folder is passed on.
        strata: Where the most disagreed queries and others were judged: both, so that an estimate for the log can weigh them.
        effect: What the choice of queries does to a score, in a sentence; empty where all were taken.
        per_query: Passages to judge for a query, on average.
    """

    grades: Mapping[str, Mapping[str, int | None]]
    strata: tuple[Stratum, ...] = ()
    effect: str = ""
    per_query: float = 0.0

    @functools.cached_property
    def agreement(self) -> Agreement | None:
        """How far the judges agree; None where no passage was judged by two."""
        return agreement(self.grades)

    def weights(self, queries: Iterable[str]) -> Floats | None:
        """How many queries of the log each query stands for, ``(queries,)``; None where all stand for equally many."""
        if not self.strata:
            return None
        each = [next((s.size / len(s.queries) for s in self.strata if query in s.queries), 0.0) for query in queries]
        return np.array(each)


def keep_judging(tasks: Iterable[AbsTask], output: Path) -> None:
    """Write `judging/<Task>.json` for each task over a pool: grades without the judges' names, and how queries were chosen."""
    for task in tasks:
        path = getattr(getattr(task, "own_data", None), "path", None)
        if path is None or not is_pool(path):
            continue
        content = {"task": task.metadata.name, "data_revision": task.metadata.revision, **_record(read_judging(path))}
        write_text(output / FOLDER / f"{task.metadata.name}.json", strict_json(content) + "\n")


def _record(judging: Judging) -> dict[str, Any]:
    from genzoo.tasks.judging.disagreement import Selection

    chosen = judging.made.get("selection") or {"n_log": len(judging.queries), "disagreed": (), "drawn": ()}
    selection = Selection(chosen["n_log"], tuple(chosen["disagreed"]), tuple(chosen["drawn"]))
    complete = judging.complete
    top, others = selection.disagreed, selection.drawn
    strata: list[dict[str, Any]] = [
        {"size": size, "queries": [query for query in names if query in complete]}
        for size, names in ((len(top), top), (selection.n_log - len(top), others))
    ]
    is_weighted = bool(top) and all(len(each["queries"]) > 1 for each in strata)
    return {
        "grades": {f"judge {place}": dict(own) for place, own in enumerate(judging.judges.values(), 1)},
        "strata": strata if is_weighted else [],
        "effect": selection.effect,
        "per_query": len(judging.items) / max(1, len(judging.queries)),
    }


def judging_of(store: ResultStore, task: str) -> TaskJudging | None:
    """How the judgements of a task were made; None where the folder does not say, or says it of other data."""
    source = f"{FOLDER}/{task}.json"
    if not (store.root / source).is_file():
        return None
    content = read_object(store.root / source, source, [])
    stated = {str(revision) for revision in store.main_scores.loc[store.main_scores["task"] == task, "data_revision"]}
    if content.get("data_revision") not in stated:
        return None
    try:
        strata = tuple(Stratum(int(each["size"]), frozenset(each["queries"])) for each in content["strata"])
        return TaskJudging(content["grades"], strata, str(content["effect"]), float(content["per_query"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


@dataclass(frozen=True)
class UnjudgedFigures:
    """What unjudged passages do to one model's score on one task; each figure is a mean over queries, between 0 and 1.

    Attributes:
        score: The main score, in which a passage that nobody judged counts as not relevant.
        judged: Share of the first passages that were judged, down to the depth of the main score.
        condensed: The main score without the passages that nobody judged.
        bpref: `genzoo.leaderboards.statistics.unjudged.bpref`.
        depth: Of the main score.
    """

    task: str
    model: ModelKey
    score: float
    judged: float
    condensed: float
    bpref: float
    depth: int


def unjudged_figures(store: ResultStore, keys: Sequence[ModelKey], tasks: Iterable[str]) -> tuple[UnjudgedFigures, ...]:
    """The figures of some models on the tasks whose judgements name passages that are not relevant: only there is "unjudged" known."""
    found = []
    for task in tasks:
        for key in keys:
            outcomes = store.outcomes(key, task) if store.predictions else {}
            rows: dict[Any, list[tuple[float, ...]]] = {}
            for query, outcome in outcomes.items():
                if outcome.pooled is not None:
                    rows.setdefault(query.part, []).append((outcome.score, *outcome.pooled))
            if rows:
                score, judged, condensed, bpref = np.mean(
                    [np.mean(own, axis=0) for own in rows.values()], axis=0
                ).tolist()
                depth = metric_depth(store.tasks[task].main_score)
                found.append(UnjudgedFigures(task, key, score, judged, condensed, bpref, depth))
    return tuple(found)


@dataclass(frozen=True)
class Verdict:
    """Whether two models can be told apart on one judged task.

    Attributes:
        n: Judged queries with a relevant passage.
        estimate: The difference of the scores, model minus reference.
        needed: How many queries it takes; None for fewer than ten.
        p_value: Of the sign-flip test over the judged queries.
        for_log: The difference over the whole log, where the judged queries were chosen by disagreement and at random.
        per_query: Passages to judge for a query.
    """

    task: str
    model: ModelKey
    reference: ModelKey
    n: int
    estimate: float
    needed: QueriesNeeded | None
    p_value: float
    for_log: Interval | None
    per_query: float


def verdicts(store: ResultStore, model: ModelKey, reference: ModelKey, tasks: Iterable[str]) -> tuple[Verdict, ...]:
    """One for each of the tasks that were judged from a pool and on which both models have predictions."""
    found = []
    judged = {task: own for task in tasks if (own := judging_of(store, task)) is not None}
    for difference in task_differences(store, model, reference, tuple(judged)):
        if not isinstance(difference, QueryDifference) or len(difference.parts) > 1:
            continue
        judging, d = judged[difference.task], difference.parts[0]
        weights = judging.weights(query.query for query in _shared(store, model, reference, difference.task))
        found.append(
            Verdict(
                task=difference.task,
                model=model,
                reference=reference,
                n=difference.n,
                estimate=difference.estimate,
                needed=queries_needed(d, limit=difference.limits[1] - difference.limits[0], weights=weights),
                p_value=difference.p_value(),
                for_log=None if weights is None else log_estimate(d, weights),
                per_query=judging.per_query,
            )
        )
    return tuple(found)


def _shared(store: ResultStore, model: ModelKey, reference: ModelKey, task: str) -> list[QueryKey]:
    """The queries behind a difference, in its order."""
    theirs = store.outcomes(reference, task)
    return [query for query in store.outcomes(model, task) if query in theirs]


def log_estimate(differences: Floats, weights: Floats, *, seed: int = 0) -> Interval:
    """The mean difference over the log from a stratified sample, with its 95 % interval over queries of each stratum.

    Each query stands for as many queries of the log as its weight says (the ratio estimator: Cochran 1977, Sampling Techniques,
    chapter 6): queries without a relevant passage, which an evaluation leaves out, are left out of the log as well. With
    fewer than ten queries in a stratum the interval is -1 to 1: it excludes nothing.

    Args:
        differences: ``(queries,)``.
        weights: ``(queries,)``, equal within a stratum.
        seed: Of the resampling.
    """
    kinds = np.unique(weights[weights > 0])
    parts = [differences[weights == kind] for kind in kinds]
    shares = np.array([kind * len(part) for kind, part in zip(kinds, parts, strict=True)])
    shares /= shares.sum()
    estimate = float(sum(share * part.mean() for share, part in zip(shares, parts, strict=True)))
    n = sum(map(len, parts))
    if min(map(len, parts)) < _LEAST:
        return Interval(estimate, -1.0, 1.0, n)
    draws = resampled(parts, np.random.default_rng(seed))
    low, high = percentile_interval(draws, np.array(list(map(len, parts))), weights=shares)
    return Interval(estimate, low, high, n)
