"""What a score depends on besides model and data, kept with each result, so that a later run can decide whether it is still valid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.models.abs_encoder import get_prompt
from mteb.results import TaskResult
from mteb.types import PromptType

from genzoo.files import sha256_of
from genzoo.tasks.own.choices import prompt_metadata
from genzoo.tasks.random_state import draws_at_random, parts_of
from genzoo.tasks.records import package_versions

RANKING_SCORES = ("ndcg", "map", "recall", "precision", "mrr", "hit_rate")
"""What mteb gives for each k of a search."""


@dataclass(frozen=True)
class Measurement:
    """How a task is, or was, measured.

    Attributes:
        prompts: Task -> side of a search (`query`, `document`; `text` where there are no sides) -> what the model puts
            before its texts. None if that is known only once the model is loaded.
        instructions: Task -> what the task itself suggests; models that take instructions read it.
        versions: Package -> version.
        seeds: Task -> seed from which the random draws of each of its subsets start (see `genzoo.tasks.random_state`).
        data_revisions: Task -> revision of its data; a result of an aggregate does not name those of its parts.
        draws: Whether the score rests on documents that are drawn at random.
        content: Digest of the files that the model is loaded from, None where its revision covers them.
        precision: In which the model runs, None where that cannot be chosen or is not known yet.
    """

    prompts: Mapping[str, Mapping[str, str]] | None
    instructions: Mapping[str, Any]
    versions: Mapping[str, str | None]
    seeds: Mapping[str, int]
    data_revisions: Mapping[str, str]
    draws: bool
    content: str | None = None
    precision: str | None = None

    @classmethod
    def of(
        cls,
        task: AbsTask,
        prompts: Mapping[str, str | None] | None,
        content: str | None = None,
        precision: str | None = None,
    ) -> Measurement:
        """A measurement here and now, with a model of these prompts (keyed as sentence-transformers keys them) and this content."""
        parts = parts_of(task)
        return cls(
            prompts=None if prompts is None else {part.metadata.name: _prompts(part, prompts) for part in parts},
            instructions={part.metadata.name: part.metadata.prompt for part in parts},
            versions=package_versions(),
            seeds={part.metadata.name: part.seed for part in parts},
            data_revisions={part.metadata.name: part.metadata.revision for part in parts},
            draws=draws_at_random(task),
            content=content,
            precision=precision,
        )

    def record(self, result: Path) -> dict[str, Any]:
        """As it is written; the digest ties it to one result file."""
        return {"result": sha256_of(result), **asdict(self)}

    def other_than(self, record: Mapping[str, Any]) -> str:
        """Why a result with this record has to be measured again, empty if it need not be."""
        if self.prompts is not None and record.get("prompts") is not None and self.prompts != record["prompts"]:
            return "the model's prompts changed"
        if self.instructions != record.get("instructions"):
            return "the task's instruction changed"
        if record.get("seeds") not in (None, self.seeds):
            return "the task's seed changed"
        if record.get("data_revisions") not in (None, self.data_revisions):
            return "the data have another revision"
        if self.content is not None and record.get("content") not in (None, self.content):
            return "the files that the model is loaded from changed"
        if self.precision not in (None, record.get("precision") or "float32"):
            return "another precision was asked for"
        return ""

    def drift(self, record: Mapping[str, Any]) -> str:
        """What may have made the score of a result with this record another one, empty if nothing has.

        A record without seeds comes from a genzoo that let each model of a run go on with the draws of the one before.
        """
        if not record:
            reasons = ["its packages and prompts were not recorded"]
        else:
            reasons = [newer] if (newer := self.newer_than(record)) else []
        if self.draws and "seeds" not in record:
            reasons.append("the documents may have been drawn anew for each model of the run")
        return "; ".join(reasons)

    def newer_than(self, record: Mapping[str, Any]) -> str:
        """The packages that have other versions now, as `name old -> new`."""
        before = record.get("versions") or {}
        return ", ".join(
            f"{name} {before.get(name)} -> {version}"
            for name, version in self.versions.items()
            if before.get(name) != version
        )


def missing_scores(task: AbsTask, result: TaskResult) -> list[str]:
    """Metrics that the task has and some split or language of the result lacks, the main one in front.

    A main score that is not the value of the task's main metric counts as missing: it was another metric then.
    """
    main = task.metadata.main_score
    names = [main, *sorted(_scores_of(task) - {main})]
    rows = [row for split in task.eval_splits for row in result.scores.get(split, [])]
    missing = [name for name in names if any(name not in row for row in rows)]
    if main not in missing and any(not _equal(row[main], row.get("main_score")) for row in rows):
        missing.insert(0, main)
    return missing


def _scores_of(task: AbsTask) -> set[str]:
    names = set(getattr(task, "own_scores", ()))
    if isinstance(task, AbsTaskRetrieval):
        names |= {f"{score}_at_{k}" for score in RANKING_SCORES for k in task.k_values}
    return names


def _prompts(task: AbsTask, prompts: Mapping[str, str | None]) -> dict[str, str]:
    """What mteb will take of the prompts, by its own rule."""
    known = {key: text for key, text in prompts.items() if text is not None}
    if isinstance(task, AbsTaskRetrieval):
        return {side.value: get_prompt(known, prompt_metadata(task), side) or "" for side in PromptType}
    return {"text": get_prompt(known, prompt_metadata(task), None) or ""}


def _equal(one: Any, other: Any) -> bool:
    both_are_nan = all(isinstance(value, float) and math.isnan(value) for value in (one, other))
    return both_are_nan or one == other
