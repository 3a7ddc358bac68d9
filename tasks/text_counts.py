"""How much text a task holds, by mteb's own descriptive statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mteb.abstasks import AbsTask


def characters(task: AbsTask) -> int:
    """Characters that an encoder reads for a task's evaluation splits and languages; 0 where mteb does not say."""
    return sum(_characters(part) for part in _parts(task))


def texts(task: AbsTask) -> int:
    """Texts of a task's evaluation splits and languages, a pair counted twice; 0 where mteb does not say."""
    return sum(int(part.get("num_samples", 0)) * (2 if "unique_pairs" in part else 1) for part in _parts(task))


def _parts(task: AbsTask) -> Iterator[Mapping[str, Any]]:
    """The statistics of each split, or of each language of it where they are told apart."""
    stats: Any = task.metadata.descriptive_stats or {}
    for split in task.eval_splits:
        found = stats.get(split, {})
        per_subset = found.get("hf_subset_descriptive_stats")
        yield from (per_subset[subset] for subset in task.hf_subsets if subset in per_subset) if per_subset else [found]


def _characters(stats: Mapping[str, Any]) -> int:
    if stats.get("number_of_characters"):
        return int(stats["number_of_characters"])
    return sum(
        int(value["total_text_length"])
        for value in stats.values()
        if isinstance(value, Mapping) and "total_text_length" in value
    )
