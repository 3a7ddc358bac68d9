"""The kinds of tasks that a user's data can be, and which one a table is by its columns."""

from __future__ import annotations

from pathlib import Path

from genzoo.errors import InputError
from genzoo.tasks.own.columns import Columns

KINDS = {
    "retrieval": "Retrieval",
    "reranking": "Reranking",
    "similarity": "STS",
    "pair-classification": "PairClassification",
    "classification": "Classification",
    "clustering": "Clustering",
}
"""What a user calls a kind of task -> mteb's name of its type."""
ROLES = {
    "STS": ("text1", "text2", "score"),
    "PairClassification": ("text1", "text2", "match"),
    "Classification": ("text", "label"),
    "Clustering": ("text", "label"),
}
"""mteb's type of a task on labelled texts -> what its columns are for, the label last."""
SHAPE = (
    "corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and the judgements as qrels.jsonl or qrels/test.tsv "
    "(query-id, corpus-id, score); for a reranking task top_ranked.jsonl too (query-id, corpus-ids). Each may be JSONL, CSV, "
    "TSV (plain or .gz) or Parquet, queries and judgements also as TREC writes them"
)


def type_of(kind: str | None) -> str | None:
    """Mteb's type of a kind as the user names it."""
    if kind is None:
        return None
    known = {name.casefold(): value for ours, value in KINDS.items() for name in (ours, value)}
    if kind.casefold() not in known:
        raise InputError(f"--kind {kind!r}: expected one of {', '.join(KINDS)}")
    return known[kind.casefold()]


def kind_of(path: Path, has_train: bool, heading: list[str], columns: Columns) -> str:
    """Mteb's type of the task that a table is.

    Args:
        path: Where it is.
        has_train: Whether there is another table to train on.
        heading: Its columns.
        columns: Names of columns that are not found by themselves.

    Raises:
        InputError: The columns fit no task, or several; the message says how to tell.
    """
    has = {role: columns.find(role, heading) is not None for roles in ROLES.values() for role in roles}
    if columns.find("query", heading) and columns.find("passage", heading):
        return "Retrieval"
    if has["text1"] and has["text2"] and has["score"] and has["match"]:
        raise InputError(f"{path} has a column for a similarity and one for a label: say which with --kind similarity or "
                         "--kind pair-classification")  # fmt: skip
    if has["text1"] and has["text2"] and (has["score"] or has["match"]):
        return "STS" if has["score"] else "PairClassification"
    if has["text"] and has["label"]:
        if has_train or columns.find("split", heading):
            return "Classification"
        raise InputError(
            f"{path} has texts and labels in one table, which can be clustering or classification: say which with --kind "
            "clustering or --kind classification (the latter is measured by cross-validation; with train and test in files of "
            "their own, or in a column 'split', it is found)"
        )
    if columns.find("query-id", heading) and columns.find("passage-id", heading):
        raise InputError(
            f"{path} holds judgements alone: put it into a folder with a corpus and queries. Expected {SHAPE}"
        )
    raise InputError(
        f"{path} has the columns {', '.join(heading)}, which fit no task. Name them with --columns "
        "ROLE=NAME: query alone for a query log; query, passage and grade for a search; text1, text2 and score for similarity; text1, text2 and match for pairs that match or not; "
        "text and label for classes or clusters"
    )
