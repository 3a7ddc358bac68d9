"""What a run will cost, said before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mteb.abstasks import AbsTask
from mteb.models import ModelMeta

from genzoo.jobs import CHARACTERS_PER_TOKEN, measure_speed
from genzoo.tasks.records import labels, model_key
from genzoo.tasks.sets.bundled import BundledRetrieval, BundledSplits


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


EFFICIENCY = 0.6
"""Share of the matrix product's speed that encoding reaches; measured for SmolLM2-135M on a CPU."""


@dataclass(frozen=True)
class PlannedTask:
    """One task of a plan.

    Attributes:
        texts: How many are encoded, None where neither mteb nor the task says.
        tokens: Estimated from their characters.
    """

    name: str
    texts: int | None
    tokens: int | None


@dataclass(frozen=True)
class Plan:
    """Models x tasks.

    Attributes:
        tasks: The tasks, each counted once.
        seconds: Model (see `genzoo.tasks.records.labels`) -> estimated time for all of them, None where it is not known.
    """

    tasks: tuple[PlannedTask, ...]
    seconds: Mapping[str, float | None]

    @property
    def tokens(self) -> int | None:
        """Of all tasks together, for one model; None if it is not known for one of them."""
        known = [task.tokens for task in self.tasks]
        return None if None in known else sum(tokens or 0 for tokens in known)


def make_plan(metas: Sequence[ModelMeta], tasks: Sequence[AbsTask], speed: float | None = None) -> Plan:
    """Count texts and tokens, and estimate the time of each model.

    Args:
        metas: The models; those of unknown size have no time.
        tasks: The tasks.
        speed: Floating point operations per second; measured with a matrix product if None.
    """
    planned = tuple(_planned(task) for task in tasks)
    known = [task.tokens for task in planned if task.tokens is not None]
    rate = (speed or measure_speed()) * EFFICIENCY
    seconds: dict[str, float | None] = {}
    named = labels(metas)
    for meta in metas:
        parameters = _computing_parameters(meta)
        is_known = parameters is not None and len(known) == len(planned)
        seconds[named[model_key(meta)]] = 2 * parameters * sum(known) / rate if is_known and parameters else None
    return Plan(planned, seconds)


def _computing_parameters(meta: ModelMeta) -> int | None:
    """Parameters that every token passes through: all but the embedding matrix."""
    if not meta.n_parameters:
        return None
    embedding = meta.n_embedding_parameters if isinstance(meta.n_embedding_parameters, int) else 0
    return meta.n_parameters - embedding


def _planned(task: AbsTask) -> PlannedTask:
    own_data = getattr(task, "own_data", None)
    if own_data is not None:
        tokens = round(own_data.n_characters / CHARACTERS_PER_TOKEN)
        return PlannedTask(task.metadata.name, own_data.n_texts, tokens)
    if isinstance(task, (BundledRetrieval, BundledSplits)):
        own = [row[key] for row in _bundled_rows(task) for key in ("text", "sentence1", "sentence2") if key in row]
        return PlannedTask(task.metadata.name, len(own), round(sum(map(len, own)) / CHARACTERS_PER_TOKEN))
    length = characters(task)
    return PlannedTask(
        task.metadata.name, texts(task) or None, round(length / CHARACTERS_PER_TOKEN) if length else None
    )


def _bundled_rows(task: Any) -> list[dict[str, Any]]:
    return [row for file in task.bundled.files for row in task.bundled.rows(file)]
