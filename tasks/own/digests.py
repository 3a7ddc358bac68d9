"""Digests of a user's files: what the revision of their data is, and what tells whether they have to be read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genzoo.errors import ZooError
from genzoo.files import cache_root, read_json, sha256_of, write_json

OWN = "own/"
"""How the data set of own data begins in `tasks.json`: their files are not named in results, which people pass on."""
LARGE = 32 << 20
"""Bytes from which on what was read or digested is kept in the user's cache."""
_MOST = 500  # files whose digests are kept; the oldest go first
_SETTLED = 2.0  # seconds after which a change of a file is sure to change its time


def digest_of(path: Path) -> str:
    """Hex sha256 of a file's bytes; a file that has not changed since is not read again.

    The record in the user's cache holds size, time of change and place on the disk of each file beside its digest.
    """
    state = path.stat()
    place = cache_root() / "own" / "digests.json"
    real = os.path.realpath(path)
    facts = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    if state.st_size < LARGE:
        return sha256_of(path)
    kept: dict[str, Any] = {}
    with contextlib.suppress(ZooError):
        kept = read_json(place, "it is made anew", is_optional=True)
        known = kept.get(real)
        if isinstance(known, list) and known[:-1] == facts:
            return str(known[-1])
    found = sha256_of(path)
    if time.time() - state.st_mtime > _SETTLED:
        with contextlib.suppress(ZooError):  # the record saves time, no more
            kept.pop(real, None)
            write_json(place, dict([*kept.items(), (real, [*facts, found])][-_MOST:]))
    return found


def combined_digest(parts: Iterable[tuple[str, Path]], extra: Any = None) -> str:
    """Digest of files, each with the name of its part, and of how they are read; 40 hex digits as a commit has."""
    digest = hashlib.sha256()
    for part, path in parts:
        digest.update(part.encode() + b"\0" + bytes.fromhex(digest_of(path)))
    if extra is not None:
        digest.update(json.dumps(extra, sort_keys=True).encode())
    return digest.hexdigest()[:40]
