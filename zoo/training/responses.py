"""Queries -> the backbone's own responses, batched, in JSONL files that a stopped run goes on with (method step 1)."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from genzoo.backbones.generation import Engine, Query, Response
from genzoo.errors import TrainingError
from genzoo.files import append, appending, read_json, write_json, write_text
from genzoo.jobs import Shard, report
from genzoo.recipes.fields import ResponseOptions

log = logging.getLogger(__name__)
HELD_OUT = "held-out.jsonl"
"""Name of the file of those responses that a run kept for its controls."""
REFUSALS = "refusals"
"""Name of the folder, beside the other responses, of those to queries that a policy refuses."""
OPTIONS = "responses.json"
"""Name of the file that says with what the responses beside it were made."""
BLOCK = 16
"""Batches whose queries are sorted by length together."""


def read_responses(path: Path) -> list[Response]:
    """Read a responses file; a last line that was cut off by a kill is left out, any other damage is an error."""
    if not path.is_file():
        return []
    try:
        lines = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).split(b"\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(
            f"{path} is not a readable gzip file ({error}): give the responses.jsonl of a run"
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            facts = {"made_with": ""} | json.loads(line)
            row = Response(**{name: facts[name] for name in Response.__dataclass_fields__})
            if not (isinstance(row.query, str) and isinstance(row.response, str) and isinstance(row.n_tokens, int)):
                raise TypeError("query and response must be text, n_tokens a whole number")
            rows.append(row)
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and isinstance(error, ValueError):
                break
            raise TrainingError(
                f"{path}, line {number} is damaged ({error}): repair or delete that line and run again"
            ) from error
    return rows


def read_all_responses(folder: Path, made_with: str = "") -> dict[str, Response]:
    """Query text -> response, over the folder's ``responses.jsonl`` and every shard's file.

    Raises:
        TrainingError: For a damaged file, or one with a response that was made otherwise, as it says itself.
    """
    rows: dict[str, Response] = {}
    for path in sorted(folder.glob("responses*.jsonl")):
        made = read_responses(path)
        check_made_with(path, made, made_with)
        for row in made:
            rows.setdefault(row.query, row)
    return rows


def check_made_with(path: Path, rows: Sequence[Response], made_with: str) -> None:
    """Refuse responses that say themselves that they were made with other settings, or by another backbone."""
    other = [row for row in rows if row.made_with not in ("", made_with)] if made_with else []
    if other:
        raise TrainingError(
            f"{path} holds {len(other):,} of {len(rows):,} responses that were made with other settings or by another backbone than "
            f"this run's (the first answers {other[0].query[:60]!r}): give the settings they were made with, choose another "
            "--output, or leave that file out"
        )


def write_responses(path: Path, rows: Sequence[Response]) -> Path:
    """Write a responses file whole or not at all."""
    return write_text(path, "".join(_line(row) for row in rows))


def _line(row: Response) -> str:
    facts = asdict(row)
    if not row.made_with:
        del facts["made_with"]
    return json.dumps(facts, ensure_ascii=False) + "\n"


def generate_responses(
    queries: Sequence[Query],
    folder: Path,
    load: Callable[[], Engine],
    batch_size: int = 32,
    shard: Shard | None = None,
    made_with: str = "",
    skip: Collection[str] = (),
) -> list[Response]:
    """Answer every query of the shard that has no response yet, appending to the shard's file after each batch.

    Args:
        queries: The whole log; answers are matched to it by the text of the query.
        folder: Of the responses files; answers of all of them count.
        load: Gives the engine; not called when nothing is left to do.
        batch_size: Queries answered at once, of like length.
        shard: The part of the log to answer; all of it by default.
        made_with: Digest of what the engine answers with; written beside every response, and demanded of those that have one.
        skip: Texts of queries that are not answered.

    Returns:
        The responses that there are now to these queries, in the order of the log; all of them, unless other shards lack some.

    Raises:
        TrainingError: When another process writes the same file, or a file is damaged or holds responses that were made otherwise.
    """
    shard = shard or Shard()
    path = folder / shard.file_name("responses", ".jsonl")
    mine = [query for query in queries[shard.number - 1 :: shard.count] if query.text not in skip]
    wanted = [query for query in queries if query.text not in skip]
    known = read_all_responses(folder, made_with)
    if all(query.text in known for query in mine):
        report("responses", len(mine), len(mine))
        return [known[query.text] for query in wanted if query.text in known]
    with appending(path) as file:
        known = read_all_responses(folder, made_with)
        left = [query for query in mine if query.text not in known]
        done, tokens = len(mine) - len(left), 0
        report("responses", done, len(mine))
        engine = load()
        began = time.perf_counter()
        for batch in _batches(left, batch_size):
            rows = [replace(row, made_with=made_with) for row in engine.answer(batch)]
            append(file, "".join(map(_line, rows)).encode())
            known.update({row.query: row for row in rows})
            done, tokens = done + len(rows), tokens + sum(row.n_tokens for row in rows)
            report("responses", done, len(mine), f"{tokens / (time.perf_counter() - began):.0f} tokens/s")
    return [known[query.text] for query in wanted if query.text in known]


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


def answer_facts(backbone: str, content: str, options: ResponseOptions) -> dict[str, Any]:
    """All that an answer depends on, apart from its query; the backbone's name is for people.

    Where answers are greedy, nothing is drawn and ``top_p`` changes nothing.
    """
    return {
        "backbone": Path(backbone).name,
        "system prompt": options.system_text,
        "longest": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p if options.temperature > 0 else 1.0,
        "repetition penalty": options.repetition_penalty,
        "engine": options.engine,
        "precision": options.precision,
        "backbone content": content,
    }


def options_digest(facts: Mapping[str, Any]) -> str:
    """16 hex characters over the facts of `answer_facts`, the backbone's name apart."""
    kept = {key: value for key, value in facts.items() if key != "backbone"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def check_options(folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse to mix responses of different backbones or options in one folder; the first run writes down what it uses.

    Responses of which not all is known, as files of earlier versions leave it, are taken as made with the facts that are missing;
    that is said, and written down as assumed.
    """
    path = folder / OPTIONS
    before = read_options(folder)
    if not any(file.stat().st_size for file in folder.glob("responses*.jsonl")):
        write_json(path, facts)
        return
    if changed := changes(before, facts):
        raise TrainingError(
            f"{folder} holds responses made with another setting ({'; '.join(changed)}): choose another --output, or delete its "
            f"responses*.jsonl and {OPTIONS}"
        )
    missing = [key for key in facts if key not in before]
    if not missing:
        return
    stamps = {row.made_with for file in folder.glob("responses*.jsonl") for row in read_responses(file)}
    if stamps == {options_digest(facts)}:  # every response says itself how it was made
        write_json(path, facts)
        return
    said = ", ".join(missing) if before else "settings and backbone"
    log.warning(
        f"{folder} holds responses of which nothing says with which {said} they were made. They are taken as made "
        f"with this run's, which {path.name} now lists as assumed."
    )
    assumed = {"assumed": sorted({*before.get("assumed", ()), *missing})}
    write_json(path, dict(facts) | assumed)


def read_options(folder: Path) -> dict[str, Any]:
    """What a folder says of its responses; nothing where it says nothing."""
    advice = "delete it if its responses are the ones you want"
    return read_json(folder / OPTIONS, advice, error=TrainingError, is_optional=True)


def changes(before: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Facts that are known of earlier responses and differ now, in words; a backbone's name says nothing beside its content."""
    known = [key for key in facts if key in before and not (key == "backbone" and "backbone content" in before)]
    return [f"{key} {before[key]!r}, now {facts[key]!r}" for key in known if before[key] != facts[key]]
