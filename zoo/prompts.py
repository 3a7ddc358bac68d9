"""Task name or type -> generative instruction, in the form that sentence-transformers and mteb look up.

An instruction tells the frozen LLM what to write about the text; the embedding is that of what it would write. Every prompt
ends with one space, because sentence-transformers joins prompt and text directly.

There are two sets. The *general* one has a prompt per task type; zoo models are trained with it and carry it, so that it is
what a user and mteb get. The *tasks* set adds an instruction for every task of the benchmarks that the zoo is measured on.
"""

from __future__ import annotations

import json
from pathlib import Path

from genzoo.errors import InputError

QUERY = "Write the answer to this: "
DOCUMENT = "Restate this passage: "
INTENT = "Name the topic and intent of this text: "
TOPIC = "Name the topic of this text: "

TYPE_PROMPTS: dict[str, str] = {
    "query": QUERY,
    "document": DOCUMENT,
    "STS": DOCUMENT,
    "PairClassification": DOCUMENT,
    "BitextMining": DOCUMENT,
    "Summarization": DOCUMENT,
    "Classification": INTENT,
    "MultilabelClassification": INTENT,
    "Clustering": TOPIC,
}
"""Keys are mteb task types or the two sides of a search; mteb falls back to ``query`` / ``document`` in retrieval types."""

GENERAL, TASKS = "general", "tasks"


def all_prompts() -> dict[str, str]:
    """The prompts that ride along with every exported model, as ``config_sentence_transformers.json`` stores them."""
    return dict(TYPE_PROMPTS)


def prompt_set(name: str) -> dict[str, str]:
    """A set of prompts by name, or from a JSON file.

    Args:
        name: ``general``, ``tasks``, or the path of a JSON object whose keys are mteb task names (an own name, or
            ``<task>-query``), task types, ``query`` or ``document``, and whose values are prompts.

    Raises:
        InputError: Neither a known name nor a file with such an object.
    """
    if name == GENERAL:
        return all_prompts()
    if name == TASKS:
        from genzoo.task_prompts import task_prompts

        return all_prompts() | task_prompts()
    path = Path(name)
    if not path.is_file():
        raise InputError(f"no prompt set {name!r}: there are {GENERAL}, {TASKS}, or the path of a JSON file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}): expected an object of prompts by task name or type") from error
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f"{path} must hold a JSON object of prompts by task name or type")
    return {key: _spaced(value) for key, value in found.items()}


def has_own(prompts: dict[str, str], task: str) -> bool:
    """Whether a task has an instruction of its own, rather than that of its type."""
    return task in prompts or f"{task}-query" in prompts


def _spaced(prompt: str) -> str:
    """End with one space, as sentence-transformers needs; an empty prompt stays empty."""
    return f"{prompt.strip()} " if prompt.strip() else ""
