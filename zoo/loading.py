"""From a name or a folder to a checkpoint, a SentenceTransformer or a decoder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.backbones import backbone_digest, fetch_backbone
from genzoo.checkpoint import CONFIG, WEIGHTS, TokenCheckpoint
from genzoo.entries import DEFAULT, get_entry
from genzoo.errors import CheckpointError, UnknownNameError
from genzoo.exported import base_folder, is_exported, read_exported
from genzoo.inspection import check_model_folder, read_json_file
from genzoo.sources import Status

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from genzoo.decoding import Decoder

log = logging.getLogger(__name__)


def find_checkpoint(name: str) -> TokenCheckpoint:
    """Checkpoint of a zoo model (short name or hub id) or of a folder that `genzoo train` wrote."""
    folder = Path(name)
    if folder.is_dir():
        if is_exported(folder) and not (folder / WEIGHTS).is_file():
            return read_exported(folder)
        inner = folder / "checkpoint"
        return TokenCheckpoint.load(inner if (inner / CONFIG).is_file() else folder)
    try:
        return TokenCheckpoint.load(get_entry(name).folder)
    except UnknownNameError as error:
        if "/" in name or name.startswith("."):
            raise CheckpointError(f"{name} is neither a folder nor a zoo model: see genzoo list") from error
        raise


def load(
    name: str,
    *,
    device: str | None = None,
    backbone: str | None = None,
    status: Status = lambda _: None,
    **options: Any,
) -> SentenceTransformer:
    """Load a zoo model, or a folder that `genzoo train` or `genzoo export` wrote, as a SentenceTransformer.

    On a CPU it encodes without padding (`genzoo.packed_encoding`), with the same embeddings; an exported folder is stock.

    Args:
        name: Short name, hub id, or folder.
        device: As in sentence-transformers.
        backbone: Folder or key of the frozen LLM, where it is not the one that the checkpoint names.
        status: Told what is being fetched.
        options: Passed on to `genzoo.assembly.assemble` (``dtype``).
    """
    if (Path(name) / "modules.json").is_file():
        return _load_exported(Path(name), device)
    checkpoint = find_checkpoint(name)
    from genzoo.assembly import assemble
    from genzoo.packed_encoding import pack

    model = assemble(checkpoint, fetch_backbone(backbone or checkpoint.backbone, status), device=device, **options)
    return pack(model, len(checkpoint.spec))


def _load_exported(folder: Path, device: str | None) -> SentenceTransformer:
    """A SentenceTransformer folder, once it is known to hold no code and no pickle."""
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    check_model_folder(folder)
    try:
        model = SentenceTransformer(str(folder), device=device)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(
            f"{folder} cannot be loaded ({first}): a file is missing, damaged or of another version"
        ) from error
    if is_exported(folder):
        _warn_of_other_backbone(folder)
    return model


def _warn_of_other_backbone(folder: Path) -> None:
    """Neither peft nor sentence-transformers looks at which revision of its base an adapter gets."""
    base = base_folder(folder)
    if base is None or base == folder:
        return  # a whole folder brings its own
    config = read_json_file(folder / CONFIG, "genzoo checkpoint")
    pinned = str(config.get("backbone", "")).partition("@")[2]
    commit = base.name if base.parent.name == "snapshots" else ""
    expected, found = pinned, commit
    if not (pinned and commit):
        expected, found = str(config.get("backbone_digest")), backbone_digest(base)
    if found != expected:
        log.warning(
            "the backbone in %s is %s, %s was trained on %s: embeddings will differ; see genzoo verify %s",
            base,
            found[:12],
            folder.name,
            expected[:12],
            folder,
        )


def load_decoder(
    name: str, *, device: str | None = None, backbone: str | None = None, status: Status = lambda _: None
) -> Decoder:
    """Load what reads a model's embeddings back to text."""
    checkpoint = find_checkpoint(name)
    from genzoo.decoding import Decoder

    return Decoder.load(checkpoint, fetch_backbone(backbone or checkpoint.backbone, status), device)


def default_model() -> str:
    """The model that commands take when none is named."""
    return DEFAULT
