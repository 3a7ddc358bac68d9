"""Hybrids: two models search, and reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) makes one ranking of theirs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.models import EncoderProtocol, HybridSearch, ModelMeta, SearchProtocol

from genzoo.errors import InputError
from genzoo.models.entries import MTEB_BASELINES
from genzoo.tasks.bounded_search import BoundedSearch, with_word_matches
from genzoo.tasks.embedders.address import RRF
from genzoo.tasks.embedders.cards import make_meta
from genzoo.tasks.random_state import parts_of

K = 60
"""The rank constant of the paper: a document at rank r of a ranking gets 1 / (60 + r) from it."""
_EXAMPLE = f"{RRF}minilm+bm25"


class Hybrid(HybridSearch):
    """mteb's hybrid search over two models that genzoo has loaded.

    Args:
        parts: The card and the mteb model of each.
    """

    def __init__(self, parts: Sequence[tuple[ModelMeta, Any]]) -> None:
        self.parts = tuple(parts)
        super().__init__([_as_search(model) for _, model in self.parts], fusion_strategy="rrf", rrf_k=K)

    @property
    def fingerprints(self) -> dict[str, Any]:
        """Those of the parts that are endpoints."""
        found: dict[str, Any] = {}
        for _, model in self.parts:
            found |= getattr(model, "fingerprints", {})
        return found


def _as_search(model: Any) -> Any:
    if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
        return BoundedSearch(model)
    return with_word_matches(model)


def describe_hybrid(text: str, describe: Callable[[str], ModelMeta], state_of: Callable[[ModelMeta], Any]) -> ModelMeta:
    """The card of ``rrf:A+B``.

    Args:
        text: The two models, each by a name that holds no ``+``.
        describe: Gives the card of a model by its name.
        state_of: What a model's score depends on besides name and revision, such as its prompts.

    Returns:
        A card ``hybrid/rrf-A+B``; its revision depends on those of both.

    Raises:
        InputError: There are not two different models, or one of them is a hybrid.
    """
    names = [name.strip() for name in text.removeprefix(RRF).split("+")]
    if len(names) != 2 or not all(names):
        raise InputError(f"{text} names {len(names)} models: a hybrid is made of two, joined by +, as in {_EXAMPLE}")
    metas = [describe(name) for name in names]
    states = sorted(([meta.name, meta.revision, state_of(meta)] for meta in metas), key=json.dumps)
    if states[0] == states[1]:
        raise InputError(f"{text} names one model twice: a hybrid is made of two, as in {_EXAMPLE}")
    revision = hashlib.sha256(json.dumps(["rrf", K, states]).encode()).hexdigest()[:40]
    short = [str(meta.name).split("/", 1)[1].removeprefix("baseline-") for meta in metas]
    if short[0] == short[1]:
        short = [str(meta.name).replace("/", "-") for meta in metas]
    facts = {"model_type": ["hybrid"], "open_weights": None, "similarity_fn_name": None, "framework": []}
    return make_meta(f"hybrid/rrf-{'+'.join(short)}", revision, partial(_open, tuple(metas)), **facts)


def _open(
    metas: Sequence[ModelMeta], name: str, revision: str | None = None, device: str | None = None, **_: Any
) -> Hybrid:
    """Mteb's loader of a hybrid."""
    return Hybrid([(meta, meta.load_model(device=device)) for meta in metas])


def parts_of_hybrid(meta: ModelMeta) -> tuple[ModelMeta, ...]:
    """The cards of the two models; none for a model that is no hybrid."""
    loader = meta.loader
    if isinstance(loader, partial) and loader.func is _open:
        return tuple(loader.args[0])
    return ()


def refuse_other_than_searches(metas: Sequence[ModelMeta], tasks: Sequence[AbsTask]) -> None:
    """Refuse to measure a hybrid or BM25 on a task that ranks nothing, before anything is loaded.

    Raises:
        InputError: Names the tasks.
    """
    others = [
        task.metadata.name for task in tasks if not all(isinstance(part, AbsTaskRetrieval) for part in parts_of(task))
    ]
    for meta in metas:
        if others and (parts_of_hybrid(meta) or meta.name == MTEB_BASELINES["bm25"]):
            raise InputError(
                f"{meta.name} only ranks documents, which {', '.join(others[:5])}{' and others' if others[5:] else ''} "
                "does not ask for: name retrieval and reranking tasks with -t"
            )
