"""A model behind an OpenAI-compatible endpoint (OpenAI, Azure, vLLM, TEI, Ollama, llama.cpp, Infinity) as mteb runs it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mteb.models import ModelMeta, OpenAIAPIEncodeWrapper
from mteb.models.abs_encoder import get_prompt

from genzoo.errors import InputError, ZooError
from genzoo.jobs import report
from genzoo.tasks.embedders.address import Address
from genzoo.tasks.embedders.cards import make_meta
from genzoo.tasks.embedders.endpoint_fingerprint import CANARY, PROBES, EndpointFingerprint
from genzoo.tasks.embedders.known_endpoints import recognise
from genzoo.tasks.embedders.transport import EndpointError, Transport, content_fault
from genzoo.tasks.embedding_cache import VectorFile

log = logging.getLogger(__name__)
_SIDES = ("query", "document")


@dataclass(frozen=True)
class EndpointOptions:
    """How endpoints are asked.

    Attributes:
        query_prefix: Put before each query of a search.
        document_prefix: Put before each document of a search.
        rate_limit: Most requests in a minute, as many as the endpoint answers if None.
    """

    query_prefix: str = ""
    document_prefix: str = ""
    rate_limit: float | None = None

    def __post_init__(self) -> None:
        if self.rate_limit is not None and not self.rate_limit > 0:
            raise InputError(f"rate_limit is {self.rate_limit}: it must be more than 0 requests a minute")

    @property
    def prompts(self) -> dict[str, str]:
        """The prefixes by mteb's keys; empty if there are none."""
        both = dict(zip(_SIDES, (self.query_prefix, self.document_prefix), strict=True))
        return both if any(both.values()) else {}


class Endpoint(OpenAIAPIEncodeWrapper):
    """mteb's wrapper, made fit for endpoints of other vendors than vLLM and for runs that are paid for.

    mteb's own (2.26.24) asks for a list of models without the key, which OpenAI refuses; it adds ``/v1`` to an address that has
    one; it sends texts as chat messages unless told otherwise; it gives up at status 429, repeats other requests without a pause,
    quotes the server's answer whatever it holds, keeps nothing of what was answered before a request failed, takes NaN and a
    changed width, and looks prefixes up in an attribute that it does not set.

    Args:
        address: Where the model is served.
        options: How it is asked.
        fingerprint: What it is known to make of the probe texts: every answer is compared with it.
        id: The model's id, under which its embeddings are kept.

    Attributes:
        device: Where it computes, as far as is known.
        transport: The requests, and how many of their answers could not be used.
        texts: Texts that were sent, without probes.
        seconds: Wall time that this took.
    """

    device = "endpoint"

    def __init__(
        self,
        address: Address,
        options: EndpointOptions,
        fingerprint: EndpointFingerprint | None = None,
        id: str = "",
    ) -> None:
        self.address, self.fingerprint, self.id = address, fingerprint, id
        self.transport = Transport(address, options.rate_limit)
        self.texts, self.seconds = 0, 0.0
        self._width = fingerprint.width if fingerprint else None
        self._file: VectorFile | None = None
        super().__init__(address.url, address.model, modalities=["text"], use_chat_template=False)
        self.model_prompts = options.prompts or None

    def take_fingerprint(self) -> EndpointFingerprint:
        """Embed the probe texts twice, in batches of different sizes.

        Raises:
            EndpointError: The endpoint cannot be used.
        """
        first = np.asarray(self._get_embeddings(list(PROBES)))
        halves = [self._get_embeddings(list(PROBES[start::2])) for start in (0, 1)]
        second = np.empty_like(first)
        second[0::2], second[1::2] = halves
        try:
            return EndpointFingerprint.of(first, second)
        except ZooError as error:
            raise EndpointError(f"{self.address.text}: {error}") from error

    @property
    def fingerprints(self) -> dict[str, tuple[str, EndpointFingerprint]]:
        """``URL#MODEL`` -> id and fingerprint, for the results folder."""
        return {self.address.text: (self.id, self.fingerprint)} if self.fingerprint else {}

    def keep_in(self, folder: Path) -> None:
        """Keep every embedding below a folder as soon as it comes, and ask for none that is there."""
        self._file = VectorFile(folder / self.address.name.replace("/", "__") / f"{self.id}.sqlite")

    def close(self) -> None:
        """Let go of connections and files."""
        self.transport.close()
        if self._file is not None:
            self._file.close()

    def encode(
        self, inputs: Any, *, task_metadata: Any, prompt_type: Any = None, batch_size: int = 32, **_: Any
    ) -> Any:
        """Embeddings `(texts, width)` of float32, in the order of the texts."""
        prompt = get_prompt(self.model_prompts or {}, task_metadata, prompt_type) or ""
        return self.embed([prompt + text for batch in inputs for text in batch["text"]], batch_size)

    def embed(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Embeddings `(texts, width)` of float32; each different text is sent once, and none that is kept on disk."""
        keys = [hashlib.sha256(f"{self.id}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = self._file.read(list(wanted)) if self._file else {}
        missing = [(key, text) for key, text in wanted.items() if key not in found]
        # The canary is one of the batch: some servers refuse a batch that is one text longer.
        step = max(1, batch_size - 1)
        for start in range(0, len(missing), step):
            part = dict(missing[start : start + step])
            rows = self._ask(list(part.values()), is_alone=batch_size == 1)
            made = dict(zip(part, rows, strict=True))
            if self._file:
                self._file.write(made)
            found.update(made)
            report("embedding", min(start + step, len(missing)), len(missing), self.address.name)
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self._width or 0), np.float32)

    def _ask(self, texts: list[str], *, is_alone: bool) -> np.ndarray:
        """The embeddings of a batch, known to come from the model that was recognised."""
        began = time.perf_counter()
        if is_alone:  # a server that takes one text a request
            self._get_embeddings([CANARY])
            rows = self._get_embeddings(texts)
        else:
            rows = self._get_embeddings([CANARY, *texts])[1:]
        self.seconds += time.perf_counter() - began
        self.texts += len(texts)
        return np.asarray(rows)

    def _make_request(self, endpoint: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Mteb's call for embeddings: paced, repeated and checked."""
        answer: dict[str, Any] = self.transport.post(
            endpoint.removeprefix("/v1"), payload, lambda answer: self._check(answer, payload["input"])
        )
        return answer

    def _verify_server(self) -> None:
        """Nothing: the fingerprint shows whether the endpoint answers."""

    def _detect_max_length(self) -> None:
        """Let vLLM, which says how many tokens a model takes, cut longer texts; other servers say nothing of it."""
        if self.fingerprint is None:
            return
        for row in self.transport.models():
            if row["id"] == self.model_name and isinstance(row.get("max_model_len"), int):
                self.max_length = row["max_model_len"]

    def _check(self, answer: Any, texts: Sequence[str]) -> None:
        """Refuse an answer that no score should be made of."""
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "embedding" in row for row in rows):
            raise content_fault("an answer without embeddings")
        if len(rows) != len(texts):
            raise content_fault(f"{'fewer' if len(rows) < len(texts) else 'more'} embeddings than texts")
        for place, row in enumerate(rows):
            row.setdefault("index", place)
        places = [row["index"] for row in rows]
        if sorted(map(str, places)) != sorted(map(str, range(len(texts)))):
            raise content_fault("embeddings that are not numbered from 0")
        try:
            with np.errstate(over="ignore"):  # it becomes infinite, which is refused below
                matrix = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (TypeError, ValueError):
            raise content_fault("embeddings of several widths, or that are no numbers") from None
        if matrix.ndim != 2 or matrix.shape[1] == 0 or self._width not in (None, matrix.shape[1]):
            shape = f"{matrix.shape[-1]} numbers in place of {self._width}" if self._width else "no numbers"
            raise content_fault("embeddings of another width", f"embeddings of {shape}")
        if (bad := np.flatnonzero(~np.isfinite(matrix).all(axis=1))).size:
            text = texts[places[bad[0]]]
            raise content_fault(
                "NaN or infinite values", f"NaN or infinite values, the first for the text {text!r:.120}"
            )
        if self.fingerprint and texts[0] == CANARY and not self.fingerprint.is_canary(matrix[places.index(0)]):
            raise content_fault(
                "an answer of another model",
                "the model has changed since the run began. None of the new one's embeddings was kept",
            )


def describe_endpoint(text: str, options: EndpointOptions | None = None, results: Path | None = None) -> ModelMeta:
    """The card of a model behind an endpoint; the probe texts are sent for it.

    Args:
        text: ``URL#MODEL``.
        options: How it is asked, without prefixes and as fast as it answers by default.
        results: The results folder, which knows models by earlier runs.

    Returns:
        A card ``host/model`` whose revision depends on the embeddings of the probe texts and on the prefixes.

    Raises:
        InputError: An address that is none.
        EndpointError: The endpoint does not answer, or gives no usable embeddings.
    """
    address, options = Address.parse(text), options or EndpointOptions()
    probing = Endpoint(address, options)
    try:
        fingerprint = probing.take_fingerprint()
    finally:
        probing.close()
    known = recognise(results, address.text, fingerprint)
    if known.note:
        log.warning(known.note)
    prompts, revision = options.prompts, known.id
    if prompts:
        revision = hashlib.sha256(json.dumps([known.id, sorted(prompts.items())]).encode()).hexdigest()[:40]
    return make_meta(
        address.name,
        revision,
        partial(_open, address, options, fingerprint, known.id),
        loader_kwargs={"model_prompts": prompts} if prompts else {},
        embed_dim=fingerprint.width,
        framework=["API"],
        open_weights=None,
        use_instructions=bool(prompts),
    )


def _open(
    address: Address,
    options: EndpointOptions,
    fingerprint: EndpointFingerprint,
    id: str,
    name: str,
    revision: str | None = None,
    **_: Any,
) -> Endpoint:
    """Mteb's loader of an endpoint."""
    return Endpoint(address, options, fingerprint, id)


def is_endpoint(meta: ModelMeta) -> bool:
    """Whether a model is asked over the network: a vendor's one that mteb knows, too."""
    return "API" in meta.framework
