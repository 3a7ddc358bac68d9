"""The zoo: one row per published checkpoint, data only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import UnknownNameError
from genzoo.registry import Registry
from genzoo.upstream import UPSTREAM

CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class ZooEntry:
    """One model of the zoo.

    Attributes:
        name: Short name; the folder in ``zoo/checkpoints`` is called the same.
        hub_id: Name that results, tables and cards carry; begins with the backbone, as its licence may demand.
        revision: Digest of the checkpoint; replaced by the commit once it is published.
        backbone: Key of the frozen LLM.
        backbone_digest: Digest of the weights that the tokens were trained on.
        recipe: Name of the recipe that made it.
        teacher: Key of the encoder that gave the targets.
        dim: D.
        max_tokens: Longest input.
        licence: Inherited from the backbone.
        release_date: ISO date.
        training_datasets: mteb names of tasks whose queries or training split were seen, with or without labels; what the
            teacher was trained on is added by `genzoo.mteb_meta`.
        training_data: What the queries were, in words, with their licences.
    """

    name: str
    hub_id: str
    revision: str
    backbone: str
    backbone_digest: str
    recipe: str
    teacher: str
    dim: int
    max_tokens: int
    licence: str
    release_date: str
    training_datasets: frozenset[str]
    training_data: str

    @property
    def folder(self) -> Path:
        """Where the checkpoint lies in the package."""
        return CHECKPOINTS / self.name


ENTRIES: Registry[ZooEntry] = Registry("model", "genzoo list")
DEFAULT = "smollm2-135m"
"""What commands take when no model is named."""


def get_entry(name: str) -> ZooEntry:
    """Entry by short name or by hub id."""
    for entry in ENTRIES:
        if entry.hub_id == name:
            return entry
    for model in UPSTREAM:
        if name in (model.name, model.hub_id):
            raise UnknownNameError(
                f"{name} is in the reference's format, which must be converted first: {model.command}"
            )
    return ENTRIES.get(name)


def list_models(pattern: str = "*") -> list[str]:
    """Short names of the zoo's models that match a shell pattern.

    >>> list_models("nothing-like-this*")
    []
    """
    return ENTRIES.names(pattern)


_QUERY_TASKS = frozenset({"NQ", "NQHardNegatives", "NanoNQRetrieval", "MedicalQARetrieval", "RARbMath"})


def _query_log(answered: str) -> str:
    return (
        "33,022 unlabeled queries under free licences (CC BY, CC BY-SA, MIT, Apache-2.0): Natural Questions open, WebQuestions, "
        "GSM8K, StrategyQA, ExpertQA, MedQuAD, hh-rlhf, HarmfulQA, CatQA, OpenAssistant and other prompt collections; the backbone "
        f"answered {answered} of them itself. No label was used, but the questions of Natural Questions' dev split, MedQuAD and "
        "GSM8K's training split were seen"
    )


ENTRIES.register(
    "smollm2-135m",
    ZooEntry(
        name="smollm2-135m",
        hub_id="genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen",
        revision="30e1f98912e92bbcb6c6e463ee9e352dab0f3415",
        backbone="smollm2-135m",
        backbone_digest="3d45d5307daa280ec4da951e41873209c223105e",
        recipe="smollm2-135m",
        teacher="smollm2-135m-teacher",
        dim=256,
        max_tokens=512,
        licence="apache-2.0",
        release_date="2026-11-25",
        training_datasets=_QUERY_TASKS,
        training_data=_query_log("12,160"),
    ),
)
ENTRIES.register(
    "smollm2-135m-minilm",
    ZooEntry(
        name="smollm2-135m-minilm",
        hub_id="genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen-MiniLM",
        revision="e2ca85969a0659dc2e3cbaeb7550c0a66aba8100",
        backbone="smollm2-135m",
        backbone_digest="3d45d5307daa280ec4da951e41873209c223105e",
        recipe="smollm2-135m-minilm",
        teacher="minilm",
        dim=384,
        max_tokens=512,
        licence="apache-2.0",
        release_date="2026-11-22",
        training_datasets=_QUERY_TASKS,
        training_data=_query_log("12,160"),
    ),
)
ENTRIES.register(
    "gemma3-270m",
    ZooEntry(
        name="gemma3-270m",
        hub_id="genzoo/gemma-3-270m-LLM2Vec-Gen",
        revision="86bcf9d74a6f15fbc5a0394c415f3fc894ba0ddb",
        backbone="gemma3-270m",
        backbone_digest="3562b28fa85ef21407be43b2a5e92c95e2c8ae93",
        recipe="gemma3-270m",
        teacher="gemma3-270m-teacher",
        dim=256,
        max_tokens=512,
        licence="gemma",
        release_date="2026-11-26",
        training_datasets=_QUERY_TASKS,
        training_data=_query_log("5,000"),
    ),
)
