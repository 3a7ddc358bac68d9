"""The reference implementation's checkpoints -> TokenCheckpoint -> a folder that plain sentence-transformers loads."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from genzoo.backbones.entries import BACKBONES, backbone_digest, fetch_backbone
from genzoo.backbones.tokenizer import spare_rows
from genzoo.backbones.untrusted import check_links
from genzoo.backbones.whole import open_tokenizer
from genzoo.errors import CheckpointError, InputError
from genzoo.files import file_sizes, folder_digest, read_json
from genzoo.jobs import job
from genzoo.models.checkpoint import TokenCheckpoint, TokenSpec
from genzoo.models.reference_format import (
    FILES,
    KIND,
    NO_CHECKPOINT,
    read_mode,
    read_projection,
    read_rows,
    read_run_config,
)
from genzoo.names import ModelName

if TYPE_CHECKING:
    from genzoo.models.assembly import Form


log = logging.getLogger(__name__)
REFERENCE_PROMPTS = {
    "query": "Generate a passage that best answers this question: ",
    "document": "Summarize the following passage: ",
    "STS": "Generate text that is semantically similar to this text: ",
}
"""The instructions that llm2vec-gen documents for its models; a converted model carries them in place of ours."""


def read_reference(folder: Path, backbone: Path, *, backbone_name: str | None = None) -> TokenCheckpoint:
    """Read a checkpoint that llm2vec-gen 0.1 wrote; its token ids are moved to spare rows of the backbone.

    Moving is exact, since those ids occur only as appended tokens; where the backbone has no spare row they stay behind its
    vocabulary and the model can only be exported whole. The whole copy of the embedding matrix is ignored, but for a check
    that the backbone is the right one.

    Args:
        folder: The reference's folder (``encoder/``, ``reconstruction_mlp``, ``alignment_mlp`` ...).
        backbone: Local folder of the frozen LLM that it was trained on.
        backbone_name: Key or ``org/name@commit`` under which the backbone is found again; its folder by default.

    Raises:
        CheckpointError: When a file is missing or damaged, or holds what the built-in modules cannot express.
    """
    from transformers import AutoConfig

    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder {folder}: expected a {KIND}")
    check_links(folder)
    count = read_mode(folder)
    rows, matrix = read_rows(folder)
    recon, align = read_projection(folder / "reconstruction_mlp"), read_projection(folder / "alignment_mlp")
    tokenizer = open_tokenizer(backbone)
    vocab_size = AutoConfig.from_pretrained(backbone).get_text_config().vocab_size
    if matrix is not None:
        _check_backbone(backbone, matrix, min(len(matrix), len(tokenizer)))
    if not 0 < count <= len(rows):
        raise CheckpointError(f"{folder} pools the last {count} tokens, but holds {len(rows)}")
    row = BACKBONES.find(backbone_name or "")
    ids = spare_rows(tokenizer, vocab_size, row.spare_rows if row else (), len(rows)) or tuple(
        range(vocab_size, vocab_size + len(rows))
    )
    return TokenCheckpoint(
        spec=TokenSpec(ids, tuple(f"<|gen_{place}|>" for place in range(len(rows))), len(rows) - count, count),
        rows=rows,
        recon_weight=recon[0],
        recon_bias=recon[1],
        align_weight=align[0],
        align_bias=align[1],
        backbone=backbone_name or str(Path(backbone).resolve()),
        backbone_digest=backbone_digest(backbone),
        recipe_digest=folder_digest(folder)[:16],
        max_tokens=_max_tokens(folder, len(rows)),
        info={"source": "llm2vec-gen", "prompts": REFERENCE_PROMPTS, "dtype": _dtype(folder)},
        unit_length=True,
    )


def _max_tokens(folder: Path, n: int) -> int:
    value = read_run_config(folder).get("max_input_length", 512)
    if type(value) is not int or not n < value <= 1 << 20:
        raise CheckpointError(f"{folder}: max_input_length is {value!r}, expected a number of tokens above {n}")
    return value


def _dtype(folder: Path) -> str:
    """The precision that the reference ran in: its embeddings are reproduced in no other."""
    config = read_json(folder / "encoder" / "config.json", NO_CHECKPOINT)
    value = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return value if value in ("float32", "bfloat16", "float16") else "float32"


def _check_backbone(backbone: Path, matrix: torch.Tensor, count: int) -> None:
    """Compare the first rows of the saved embedding matrix with the backbone's own."""
    for path in sorted(Path(backbone).glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in (name for name in file.keys() if name.endswith("embed_tokens.weight")):  # noqa: SIM118
                own = file.get_slice(name)[:count]
                if own.shape != matrix[:count].shape:
                    raise CheckpointError(
                        f"{backbone} is not the backbone of this checkpoint: its hidden size is {own.shape[-1]}, the "
                        f"checkpoint's {matrix.shape[-1]}; name the right one with --backbone"
                    )
                gap = float((own.float() - matrix[:count].float()).abs().max())
                # One of the two may have been rounded to bfloat16.
                if gap > 0.01 * max(float(own.float().abs().max()), 1e-6):
                    raise CheckpointError(
                        f"{backbone} is not the backbone of this checkpoint: its embedding matrix differs by {gap:.3g}; "
                        "name the right one with --backbone"
                    )
                return


def fetch_reference(source: str) -> Path:
    """Local folder of a reference checkpoint: a folder, or ``org/name@<40-hex commit>`` on the Hub.

    Only the files that are read are fetched, never ``training_args.bin``.
    """
    named = ModelName.parse(source)
    if named.is_folder:
        return Path(source)
    if not named.is_on_hub:
        raise CheckpointError(f"there is no folder {source}: give a {KIND}, or org/name@<40-hex commit> on the Hub")
    if not named.commit:
        raise InputError(
            f"{source} has no full revision: write {named.base}@<40-hex commit> (the Hub's page 'Files and versions' shows it), "
            "so that what is converted cannot change under you"
        )
    from genzoo.hub import fetch_commit

    log.info(f"fetching {named.base} at {named.commit[:12]} from the Hub")
    return fetch_commit(source, FILES)


def find_backbone(folder: Path, given: str | None = None) -> str:
    """Name of the frozen LLM that a reference checkpoint was trained on, as `genzoo.backbones.entries.fetch_backbone` takes it."""
    if given:
        return given
    config = read_json(Path(folder) / "encoder" / "adapter_config.json", NO_CHECKPOINT)
    named = str(config.get("base_model_name_or_path") or read_run_config(Path(folder)).get("model_name_or_path") or "")
    for backbone in BACKBONES:
        if named in (backbone.key, backbone.hub_id):
            return backbone.key
    raise InputError(
        f"the checkpoint was trained on {named or 'a backbone that it does not name'}: give it with --backbone, as a folder, a "
        f"name of `genzoo list --backbones`, or {named if '/' in named else 'org/name'}@<40-hex commit>"
    )


@dataclass(frozen=True)
class Conversion:
    """What a conversion made; used as a path it is the folder.

    Attributes:
        folder: The model's folder.
        form: ``adapter``, or ``merged`` where the folder holds the frozen LLM too.
        ids: Rows of the embedding matrix that the trained tokens take, in order.
        dim: D.
        dtype: Precision that the reference ran in.
        source_bytes: Size of the reference checkpoint.
        bytes: Size of the folder.
        backbone: Local folder of the frozen LLM.
    """

    folder: Path
    form: Form
    ids: tuple[int, ...]
    dim: int
    dtype: str
    source_bytes: int
    bytes: int
    backbone: Path

    def __fspath__(self) -> str:
        return str(self.folder)


@job("reading the checkpoint")
def convert(source: str | Path, folder: str | Path, backbone: str | None = None, *, merge: bool = False) -> Conversion:
    """Turn a reference checkpoint into a folder that ``SentenceTransformer(folder)`` and `genzoo.load` both load.

    Args:
        source: Folder, or ``org/name@<commit>``.
        folder: Where to write; an earlier export in it is replaced, any other content is an error.
        backbone: Folder, key or ``org/name@<commit>`` of the frozen LLM, if the checkpoint does not name one that can be found.
        merge: Write a self-contained folder; needed where the backbone has no spare row.
    """
    from transformers import AutoConfig

    from genzoo.models.exported import export

    read_from, folder = fetch_reference(str(source)), Path(folder)
    name = find_backbone(read_from, backbone)
    base = fetch_backbone(name)
    log.info("reading the checkpoint")
    checkpoint = read_reference(read_from, base, backbone_name=None if Path(name).is_dir() else name)
    log.info("writing the model")
    rows = AutoConfig.from_pretrained(base).get_text_config().vocab_size
    form: Form = "merged" if merge or max(checkpoint.spec.ids) >= rows else "adapter"
    named = ModelName.parse(name)  # the adapter names the Hub where its backbone came from there
    on_hub = named.base if named.revision else str(base.resolve())
    export(checkpoint, base, folder, form, name=folder.name, base=on_hub)
    dtype, sizes = str(checkpoint.info["dtype"]), (file_sizes(read_from)[1], file_sizes(folder)[1])
    return Conversion(folder, form, tuple(checkpoint.spec.ids), checkpoint.dim, dtype, *sizes, base)
