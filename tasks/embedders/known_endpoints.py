"""The models that a results folder has met behind each endpoint, so that another one is noticed and its results are kept apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.errors import ZooError
from genzoo.files import read_json, write_json
from genzoo.tasks.embedders.endpoint_fingerprint import EndpointFingerprint

FILE = "endpoints.json"
_SHORT = 7  # characters of an id in a message


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
    """Record models, so that later runs recognise them; the caller holds the folder's lock.

    Args:
        results: The folder.
        found: ``URL#MODEL`` -> id and fingerprint.
    """
    known = _rows(results)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    changed = False
    for address, (name, fingerprint) in found.items():
        rows = known.setdefault(address, [])
        if name not in [row["id"] for row in rows]:
            rows.append({**fingerprint.record(), "id": name, "date": today})
            changed = True
    if changed:
        write_json(results / FILE, known)


def _rows(results: Path) -> dict[str, list[dict[str, Any]]]:
    return read_json(results / FILE, "delete it and run again", error=ZooError, is_optional=True)
