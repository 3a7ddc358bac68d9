"""Watches a model encode: counts texts and seconds, and stops at embeddings that no score should be made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from genzoo.errors import ZooError
from genzoo.tasks.embedding_cache import EmbeddingCache

_TELLING = 3
"""So many different texts with one embedding are no coincidence: two may differ in what a tokenizer drops."""


class EncodeMeter:
    """Counts what passes through the `encode` of one mteb model, once attached.

    Args:
        model: The mteb model.
        name: How errors call it.
        cache: What the model's own encoder encodes through, if anything.

    Attributes:
        texts: Texts encoded so far.
        seconds: Wall time spent in `encode` so far, tokenising and copying included.
    """

    def __init__(self, model: object, name: str, cache: EmbeddingCache | None = None) -> None:
        self.texts, self.seconds = 0, 0.0
        self._cache = cache
        self._name, self._width = name, 0
        encode = getattr(model, "encode", None)
        # a search model such as BM25 has none, and is not measured
        if callable(encode):
            model.encode = self._metered(encode)  # type: ignore[attr-defined]
        predict = getattr(model, "predict", None)
        if callable(predict):  # a cross-encoder
            model.predict = self._checked(predict)  # type: ignore[attr-defined]

    @property
    def texts_per_second(self) -> float | None:
        """Mean speed so far, None if nothing was encoded; what came out of a cache does not count."""
        texts, seconds = (self._cache.texts, self._cache.seconds) if self._cache else (self.texts, self.seconds)
        return round(texts / seconds, 2) if texts and seconds > 0 else None

    def _metered(self, encode: Callable[..., Any]) -> Callable[..., Any]:
        def metered(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            expected = len(inputs.dataset)
            start = time.perf_counter()
            output = encode(inputs, *args, **kwargs)
            self.seconds += time.perf_counter() - start
            self.texts += expected
            self._check(output, expected, inputs.dataset)
            if _says_nothing(output, inputs.dataset):
                raise ZooError(
                    f"{self._name} returned the same embedding for {expected} texts that differ: its tokenizer or its weights are "
                    "not those that it was trained with"
                )
            return output

        return metered

    def _checked(self, predict: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any, **kwargs: Any) -> Any:
            scores = predict(*args, **kwargs)
            if not _is_finite(scores):
                raise ZooError(
                    f"{self._name} returned NaN or infinite scores: load it in float32 and check its weights"
                )
            return scores

        return checked

    def _check(self, output: Any, expected: int, dataset: Any) -> None:
        """Refuse a wrong number of rows, a width that changes, and NaN or infinite values."""
        if len(output) != expected:
            raise ZooError(f"{self._name} returned {len(output)} embeddings for {expected} texts")
        if not isinstance(output, (list, tuple)):  # else one matrix per text: a late-interaction model
            width = int(output.shape[-1])
            if self._width and width != self._width:
                raise ZooError(f"{self._name} returned embeddings of width {width} after {self._width}")
            self._width = width
        if not all(map(_is_finite, output if isinstance(output, (list, tuple)) else [output])):
            raise ZooError(
                f"{self._name} returned NaN or infinite values among {expected} embeddings{_first_text(output, dataset)}: "
                "load it in float32 and check its weights"
            )


def _first_text(output: Any, dataset: Any) -> str:
    """The first text whose embedding is not finite, as mteb handed it to the model; empty where it cannot be told."""
    rows = output.to_dense() if isinstance(output, torch.Tensor) and output.is_sparse else output
    place = next((place for place, row in enumerate(rows) if not _is_finite(row)), None)
    row = dataset[place] if place is not None else None
    text = row.get("text") if isinstance(row, Mapping) else None
    return f", the first for the text {text!r:.200}" if isinstance(text, str) else ""


def _says_nothing(output: Any, texts: Any) -> bool:
    """Whether a matrix of embeddings has one row for several texts that differ by more than their case."""
    if isinstance(output, (list, tuple)) or getattr(output, "is_sparse", False) or len(output) < _TELLING:
        return False
    if not bool((output == output[:1]).all()):
        return False
    return "text" in getattr(texts, "features", {}) and len({text.casefold() for text in texts["text"]}) >= _TELLING


def _is_finite(values: Any) -> bool:
    if isinstance(values, torch.Tensor):
        dense = values.coalesce().values() if values.is_sparse else values
        return bool(torch.isfinite(dense).all()) if dense.is_floating_point() else True
    return bool(np.isfinite(np.asarray(values)).all())
