"""The texts that a pool is made of: the queries of a log, and the corpus, copied into the pool's folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.backbones.generation import Query
from genzoo.duplicates import collapsed
from genzoo.errors import InputError
from genzoo.files import sha256_of
from genzoo.jobs import job
from genzoo.tasks.judging.passages import Passage
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.search import dataset_of
from genzoo.training.queries import read_queries

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)
_BATCH = 8192  # passages that are Python objects at a time


def read_log(path: Path, columns: Columns) -> list[Query]:
    """The queries of a log; of several names for their column the first that it has counts."""
    names = columns.named.get("query", ())
    if len(names) > 1:
        raise InputError(f"--columns names {', '.join(names)} for the queries: name one column of the log")
    return _distinct_ids(read_queries(path, names[0] if names else None))


def _distinct_ids(queries: Sequence[Query]) -> list[Query]:
    """The queries, numbered anew where the log's ids are not each of one query, as ids of sessions or users are."""
    if len({query.id for query in queries}) == len(queries):
        return list(queries)
    log.warning("the ids in the log repeat, so they do not name queries: the queries are numbered")
    return [Query(f"q{place:06d}", query.text) for place, query in enumerate(queries, 1)]


def each_once(texts: Mapping[str, str], kept: Collection[str] = ()) -> dict[str, str]:
    """The queries without those that differ from an earlier one in case or white space only; `kept` names ids that stay.

    >>> each_once({"q1": "Boiler E119", "q2": "boiler  e119", "q3": "rent"})
    {'q1': 'Boiler E119', 'q3': 'rent'}
    """
    seen = {collapsed(texts[name]): name for name in kept if name in texts}
    return {
        name: text for name, text in texts.items() if seen.setdefault(collapsed(text), name) == name or name in kept
    }


def digest_of_texts(texts: Mapping[str, str]) -> str:
    """Hex sha256 of texts with their ids, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()


def copied_corpus(passages: Iterable[Passage], path: Path) -> Dataset:
    """Write the passages to a file, one at a time, and return them as mteb searches them: in Arrow, not as Python objects."""
    import pyarrow as pa

    from genzoo.tasks.own.search_files import CORPUS as SCHEMA

    batches = []
    with path.open("w", encoding="utf-8") as file, job("reading the corpus"):
        waiting = iter(passages)
        while block := list(itertools.islice(waiting, _BATCH)):
            for name, title, text in block:
                file.write(json.dumps({"_id": name, "title": title, "text": text}, ensure_ascii=False) + "\n")
            columns = [pa.array(cells, pa.string()) for cells in zip(*block, strict=True)]
            batches.append(pa.record_batch(columns, schema=SCHEMA))
    return dataset_of(pa.Table.from_batches(batches, SCHEMA), sha256_of(path))
