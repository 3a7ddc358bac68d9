"""What a model folder from elsewhere may hold: no code, no pickles, nothing outside of itself, nothing of boundless size."""

from __future__ import annotations

from pathlib import Path

from genzoo.errors import CheckpointError
from genzoo.files import read_json

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_BUILT_IN = "sentence_transformers."


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
    modules = read_json(folder / "modules.json", "this is not a SentenceTransformer", kind=list)
    if not modules or not all(isinstance(module, dict) for module in modules):
        raise CheckpointError(f"{folder}/modules.json holds no list of modules: this is not a SentenceTransformer")
    for module in modules:
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
    for path in (folder / "config.json", folder / "tokenizer_config.json"):
        if "auto_map" in read_json(path, "this is not a model", is_optional=True):
            raise CheckpointError(f"{path} asks for code of the repository (auto_map): genzoo never runs such code")


def _refuse_pickles(place: Path) -> None:
    """A module folder whose weights are pickled only: sentence-transformers would fall back to reading the pickle."""
    pickles = sorted(path.name for path in place.iterdir() if path.suffix in PICKLES)
    if pickles and not any(place.glob("*.safetensors")):
        raise CheckpointError(
            f"{place / pickles[0]} is a pickle, which can run code when it is read: only safetensors are loaded; "
            "ask the author for safetensors files"
        )
