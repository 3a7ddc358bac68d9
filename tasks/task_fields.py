"""What all bundled sets share in their metadata."""

from typing import Any, cast

from mteb.abstasks.task_metadata import PromptDict, TaskMetadata

from genzoo.tasks.bundled import BundledSet

PAPER = "https://arxiv.org/abs/2603.10913"
WRITTEN = ("2026-11-22", "2026-11-22")
CITATION = r"""
@misc{genzoo2026,
  author = {{The genzoo contributors}},
  title = {genzoo: benchmark and model zoo for generative embeddings},
  year = {2026},
}
""".strip()


def bundled_metadata(name: str, description: str, bundled: BundledSet, main_score: str, **fields: Any) -> TaskMetadata:
    """Metadata of a task over a bundled set: English, written for the project; `fields` add to it or override."""
    common: dict[str, Any] = {
        "reference": PAPER,
        "type": "Retrieval",
        "category": "t2t",
        "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"],
        "date": WRITTEN,
        "domains": ["Constructed", "Written"],
        "task_subtypes": ["Question Answering Retrieval"],
        "license": "apache-2.0",
        "annotations_creators": "LM-generated",
        "dialect": [],
        "sample_creation": "LM-generated and verified",
        "bibtex_citation": CITATION,
    }
    return TaskMetadata(
        name=name, description=description, dataset=bundled.reference, main_score=main_score, **(common | fields)
    )


def query_prompt(instruction: str) -> PromptDict:
    """An instruction for the queries alone; passages go without one."""
    return cast(PromptDict, {"query": instruction})
