"""One model of a run: loaded when the first task needs it, once, with its cache, its processes and the meter that watches it encode."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta

from genzoo.backbones.whole import check_embeddings, check_tokenizers, whole_models
from genzoo.errors import ZooError
from genzoo.tasks.embedding_cache import EmbeddingCache
from genzoo.tasks.mteb_models import MTEB_BASELINES, card_prompts, model_content
from genzoo.tasks.random_state import LOADING_SEED, seed_global_state

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
                    "not the ones it was trained with"
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


@dataclass(frozen=True)
class EncodeSettings:
    """How the models of a run encode.

    Attributes:
        batch_size: Texts per batch.
        device: Where to load the models, their own choice if None.
        processes: Processes that encode side by side: one per GPU where there are GPUs, else on the CPU.
        cache: Folder for embeddings, none are kept if None.
    """

    batch_size: int = 32
    device: str | None = None
    processes: int = 1
    cache: Path | None = None


PLAIN = EncodeSettings()


class ModelSession:
    """One model, loaded at most once.

    Attributes:
        model: The mteb model, None until it is loaded.
        meter: Its meter, None likewise.
    """

    def __init__(self, meta: ModelMeta, settings: EncodeSettings) -> None:
        self.meta, self.settings = meta, settings
        self.model: Any = None
        self.meter: EncodeMeter | None = None
        self._cache: EmbeddingCache | None = None
        self._stop_pool: Callable[[], Any] | None = None
        self._failure: Exception | None = None
        self._encoders: list[tuple[Any, Any]] = []  # objects, with the `encode` that was set on each before

    def load(self) -> None:
        """Load the model and prepare its `encode`; a second try after a failure fails the same way at once."""
        if self._failure:
            raise self._failure
        if self.model is not None:
            return
        seed_global_state(LOADING_SEED)  # whatever it draws, such as a random part, does not depend on earlier models
        try:
            with (
                nullcontext() if self.meta.name in MTEB_BASELINES.values() else whole_models()
            ):  # these have no weights
                model = self.meta.load_model(device=self.settings.device)
            _check(model, str(self.meta.name))
        except Exception as error:
            known = isinstance(error, ZooError)
            self._failure = error if known else ZooError(f"the model cannot be loaded ({first_line(error)})")
            raise self._failure from error
        try:
            self._prepare(model)
        except Exception as error:
            self._failure = error
            raise
        self.model = model

    @property
    def prompts(self) -> Mapping[str, str | None] | None:
        """The model's prompts by mteb's keys; of a model that is not loaded those on its card, None if it names none."""
        if self.model is None:
            return card_prompts(self.meta)
        inner = getattr(self.model, "model", None)
        return getattr(self.model, "model_prompts", None) or getattr(inner, "prompts", None) or {}

    @cached_property
    def content(self) -> str | None:
        """Digest of the files that the model is loaded from, None where its revision covers them."""
        return model_content(self.meta)

    def _prepare(self, model: Any) -> None:
        """Let `encode` go through the processes, the cache and the meter."""
        inner: Any = getattr(model, "model", None)  # mteb's wrappers hold the SentenceTransformer under this name
        owners = [owner for owner in (model, inner) if hasattr(owner, "encode")]
        self._encoders = [(owner, vars(owner).get("encode")) for owner in owners]
        if hasattr(inner, "start_multi_process_pool"):
            if self.settings.processes > 1:
                gpus = [f"cuda:{place}" for place in range(torch.cuda.device_count())]
                devices = (gpus or ["cpu"]) * self.settings.processes
                # one pool for all tasks; sentence-transformers would start one per call
                pool = inner.start_multi_process_pool(devices[: self.settings.processes])
                self._stop_pool = partial(type(inner).stop_multi_process_pool, pool)
                inner.encode = _in_pool(inner.encode, pool)
            if self.settings.cache is not None:
                self._cache = EmbeddingCache(self.settings.cache, self.meta, inner, self.content).attach()
        self.meter = EncodeMeter(model, str(self.meta.name), self._cache)

    def close(self) -> None:
        """Let go of the model before the next one is loaded; an object that lives on is left as it was."""
        for owner, encode in self._encoders:
            if encode is not None:
                owner.encode = encode
            elif "encode" in vars(owner):
                del owner.encode
        self._encoders = []
        if self._stop_pool is not None:
            self._stop_pool()
        if self._cache is not None:
            self._cache.close()
        self.model = self.meter = self._cache = self._stop_pool = None
        gc.collect()


def _check(model: Any, name: str) -> None:
    """Refuse a model that no score should be made of, before anything is encoded with it."""
    inner = getattr(model, "model", None)
    if isinstance(inner, torch.nn.Module):
        check_tokenizers(inner, name, getattr(model, "tokenizer", None))
        check_embeddings(inner, name)


def _in_pool(encode: Callable[..., Any], pool: Any) -> Callable[..., Any]:
    """`encode` in the processes of a pool; `encode_query` and `encode_document` say `pool=None` and are overruled."""

    def pooled(*args: Any, **options: Any) -> Any:
        return encode(*args, **(options | {"pool": pool}))

    return pooled


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
