"""Scores that rest on a random draw of documents which nothing fixed, so that two equal models may differ."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd

from genzoo.leaderboards.reading import read_json, read_object
from genzoo.leaderboards.store import ResultStore

DRAWING_TYPES = {"Clustering", "MultilabelClassification"}
"""Types of mteb's tasks that are scored on some of their documents, which a generator of the task object chooses."""


def unfixed_draws(store: ResultStore, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of some main scores whose documents may have been drawn anew for each model of a run.

    genzoo measured them (their model has an environment record), and the task's record names no seed. Of what others measured
    nothing is known, and nothing is said.

    Args:
        store: The results folder.
        rows: Rows of its `main_scores`.
    """
    if not (store.root / "environment").is_dir():
        return rows.iloc[:0]
    draws = {name for name, facts in store.tasks.items() if facts.type in DRAWING_TYPES}
    found = rows[rows["task"].isin(draws)]
    paths = {file.source: file.path for file in store.files if file.path}
    unfixed = {source for source in found["source"].unique() if source in paths and _is_unfixed(store, source, paths)}
    return found[found["source"].isin(unfixed)]


def _is_unfixed(store: ResultStore, source: str, paths: dict[str, str]) -> bool:
    place = PurePosixPath(source.removeprefix("results/"))
    if not (store.root / "environment" / place.parent).with_name(f"{place.parent.name}.json").is_file():
        return False
    record = read_object(store.root / "environment" / place, place.as_posix(), [])
    return "seeds" not in record and not _takes_all_documents(paths[source])


def _takes_all_documents(path: str) -> bool:
    """Whether a result is of mteb's older clustering, which lists a score for each set and draws nothing."""
    content = read_json(path, path, [])
    splits = content.get("scores") if isinstance(content, dict) else None
    parts = [part for split in (splits or {}).values() for part in split if isinstance(part, dict)]
    return bool(parts) and all(isinstance(part.get("v_measures"), list) for part in parts)
