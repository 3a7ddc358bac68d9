"""Example data that ships with the package, written the way that a team would have its own: a query log and a folder of texts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from genzoo.errors import InputError, UnknownNameError
from genzoo.files import write_files
from genzoo.tasks.sets.bundled import BundledSet

EXAMPLES = {"helpdesk": "200 help pages of an invented maker of e-bikes and 120 searches, 60 of them judged"}


def write_example(name: str = "helpdesk", folder: Path | str | None = None) -> Path:
    """Write an example of a search to measure: a query log, a folder of texts, and judgements of half of the queries.

    The folder then holds ``log.csv`` (id, date, query), ``docs/`` (a Markdown file for each passage, its title in the first line),
    ``judgements.jsonl`` (what a judge said, as the page of `genzoo pool` exports it) and ``judged/`` (passages, queries and judgements in one,
    as corpus.jsonl, queries.jsonl and qrels.jsonl). Grades are those of `genzoo pool`, and -1 for what must not be found.

    Args:
        name: ``helpdesk``.
        folder: Where to write it; a folder of its name by default. It has to be new or empty.

    Returns:
        The folder.

    Raises:
        UnknownNameError: There is no such example.
        InputError: The folder holds something already.
    """
    if name not in EXAMPLES:
        raise UnknownNameError(f"unknown example {name!r}; there are {', '.join(EXAMPLES)}")
    target = Path(folder or name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already: choose a new folder, with -o on the command line")
    bundled = BundledSet(name)
    log = io.StringIO(newline="")
    queries = bundled.rows("queries.jsonl")
    csv.writer(log, lineterminator="\n").writerows(
        [("id", "date", "query"), *((row["_id"], row["date"], row["text"]) for row in queries)]
    )
    files: dict[str, str | bytes] = {"log.csv": log.getvalue()}
    for row in bundled.rows("corpus.jsonl"):
        files[f"docs/{row['_id']}.md"] = f"# {row['title']}\n\n{row['text']}\n"
    said = (row | {"corpus-id": f"{row['corpus-id']}.md", "judge": "example"} for row in bundled.rows("qrels.jsonl"))
    files["judgements.jsonl"] = "".join(json.dumps(row) + "\n" for row in said)
    files |= {f"judged/{file}": bundled.text(file) for file in bundled.files}
    write_files(target, files)
    return target
