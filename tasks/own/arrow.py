"""Tables of texts in Arrow: written batch by batch, kept in the user's cache where the files are large, and mapped into memory."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from genzoo.errors import ZooError
from genzoo.files import cache_root, read_json, replace_folder, write_json
from genzoo.jobs import job, report
from genzoo.tasks.own.digests import LARGE
from genzoo.tasks.own.records import Note

log = logging.getLogger(__name__)
_BATCH = 8192  # rows that are Python objects at a time
_NOTES = "notes.json"
Tables = Mapping[str, pa.Table]
"""Name -> table."""
Maker = Callable[[Callable[[str, pa.Schema, Iterable[Sequence[Any]]], None]], list[Note]]
"""Makes tables, handing each to the function that it is given: its name, its columns and its rows; returns notes."""


def made_tables(digest: str, size: int, make: Maker) -> tuple[Tables, list[Note]]:
    """The tables of some files and the notes on them, read once: from the cache where they were made before.

    Args:
        digest: Of the files and of how they are read.
        size: Of the files together, in bytes.
        make: Reads the files.
    """
    if size < LARGE:
        tables: dict[str, pa.Table] = {}

        def keep(name: str, schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> None:
            tables[name] = pa.Table.from_batches(_batches(schema, rows), schema)

        notes = make(keep)
        return tables, notes
    place = cache_root() / "own" / digest
    with contextlib.suppress(ZooError, OSError, pa.ArrowException):
        return _kept(place)
    with replace_folder(place) as folder, job():
        log.info("reading %.0f MB once; the next run finds them in %s", size / 1e6, place)

        def write(name: str, schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> None:
            done = 0  # bytes
            with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
                for batch in _batches(schema, rows):
                    file.write_batch(batch)
                    done += batch.nbytes
                    report(f"reading the {name}", min(done, size) >> 20, size >> 20, "MiB")

        write_json(folder / _NOTES, {"notes": [note.as_list() for note in make(write)]})
    return _kept(place)


def _kept(place: Path) -> tuple[Tables, list[Note]]:
    notes = [Note(*each) for each in read_json(place / _NOTES, "it is made anew")["notes"]]
    tables = {path.stem: pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in place.glob("*.arrow")}
    return tables, notes


def _batches(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> Iterator[pa.RecordBatch]:
    waiting = iter(rows)
    while batch := list(itertools.islice(waiting, _BATCH)):
        columns = zip(zip(*batch, strict=True), schema, strict=True)
        yield pa.record_batch([pa.array(cells, field.type) for cells, field in columns], schema=schema)
