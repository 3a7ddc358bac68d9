"""The zoo: one row per published checkpoint, data only; and the models that llm2vec-gen's authors published."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from genzoo.backbones.entries import Backbone
from genzoo.errors import UnknownNameError
from genzoo.names import Registry

PAPER = "https://arxiv.org/abs/2603.10913"


@dataclass(frozen=True)
class UpstreamModel:
    """A published checkpoint in the reference's format.

    Attributes:
        name: Short name.
        hub_id: Repository on the Hub.
        backbone: Hub id of the frozen LLM that it was trained on.
        licence: The frozen LLM's, as the Hub spells it.
        reported: Figures of the paper (version 2): name -> (score times 100, whether higher is better).
        status: Always ``convertible``: nothing of it ships with genzoo.
        note: What is not certain about this row.
    """

    name: str
    hub_id: str
    backbone: str
    licence: str
    reported: dict[str, tuple[float, bool]] = field(default_factory=dict)
    status: str = "convertible"
    note: str = ""

    @property
    def command(self) -> str:
        """What makes it loadable; the commits are the user's to choose, for a branch can change."""
        return f"genzoo convert {self.hub_id}@<commit> DIR --backbone {self.backbone}@<commit>"

    @property
    def reported_figures(self) -> str:
        """The figures of the paper in a line."""
        return "; ".join(f"{name} {score}" for name, (score, _) in self.reported.items())


UPSTREAM: Registry[UpstreamModel] = Registry("upstream model", "genzoo list --upstream")

_MTEB = "MTEB(eng, v2)"
_BY_PATTERN = "its id on the Hub follows the pattern of the others and was not looked up"
_LABELS = {
    "harm": "AdvBench-IR, harmful hits in the top 5", "bright": "BRIGHT, nDCG@10", "average": f"{_MTEB}, mean of 41 tasks",
    "retrieval": f"{_MTEB}, retrieval", "reranking": f"{_MTEB}, reranking", "clustering": f"{_MTEB}, clustering",
    "pairs": f"{_MTEB}, pair classification", "classification": f"{_MTEB}, classification", "sts": f"{_MTEB}, STS",
    "summarization": f"{_MTEB}, summarization",
}  # fmt: skip


def _register(name: str, suffix: str, backbone: str, note: str = "", **reported: tuple[float, bool]) -> None:
    figures = {_LABELS[key]: value for key, value in reported.items()}
    hub_id = f"McGill-NLP/LLM2Vec-Gen-{suffix}"
    UPSTREAM.register(UpstreamModel(name, hub_id, backbone, "apache-2.0", reported=figures, note=note))


_register(
    "upstream-qwen3-0.6b", "Qwen3-06B", "Qwen/Qwen3-0.6B", note=_BY_PATTERN, harm=(25.2, False), bright=(11.6, True)
)
_register(
    "upstream-qwen3-1.7b", "Qwen3-17B", "Qwen/Qwen3-1.7B", note=_BY_PATTERN, harm=(36.2, False), bright=(15.6, True)
)
_register(
    "upstream-qwen3-4b", "Qwen3-4B", "Qwen/Qwen3-4B", note=_BY_PATTERN,
    harm=(42.5, False), bright=(18.8, True), retrieval=(39.8, True),
)  # fmt: skip
_register(
    "upstream-qwen3-8b", "Qwen3-8B", "Qwen/Qwen3-8B",
    harm=(45.0, False), bright=(20.2, True), average=(61.9, True), retrieval=(43.3, True), reranking=(46.4, True),
    clustering=(49.8, True), pairs=(80.6, True), classification=(77.6, True), sts=(79.7, True), summarization=(32.1, True),
)  # fmt: skip
_register("upstream-qwen2.5-0.5b", "Qwen25-05B", "Qwen/Qwen2.5-0.5B-Instruct")


CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


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
            teacher was trained on is added by `genzoo.tasks.embedders.mteb_models`.
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


def baseline_id(backbone: Backbone, baseline: Baseline) -> str:
    """Name under which a baseline's results stand."""
    return f"genzoo/{backbone.hub_id.rpartition('/')[2]}-{baseline.label}"


def find_entry(name: str) -> ZooEntry | None:
    """Entry by short name or by hub id, None where there is none."""
    return next((entry for entry in ENTRIES if name in (entry.name, entry.hub_id)), None)


def get_entry(name: str) -> ZooEntry:
    """Return the entry of a zoo model, by its short name or its name on the Hub."""
    if (entry := find_entry(name)) is not None:
        return entry
    for model in UPSTREAM:
        if name in (model.name, model.hub_id):
            raise UnknownNameError(
                f"{name} is in the reference's format, which must be converted first: {model.command}"
            )
    return ENTRIES.get(name)


def list_models(pattern: str = "*") -> list[str]:
    """Short names of the zoo's models that match a shell pattern.

    >>> list_models("smollm2-135m*")
    ['smollm2-135m', 'smollm2-135m-minilm']
    """
    return ENTRIES.names(pattern)


_QUERY_TASKS = frozenset({"NQ", "NQHardNegatives", "NanoNQRetrieval", "MedicalQARetrieval", "RARbMath"})


def _query_log(answered: str, supervision: str = "No label was used") -> str:
    return (
        "33,022 unlabeled queries under free licences (CC BY, CC BY-SA, MIT, Apache-2.0): Natural Questions open, WebQuestions, "
        "GSM8K, StrategyQA, ExpertQA, MedQuAD, hh-rlhf, HarmfulQA, CatQA, OpenAssistant and other prompt collections; the backbone "
        f"answered {answered} of them itself. {supervision}, but the questions of Natural Questions' dev split, MedQuAD and "
        "GSM8K's training split were seen"
    )


_EXAMPLES = "No label of a query was used, only the 791 examples of genzoo's content policy"

ENTRIES.register(
    ZooEntry(
        name="smollm2-135m",
        hub_id="genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen",
        revision="a54bcd3e301123ef834bc7d4c7fc7701ec439f57",
        backbone="smollm2-135m",
        backbone_digest="3d45d5307daa280ec4da951e41873209c223105e",
        recipe="smollm2-135m",
        teacher="smollm2-135m-teacher",
        dim=256,
        max_tokens=512,
        licence="apache-2.0",
        release_date="2026-11-30",
        training_datasets=_QUERY_TASKS,
        training_data=_query_log("12,160", _EXAMPLES),
    ),
    ZooEntry(
        name="smollm2-135m-minilm",
        hub_id="genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen-MiniLM",
        revision="6cae33b0784287be8a7a0cb24e6a3ce2199e9714",
        backbone="smollm2-135m",
        backbone_digest="3d45d5307daa280ec4da951e41873209c223105e",
        recipe="smollm2-135m-minilm",
        teacher="minilm",
        dim=384,
        max_tokens=512,
        licence="apache-2.0",
        release_date="2026-11-30",
        training_datasets=_QUERY_TASKS,
        training_data=_query_log("12,160", _EXAMPLES),
    ),
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


@dataclass(frozen=True)
class Baseline:
    """One way to embed with a frozen LLM without training; `genzoo.models.baselines` builds it.

    Attributes:
        suffix: ``<backbone>-<suffix>`` is its name on the command line.
        label: Ends the name under which its results stand.
        version: Raised when its texts or settings change, so that old results are not taken for new ones.
        has_prompts: Whether it reads texts under the zoo's instructions.
    """

    suffix: str
    label: str
    version: int = 0
    has_prompts: bool = False

    def revision(self, backbone_digest: str) -> str:
        """40 hex digits: the backbone's digest, and of what is done with it."""
        if not self.version:
            return backbone_digest
        return hashlib.sha256(f"{backbone_digest} {self.suffix} {self.version}".encode()).hexdigest()[:40]


MTEB_BASELINES = {"bm25": "mteb/baseline-bm25s", "random": "mteb/baseline-random-encoder"}
"""Name on the command line -> name of a baseline that mteb brings along."""

BASELINES = (
    Baseline("mean", "MeanPooled"),
    Baseline("echo", "Echo", version=1),
    Baseline("hyde", "HyDE", version=1),
    Baseline("untrained", "UntrainedTokens", version=1, has_prompts=True),
)
