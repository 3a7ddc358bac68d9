"""The sets that ship with the package, read without any network, and their tasks but for those on safety (`.safety`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, ClassVar, cast

from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTask, AbsTaskClassification, AbsTaskRetrieval, AbsTaskSTS
from mteb.abstasks.task_metadata import MetadataDatasetDict, PromptDict, TaskMetadata

from genzoo.errors import InputError


@dataclass(frozen=True)
class BundledSet:
    """The files of one bundled set that a task reads.

    mteb's stock loaders read the same folders too (each has a data card in the layout of a Hub data set). The tasks
    read the files themselves, because the stock loader writes to the user's `datasets` cache and ignores the revision
    of a local folder.

    Args:
        name: The folder below ``tasks/data``.
        files: The JSONL files that decide the score.
    """

    name: str
    files: tuple[str, ...] = ("corpus.jsonl", "queries.jsonl", "qrels.jsonl")

    @property
    def path(self) -> str:
        """Where the set lies inside the package, on any machine."""
        return f"genzoo/tasks/data/{self.name}"

    def text(self, file: str) -> str:
        """The content of one file."""
        source = resources.files("genzoo.tasks").joinpath("data", self.name, file)
        try:
            return source.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot read {self.path}/{file} ({error.strerror}): reinstall genzoo") from error

    def rows(self, file: str) -> list[dict[str, Any]]:
        """The records of one JSONL file."""
        return [json.loads(line) for line in self.text(file).splitlines() if line.strip()]

    @property
    def revision(self) -> str:
        """Digest of the files, 40 hex digits as a commit has, so that changed data never meets old results."""
        digest = hashlib.sha256()
        for file in sorted(self.files):
            # read_text has normalised the line ends, so a checkout on Windows has the same revision
            digest.update(f"{file}\0{self.text(file)}\0".encode())
        return digest.hexdigest()[:40]

    @property
    def reference(self) -> MetadataDatasetDict:
        """The `dataset` field of mteb's TaskMetadata."""
        return {"path": self.path, "revision": self.revision}


class BundledRetrieval(AbsTaskRetrieval):
    """A retrieval task over a bundled corpus, queries and qrels, named in this order by `bundled.files`."""

    bundled: ClassVar[BundledSet]

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Read corpus, queries and qrels into mteb's layout."""
        if self.data_loaded:
            return
        corpus, queries, qrels = (self.bundled.rows(file) for file in self.bundled.files)
        relevant: dict[str, dict[str, int]] = {}
        for row in qrels:
            relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
        self.dataset = search_data(_texts(corpus), _texts(queries), relevant)
        self.data_loaded = True


class BundledSplits(AbsTask):
    """Mixin for a task whose splits are JSONL files: `test.jsonl`, and `train.jsonl` where there is training."""

    bundled: ClassVar[BundledSet]

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Read each file into the split of its name."""
        if self.data_loaded:
            return
        rows = {file.removesuffix(".jsonl"): self.bundled.rows(file) for file in self.bundled.files}
        self.dataset = DatasetDict({split: Dataset.from_list(own) for split, own in rows.items()})
        self.data_loaded = True


def search_data(corpus: Dataset, queries: Dataset, relevant: dict[str, dict[str, int]]) -> dict[str, Any]:
    """A search of one split and one subset as mteb's retrieval tasks hold it."""
    split = {"corpus": corpus, "queries": queries, "relevant_docs": relevant, "top_ranked": None}
    return {"default": {"test": split}}


def _texts(rows: list[dict[str, Any]]) -> Dataset:
    """Id and text alone: labels of a passage are for scoring and must not reach a model."""
    return Dataset.from_list([{"id": row["_id"], "text": row["text"]} for row in rows])


PAPER = "https://arxiv.org/abs/2603.10913"
WRITTEN = ("2026-11-22", "2026-11-22")
CITATION = r"""
@misc{genzoo2026,
  author = {{The genzoo contributors}},
  title = {genzoo: benchmark and model zoo for generative embeddings},
  year = {2026},
}
""".strip()


def bundled_metadata(name: str, bundled: BundledSet, description: str, **fields: Any) -> TaskMetadata:
    """Metadata of a task over a bundled set: a search in English, written for the project; `fields` add to it or override."""
    common: dict[str, Any] = {
        "main_score": "ndcg_at_10",
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
    return TaskMetadata(name=name, description=description, dataset=bundled.reference, **(common | fields))


def query_prompt(instruction: str) -> PromptDict:
    """An instruction for the queries alone; passages go without one."""
    return cast(PromptDict, {"query": instruction})


class GenZooMiniRetrieval(BundledRetrieval):
    """Finds the passage that answers an everyday question among others on the same topic.

    dataset: genzoo/tasks/data/mini_retrieval (60 queries, 187 passages, authored by the project); licence: Apache-2.0
    metric: ndcg_at_10; direction: higher is better; paper: https://arxiv.org/abs/2603.10913
    """

    bundled = BundledSet("mini_retrieval")
    metadata = bundled_metadata(
        "GenZooMiniRetrieval",
        bundled,
        "Everyday questions in 12 domains; find the passage that answers, among others on the same topic.",
        prompt=query_prompt("Given an everyday question, retrieve the passage that answers it"),
    )


class GenZooMiniReasoningRetrieval(BundledRetrieval):
    """Finds the principle behind an observation; word overlap leads to the wrong passages.

    dataset: genzoo/tasks/data/mini_reasoning (40 queries in 8 domains, 120 passages, authored by the project); licence: Apache-2.0
    metric: ndcg_at_10; direction: higher is better; paper: https://arxiv.org/abs/2603.10913
    """

    bundled = BundledSet("mini_reasoning")
    metadata = bundled_metadata(
        "GenZooMiniReasoningRetrieval",
        bundled,
        "Everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        task_subtypes=["Reasoning as Retrieval"],
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
    )


class GenZooReasoningRetrieval(BundledRetrieval):
    """The same on more observations.

    dataset: genzoo/tasks/data/reasoning (128 queries in 8 domains, 384 passages, authored by the project); licence: Apache-2.0
    metric: ndcg_at_10; direction: higher is better; paper: https://arxiv.org/abs/2603.10913
    """

    bundled = BundledSet("reasoning")
    metadata = bundled_metadata(
        "GenZooReasoningRetrieval",
        bundled,
        "128 everyday observations in 8 domains; find the principle that explains them. The right passage "
        "shares few words with the query, two wrong ones share many.",
        task_subtypes=["Reasoning as Retrieval"],
        prompt=query_prompt("Given an observation, retrieve the principle that explains it"),
    )


class GenZooMiniSTS(BundledSplits, AbsTaskSTS):
    """Ranks pairs from unrelated (0) to equal in meaning (5); a negation or a swapped role scores low.

    dataset: genzoo/tasks/data/mini_similarity (120 pairs, authored by the project); licence: Apache-2.0
    metric: cosine_spearman; direction: higher is better; paper: https://arxiv.org/abs/2603.10913
    """

    bundled = BundledSet("mini_similarity", ("test.jsonl",))
    min_score = 0
    max_score = 5
    metadata = bundled_metadata(
        "GenZooMiniSTS",
        bundled,
        "Pairs of sentences scored 0 to 5 for shared meaning; negated, renumbered or role-swapped twins "
        "score low although they share their words.",
        main_score="cosine_spearman",
        type="STS",
        task_subtypes=[],
        prompt="Retrieve text that means the same",
    )


class GenZooMiniIntentClassification(BundledSplits, AbsTaskClassification):
    """Logistic regression on 8 embeddings per label, ten times, as mteb does by default; chance is 0.125.

    dataset: genzoo/tasks/data/mini_intent (8 labels, 192 train and 128 test texts, authored by the project); licence: Apache-2.0
    metric: accuracy; direction: higher is better; paper: https://arxiv.org/abs/2603.10913
    """

    bundled = BundledSet("mini_intent", ("train.jsonl", "test.jsonl"))
    metadata = bundled_metadata(
        "GenZooMiniIntentClassification",
        bundled,
        "Requests to the support desk of a shop in 8 intents; no request names its label.",
        main_score="accuracy",
        type="Classification",
        category="t2c",
        domains=["Constructed", "Written", "E-commerce"],
        task_subtypes=["Intent classification"],
        prompt="Given a request to a support desk, classify what the writer wants",
    )
