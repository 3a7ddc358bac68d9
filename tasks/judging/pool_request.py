"""What a pool is asked for: its models and numbers, checked before anything is loaded, and the search with these models."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import InputError
from genzoo.jobs import report
from genzoo.tasks.judging.disagreement import Selection, choose, extended
from genzoo.tasks.judging.growing import KeptPool

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta

log = logging.getLogger(__name__)
SCORED = 10
"""The depth of nDCG@10, by which an evaluation ranks models on a search."""


@dataclass(frozen=True)
class PoolRequest:
    """What `genzoo.pool` was asked for besides the texts and the folder; its arguments say what each means."""

    models: tuple[Any, ...]
    depth: int | None
    n_queries: int | None
    most_disagreed: int
    reopen: bool
    seed: int
    batch_size: int
    device: str | None
    results: Path
    language: str | None
    endpoints: Mapping[str, Any]

    @functools.cached_property
    def task(self) -> AbsTask:
        """The search."""
        from genzoo.tasks.judging.search import unjudged_search

        return unjudged_search("pool", self.language)

    @functools.cached_property
    def metas(self) -> list[ModelMeta]:
        """The cards of the models, each once."""
        from genzoo.tasks.request import Request

        return Request(self.models, tasks=(self.task,), **self.endpoints).resolve(log.warning, self.results).metas

    @property
    def names(self) -> list[str]:
        """The models by the names that boards give them."""
        from genzoo.tasks.records import labels, model_key

        named = labels(self.metas)
        return [named[model_key(meta)] for meta in self.metas]

    def check_numbers(self) -> None:
        """Refuse numbers that cannot be meant."""
        least = {"depth": 1, "n_queries": 1, "most_disagreed": 0, "batch_size": 1}
        for name, lowest in least.items():
            number = getattr(self, name)
            if number is not None and number < lowest:
                raise InputError(f"{name} is {number}: it must be {lowest} or more")

    def check_models(self) -> None:
        """Refuse models that there are not."""
        if not self.models:
            raise InputError("no model was named: give two or more embedders. See: genzoo list")
        if len(self.metas) < 2 and self.most_disagreed:
            raise InputError("one model cannot disagree with itself: give two or more, or leave most_disagreed out")

    def chosen(self, kept: KeptPool, texts: Mapping[str, str]) -> Selection | None:
        """The queries to judge; None where they depend on what the models find.

        Raises:
            InputError: The log has fewer queries than are asked for.
        """
        if kept.selection is not None:
            now = len(kept.selection.queries)
            if self.n_queries is not None and self.n_queries < now:
                log.warning(f"the pool has {now:,} queries and keeps them all")
            return extended(kept.selection, list(texts), self.n_queries, self.most_disagreed, self.seed)
        drawn = choose(dict.fromkeys(texts, 0.0), self.n_queries, self.most_disagreed, self.seed)
        return None if drawn.disagreed else drawn

    def depth_of(self, kept: KeptPool) -> int:
        """Passages of each model for each query."""
        depth = max(kept.depth, self.depth or kept.depth or SCORED)
        if self.depth is not None and self.depth < depth:
            log.warning(f"the pool has a depth of {depth} and keeps it")
        if depth < SCORED and not kept.depth:
            log.warning(
                f"a depth of {depth} leaves passages on the places {depth + 1} to {SCORED} unjudged, and nDCG@{SCORED} counts these as not "
                f"relevant: -k {SCORED} judges them all, and fewer queries (-n) make up for the time"
            )
        return depth

    def search(self, corpus: Dataset, texts: Mapping[str, str], depth: int) -> dict[str, Mapping[str, list[str]]]:
        """Name of each model -> what it finds."""
        from datasets import Dataset

        from genzoo.tasks.judging.search import first_passages
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.random_state import kept_random_state

        queries = Dataset.from_dict({"id": list(texts), "text": list(texts.values())})
        settings = EncodeSettings(self.batch_size, self.device, cache=self.results / ".embeddings")
        found = dict[str, Mapping[str, list[str]]]()
        for place, (name, meta) in enumerate(zip(self.names, self.metas, strict=True)):
            report("searching", place, len(self.metas), name)
            with kept_random_state():
                found[name] = first_passages(meta, self.task, corpus, queries, depth, settings)
        report("searching", len(self.metas), len(self.metas))
        return found
