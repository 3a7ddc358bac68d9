"""What every embedder is described by, and how a SentenceTransformer becomes one of mteb's models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genzoo.backbones.whole import OTHER_NAMES_OF_DOCUMENT, with_document_prompt

if TYPE_CHECKING:
    from mteb.models import ModelMeta


@dataclass(frozen=True)
class Lineage:
    """What reports show with a model's scores.

    Attributes:
        role: ``zoo``, ``teacher``, ``baseline`` or ``other``.
        teacher: Hub id of the encoder that taught it, if any.
        backbone: Hub id of the frozen LLM, if any.
        n_trained_parameters: How many numbers were trained on top of the backbone.
    """

    role: str
    teacher: str | None = None
    backbone: str | None = None
    n_trained_parameters: int | None = None


def make_meta(name: str, revision: str, loader: Any, **facts: Any) -> ModelMeta:
    """The card of an English encoder of open weights; `facts` add to it or override."""
    from mteb.models import ModelMeta

    known: dict[str, Any] = {
        "languages": ["eng-Latn"],
        "open_weights": True,
        "framework": ["Sentence Transformers", "PyTorch"],
        "similarity_fn_name": "cosine",
        "use_instructions": False,
    }
    unknown = {field: None for field, row in ModelMeta.model_fields.items() if row.is_required()}
    return ModelMeta(**(unknown | known | facts | {"loader": loader, "name": name, "revision": revision}))


def wrap_for_mteb(model: Any) -> Any:
    """A SentenceTransformer as mteb runs it, under the prompts that mteb looks up."""
    from mteb.models import SentenceTransformerEncoderWrapper

    model.prompts = known_to_mteb(model.prompts)
    return SentenceTransformerEncoderWrapper(model)


def known_to_mteb(prompts: Mapping[str, str]) -> dict[str, str | None]:
    """The prompts without other names of the one for documents, of which mteb warns at length."""
    return {key: text for key, text in with_document_prompt(prompts).items() if key not in OTHER_NAMES_OF_DOCUMENT}
