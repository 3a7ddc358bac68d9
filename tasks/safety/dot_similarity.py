"""An encoder as it is, but compared by dot product."""

from __future__ import annotations

from typing import Any

from mteb.models import EncoderProtocol, SearchProtocol
from mteb.models.search_wrappers import SearchEncoderWrapper
from mteb.similarity_functions import dot_score, pairwise_dot_score

from genzoo.errors import InputError


class DotSimilarity:
    """Passes `encode` on to an mteb encoder and answers `similarity` with the raw dot product."""

    def __init__(self, model: EncoderProtocol) -> None:
        self._model = model

    @classmethod
    def of(cls, model: Any) -> DotSimilarity:
        """Wrap an encoder; a search model has no embeddings to multiply."""
        if isinstance(model, SearchEncoderWrapper):
            model = model.model
        if isinstance(model, SearchProtocol) or not isinstance(model, EncoderProtocol):
            raise InputError(f"{type(model).__name__} gives no embeddings, so no dot product: use AdvBenchIRRetrieval")
        return cls(model)

    @property
    def mteb_model_meta(self) -> Any:
        """The model's own card."""
        return self._model.mteb_model_meta

    def encode(self, inputs: Any, **kwargs: Any) -> Any:
        """The model's own embeddings, `(texts, D)`."""
        return self._model.encode(inputs, **kwargs)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Dot products `(n, m)` of embeddings `(n, D)` and `(m, D)`."""
        return dot_score(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Dot products `(n,)` of matching rows of two `(n, D)`."""
        return pairwise_dot_score(embeddings1, embeddings2)
