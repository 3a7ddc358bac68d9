"""Target texts -> teacher embeddings, each text once: shard files hold a hash and an embedding per text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genzoo.errors import TrainingError
from genzoo.files import replace_file

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SHARD = 2048


def _key(text: str, teacher: str) -> bytes:
    return hashlib.sha256(f"{teacher}\0{text}".encode()).digest()


def _known(folder: Path) -> dict[bytes, torch.Tensor]:
    """Every embedding that the folder holds, by key."""
    rows: dict[bytes, torch.Tensor] = {}
    for path in sorted(folder.glob("targets-*.safetensors")):
        try:
            shard = load_file(path)
            keys = [bytes(key.tolist()) for key in shard["keys"]]
            rows.update(zip(keys, shard["targets"], strict=True))
        except (SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{path} is damaged ({error}): delete it and run again, its texts are encoded anew"
            ) from error
    return rows


def compute_targets(
    texts: Sequence[str],
    teacher: Callable[[], SentenceTransformer],
    teacher_name: str,
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, torch.Tensor]:
    """Encode each distinct text that the folder does not hold yet, shard by shard, so that a stopped run goes on where it was.

    Args:
        texts: Target texts; repeated ones are encoded once.
        teacher: Loads the teacher; not called when nothing is left to encode.
        teacher_name: Part of every key, so that two teachers never mix.
        folder: Where the shards are kept.
        on_progress: Called with texts done and in all.

    Returns:
        Text -> ``(D,)`` float32 embedding as the teacher gives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {text: _key(text, teacher_name) for text in texts}
    known = _known(folder)
    # Longest first, as in sentence-transformers itself: texts of like length share a batch.
    left = sorted((text for text, key in wanted.items() if key not in known), key=len, reverse=True)
    on_progress(len(wanted) - len(left), len(wanted))
    model = teacher() if left else None
    for start in range(0, len(left), SHARD):
        part = left[start : start + SHARD]
        rows = model.encode(part, batch_size=64, convert_to_tensor=True, show_progress_bar=False).float().cpu()  # type: ignore[union-attr]
        if not torch.isfinite(rows).all():
            raise TrainingError(
                f"the teacher {teacher_name} gave NaN or infinite embeddings for texts such as {part[0][:60]!r}"
            )
        keys = [wanted[text] for text in part]
        path = folder / f"targets-{hashlib.sha256(b''.join(keys)).hexdigest()[:16]}.safetensors"
        hashes = torch.tensor([list(key) for key in keys], dtype=torch.uint8)
        with replace_file(path) as new:
            save_file({"keys": hashes, "targets": rows.contiguous()}, new)
        known.update(zip(keys, rows, strict=True))
        on_progress(len(wanted) - len(left) + start + len(part), len(wanted))
    return {text: known[key] for text, key in wanted.items()}
