"""One model of a run: loaded when the first task needs it, once, with its cache, its processes and the meter that watches it encode."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta

from genzoo.backbones.precision import ROUNDED, can_round, precision_of, try_bfloat16
from genzoo.backbones.whole import check_embeddings, check_tokenizers, whole_models
from genzoo.compute import as_many_threads
from genzoo.errors import InputError, ZooError
from genzoo.models.assembly import policy_axis
from genzoo.models.entries import MTEB_BASELINES
from genzoo.models.prompts import probe_texts
from genzoo.tasks.embedders.mteb_models import card_prompts, has_precision, model_content
from genzoo.tasks.embedding_cache import EmbeddingCache
from genzoo.tasks.random_state import LOADING_SEED, seed_global_state
from genzoo.text import described

_TELLING = 3
"""So many different texts with one embedding are no coincidence: two may differ in what a tokenizer drops."""


class EncodeMeter:
    """Counts what passes through the `encode` of one mteb model, once attached.

    Args:
        model: The mteb model.
        name: How errors call it.
        cache: What counts the texts that had to be encoded, and the time for them, where not every text has to.

    Attributes:
        texts: Texts encoded so far.
        seconds: Wall time spent in `encode` so far, tokenising and copying included.
    """

    def __init__(self, model: object, name: str, cache: Any = None) -> None:
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
        processes: Processes that encode side by side: one per GPU where there are GPUs, else on the CPU; of an endpoint the requests at a
            time. One process, and four requests, if None.
        cache: Folder for embeddings, none are kept if None.
        precision: Of models that `genzoo.load` loads by name: ``float32``, ``bfloat16`` (of matrix products), or ``auto``, which is
            bfloat16 where `genzoo.backbones.precision` finds it faster and near enough.
    """

    batch_size: int = 32
    device: str | None = None
    processes: int | None = None
    cache: Path | None = None
    precision: str = "float32"


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
        self._ends = ExitStack()  # of everything that `load` opened
        self._failure: Exception | None = None

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
                model: Any = self.meta.load_model(device=self.settings.device)
            if has_precision(self.meta):
                self._choose_precision(model.model)
            for meta, part in self._parts(model):
                _check(part, str(meta.name))
        except Exception as error:
            known = isinstance(error, ZooError)
            self._failure = error if known else ZooError(f"the model cannot be loaded ({described(error)})")
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

    def _choose_precision(self, model: Any) -> None:
        asked = self.settings.precision
        if asked == "float32":
            return
        axis = policy_axis(model) if can_round(model) else None
        is_rounded = try_bfloat16(model, probe_texts(model), is_asked_for=asked == "bfloat16", axis=axis)
        if asked == "bfloat16" and not is_rounded:
            from genzoo.backbones.forward import FAMILIES  # 2 s that most runs do without

            raise InputError(
                f"{self.meta.name} cannot multiply in bfloat16: this takes a CPU and a backbone of {', '.join(FAMILIES)}; leave "
                "--precision out"
            )

    @property
    def precision(self) -> str | None:
        """What the model's results depend on; None where it cannot be chosen, or is known only once the model is loaded."""
        if not has_precision(self.meta):
            return None
        if self.model is not None:
            return precision_of(self.model.model)
        return {"float32": "float32", "bfloat16": ROUNDED}.get(self.settings.precision)

    @cached_property
    def content(self) -> str | None:
        """Digest of the files that the model is loaded from, None where its revision covers them."""
        return model_content(self.meta)

    @property
    def fingerprints(self) -> Mapping[str, Any]:
        """``URL#MODEL`` -> id and fingerprint of the endpoints that the loaded model asks; empty for any other."""
        return getattr(self.model, "fingerprints", {})

    def notes(self) -> list[str]:
        """What the user should know of how the model answered."""
        endpoints = [(meta, part) for meta, part in self._parts(self.model) if hasattr(part, "transport")]
        said = [(str(meta.name), part.transport.summary()) for meta, part in endpoints]
        return [f"{name}: {line}" for name, line in said if line]

    def _parts(self, model: Any) -> Sequence[tuple[ModelMeta, Any]]:
        """The models that encode, each with its card: those of a hybrid, else the model itself."""
        return getattr(model, "parts", None) or [(self.meta, model)]

    def _prepare(self, model: Any) -> None:
        """Let `encode` of each part go through the processes, the cache and the meter."""
        parts = self._parts(model)
        meters = [EncodeMeter(part, str(meta.name), self._prepare_part(meta, part)) for meta, part in parts]
        self.meter = meters[0] if len(meters) == 1 else EncodeMeter(model, str(self.meta.name))

    def _prepare_part(self, meta: ModelMeta, model: Any) -> Any:
        """Returns what counts the texts that had to be encoded, if anything does."""
        inner: Any = getattr(model, "model", None)  # mteb's wrappers hold the SentenceTransformer under this name
        for owner in (model, inner):
            if hasattr(owner, "encode"):
                self._ends.callback(_restore, owner, vars(owner).get("encode"))
        if hasattr(model, "keep_in"):  # an endpoint keeps its own, answer by answer
            self._ends.callback(model.close)
            model.at_once = self.settings.processes or model.at_once
            if self.settings.cache is not None:
                model.keep_in(self.settings.cache)
            return model
        if not hasattr(inner, "start_multi_process_pool"):
            return None
        if self.settings.processes is not None and self.settings.processes > 1:
            gpus = [f"cuda:{place}" for place in range(torch.cuda.device_count())]
            devices = (gpus or ["cpu"]) * self.settings.processes
            # one pool for all tasks; sentence-transformers would start one per call
            with as_many_threads():
                pool = inner.start_multi_process_pool(devices[: self.settings.processes])
            self._ends.callback(type(inner).stop_multi_process_pool, pool)
            inner.encode = _in_pool(inner.encode, pool)
        if self.settings.cache is None:
            return None
        content = self.content if meta is self.meta else model_content(meta)
        cache = EmbeddingCache(self.settings.cache, meta, inner, content).attach()
        self._ends.callback(cache.close)
        return cache

    def close(self) -> None:
        """Let go of the model before the next one is loaded; an object that lives on is left as it was."""
        self._ends.close()
        self.model = self.meter = None
        gc.collect()


def _restore(owner: Any, encode: Any) -> None:
    """Give an object the `encode` back that was set on it before, if one was."""
    if encode is not None:
        owner.encode = encode
    elif "encode" in vars(owner):
        del owner.encode


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
