"""From a name or a folder to a checkpoint, a SentenceTransformer or a decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.backbones import fetch_backbone
from genzoo.checkpoint import CONFIG, TokenCheckpoint
from genzoo.entries import ENTRIES, get_entry
from genzoo.errors import CheckpointError, UnknownNameError
from genzoo.sources import Status

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from genzoo.decoding import Decoder


def find_checkpoint(name: str) -> TokenCheckpoint:
    """Checkpoint of a zoo model (short name or hub id) or of a folder that `genzoo train` wrote."""
    folder = Path(name)
    if folder.is_dir():
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
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(name, device=device)
    checkpoint = find_checkpoint(name)
    from genzoo.assembly import assemble
    from genzoo.packed_encoding import pack

    model = assemble(checkpoint, fetch_backbone(backbone or checkpoint.backbone, status), device=device, **options)
    return pack(model, len(checkpoint.spec))


def load_decoder(
    name: str, *, device: str | None = None, backbone: str | None = None, status: Status = lambda _: None
) -> Decoder:
    """Load what reads a model's embeddings back to text."""
    checkpoint = find_checkpoint(name)
    from genzoo.decoding import Decoder

    return Decoder.load(checkpoint, fetch_backbone(backbone or checkpoint.backbone, status), device)


def default_model() -> str:
    """The model that commands take when none is named: the first of the zoo."""
    return ENTRIES.names()[0]
