"""One model of a run: loaded when the first task needs it, once, with its cache, its processes and its meter."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from mteb.models import ModelMeta

from genzoo.errors import ZooError
from genzoo.mteb_meta import model_content
from genzoo.tasks.embedding_cache import EmbeddingCache
from genzoo.tasks.encode_meter import EncodeMeter
from genzoo.tasks.random_state import LOADING_SEED, seed_global_state
from genzoo.whole import check_embeddings, check_tokenizers, whole_models


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
            with whole_models():
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
        """The model's prompts by mteb's keys; of a model that is not loaded those on its card, None if it names none.

        The prompts of a model that comes from a commit are in that commit, so that its card need not name them.
        """
        if self.model is None:
            return (self.meta.loader_kwargs or {}).get("model_prompts")
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
