"""The reference implementation's checkpoint folders -> TokenCheckpoint."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from genzoo.backbones import backbone_digest
from genzoo.checkpoint import TokenCheckpoint, TokenSpec
from genzoo.errors import CheckpointError
from genzoo.files import folder_digest
from genzoo.tokens import spare_rows

DELTA = "base_model.model.embed_tokens.trainable_tokens_delta"


def read_reference(folder: Path, backbone: Path) -> TokenCheckpoint:
    """Read a checkpoint that llm2vec-gen 0.1 wrote; its token ids are moved to spare rows of the backbone.

    Moving is exact, since those ids occur only as appended tokens; where the backbone has no spare row they stay behind its
    vocabulary and the model can only be exported whole. The whole copy of the embedding matrix is ignored.

    Args:
        folder: The reference's folder (``encoder/``, ``reconstruction_mlp``, ``alignment_mlp`` ...).
        backbone: Local folder of the frozen LLM that it was trained on.

    Raises:
        CheckpointError: When a file is missing or damaged, or holds what the built-in modules cannot express.
    """
    from transformers import AutoConfig, AutoTokenizer

    folder = Path(folder)
    config = _json(folder / "encoder" / "config.json")
    mode = _json(folder / "encoder_decoder_config.json")
    if mode.get("save_decoder"):
        raise CheckpointError(
            f"{folder} saves a trained decoder of its own, which no stock SentenceTransformer can hold"
        )
    tensors = load_file(folder / "encoder" / "adapter_model.safetensors")
    if DELTA not in tensors:
        raise CheckpointError(f"{folder}/encoder holds no trained tokens ({DELTA})")
    rows = tensors[DELTA].float()
    count = int(mode["encoding_mode"].split("_")[1])
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    vocab_size = AutoConfig.from_pretrained(backbone).vocab_size
    ids = spare_rows(tokenizer, vocab_size, (), len(rows)) or tuple(range(vocab_size, vocab_size + len(rows)))
    recon, align = _projection(folder / "reconstruction_mlp"), _projection(folder / "alignment_mlp")
    return TokenCheckpoint(
        spec=TokenSpec(ids, tuple(f"<|gen_{place}|>" for place in range(len(rows))), len(rows) - count, count),
        rows=rows,
        recon_weight=recon["projection.weight"].float(),
        recon_bias=recon["projection.bias"].float(),
        align_weight=align["projection.weight"].float(),
        align_bias=align["projection.bias"].float(),
        backbone=config.get("_name_or_path") or backbone.name,
        backbone_digest=backbone_digest(backbone),
        recipe_digest=folder_digest(folder)[:16],
        max_tokens=int(_run_config(folder).get("max_input_length", 512)),
        info={"source": "llm2vec-gen"},
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or no JSON ({error}): this is no llm2vec-gen checkpoint") from error


def _projection(path: Path) -> dict[str, torch.Tensor]:
    """One of the two pickled projections, read without running anything that the pickle may hold."""
    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is missing, damaged or holds more than tensors ({str(error)[:120]})") from error
    if facts["config"].get("size", 1) != 1:
        raise CheckpointError(
            f"{path} has a projection per token, which does not commute with the mean: it cannot be exported"
        )
    return facts["state_dict"]


class _PlainLoader(yaml.SafeLoader):
    """Reads the reference's run_config.yml, whose python/object tags are kept as nothing."""


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def _run_config(folder: Path) -> dict[str, Any]:
    for place in (folder, folder.parent):
        path = place / "run_config.yml"
        if path.is_file():
            return yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader) or {}  # noqa: S506 - a safe loader
    return {}
