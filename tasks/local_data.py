"""Points a retrieval task at data of the user's choice: a folder of JSONL files, or pinned commits."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from mteb.abstasks import AbsTask, AbsTaskRetrieval

from genzoo.errors import InputError

PARTS = ("corpus", "queries", "qrels")
_SHAPE = "corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and qrels.jsonl (query-id, corpus-id, score), each plain or .gz"


def with_chosen_data(tasks: Sequence[AbsTask], choices: Sequence[str]) -> list[AbsTask]:
    """Apply choices of the form `TASK=FOLDER` or `TASK=@COMMIT[,COMMIT]`.

    A task that reads a folder has a data revision of its own, the digest of the three files, so that its results never
    pass for those of the official data.

    Raises:
        InputError: A choice for a task that is not run, that takes no folder or no commit, or a folder of other shape.
    """
    chosen = {task.metadata.name: task for task in tasks}
    for choice in choices:
        name, sign, value = choice.partition("=")
        if not sign or not value:
            raise InputError(f"--data {choice!r}: expected TASK=FOLDER or TASK=@COMMIT")
        if name not in chosen:
            raise InputError(f"--data names {name}, which is not among the tasks of this run: {', '.join(chosen)}")
        if value.startswith("@"):
            chosen[name] = _pinned(chosen[name], value[1:].split(","))
        else:
            chosen[name] = from_folder(chosen[name], Path(value))
    return list(chosen.values())


def from_folder(task: AbsTask, folder: Path) -> AbsTaskRetrieval:
    """The same task over the corpus, queries and qrels of a folder."""
    if not isinstance(task, AbsTaskRetrieval) or task.is_aggregate or len(task.hf_subsets) > 1:
        raise InputError(f"{task.metadata.name} takes no folder: only retrieval tasks of one subset do")
    files = {part: _find(folder, part) for part in PARTS}
    digest = hashlib.sha256()
    for part in PARTS:
        digest.update(part.encode() + b"\0" + hashlib.sha256(files[part].read_bytes()).digest())
    split = task.metadata.eval_splits[0]
    base = type(task)
    metadata = task.metadata.model_copy(
        update={
            "dataset": {"path": f"local/{folder.resolve().name}", "revision": digest.hexdigest()[:40]},
            "eval_splits": [split],
        }
    )

    def load_data(self: AbsTaskRetrieval, num_proc: int | None = None, **kwargs: Any) -> None:
        if not self.data_loaded:
            self.dataset = {self.hf_subsets[0]: {split: _split(files)}}  # type: ignore[dict-item]
            self.data_loaded = True

    # a class of its own, for mteb drops what is set on an instance when it unloads the data
    made = type(
        base.__name__, (base,), {"metadata": metadata, "load_data": load_data, "resolve_revision": lambda self: None}
    )
    return made()


def _pinned(task: AbsTask, commits: list[str]) -> AbsTask:
    pinned = getattr(task, "pinned", None)
    if pinned is None:
        raise InputError(
            f"{task.metadata.name} is pinned by mteb at {task.metadata.revision}: --data takes a folder for it"
        )
    if len(commits) != 2 or not all(len(c) == 40 and set(c) <= set("0123456789abcdef") for c in commits):
        raise InputError(
            f"--data {task.metadata.name}=@...: expected two commits of 40 hex digits with a comma between"
        )
    made: AbsTask = pinned(*commits)
    return made


def _find(folder: Path, part: str) -> Path:
    for path in (folder / f"{part}.jsonl", folder / f"{part}.jsonl.gz"):
        if path.is_file():
            return path
    raise InputError(f"{folder} holds no {part}.jsonl: expected {_SHAPE}")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: no JSON object ({error}); expected {_SHAPE}") from error


def _split(files: dict[str, Path]) -> dict[str, Any]:
    try:
        corpus = [
            {"id": str(row["_id"]), "title": row.get("title") or "", "text": row["text"]}
            for row in _rows(files["corpus"])
        ]
        queries = [{"id": str(row["_id"]), "text": row["text"]} for row in _rows(files["queries"])]
        qrels: dict[str, dict[str, int]] = {}
        for row in _rows(files["qrels"]):
            qrels.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = int(row["score"])
    except KeyError as error:
        raise InputError(f"{files['corpus'].parent}: a row lacks the field {error}; expected {_SHAPE}") from error
    return {
        "corpus": Dataset.from_list(corpus),
        "queries": Dataset.from_list(queries),
        "relevant_docs": qrels,
        "top_ranked": None,
    }
