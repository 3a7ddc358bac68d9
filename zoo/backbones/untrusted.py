"""What a model folder from elsewhere may hold: no code, no pickles, nothing outside of itself, nothing of boundless size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genzoo.errors import CheckpointError

JSON_LIMIT = 64 << 20
"""Bytes; the longest JSON of a model is its tokenizer (some 30 MB for the largest vocabularies)."""
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_BUILT_IN = "sentence_transformers."


def read_json_file(path: Path, what: str) -> dict[str, Any]:
    """A JSON object of bounded size.

    Args:
        path: The file.
        what: What the file belongs to, for the message ("llm2vec-gen checkpoint").

    Raises:
        CheckpointError: When it is missing, too long, no JSON, or no object.
    """
    try:
        size = path.stat().st_size
        if size > JSON_LIMIT:
            raise CheckpointError(f"{path} is {size / 1e6:.0f} MB long, at most {JSON_LIMIT >> 20} MiB are read")
        content = json.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is missing or no JSON ({error}): this is no {what}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a JSON {type(content).__name__}, expected an object: this is no {what}")
    return content


def check_links(folder: Path) -> None:
    """Refuse a folder with a symbolic link that leads out of it, or with anything that is neither file nor folder.

    The Hub's own cache (``snapshots/<commit>`` with links to ``blobs``) is let through.
    """
    folder = Path(folder).absolute()
    for path in sorted(folder.rglob("*")):
        check_link(path, folder)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path} is neither a file nor a folder: remove it")


def check_link(path: Path, folder: Path) -> None:
    """Refuse one symbolic link that leads out of a folder, other than to the blobs of the Hub's own cache.

    A blob that came over xet is itself a link, to where all repositories of the cache share their blobs.
    """
    folder = Path(folder).absolute()
    allowed = [folder.resolve()]
    if folder.parent.name == "snapshots":
        repository = folder.parent.parent
        allowed += [(place / "blobs").resolve() for place in (repository, repository.parent)]
    if path.is_symlink() and not any(path.resolve().is_relative_to(place) for place in allowed):
        raise CheckpointError(f"{path} is a link that leads out of the folder: copy the file in its place")


def check_model_folder(folder: Path) -> None:
    """Refuse a SentenceTransformer folder that would run foreign code or read a pickle.

    Args:
        folder: Holds ``modules.json``.

    Raises:
        CheckpointError: Names the module, file or link that is wrong.
    """
    folder = Path(folder)
    check_links(folder)
    for module in _modules(folder):
        kind, below = module.get("type"), module.get("path", "")
        if not isinstance(kind, str) or not kind.startswith(_BUILT_IN):
            raise CheckpointError(
                f"{folder}/modules.json names the module {kind!r}, which is no part of sentence-transformers: such code is "
                "never run here; ask the author for a model of built-in modules"
            )
        place = (folder / str(below)).resolve()
        if not isinstance(below, str) or not place.is_relative_to(folder.resolve()):
            raise CheckpointError(f"{folder}/modules.json looks for a module in {below!r}, outside of the folder")
        if place.is_dir():
            _refuse_pickles(place)
    for path in folder.glob("*.json"):
        if path.name in ("config.json", "tokenizer_config.json") and "auto_map" in read_json_file(path, "model"):
            raise CheckpointError(f"{path} asks for code of the repository (auto_map): such code is never run here")


def _modules(folder: Path) -> list[dict[str, Any]]:
    path = folder / "modules.json"
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise CheckpointError(f"{path} is too long to be a list of modules")
        modules = json.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is missing or no JSON ({error}): this is no SentenceTransformer") from error
    if not isinstance(modules, list) or not modules or not all(isinstance(module, dict) for module in modules):
        raise CheckpointError(f"{path} holds no list of modules: this is no SentenceTransformer")
    return modules


def _refuse_pickles(place: Path) -> None:
    """A module folder whose weights are pickled only: sentence-transformers would fall back to reading the pickle."""
    pickles = sorted(path.name for path in place.iterdir() if path.suffix in PICKLES)
    if pickles and not any(place.glob("*.safetensors")):
        raise CheckpointError(
            f"{place / pickles[0]} is a pickle, which can run code when it is read: only safetensors are loaded; "
            "ask the author for them"
        )
