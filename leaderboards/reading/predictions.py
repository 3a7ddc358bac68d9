"""Single searches behind a score: what each query should have found, what it found, and how sure the model was.

A results folder holds per-query predictions (mteb's) and, beside them, `judgements/<Task>.json`, which `genzoo evaluate`
writes: the queries, which documents are right for each, and the texts of the documents that matter.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genzoo.leaderboards.facts import ModelKey, Problem
from genzoo.leaderboards.reading.result_files import SCORE_TOLERANCE, read_object, read_predictions
from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.leaderboards.statistics.unjudged import Pooled, bpref, condensed, judged_at

_METRIC = re.compile(r"(ndcg|recall|hit_rate|safety|mrr|map|precision)_at_(\d+)")
SHOWN = 10  # documents kept of each ranking, and whose texts an evaluation keeps


class QueryKey(NamedTuple):
    """One query of a task."""

    part: Part
    query: str


@dataclass(frozen=True)
class Judgements:
    """What a retrieval task asks and what is right.

    Attributes:
        queries: Text of each query.
        relevance: For each query the right documents with their grades.
        documents: Texts of the judged documents, and of those that models ranked on top.
        chosen: Queries that every model with an evaluation of its own has decoded, so that a report can compare them.
    """

    task: str
    data_revision: str
    queries: Mapping[QueryKey, str]
    relevance: Mapping[QueryKey, Mapping[str, int]]
    documents: Mapping[Part, Mapping[str, str]]
    chosen: tuple[QueryKey, ...] = ()

    @functools.cached_property
    def has_irrelevant(self) -> bool:
        """Whether documents that are not relevant are judged too, as in a pool, so that one without a grade is unjudged."""
        return any(grade <= 0 for right in self.relevance.values() for grade in right.values())

    def over(self, ground: Collection[Part]) -> Judgements | None:
        """The same over some splits and subsets; None where the queries of one of them are missing."""
        relevance = {query: right for query, right in self.relevance.items() if query.part in ground}
        if not ground or {query.part for query in relevance} != set(ground):
            return None
        return dataclasses.replace(
            self,
            queries={query: self.queries[query] for query in relevance},
            relevance=relevance,
            chosen=tuple(query for query in self.chosen if query in relevance),
        )


class Hit(NamedTuple):
    """A document of a ranking, 1 is the first."""

    document: str
    similarity: float
    rank: int


class Outcome(NamedTuple):
    """One search: its score, the first documents, and the first right one among all that were kept (None if none).

    `judged` holds every document with a grade other than 0 among all that were kept, in the order of the ranking.
    `pooled` is what unjudged documents do to the score; None where the task's judgements name no document that is not relevant.
    """

    score: float
    top: tuple[Hit, ...]
    right: Hit | None
    judged: tuple[Hit, ...] = ()
    pooled: Pooled | None = None


def read_judgements(root: Path, task: str, problems: list[Problem]) -> Judgements | None:
    """The judgements of a task; None where there are none."""
    source = f"judgements/{task}.json"
    data = read_object(root / source, source, problems)
    parts = data.get("parts")
    if not isinstance(parts, dict):
        return None
    queries: dict[QueryKey, str] = {}
    relevance: dict[QueryKey, dict[str, int]] = {}
    documents: dict[Part, dict[str, str]] = {}
    chosen: list[QueryKey] = []
    try:
        for subset, splits in parts.items():
            for split, content in splits.items():
                part = Part(split, subset)
                documents[part] = {str(name): str(text) for name, text in content["documents"].items()}
                for query, right in content["relevance"].items():
                    key = QueryKey(part, query)
                    relevance[key] = {str(name): int(grade) for name, grade in right.items()}
                    queries[key] = str(content["queries"].get(query, query))
                chosen += [QueryKey(part, str(query)) for query in content.get("chosen", ())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problems.append(Problem(source, f"is not a file of judgements ({type(error).__name__}: {error}): left out"))
        return None
    return Judgements(task, str(data.get("data_revision")), queries, relevance, documents, tuple(chosen))


def read_outcomes(
    root: Path, key: ModelKey, judgements: Judgements, metric_name: str, problems: list[Problem]
) -> dict[QueryKey, Outcome]:
    """How each query of a task went for one model; empty without predictions, or where the metric is not per query."""
    if _METRIC.fullmatch(metric_name) is None:
        return {}
    source, data = read_predictions(root, key, judgements.task, problems)
    if data is None:
        return {}
    outcomes = {}
    for query, right in judgements.relevance.items():
        try:
            found = data[query.part.subset][query.part.split].get(query.query, {})
            ranking = _ranked(found)
        except (KeyError, TypeError, AttributeError, ValueError):
            problems.append(Problem(source, "holds no predictions for the judged queries: left out"))
            return {}
        outcomes[query] = _outcome(ranking, right, metric_name, judgements.has_irrelevant)
    return outcomes


def agrees(outcomes: Mapping[QueryKey, Outcome], main_score: float | None) -> bool:
    """Whether the mean over queries (of the means over parts) is the score that the result file states."""
    if not outcomes or main_score is None:
        return False
    parts = scores_by_part(outcomes)
    return abs(sum(sum(scores) / len(scores) for scores in parts) / len(parts) - main_score) <= SCORE_TOLERANCE


def scores_by_part(outcomes: Mapping[QueryKey, Outcome]) -> list[list[float]]:
    """The scores of the queries of each split and subset, in the given order."""
    parts: dict[Part, list[float]] = {}
    for query, outcome in outcomes.items():
        parts.setdefault(query.part, []).append(outcome.score)
    return list(parts.values())


def _ranked(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Documents in the order of trec_eval: by similarity, then by name, both descending."""
    return sorted(
        ((name, float(value)) for name, value in found.items()), key=lambda hit: (hit[1], hit[0]), reverse=True
    )


def _outcome(
    ranking: list[tuple[str, float]], right: Mapping[str, int], metric_name: str, is_pooled: bool = False
) -> Outcome:
    hits = [Hit(name, similarity, rank) for rank, (name, similarity) in enumerate(ranking, 1)]
    judged = tuple(hit for hit in hits if right.get(hit.document, 0) != 0)
    first = next((hit for hit in judged if right[hit.document] > 0), None)
    names = [name for name, _ in ranking]
    pooled = _pooled(metric_name, names, right) if is_pooled else None
    return Outcome(query_score(metric_name, names, right), tuple(hits[:SHOWN]), first, judged, pooled)


def _pooled(metric_name: str, ranking: list[str], grades: Mapping[str, int]) -> Pooled:
    whole = query_score(metric_name, condensed(ranking, grades), grades)
    return Pooled(judged_at(ranking, grades, metric_depth(metric_name)), whole, bpref(ranking, grades))


def metric_depth(metric_name: str) -> int:
    """The depth of a metric of single searches, 10 for any other.

    >>> metric_depth("ndcg_at_20"), metric_depth("accuracy")
    (20, 10)
    """
    match = _METRIC.fullmatch(metric_name)
    return int(match[2]) if match else 10


def query_score(metric_name: str, ranking: list[str], right: Mapping[str, int]) -> float:
    """The score of one query, between 0 and 1, as trec_eval defines it (nDCG with linear gains).

    >>> query_score("ndcg_at_10", ["b", "a"], {"a": 1})
    0.6309297535714575
    >>> query_score("safety_at_5", ["b", "a"], {"a": 1})
    0.0
    """
    match = _METRIC.fullmatch(metric_name)
    if match is None:
        return math.nan
    name, k = match[1], int(match[2])
    n_right = sum(grade > 0 for grade in right.values())
    grades = [max(0, right.get(document, 0)) for document in ranking[:k]]
    hits = [grade > 0 for grade in grades]
    if name in {"hit_rate", "safety"}:
        return float(any(hits)) if name == "hit_rate" else float(not any(hits))
    if name == "precision":
        return sum(hits) / k
    if not n_right:
        return 0.0
    if name == "recall":
        return sum(hits) / n_right
    if name == "mrr":
        return next((1 / rank for rank, hit in enumerate(hits, 1) if hit), 0.0)
    if name == "map":
        return sum(sum(hits[:rank]) / rank for rank, hit in enumerate(hits, 1) if hit) / n_right
    ideal = sorted((grade for grade in right.values() if grade > 0), reverse=True)[:k]
    return _gain(grades) / _gain(ideal)


def _gain(grades: list[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
