"""Target texts -> teacher embeddings, each text once: shard files hold a hash and an embedding per text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genzoo.errors import TrainingError
from genzoo.files import replace_file
from genzoo.jobs import report

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


SHARD = 512
"""Texts that are encoded between two saves and reports: two minutes of a teacher of 270 million parameters on one thread."""
PROOFS = 16
"""Texts that are encoded again to prove that embeddings under an earlier name are this teacher's."""
TOLERANCE = 1e-3
"""Largest difference of such an embedding, as a share of its norm."""


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
                f"{path} is damaged ({error}): delete it and run again; its texts are then encoded again"
            ) from error
    return rows


def compute_targets(
    texts: Sequence[str],
    teacher: Callable[[], SentenceTransformer],
    teacher_name: str,
    folder: Path,
    former_name: str | None = None,
) -> dict[str, torch.Tensor]:
    """Encode each distinct text that the folder does not hold yet, shard by shard, so that a stopped run goes on where it was.

    Args:
        texts: Target texts; repeated ones are encoded once.
        teacher: Loads the teacher; not called when nothing is left to encode.
        teacher_name: Part of every key, so that two teachers never mix.
        folder: Where the shards are kept.
        former_name: Name under which an earlier version kept this teacher's embeddings. They are taken once the teacher has given
            a sample of them again; otherwise all are encoded anew.

    Returns:
        Text -> ``(D,)`` float32 embedding as the teacher gives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {text: _key(text, teacher_name) for text in texts}
    known = _known(folder)
    # Longest first, as in sentence-transformers itself: texts of like length share a batch.
    left = sorted((text for text, key in wanted.items() if key not in known), key=len, reverse=True)
    model = teacher() if left else None
    if model is not None and former_name:
        old = {text: known[key] for text in left if (key := _key(text, former_name)) in known}
        if old and _are_given_by(model, old):
            _save(folder, [wanted[text] for text in old], torch.stack(list(old.values())))
            known |= {wanted[text]: row for text, row in old.items()}
            left = [text for text in left if text not in old]
    report("targets", len(wanted) - len(left), len(wanted))
    for start in range(0, len(left), SHARD):
        part = left[start : start + SHARD]
        rows = embed(model, part)
        if not torch.isfinite(rows).all():
            raise TrainingError(
                f"the teacher {teacher_name} gave NaN or infinite embeddings for texts such as {part[0][:60]!r}"
            )
        keys = [wanted[text] for text in part]
        _save(folder, keys, rows)
        known.update(zip(keys, rows, strict=True))
        report("targets", len(wanted) - len(left) + start + len(part), len(wanted))
    return {text: known[key] for text, key in wanted.items()}


def embed(model: Any, texts: Sequence[str]) -> torch.Tensor:
    """``(texts, D)`` float32 embeddings of a SentenceTransformer, on the CPU."""
    return model.encode(list(texts), batch_size=64, convert_to_tensor=True, show_progress_bar=False).float().cpu()


def _are_given_by(model: Any, rows: dict[str, torch.Tensor]) -> bool:
    """Whether the teacher gives these embeddings, by a sample that is spread over them."""
    texts = list(rows)[:: max(1, len(rows) // PROOFS)]
    kept, made = torch.stack([rows[text] for text in texts]), embed(model, texts)
    return kept.shape == made.shape and bool(((kept - made).norm(dim=1) <= TOLERANCE * made.norm(dim=1)).all())


def _save(folder: Path, keys: Sequence[bytes], rows: torch.Tensor) -> None:
    path = folder / f"targets-{hashlib.sha256(b''.join(keys)).hexdigest()[:16]}.safetensors"
    hashes = torch.tensor([list(key) for key in keys], dtype=torch.uint8)
    with replace_file(path) as new:
        save_file({"keys": hashes, "targets": rows.contiguous()}, new)
