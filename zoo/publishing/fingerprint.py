"""What a model must still be on another machine: digests of its parts, and its embeddings of a few fixed texts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import safe_open

from genzoo.backbones.whole import is_above
from genzoo.errors import CheckpointError, first_flaw
from genzoo.files import read_json, write_json
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.prompts import PROBES, probe_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


FILE = "fingerprint.json"
FORMAT = 1
N_VALUES = 16
TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}
"""Largest difference of a number of an embedding that another machine or batch size may bring; the norm's is as large."""
UNIT_SHARE = 0.2
"""Of those differences, what embeddings of unit length may bring; the others are 0.4 to 24 long."""


@dataclass(frozen=True)
class Probe:
    """One fixed text as the model saw it.

    Attributes:
        n_ids: How many tokens it became, prompt and trained tokens included.
        ids: Digest of those tokens.
        values: The first 16 numbers of its embedding.
        norm: Length of the whole embedding, which no change of a later number leaves as it is.
        diagonal: Its length along the diagonal, the sum of its D numbers over the root of D: what shows a change of a later number
            where the length is always 1. None where it is not.
    """

    n_ids: int
    ids: str
    values: tuple[float, ...]
    norm: float
    diagonal: float | None = None

    def gap(self, other: Probe) -> float:
        """Largest difference of a number, or of what the whole embedding is measured by."""
        diagonals = (0.0 if one.diagonal is None else one.diagonal for one in (self, other))
        pairs = [*zip(self.values, other.values, strict=True), (self.norm, other.norm), tuple(diagonals)]
        return max(abs(mine - its) for mine, its in pairs)


@dataclass(frozen=True)
class Fingerprint:
    """Recorded once, recomputed by `genzoo verify`.

    Attributes:
        checkpoint: Digest of the trained tokens.
        parts: Digest of each trained tensor, so that a difference can be named.
        backbone: Name, revision and file digest of the frozen LLM, and the digest of its numbers in any file layout.
        prompts: Every instruction that the model carries.
        dtype: Precision of the weights.
        probes: One for each of `PROBES`.
        versions: Of the libraries that it was recorded with; for people, never compared.
        default_prompt_name: The prompt that a bare ``encode`` puts before a text, if there is one.
    """

    checkpoint: str
    parts: dict[str, str]
    backbone: dict[str, str]
    prompts: dict[str, str]
    dtype: str
    probes: tuple[Probe, ...]
    versions: dict[str, str]
    default_prompt_name: str | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def tolerance(self) -> float:
        """Largest difference that counts as equal."""
        is_unit = any(probe.diagonal is not None for probe in self.probes)
        return TOLERANCES[self.dtype] * (UNIT_SHARE if is_unit else 1)

    def save(self, folder: Path) -> Path:
        """Write ``fingerprint.json`` into a folder."""
        return write_json(folder / FILE, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> Fingerprint:
        """Read ``fingerprint.json``; raise `CheckpointError` when it is not a fingerprint of this format."""
        path = Path(folder) / FILE
        content = read_json(path, "this is not a fingerprint")
        if content.pop("format", None) != FORMAT:
            raise CheckpointError(f"{path} has another format than {FORMAT}: run genzoo verify {folder} --write")
        try:
            found = TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            raise CheckpointError(f"{path} is not a fingerprint: {first_flaw(error)}") from error
        if len(found.probes) != len(PROBES):
            raise CheckpointError(f"{path} holds {len(found.probes)} probes, expected {len(PROBES)}")
        lengths = {len(probe.values) for probe in found.probes}
        if len(lengths) > 1 or found.dtype not in TOLERANCES or "numbers" not in found.backbone:
            raise CheckpointError(
                f"{path} is not a fingerprint: of another precision, without a digest or of two lengths"
            )
        return found


def measure_probes(model: SentenceTransformer) -> tuple[Probe, ...]:
    """Tokens and embeddings of the fixed texts, one text at a time: no batch, no padding."""
    probes = []
    for text in probe_texts(model):
        ids = model.preprocess([text])["input_ids"][0].tolist()
        vector = model.encode(text, prompt="", convert_to_tensor=True, show_progress_bar=False).float().cpu()
        values = tuple(round(float(number), 6) for number in vector[:N_VALUES])
        digest = hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]
        norm, diagonal = float(vector.norm()), float(vector.sum()) / len(vector) ** 0.5
        is_unit = abs(norm - 1) < 1e-4
        probes.append(Probe(len(ids), digest, values, round(norm, 6), round(diagonal, 6) if is_unit else None))
    return tuple(probes)


def take_fingerprint(
    model: SentenceTransformer, checkpoint: TokenCheckpoint, backbone: Path, revision: str = ""
) -> Fingerprint:
    """Fingerprint of a loaded model.

    Args:
        model: As `genzoo.load` or ``SentenceTransformer(folder)`` gives it.
        checkpoint: Its trained tokens.
        backbone: Folder of its frozen LLM.
        revision: Commit of the frozen LLM, where it has one.
    """
    return Fingerprint(
        checkpoint=checkpoint.digest(),
        parts=digest_parts(checkpoint.tensors()),
        backbone={
            "name": checkpoint.backbone if "/" not in checkpoint.backbone[:1] else Path(checkpoint.backbone).name,
            "revision": revision,
            "digest": checkpoint.backbone_digest,
            "numbers": digest_backbone_numbers(backbone, checkpoint.spec.ids, checkpoint.exit_layer),
        },
        prompts=prompts_of(model),
        dtype=dtype_of(model),
        probes=measure_probes(model),
        versions={name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        default_prompt_name=model.default_prompt_name,
    )


def prompts_of(model: SentenceTransformer) -> dict[str, str]:
    """Every instruction that a model carries, by name."""
    return {name: prompt or "" for name, prompt in model.prompts.items()}


def dtype_of(model: SentenceTransformer) -> str:
    """Precision of the backbone's weights: ``float32``, ``bfloat16`` ..."""
    return str(next(model[0].parameters()).dtype).removeprefix("torch.")


def digest_parts(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """Digest of each tensor's numbers in float32."""
    return {
        name: hashlib.sha256(tensor.detach().float().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
        for name, tensor in sorted(tensors.items())
    }


def digest_backbone_numbers(folder: Path, trained: tuple[int, ...], exit_layer: int = 0) -> str:
    """Digest of a frozen LLM's numbers in float32 without its head, whether it stands alone or inside a merged model.

    The rows of the trained tokens, which a merged model has replaced or appended, are left out, and so are the layers above the
    exit layer, which it does not hold.
    """
    tensors = {name: place for name, place in _tensors_of(folder).items() if not is_above(name, exit_layer)}
    sha = hashlib.sha256()
    for name in sorted(tensors):
        with safe_open(tensors[name][0], "pt") as file:
            tensor = file.get_tensor(tensors[name][1]).float()
        if name == "embed_tokens.weight":
            is_kept = torch.ones(len(tensor), dtype=torch.bool)
            is_kept[[row for row in trained if row < len(tensor)]] = False
            tensor = tensor[is_kept]
        sha.update(f"{name}{tuple(tensor.shape)}".encode())
        sha.update(tensor.contiguous().numpy().tobytes())
    return sha.hexdigest()[:40]


def _tensors_of(folder: Path) -> dict[str, tuple[Path, str]]:
    """Name without the ``model.`` in front -> file and name in it."""
    found = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                if not name.startswith("lm_head"):
                    found[name.removeprefix("model.")] = (path, name)
    return found
