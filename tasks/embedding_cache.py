"""Embeddings kept on disk, so that no text is encoded twice by one model under one prompt, nor lost when a run is killed.

The key holds all that an embedding depends on: the model's name and revision, its precision and length limit, the versions of
the packages that compute it, every option of the call, the prompt and the text. The numbers come back bit for bit.

Several processes, on several machines too, may use one file: SQLite's rollback journal needs nothing but the file locks of a
shared file system, while its write-ahead log needs memory that all processes share.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta

from genzoo.backbones.precision import precision_of
from genzoo.compute import look_again
from genzoo.errors import ZooError

BLOCK = 1024
"""Texts that are encoded and written together: what a kill can cost."""
_NOT_IN_THE_NUMBERS = {
    "batch_size",
    "show_progress_bar",
    "convert_to_numpy",
    "convert_to_tensor",
    "device",
    "pool",
    "chunk_size",
}
_LOOKUP = 500
_PATIENCE = 60  # seconds that one process waits for another
_WRITE_AHEAD = b"\x02\x02"  # bytes 18 and 19 of such a file
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OF_THE_DISK = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


class VectorFile:
    """Vectors of float32 on disk, each under a digest of all that it depends on.

    Args:
        path: An SQLite file, made if there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._explaining():
            _end_write_ahead_log(path)
            # IMMEDIATE: a writer waits for the lock before it reads; two that had read would refuse each other at once
            self._base = sqlite3.connect(path, timeout=_PATIENCE, isolation_level="IMMEDIATE", check_same_thread=False)
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, check_sum INTEGER)"
            )

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors that are there."""
        found = {}
        for start in range(0, len(keys), _LOOKUP):
            part = list(keys[start : start + _LOOKUP])
            marks = ",".join("?" * len(part))
            question = f"SELECT key, vector, check_sum FROM vectors WHERE key IN ({marks})"  # noqa: S608
            with self._explaining():
                rows = self._base.execute(question, part).fetchall()
            for key, vector, check_sum in rows:
                # a damaged row is one that is not there, and so is one that no score can be made of
                kept = np.frombuffer(vector, dtype=np.float32) if zlib.crc32(key + vector) == check_sum else None
                if kept is not None and np.isfinite(kept).all():
                    found[key] = kept
        return found

    def write(self, made: Mapping[bytes, np.ndarray]) -> None:
        """Keep vectors, for good once this returns; one that is not finite is left out."""
        rows = [
            (key, vector.tobytes(), zlib.crc32(key + vector.tobytes()))
            for key, vector in made.items()
            if np.isfinite(vector).all()
        ]
        with self._explaining(), self._base:
            self._base.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> Exception:
        """The same for the user: what is wrong with the file, and what to do."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the primary one
        if code in _OF_THE_DISK:
            number = _OF_THE_DISK[code]
            return OSError(number, f"{os.strerror(number)}; embedding cache: {error}", str(self.path))
        if code in _IN_USE:
            return ZooError(
                f"embedding cache {self.path} has been locked by another process for {_PATIENCE} seconds ({error}): run again when "
                "that one has ended, or with --no-cache-embeddings"
            )
        return ZooError(f"embedding cache {self.path} is damaged ({error}): delete it and run again")


class EmbeddingCache:
    """The embeddings of one model.

    Args:
        root: Folder of all models' embeddings.
        meta: The model's card.
        model: Its SentenceTransformer.
        content: Digest of the files that it is loaded from, where the card's revision does not cover them.

    Attributes:
        file: Where they lie.
        texts: Texts that had to be encoded.
        seconds: Wall time that this took.
    """

    def __init__(self, root: Path, meta: ModelMeta, model: Any, content: str | None = None) -> None:
        precision = precision_of(model)
        is_whole = (
            precision is None or " " in precision
        )  # whole types are named as torch does, as in the files of earlier versions
        self._facts = {
            "model": meta.name,
            "revision": meta.revision,
            "dtype": precision if is_whole else f"torch.{precision}",
            "device": str(model.device).split(":")[0],
            "max_tokens": model.max_seq_length,
            **{
                name: importlib.metadata.version(name)
                for name in ("torch", "transformers", "sentence-transformers", "genzoo")
            },
            **({} if content is None else {"content": content}),
        }
        self._model = model
        self._encode: Callable[..., Any] = model.encode
        self.file = VectorFile(root / meta.model_name_as_path() / f"{meta.revision}.sqlite")
        self.texts, self.seconds = 0, 0.0

    def attach(self) -> EmbeddingCache:
        """Let the model's `encode` go through this cache."""
        self._model.encode = self.encode
        return self

    def encode(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """As the model's own `encode`; what is not a plain list of texts to plain vectors goes straight to it."""
        if not _is_plain(inputs, args, options):
            return self._timed(inputs, *args, **options)
        keys = self._keys(inputs, options)
        found: dict[bytes, np.ndarray] = {}
        # Blocks lie at fixed places of the call, so that a resumed run encodes the same batches as an undisturbed one.
        for start in range(0, len(inputs), BLOCK):
            block = keys[start : start + BLOCK]
            found.update(self.file.read([key for key in block if key not in found]))
            missing = {key: start + place for place, key in reversed(list(enumerate(block))) if key not in found}
            wanted = sorted(missing.items(), key=lambda item: item[1])
            if wanted:
                look_again()
                texts = [inputs[place] for _, place in wanted]
                fresh = self._timed(texts, **(options | {"convert_to_numpy": True, "convert_to_tensor": False}))
                made = dict(zip((key for key, _ in wanted), np.asarray(fresh, dtype=np.float32), strict=True))
                self.file.write(made)
                found.update(made)
        vectors = np.stack([found[key] for key in keys])
        return torch.from_numpy(vectors).to(self._model.device) if options.get("convert_to_tensor") else vectors

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _timed(self, inputs: Any, *args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        out = self._encode(inputs, *args, **options)
        self.seconds += time.perf_counter() - start
        self.texts += len(inputs)
        return out

    def _keys(self, sentences: Sequence[str], options: Mapping[str, Any]) -> list[bytes]:
        prompt = options.get("prompt")
        if prompt is None:
            name = options.get("prompt_name") or self._model.default_prompt_name
            prompt = self._model.prompts.get(name, "") if name else ""
        call = {key: repr(value) for key, value in sorted(options.items()) if key not in _NOT_IN_THE_NUMBERS}
        facts = json.dumps([self._facts, {**call, "prompt": prompt, "prompt_name": None}], sort_keys=True)
        base = hashlib.sha256(facts.encode())
        keys = []
        for text in sentences:
            digest = base.copy()
            digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
            keys.append(digest.digest())
        return keys


def _end_write_ahead_log(path: Path) -> None:
    """Give a file that an earlier genzoo wrote with a write-ahead log a rollback journal; what stands in the log is kept.

    A process that has the file open in the old way keeps it so: then it stays as it is.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(20)[18:] != _WRITE_AHEAD:
            return
    base = sqlite3.connect(path, timeout=1)
    try:
        base.execute("PRAGMA locking_mode=EXCLUSIVE")  # reads the log without memory that processes share
        base.execute("PRAGMA journal_mode=DELETE").fetchone()
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)  # that of a killed process
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _IN_USE:
            raise
    finally:
        base.close()


def _is_plain(sentences: Any, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a call gives one float vector per text."""
    return (
        isinstance(sentences, (list, tuple))
        and bool(sentences)
        and all(isinstance(text, str) for text in sentences)
        and not args
        and options.get("output_value", "sentence_embedding") == "sentence_embedding"
        and options.get("precision", "float32") == "float32"
        and (options.get("convert_to_numpy", True) or bool(options.get("convert_to_tensor")))
    )
