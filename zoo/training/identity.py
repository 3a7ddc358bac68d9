"""What answers, targets and trainings are made of, as digests of content: a name or a path says nothing of what lies under it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genzoo.files import sha256_of
from genzoo.options import ResponseOptions
from genzoo.training.queries import Query
from genzoo.training.views import Example

_SMALL_FILES = (".json", ".jinja", ".txt", ".model", ".tiktoken")


def backbone_content(folder: Path, weights: str) -> str:
    """16 hex characters over a backbone's weights (by their digest), config, tokenizer and chat template."""
    small = [path for path in folder.iterdir() if path.suffix in _SMALL_FILES and not path.name.startswith(".")]
    return _digest((weights, *(f"{path.name}\0{sha256_of(path)}" for path in sorted(small))))


def folder_content(folder: Path) -> str:
    """16 hex characters over a model folder's files; its README and hidden files say nothing of its embeddings."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"]
    kept = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return _digest(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}" for path in sorted(kept))


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


def examples_content(examples: Iterable[Example]) -> str:
    """16 hex characters over every training example, in order."""
    return _digest(f"{one.text}\0{one.target}\0{one.ended}" for one in examples)


def log_content(queries: Iterable[Query]) -> str:
    """16 hex characters over the texts of a query log, in order."""
    return _digest(query.text for query in queries)


def _digest(parts: Iterable[str]) -> str:
    sha = hashlib.sha256()
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        sha.update(f"{len(encoded)}:".encode() + encoded)
    return sha.hexdigest()[:16]
