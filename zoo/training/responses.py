"""Queries -> the backbone's own responses, batched, in JSONL files that a stopped run goes on with (method step 1)."""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from genzoo.errors import TrainingError
from genzoo.files import write_text
from genzoo.shard import Shard
from genzoo.training.queries import Query

HELD_OUT = "held-out.jsonl"
"""Name of the file of those responses that a run kept for its controls."""
BLOCK = 16
"""Batches whose queries are sorted by length together."""


@dataclass(frozen=True)
class Response:
    """What the backbone answered; one line of ``responses.jsonl``."""

    id: str
    query: str
    response: str
    finish_reason: str
    n_tokens: int

    @property
    def finished(self) -> bool:
        """Whether the backbone ended the answer itself, rather than being cut off."""
        return self.finish_reason == "stop"


class Engine(Protocol):
    """What generates responses."""

    def answer(self, queries: Sequence[Query]) -> list[Response]:
        """One response per query, in their order."""
        ...


def read_responses(path: Path) -> list[Response]:
    """Read a responses file; a last line that was cut off by a kill is left out, any other damage is an error."""
    if not path.is_file():
        return []
    try:
        lines = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).split(b"\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(f"{path} is no readable gzip file ({error}): give the responses.jsonl of a run") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            facts = json.loads(line)
            rows.append(Response(**{name: facts[name] for name in Response.__dataclass_fields__}))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise TrainingError(
                f"{path}, line {number} is damaged ({error}): mend or delete that line and run again"
            ) from error
    return rows


def read_all_responses(folder: Path) -> dict[str, Response]:
    """Query text -> response, over the folder's ``responses.jsonl`` and every shard's file."""
    rows: dict[str, Response] = {}
    for path in sorted(folder.glob("responses*.jsonl")):
        for row in read_responses(path):
            rows.setdefault(row.query, row)
    return rows


def write_responses(path: Path, rows: Sequence[Response]) -> Path:
    """Write a responses file whole or not at all."""
    return write_text(path, "".join(_line(row) for row in rows))


def _line(row: Response) -> str:
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def _drop_cut_line(path: Path) -> None:
    """Remove a last line without its line end, so that appending never joins two records."""
    if path.is_file():
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


@contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    """The file, opened for appending by this process alone."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"another process is writing {path}: wait for it, or divide the log with --shard 1/2 and --shard 2/2"
        ) from error
    try:
        _drop_cut_line(path)
        with path.open("ab", buffering=0) as file:
            yield file
    finally:
        lock.release()


def _append(file: IO[bytes], data: bytes) -> None:
    """Bring all bytes to the disk; where that fails, at most a cut line stays behind, which the next run drops."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def generate_responses(
    queries: Sequence[Query],
    folder: Path,
    load: Callable[[], Engine],
    batch_size: int = 32,
    shard: Shard | None = None,
    on_progress: Callable[[int, int, str], None] = lambda done, total, remark: None,
) -> list[Response]:
    """Answer every query of the shard that has no response yet, appending to the shard's file after each batch.

    Args:
        queries: The whole log; answers are matched to it by the text of the query.
        folder: Of the responses files; answers of all of them count.
        load: Gives the engine; not called when nothing is left to do.
        batch_size: Queries answered at once, of like length.
        shard: The part of the log to answer; all of it by default.
        on_progress: Called with queries answered, queries in all, and the speed.

    Returns:
        The responses that there are now to these queries, in the order of the log; all of them, unless other shards lack some.

    Raises:
        TrainingError: When another process writes the same file, or a file is damaged.
    """
    shard = shard or Shard()
    path = folder / shard.file_name("responses", ".jsonl")
    mine = queries[shard.number - 1 :: shard.count]
    known = read_all_responses(folder)
    if all(query.text in known for query in mine):
        on_progress(len(mine), len(mine), "")
        return [known[query.text] for query in queries if query.text in known]
    with _writing(path) as file:
        known = read_all_responses(folder)
        left = [query for query in mine if query.text not in known]
        done, tokens = len(mine) - len(left), 0
        on_progress(done, len(mine), "")
        engine = load()
        began = time.perf_counter()
        for batch in _batches(left, batch_size):
            rows = engine.answer(batch)
            _append(file, "".join(map(_line, rows)).encode())
            known.update({row.query: row for row in rows})
            done, tokens = done + len(rows), tokens + sum(row.n_tokens for row in rows)
            on_progress(done, len(mine), f"{tokens / (time.perf_counter() - began):.0f} tokens/s")
    return [known[query.text] for query in queries if query.text in known]


def _batches(queries: Sequence[Query], size: int) -> Iterator[Sequence[Query]]:
    """Batches of like length, block by block: short and long ones alternate, so that the speed so far foretells the rest."""
    for start in range(0, len(queries), size * BLOCK):
        block = sorted(queries[start : start + size * BLOCK], key=lambda query: len(query.text))
        places = list(range(0, len(block), size))
        # First, last, second, last but one ...
        order = [place for pair in zip(places, reversed(places), strict=True) for place in pair][: len(places)]
        for place in order:
            yield block[place : place + size]


def echo_responses(queries: Sequence[Query]) -> list[Response]:
    """Each query as its own response."""
    return [Response(query.id, query.text, query.text, "stop", 0) for query in queries]


def check_options(folder: Path, facts: dict[str, Any]) -> None:
    """Refuse to mix responses of different backbones or options in one folder; the first run writes down what it uses."""
    path = folder / "responses.json"
    is_answered = any(file.stat().st_size for file in folder.glob("responses*.jsonl"))
    if is_answered and path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TrainingError(
                f"{path} is damaged ({error}): delete it if its responses are the ones you want"
            ) from error
        changed = [
            f"{key} {before.get(key)!r}, now {value!r}" for key, value in facts.items() if before.get(key) != value
        ]
        if changed:
            raise TrainingError(
                f"{folder} holds responses made with another setting ({'; '.join(changed)}): choose another --output, or delete "
                "its responses*.jsonl and responses.json"
            )
    elif not is_answered:
        write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
