"""What a model folder's embeddings depend on beyond its revision: its files, and those of the frozen LLM that it loads from elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from genzoo.checkpoint import CONFIG
from genzoo.exported import base_folder, is_exported
from genzoo.files import sha256_of
from genzoo.loading import find_checkpoint

_READ = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
_SAY_NOTHING = {CONFIG, "fingerprint.json", "manifest.json", "generation_config.json"}
"""Facts for people, proofs made of the embeddings, and habits of writing."""


def loaded_content(folder: Path) -> str | None:
    """40 hex characters over the files that a model of this folder is loaded from, None where its revision covers them all.

    The revision of a checkpoint and of an exported folder is the digest of what was trained. The weights, the tokenizer and the
    prompts around it may be changed under the same name.
    """
    if (folder / "modules.json").is_file():
        own, base = [folder] if is_exported(folder) else [], base_folder(folder)
    else:
        own, base = [], Path(find_checkpoint(str(folder)).backbone)
    folders = [*own, base] if base is not None and base != folder and base.is_dir() else own
    return hashlib.sha256("".join(map(_content, folders)).encode()).hexdigest()[:40] if folders else None


def _content(folder: Path) -> str:
    if folder.parent.name == "snapshots":  # of the Hub's cache: the name is the commit
        return f"{folder.name}\n"
    paths = [path for path in folder.rglob("*") if path.suffix in _READ and path.name not in _SAY_NOTHING]
    kept = [path for path in paths if path.is_file() and not _is_hidden(path.relative_to(folder))]
    return "".join(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n" for path in sorted(kept))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
