"""Tiny clustering and multilabel tasks in memory, of several subsets and splits: mteb scores both on documents that it draws."""

import re
from dataclasses import replace

from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTaskClustering, AbsTaskMultilabelClassification
from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.request import Request
from genzoo.tasks.sets.benchmarks import BUNDLED_TASKS

LANGUAGES = {"one": ["eng-Latn"], "two": ["fra-Latn"]}
PLACES = {"one": 0, "two": 1, "default": 0}


def texts():
    """(text, name of its set) of every passage and sentence that ships."""
    for task in BUNDLED_TASKS:
        for file in task.bundled.files:
            for row in task.bundled.rows(file):
                if "text" in row:
                    yield row["text"], task.metadata.name


def _metadata(name, kind, main_score, languages, splits=("test",)):
    return TaskMetadata(
        name=name,
        description="Drawn documents",
        dataset={"path": "test/drawn", "revision": "1"},
        type=kind,
        category="t2c",
        eval_splits=list(splits),
        eval_langs=languages,
        main_score=main_score,
        reference="https://example.org",
    )


def _first_letters(text):
    """Labels of a text: the initials of its words, the frequent ones."""
    return sorted({ord(word[0]) - ord("a") for word in re.findall(r"[a-z]+", text.lower())} & {0, 2, 7, 15, 18, 22})


class _Clustering(AbsTaskClustering):
    max_fraction_of_documents_to_embed = 0.2
    max_documents_per_cluster = 60
    n_clusters = 3

    def load_data(self, num_proc=None, **kwargs):
        if self.data_loaded:
            return
        rows = list(texts())
        columns = [
            {"sentences": [text for text, _ in rows[place::2]], "labels": [name for _, name in rows[place::2]]}
            for place in (0, 1)
        ]
        made = {
            subset: DatasetDict({split: Dataset.from_dict(columns[PLACES[subset]]) for split in self.eval_splits})
            for subset in self.hf_subsets
        }
        self.dataset = made
        self.data_loaded = True


class OneClustering(_Clustering):
    metadata = _metadata("OneClustering", "Clustering", "v_measure", ["eng-Latn"])


class OtherClustering(_Clustering):
    metadata = _metadata("OtherClustering", "Clustering", "v_measure", ["eng-Latn"])
    max_fraction_of_documents_to_embed = 0.15


class TwoClusterings(_Clustering):
    metadata = _metadata("TwoClusterings", "Clustering", "v_measure", LANGUAGES, ("validation", "test"))


class _Multilabel(AbsTaskMultilabelClassification):
    samples_per_label = 4
    n_experiments = 2

    def load_data(self, num_proc=None, **kwargs):
        if self.data_loaded:
            return
        rows = [text for text, _ in texts()]
        parts = {"train": rows[0:300], "test": rows[300:400]}
        data = DatasetDict(
            {
                split: Dataset.from_dict({"text": part, "label": [_first_letters(text) for text in part]})
                for split, part in parts.items()
            }
        )
        self.dataset = dict.fromkeys(self.hf_subsets, data) if self.metadata.is_multilingual else data
        self.data_loaded = True


class OneMultilabel(_Multilabel):
    metadata = _metadata("OneMultilabel", "MultilabelClassification", "accuracy", ["eng-Latn"])


class TwoMultilabels(_Multilabel):
    metadata = _metadata("TwoMultilabels", "MultilabelClassification", "accuracy", LANGUAGES)


class BothClusterings(AbsTaskAggregate):
    metadata = AggregateTaskMetadata(
        name="BothClusterings",
        description="Two clustering tasks as one",
        type="Clustering",
        main_score="v_measure",
        eval_splits=["test"],
        tasks=[OneClustering(), OtherClustering()],
    )


SHARED = [TwoClusterings(), OneMultilabel()]


class DrawnRequest(Request):
    """Asks for models by name and for the shared tasks above, which a process hands out as a benchmark does."""

    def resolve(self, *args, **options):
        return replace(super().resolve(*args, **options), tasks=SHARED)
