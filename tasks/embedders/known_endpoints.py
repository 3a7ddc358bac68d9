"""Which model answers behind an endpoint: its card, and those met before, so that another one is noticed and its results are kept apart."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from mteb.models import ModelMeta

from genzoo.errors import ZooError
from genzoo.files import read_json, write_json
from genzoo.tasks.embedders.address import Address
from genzoo.tasks.embedders.cards import make_meta
from genzoo.tasks.embedders.endpoint import Endpoint, EndpointOptions
from genzoo.tasks.embedders.endpoint_fingerprint import EndpointFingerprint

log = logging.getLogger(__name__)
FILE = "endpoints.json"
_SHORT = 7  # characters of an id in a message


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


@dataclass(frozen=True)
class Recognition:
    """Which model answers behind an endpoint.

    Attributes:
        id: The id of the model: as recorded in the results folder if it is known there.
        note: What the user should know of it, empty if nothing.
    """

    id: str
    note: str = ""


def recognise(results: Path | None, address: str, now: EndpointFingerprint) -> Recognition:
    """Compare a fingerprint with those of earlier runs on a results folder.

    Args:
        results: The folder; None for no folder.
        address: ``URL#MODEL``.
        now: What the endpoint makes of the probe texts today.
    """
    rows = _rows(results).get(address, []) if results is not None else []
    try:
        known = [(row, EndpointFingerprint.read(row)) for row in rows]
    except (KeyError, ValueError, TypeError) as error:
        raise ZooError(f"{results}/{FILE} is damaged ({error!r}): delete it and run again") from error
    for row, before in reversed(known):
        if now.is_same(before):
            is_newest = row is rows[-1]
            again = f"the model behind {address} is the one of {row['date']} again, at revision {row['id'][:_SHORT]}"
            return Recognition(row["id"], "" if is_newest else again)
    if not known:
        return Recognition(now.id)
    newest, before = known[-1]
    cosine = (
        f"cosine {max(-1.0, 1 - now.distance(before) ** 2 / 2):.3f}"
        if now.width == before.width
        else (f"{before.width} numbers then, {now.width} now")
    )
    return Recognition(
        now.id,
        f"the model behind {address} has changed since {newest['date']} (embedding of a probe text: {cosine}). Its results are "
        f"kept apart from the earlier ones: revision {now.id[:_SHORT]} now, {newest['id'][:_SHORT]} before",
    )


def remember(results: Path, found: Mapping[str, tuple[str, EndpointFingerprint]]) -> None:
    """Record models, so that later runs recognise them.

    Args:
        results: The folder.
        found: ``URL#MODEL`` -> id and fingerprint.
    """
    if not found:
        return
    results.mkdir(parents=True, exist_ok=True)
    with FileLock(results / ".lock"):  # that of `genzoo.tasks.results_folder`
        known = _rows(results)
        before = sum(map(len, known.values()))
        for address, (name, fingerprint) in found.items():
            rows = known.setdefault(address, [])
            if name not in [row["id"] for row in rows]:
                today = dt.datetime.now(tz=dt.UTC).date().isoformat()
                rows.append({**fingerprint.record(), "id": name, "date": today})
        if sum(map(len, known.values())) > before:
            write_json(results / FILE, known)


def _rows(results: Path) -> dict[str, list[dict[str, Any]]]:
    return read_json(results / FILE, "delete it and run again", error=ZooError, is_optional=True)
