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
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import metric_depth
from genzoo.leaderboards.reading.result_files import read_object
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.agreement import Agreement, agreement
from genzoo.tasks.judging.judgements import Judging, is_pool, read_judging

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

FOLDER = "judging"


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
        n_log: Distinct queries of the log; None where the record is of an earlier genzoo.
        n_chosen: Those of them that the pool has.
        n_open: Those of the pool that are not judged completely.
    """

    grades: Mapping[str, Mapping[str, int | None]]
    strata: tuple[Stratum, ...] = ()
    effect: str = ""
    per_query: float = 0.0
    n_log: int | None = None
    n_chosen: int = 0
    n_open: int = 0

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
        "n_log": selection.n_log,
        "n_chosen": len(judging.queries),
        "n_open": len(judging.queries) - len(complete),
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
        counts = {name: int(content[name]) for name in ("n_log", "n_chosen", "n_open") if name in content}
        return TaskJudging(content["grades"], strata, str(content["effect"]), float(content["per_query"]), **counts)
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
        n: Queries.
    """

    task: str
    model: ModelKey
    score: float
    judged: float
    condensed: float
    bpref: float
    depth: int
    n: int


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
                n = sum(map(len, rows.values()))
                found.append(UnjudgedFigures(task, key, score, judged, condensed, bpref, depth, n))
    return tuple(found)
