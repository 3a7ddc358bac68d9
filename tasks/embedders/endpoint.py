"""A model behind an OpenAI-compatible endpoint (OpenAI, Azure, vLLM, TEI, Ollama, llama.cpp, Infinity) as mteb runs it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
from mteb.models import OpenAIAPIEncodeWrapper
from mteb.models.abs_encoder import get_prompt

from genzoo.errors import InputError, ZooError
from genzoo.jobs import report
from genzoo.tasks.embedders.address import Address
from genzoo.tasks.embedders.endpoint_fingerprint import CANARY, PROBES, EndpointFingerprint
from genzoo.tasks.embedders.transport import (
    MOST_AT_ONCE,
    EndpointError,
    RefusedRequestError,
    Transport,
    content_fault,
)
from genzoo.tasks.embedding_cache import VectorFile

log = logging.getLogger(__name__)
_SIDES = ("query", "document")
AT_ONCE = 4
"""Requests that an endpoint gets at a time: servers put them together into larger batches. Of a local one that took 0.2 s for each request,
1,240 texts were had after 2.6 s, one request at a time after 10.2 s."""


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
        at_once: Requests at a time.
        most: Texts that the server takes in a request, as far as it has refused more.
    """

    device = "endpoint"
    at_once = AT_ONCE
    most = 2**31

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
        self._lock = threading.Lock()
        super().__init__(address.url, address.model, modalities=["text"], use_chat_template=False)
        self.model_prompts = options.prompts or None

    def take_fingerprint(self) -> EndpointFingerprint:
        """Embed the probe texts twice, in batches of different sizes.

        Raises:
            EndpointError: The endpoint cannot be used.
        """
        first = self._probed(PROBES)
        second = np.empty_like(first)
        second[0::2], second[1::2] = self._probed(PROBES[0::2]), self._probed(PROBES[1::2])
        try:
            return EndpointFingerprint.of(first, second)
        except ZooError as error:
            raise EndpointError(f"{self.address.text}: {error}") from error

    def _probed(self, probes: Sequence[str]) -> np.ndarray:
        return np.concatenate([rows for _, rows in self._answers(probes, len(probes))])

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
        began = time.perf_counter()
        found |= self._asked_for(missing, batch_size)
        self.seconds += time.perf_counter() - began
        self.texts += len(missing)
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self._width or 0), np.float32)

    def _asked_for(self, missing: Sequence[tuple[bytes, str]], batch_size: int) -> dict[bytes, np.ndarray]:
        """Embeddings of texts by key, from several requests at a time, each answer kept as soon as it comes."""
        if not missing:
            return {}
        # The canary is one of the batch: many servers refuse a batch of more texts than their own limit.
        step = max(1, batch_size - 1)
        parts = [missing[start : start + step] for start in range(0, len(missing), step)]
        found, failures, done = dict[bytes, np.ndarray](), list[Exception](), 0

        def ask(part: Sequence[tuple[bytes, str]]) -> int:
            keys = dict[str, bytes]((text, key) for key, text in part)
            try:
                for texts, rows in self._answers([] if failures else list(keys), batch_size, [CANARY]):
                    made = {keys[text]: row for text, row in zip(texts, rows, strict=True)}
                    with self._lock:
                        found.update(made)
                        if self._file:
                            self._file.write(made)
            except Exception as error:  # noqa: BLE001  (raised below, once the other requests are answered and kept)
                failures.append(error)
            return len(part)

        try:
            with ThreadPool(min(self.at_once, MOST_AT_ONCE, len(parts))) as pool:
                for count in pool.imap_unordered(ask, parts):
                    done += count
                    report("embedding", done, len(missing), self.address.name)
        except BaseException:
            self.transport.close()
            raise
        if failures:
            raise failures[0]
        return found

    def _answers(
        self, texts: Sequence[str], most: int, lead: Sequence[str] = ()
    ) -> Iterator[tuple[Sequence[str], np.ndarray]]:
        """Texts with their embeddings, request by request; with fewer texts where the server refuses so many at once.

        Args:
            texts: What is asked for.
            most: Texts of a request, `lead` included.
            lead: Texts that every request begins with, to know the model by; where there is no room, a request of its own.

        Raises:
            EndpointError: The server refuses one of the texts alone.
        """
        while texts:
            most = min(most, self.most)
            before = list(lead) if most > len(lead) else []
            part, texts = texts[: max(1, most - len(before))], texts[max(1, most - len(before)) :]
            if lead and not before:
                self._get_embeddings(list(lead))
            try:
                rows = np.asarray(self._get_embeddings([*before, *part]))[len(before) :]
            except RefusedRequestError as error:
                half = (len(before) + len(part)) // 2
                if not half:
                    raise EndpointError(
                        f"{error}. The request held one text of {len(part[0]):,} characters, {part[0]!r:.80}: if it is too long for the "
                        "model, shorten it, or start the server so that it cuts long texts (TEI: --auto-truncate)"
                    ) from None
                yield from self._answers(part, half, lead)
                if half < self.most:  # each text is taken, so it was their number
                    self.most = half
                    log.info("%s takes at most %d texts a request", self.address.name, half)
            else:
                yield part, rows

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
        if set(map(repr, places)) != set(map(repr, range(len(texts)))):
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
