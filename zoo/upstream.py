"""The models that llm2vec-gen's authors published: what they report, and how to make them loadable here.

They are written in the reference's own format, which no SentenceTransformer loads; `genzoo convert` turns them into one. Their
scores are *reported*, taken from the paper, and never mixed with what genzoo measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo.registry import Registry

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
    UPSTREAM.register(name, UpstreamModel(name, hub_id, backbone, "apache-2.0", reported=figures, note=note))


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
