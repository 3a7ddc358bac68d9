"""What a search set holds: its judgements, and what about its passages and queries would bend the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from genzoo.duplicates import Texts, occurrences
from genzoo.tasks.checking.findings import DataFinding, counted
from genzoo.tasks.checking.texts import Repeated, find_repeated, repeated_findings

FEW_QUERIES = 50
"""Fewer judged queries are a caution: TREC's custom, as the order of systems becomes stable there (Buckley and Voorhees 2000)."""
_FEWEST_OF_A_HUB = 5
Judged = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Split -> query -> passage -> grade."""


@dataclass(frozen=True)
class SearchSet:
    """Passages, queries and judgements as they are in the files.

    Attributes:
        passage_ids: Id of each passage, (n,).
        passages: Title and text of each.
        query_ids: Id of each query, (m,).
        queries: Text of each.
        judged: Judgements of the measured splits; ids may be unknown.
        candidates: Query -> passages that are to be reranked; None where the whole corpus is searched.
    """

    passage_ids: Sequence[str]
    passages: Texts
    query_ids: Sequence[str]
    queries: Texts
    judged: Judged
    candidates: Mapping[str, Sequence[str]] | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each judgement: split, query, passage, grade, and the places of both (-1: unknown id)."""
        rows = [
            (split, query, passage, grade)
            for split, queries in self.judged.items()
            for query, grades in queries.items()
            for passage, grade in grades.items()
        ]
        made = pd.DataFrame(rows, columns=["split", "query", "passage", "grade"])
        made["query_at"] = pd.Index(self.query_ids).get_indexer(made["query"])
        made["passage_at"] = pd.Index(self.passage_ids).get_indexer(made["passage"])
        return made

    @cached_property
    def repeated(self) -> Repeated:
        """Passages that are the same or nearly the same."""
        return find_repeated(self.passages)

    def passage(self, place: int) -> str:
        """The id of the passage at a place."""
        return str(self.passage_ids[place])

    def query(self, place: int) -> str:
        """The id of the query at a place."""
        return str(self.query_ids[place])


def search_findings(data: SearchSet) -> Iterator[DataFinding]:
    """All findings on a search set but those on lengths and languages."""
    yield from _dangling(data)
    yield from _judged_queries(data)
    yield from _grades(data)
    yield from _candidates(data)
    yield from repeated_findings(data.repeated, "passages", data.passage)
    yield from repeated_findings(find_repeated(data.queries), "queries", data.query)
    yield from _twins_of_relevant(data)
    yield from _hubs(data)
    yield from _verbatim(data)


def _dangling(data: SearchSet) -> Iterator[DataFinding]:
    """Judged ids that are not there."""
    for part, name, so in (("queries", "query", "left out"), ("passages", "passage", "found by no model")):
        known = data.table.drop_duplicates(name)
        gone = known.loc[known[f"{name}_at"] < 0, name].tolist()
        if gone:
            said = f"judged {part} are not among the {part} and {so}"
            yield counted(f"unknown-{part}", "judgements", len(gone), len(known), said, gone)


def _judged_queries(data: SearchSet) -> Iterator[DataFinding]:
    """How many queries are judged, and have a relevant passage."""
    table, n = data.table[data.table["query_at"] >= 0], len(data.query_ids)
    best = table.groupby("query")["grade"].max()
    measured, barren = best[best > 0], best[best <= 0]
    if len(measured) < n:
        yield counted(
            "measured-queries", "queries", len(measured), n, "queries have a relevant passage: these are measured"
        )
    if len(barren):
        said = "judged queries have no relevant passage and are left out"
        yield counted("queries-without-relevant", "queries", len(barren), len(best), said, list(barren.index[:3]))
    if 0 < len(measured) < FEW_QUERIES:
        said = f"only {len(measured):,} judged {'query' if len(measured) == 1 else 'queries'}: too few to tell models apart that are close"
        yield DataFinding("few-queries", "queries", said, "caution", len(measured), n)


def _grades(data: SearchSet) -> Iterator[DataFinding]:
    """Grades and how often each was given; relevant passages of a query; what share of the passages was ever judged."""
    table = data.table
    counts = table["grade"].value_counts().sort_index()
    said = (
        ", ".join(f"{grade}: {count:,}" for grade, count in counts.items())
        if len(counts) <= 8
        else (f"{counts.index[0]} to {counts.index[-1]}, {len(counts)} different ones")
    )
    yield DataFinding("grades", "judgements", f"grades {said}", count=len(table), total=len(table))
    relevant = table[table["grade"] > 0].groupby(["split", "query"]).size()
    if len(relevant):
        said = f"relevant passages of a measured query: {relevant.median():g} in the median, at most {relevant.max():,}"
        yield DataFinding(
            "relevant-passages", "judgements", said, count=int((table["grade"] > 0).sum()), total=len(table)
        )
    if not (table["grade"] <= 0).any():
        said = "every judged passage is relevant: what nobody judged counts as wrong, found or not"
        yield DataFinding("only-relevant", "judgements", said)
    seen, n = table.loc[table["passage_at"] >= 0, "passage_at"].nunique(), len(data.passage_ids)
    yield counted("judged-passages", "judgements", seen, n, "passages are judged for a query")


def _candidates(data: SearchSet) -> Iterator[DataFinding]:
    if data.candidates:
        sizes = np.array([len(names) for names in data.candidates.values()])
        said = f"each query ranks {np.median(sizes):g} candidates in the median, {sizes.min():,} to {sizes.max():,}"
        yield DataFinding("candidates", "candidates", said, count=int(sizes.sum()), total=len(sizes))


def _twins_of_relevant(data: SearchSet) -> Iterator[DataFinding]:
    """Passages that are the same as a relevant one, or nearly so, and are not judged, or judged otherwise."""
    table = data.table[(data.table["passage_at"] >= 0) & (data.table["query_at"] >= 0)]
    relevant = table[table["grade"] > 0]
    if relevant.empty:
        return
    twins = data.repeated.partners(relevant["passage_at"].to_numpy())
    grades = {(row.query_at, row.passage_at): row.grade for row in table.itertuples()}
    unjudged: dict[tuple[int, int], int] = {}
    against: dict[tuple[int, int], int] = {}
    for row in relevant.itertuples():
        for twin in twins.get(row.passage_at, ()):
            grade = grades.get((row.query_at, twin))
            if grade is None or grade <= 0:
                (unjudged if grade is None else against).setdefault((row.query_at, twin), row.passage_at)
    for code, found, what in (
        ("unjudged-twins", unjudged, "not judged: found, it counts as wrong"),
        ("contradicting-grades", against, "judged not relevant to them"),
    ):
        if found:
            names = [
                f"{data.query(q)}: {data.passage(p)} ~ {data.passage(twin)}" for (q, twin), p in list(found.items())[:3]
            ]
            queries, n = len({query for query, _ in found}), relevant["query_at"].nunique()
            said = f"measured queries have a copy or near-duplicate of a relevant passage that is {what}"
            yield counted(code, "judgements", queries, n, said, names)


def _hubs(data: SearchSet) -> Iterator[DataFinding]:
    """Passages that are relevant to many queries: a model that always returns them scores."""
    relevant = data.table[data.table["grade"] > 0]
    counts = Counter(relevant.drop_duplicates(["query", "passage"])["passage"])
    for name, count in counts.most_common(1):
        if count >= _FEWEST_OF_A_HUB:
            said = "queries have the same relevant passage: a model that returns it for every query scores with it"
            yield counted("relevant-to-many", "judgements", count, relevant["query"].nunique(), said, [name])


def _verbatim(data: SearchSet) -> Iterator[DataFinding]:
    """Queries that occur in the corpus word for word."""
    wanted = np.unique(data.table.loc[data.table["query_at"] >= 0, "query_at"]).tolist()
    texts = [data.queries[place] for place in wanted]
    found = {wanted[phrase]: places for phrase, places in occurrences(texts, data.passages).items()}
    judged = set(zip(data.table["query_at"], data.table["passage_at"], strict=True))
    unjudged = {query: place for query, places in found.items() for place in places if (query, place) not in judged}
    for code, part, first, said in (
        (
            "verbatim-queries",
            "queries",
            {query: places[0] for query, places in found.items()},
            "judged queries occur in a passage word for word, so that a search for words finds it",
        ),
        (
            "verbatim-unjudged",
            "judgements",
            unjudged,
            "judged queries occur word for word in a passage that is not judged for them",
        ),
    ):
        if first:
            names = [f"{data.query(query)}: {data.passage(place)}" for query, place in list(first.items())[:3]]
            yield counted(code, part, len(first), len(wanted), said, names)
