"""Vectors that are stored with their texts: files, a Chroma collection, a LanceDB table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.errors import InputError
from genzoo.tasks.doctor.variants import DOCUMENT, QUERY
from genzoo.tasks.embedders.address import VECTORS
from genzoo.tasks.embedders.vectors import read_folder
from genzoo.text import some

SAMPLE = 24
"""Texts of a side that are compared."""
_READ, _BLOCKS = 96, 8  # of which they are chosen, and the places that these are read from
_COSINE, _L2, _DOT = "cosine", "L2", "inner product"
_SPACES = {"cosine": _COSINE, "l2": _L2, "ip": _DOT, "dot": _DOT}
_TEXT_COLUMNS = ("text", "document", "content", "page_content", "chunk")


@dataclass(frozen=True)
class Stored:
    """A sample of stored vectors.

    Attributes:
        sides: ``query`` or ``document`` -> texts and their vectors `(texts, width)`.
        total: Vectors that are stored in all.
        space: ``cosine``, ``L2`` or ``inner product``: the distance by which the store ranks; empty where searches choose it.
    """

    sides: dict[str, tuple[list[str], np.ndarray]]
    total: int
    space: str = ""


def is_stored(target: Any) -> bool:
    """Whether a target names stored vectors.

    >>> is_stored("chroma:index#pages"), is_stored("index")
    (True, False)
    """
    return isinstance(target, str) and target.partition(":")[0] + ":" in _STORES


def read_stored(target: str) -> Stored:
    """A sample of what ``vectors:FOLDER``, ``chroma:FOLDER#COLLECTION`` or ``lancedb:FOLDER#TABLE`` holds.

    Raises:
        InputError: There is no such store, it holds no texts, or its library is not installed.
    """
    kind, _, place = target.partition(":")
    found = _STORES[f"{kind}:"](place)
    if not any(texts for texts, _ in found.sides.values()):
        raise InputError(f"{target} holds no vector with its text, and without texts nothing can be compared")
    return found


def _files(place: str) -> Stored:
    sides: dict[str, tuple[list[str], list[np.ndarray]]] = {}
    total = 0
    for side, texts, vectors in read_folder(Path(place).expanduser()):
        own = sides.setdefault(QUERY if side == QUERY else DOCUMENT, ([], []))
        own[0].extend(texts)
        own[1].append(vectors)
        total += len(texts)
    return Stored({side: _sampled(texts, np.concatenate(rows)) for side, (texts, rows) in sides.items()}, total)


def _chroma(place: str) -> Stored:
    folder, name = _split(place, "chroma", "COLLECTION", "chroma.sqlite3")
    library = _library("chromadb")
    # Telemetry would tell of it; and the embedding function that the collection names is not wanted.
    client = library.PersistentClient(str(folder), settings=library.config.Settings(anonymized_telemetry=False))
    known = [collection.name for collection in client.list_collections()]
    _check_known(name, known, f"chroma:{folder}", "collection")
    collection = client.get_collection(name, embedding_function=None)
    total = collection.count()
    index = collection.configuration.get("hnsw") or collection.configuration.get("spann") or {}

    def read(offset: int, limit: int) -> tuple[list[Any], list[Any]]:
        rows = collection.get(limit=limit, offset=offset, include=["documents", "embeddings"])
        return rows["documents"], list(rows["embeddings"])

    return Stored({DOCUMENT: _blocks(read, total)}, total, _SPACES.get(str(index.get("space")), ""))


def _lancedb(place: str) -> Stored:
    folder, name = _split(place, "lancedb", "TABLE")
    connection = _library("lancedb").connect(str(folder))
    _check_known(name, [path.stem for path in sorted(folder.glob("*.lance"))], f"lancedb:{folder}", "table")
    table = connection.open_table(name)
    text, vector = _columns(table.schema, f"lancedb:{place}")
    indices = [index for index in table.list_indices() if vector in index.columns]
    metric = table.index_stats(indices[0].name).distance_type if indices else ""

    def read(offset: int, limit: int) -> tuple[list[Any], list[Any]]:
        rows = table.search().select([text, vector]).offset(offset).limit(limit).to_arrow()
        return rows[text].to_pylist(), rows[vector].to_pylist()

    total = table.count_rows()
    return Stored({DOCUMENT: _blocks(read, total)}, total, _SPACES.get(str(metric), ""))


_STORES: dict[str, Callable[[str], Stored]] = {VECTORS: _files, "chroma:": _chroma, "lancedb:": _lancedb}


def _split(place: str, kind: str, what: str, file: str = "") -> tuple[Path, str]:
    """Folder and name of ``FOLDER#NAME``. The folder must be there: the libraries would make an empty one."""
    path, _, name = place.rpartition("#")
    folder = Path(path).expanduser()
    if not (path and name):
        raise InputError(f"{kind}:{place} does not name a {what.lower()}: write {kind}:FOLDER#{what}")
    if not folder.is_dir() or (file and not (folder / file).is_file()):
        holds = f" with a {file}" if file else ""
        raise InputError(f"{kind}:{place}: there is no folder {folder}{holds}")
    return folder, name


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{name} is not installed: run pip install 'genzoo[stores]', or pip install {name}") from error


def _check_known(name: str, known: Sequence[str], where: str, what: str) -> None:
    if name not in known:
        there = f"there are {some(sorted(known), 20)}" if known else "it is empty"
        raise InputError(f"{where} has no {what} {name!r}: {there}")


def _columns(schema: Any, where: str) -> tuple[str, str]:
    """The columns of texts and of vectors."""
    import pyarrow as pa

    vectors = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    named = [name for name in _TEXT_COLUMNS if name in texts] or (texts if len(texts) == 1 else [])
    if not named or not vectors or ("vector" not in vectors and len(vectors) > 1):
        raise InputError(
            f"{where} has the columns {', '.join(schema.names)}: one of texts ({', '.join(_TEXT_COLUMNS)}) and one of vectors (vector) "
            "are needed"
        )
    return named[0], "vector" if "vector" in vectors else vectors[0]


def _blocks(read: Callable[[int, int], tuple[list[Any], list[Any]]], total: int) -> tuple[list[str], np.ndarray]:
    """A sample from places that lie evenly apart."""
    size = min(total, _READ)
    count = min(_BLOCKS, size) or 1
    texts: list[Any] = []
    rows: list[Any] = []
    for block in range(count):
        some_texts, some_rows = read(block * (total // count), size // count)
        texts += some_texts
        rows += some_rows
    kept = [place for place, text in enumerate(texts) if isinstance(text, str) and rows[place] is not None]
    return _sampled([texts[place] for place in kept], np.array([rows[place] for place in kept], dtype=np.float64))


def _sampled(texts: list[str], vectors: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Texts that tell most: some with line breaks, the longest one, and others that lie evenly apart."""
    kept = [place for place, text in enumerate(texts) if text.strip()]
    broken = [place for place in kept if "\n" in texts[place].strip()]
    longest = sorted(kept, key=lambda place: -len(texts[place]))[:1]
    telling = dict.fromkeys([*_spread(broken, SAMPLE // 4), *longest])
    others = [place for place in kept if place not in telling]
    chosen = sorted([*telling, *_spread(others, SAMPLE - len(telling))])
    return [texts[place] for place in chosen], vectors[chosen]


def _spread(places: Sequence[int], most: int) -> list[int]:
    """At most so many of some places, evenly apart."""
    return [places[number * len(places) // most] for number in range(most)] if len(places) > most else list(places)
