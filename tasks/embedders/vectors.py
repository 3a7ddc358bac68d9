"""Embeddings that were computed elsewhere: a folder of Parquet or npz files, looked up by text or by id."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder

from genzoo.errors import InputError, ZooError
from genzoo.files import folder_digest
from genzoo.jobs import report
from genzoo.tasks.embedders.address import VECTORS
from genzoo.tasks.embedders.cards import make_meta
from genzoo.text import plural

_VECTORS = ("embedding", "embeddings", "vector", "vectors")
_TEXTS = ("text", "texts")
_IDS = ("id", "ids", "_id")
_SIDES = {"queries": "query", "query": "query", "documents": "document", "document": "document", "corpus": "document"}
_LAYOUT = (
    "it takes *.parquet with the columns text (or id) and embedding, or *.npz with the arrays texts (or ids) and embeddings; "
    "files named queries.* and documents.* serve one side of a search, a folder named as a task serves that task"
)


class StoredVectors(AbsEncoder):
    """Looks embeddings up where a model would compute them.

    Args:
        folder: Holds the files. A text that is a query in one place and a document in another may have two embeddings: in
            files named ``queries.*`` and ``documents.*``. Ids say something within one data set only: they are read from a
            folder that has the name of the task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[str, _Table] = {}

    def encode(self, inputs: Any, *, task_metadata: Any, prompt_type: Any = None, **_: Any) -> np.ndarray:
        """Embeddings `(texts, width)` of float32, in the order of the texts.

        Raises:
            ZooError: Texts have no embedding: how many, and one of them.
        """
        table = self._table(task_metadata.name)
        side = prompt_type.value if prompt_type else ""
        places: list[int] = []
        missing: list[dict[str, Any]] = []
        count = 0
        for batch in inputs:
            for row in _rows(batch):
                place = table.find(side, row)
                count += 1
                if place is None:
                    missing.append(row)
                else:
                    places.append(place)
        if missing:
            example = missing[0]
            known = f" (id {example['id']})" if "id" in example else ""
            raise ZooError(
                f"{VECTORS}{self._folder}: no embedding for {len(missing):,} of {plural(count, 'text')} of {task_metadata.name}, "
                f"such as {example['text']!r:.160}{known}"
            )
        return table.vectors[places]

    def _table(self, task: str) -> _Table:
        """What the folder holds for a task."""
        own = self._folder / task
        name = task if own.is_dir() else ""
        if name not in self._tables:
            self._tables[name] = _Table.read([self._folder, *([own] if name else [])], has_ids=bool(name))
        return self._tables[name]


class _Table:
    """All embeddings for a task, and the place of each by side and text or id."""

    def __init__(self, vectors: np.ndarray, places: Mapping[bytes, int]) -> None:
        self.vectors, self._places = vectors, places

    def find(self, side: str, row: Mapping[str, Any]) -> int | None:
        """The place of a text: that of its own side before one for both, its id before its text."""
        named = [("id", str(row["id"]))] if "id" in row else []
        # mteb puts title and text of a document together; files may hold the text alone
        named += [("text", text) for text in (row["text"], row.get("body")) if text is not None]
        keys = (_key(each, *name) for each in (side, "") for name in named)
        return next((self._places[key] for key in keys if key in self._places), None)

    @classmethod
    def read(cls, folders: Sequence[Path], *, has_ids: bool) -> _Table:
        """The files of some folders; ids count in the last one only."""
        files = [(path, folder) for folder in folders for path in _files(folder)]
        if not files:
            raise InputError(f"{VECTORS}{folders[0]} holds vectors for other tasks alone; {_LAYOUT}")
        keys: list[tuple[Path, str, str, str]] = []
        blocks: list[np.ndarray] = []
        for done, (path, folder) in enumerate(files):
            report("reading vectors", done, len(files), path.name)
            kind, names, vectors = _read(path)
            if kind == "id" and not (has_ids and folder == folders[-1]):
                raise InputError(
                    f"{path} names its vectors by id, which one data set alone knows: move it to {folders[0]}/TASK/"
                )
            if blocks and vectors.shape[1] != blocks[0].shape[1]:
                raise InputError(
                    f"{path} holds vectors of width {vectors.shape[1]}, another file of {blocks[0].shape[1]}"
                )
            side = _SIDES.get(path.stem.lower(), "")
            keys += [(path, side, kind, name) for name in names]
            blocks.append(vectors)
        vectors, places = np.concatenate(blocks), dict[bytes, int]()
        for place, (path, side, kind, name) in enumerate(keys):
            first = places.setdefault(_key(side, kind, name), place)
            if first != place and not np.array_equal(vectors[first], vectors[place]):
                raise InputError(f"{path} holds two vectors for the {kind} {name!r:.160}")
        return cls(vectors, places)


def describe_vectors(text: str) -> ModelMeta:
    """The card of ``vectors:FOLDER``: its revision is the digest of the files.

    Raises:
        InputError: There is no such folder, or it holds no vectors.
    """
    given = text.removeprefix(VECTORS)
    folder = Path(given).expanduser()
    if not given or not folder.is_dir():
        raise InputError(f"{text}: there is no such folder; {_LAYOUT}")
    if not any(_files(each) for each in (folder, *sorted(path for path in folder.iterdir() if path.is_dir()))):
        raise InputError(f"{text}: the folder holds no vectors; {_LAYOUT}")
    name = f"vectors/{folder.resolve().name}"
    # The path is bound, not put into loader_kwargs: those are written beside the results, which people pass on.
    return make_meta(
        name, folder_digest(folder), partial(_open, folder.resolve()), framework=["NumPy"], open_weights=None
    )


def read_folder(folder: Path) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Each file of texts in a folder: the side that it serves (empty where both), the texts, and their vectors.

    Raises:
        InputError: There is no such folder, or a file holds no vectors.
    """
    if not folder.is_dir():
        raise InputError(f"{VECTORS}{folder}: there is no such folder; {_LAYOUT}")
    for path in _files(folder):
        kind, names, vectors = _read(path)
        if kind == "text":
            yield _SIDES.get(path.stem.lower(), ""), names, vectors


def _open(folder: Path, name: str, revision: str | None = None, **_: Any) -> StoredVectors:
    """Mteb's loader of stored vectors."""
    return StoredVectors(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".parquet", ".npz") and path.is_file())


def _rows(batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The texts of a batch, each with what else mteb knows of it."""
    names = [name for name in ("id", "text", "body") if name in batch]
    for values in zip(*(batch[name] for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _key(side: str, kind: str, name: str) -> bytes:
    return hashlib.blake2b(f"{side}\0{kind}\0{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _read(path: Path) -> tuple[str, list[str], np.ndarray]:
    """What names the vectors of a file (`text` or `id`), the names, and the vectors `(names, width)` of float32."""
    columns = _parquet(path) if path.suffix == ".parquet" else _npz(path)
    vectors = next((columns[name] for name in _VECTORS if name in columns), None)
    column = next((name for name in (*_TEXTS, *_IDS) if name in columns), None)
    if vectors is None or column is None:
        raise InputError(f"{path} holds {', '.join(columns) or 'nothing'}; {_LAYOUT}")
    kind, names = "text" if column in _TEXTS else "id", columns[column]
    if vectors.ndim != 2 or len(vectors) != len(names):
        raise InputError(
            f"{path} holds {len(names):,} names and vectors of the shape {vectors.shape}: one row for each name is needed"
        )
    if (bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))).size:
        raise InputError(
            f"{path} holds NaN or infinite values in {plural(bad.size, 'vector')}, such as that of {names[bad[0]]!r:.160}"
        )
    return kind, names, vectors


def _parquet(path: Path) -> dict[str, Any]:
    """The columns that are of use."""
    try:
        file = pq.ParquetFile(path)
        wanted = [name for name in file.schema_arrow.names if name in (*_VECTORS, *_TEXTS, *_IDS)]
        table = file.read(columns=wanted) if wanted else None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no readable Parquet file ({error})") from error
    if table is None:
        return dict.fromkeys(file.schema_arrow.names)
    return {
        name: _matrix(path, table[name]) if name in _VECTORS else list(map(str, table[name].to_pylist()))
        for name in wanted
    }


def _matrix(path: Path, column: pa.ChunkedArray) -> np.ndarray:
    """A column of lists of numbers as a matrix."""
    array = column.combine_chunks()
    lengths = set(array.value_lengths().to_pylist()) if hasattr(array, "value_lengths") else set()
    if len(lengths) != 1 or None in lengths:
        raise InputError(f"{path} holds vectors of several widths, or none: {sorted(lengths, key=str)[:5]}")
    try:
        flat = array.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} holds vectors that are no numbers ({array.type})") from error
    return flat.reshape(len(array), lengths.pop())


def _npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no npz file of plain arrays ({error}): save texts as np.array(texts) of dtype str"
        ) from error
    if wrong := next((a.dtype for name, a in found.items() if name in _VECTORS and a.dtype.kind not in "fiu"), None):
        raise InputError(f"{path} holds vectors that are no real numbers ({wrong})")
    return {
        name: array.astype(np.float32) if name in _VECTORS else list(map(str, array.tolist()))
        for name, array in found.items()
        if name in (*_VECTORS, *_TEXTS, *_IDS)
    }
