"""What all bundled sets share in their metadata."""

from typing import cast

from mteb.abstasks.task_metadata import PromptDict

PAPER = "https://arxiv.org/abs/2603.10913"
WRITTEN = ("2026-11-22", "2026-11-22")
CITATION = r"""
@misc{genzoo2026,
  author = {{The genzoo contributors}},
  title = {genzoo: benchmark and model zoo for generative embeddings},
  year = {2026},
}
""".strip()


def query_prompt(instruction: str) -> PromptDict:
    """An instruction for the queries alone; passages go without one."""
    return cast(PromptDict, {"query": instruction})
