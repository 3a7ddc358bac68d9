#!/bin/sh
# mteb 2.26.24: the second model that one clustering or multilabel task object scores is scored on other documents than the first.
#
# These tasks draw texts at random: clustering embeds 4 % of the documents by default, and multilabel classification draws what it
# trains on. A task object seeds its generators once, when it is made, and each evaluation goes on where the last one stopped, so a
# loop over models with one list of tasks compares them on different texts (`get_benchmark` returns the same objects every time).
# Here two equal models have, one after the other,
#   clustering: v-measure 0.3986 and 0.5136, on 20 documents of which 2 are the same; a new task object gives 0.3986 again,
#   multilabel: accuracy  0.6865 and 0.7040, 161 of the first 292 training texts drawn again; a new task object gives 0.6865 again.
# genzoo scores a copy of the task for each measurement, whose generators start from the seed (tasks/random_state.py, `seeded`).
#
# Exits with 0 while a used task object differs and a new one does not, and with 1 once that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mteb==2.26.24 datasets==5.2.0
cat > "$folder/draws.py" <<'PY'
import sys

import mteb
import numpy as np
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTaskClustering, AbsTaskMultilabelClassification
from mteb.abstasks.task_metadata import TaskMetadata

SHARED = {"description": "Numbers.", "category": "t2c", "eval_langs": ["eng-Latn"], "eval_splits": ["test"]}
SHARED["dataset"] = {"path": "some/numbers", "revision": "1"}


class Clusters(AbsTaskClustering):
    metadata = TaskMetadata(name="NumberClusters", type="Clustering", main_score="v_measure", **SHARED)

    def load_data(self, num_proc=None, **kwargs):
        rows = [{"sentences": str(number), "labels": number % 5} for number in range(500)]
        self.dataset, self.data_loaded = DatasetDict(test=Dataset.from_list(rows)), True


class Labels(AbsTaskMultilabelClassification):
    metadata = TaskMetadata(name="NumberLabels", type="MultilabelClassification", main_score="accuracy", **SHARED)

    def load_data(self, num_proc=None, **kwargs):
        rows = [{"text": str(number), "label": [number % 5, 5 + number % 2]} for number in range(700)]
        parts = {"train": Dataset.from_list(rows[:500]), "test": Dataset.from_list(rows[500:])}
        self.dataset, self.data_loaded = DatasetDict(parts), True


class Noisy:
    """The same embedding for the same number, always: one dimension a label, and noise that the number decides."""

    mteb_model_meta = mteb.get_model_meta("mteb/baseline-random-encoder")

    def __init__(self):
        self.read = set()

    def encode(self, inputs, **kwargs):
        numbers = [int(text) for batch in inputs for text in batch["text"]]
        self.read.update(number for number in numbers if number < 500)
        noise = np.array([np.random.default_rng(number).normal(scale=0.35, size=7) for number in numbers])
        return noise + [np.eye(7)[number % 5] + np.eye(7)[5 + number % 2] for number in numbers]

    def similarity(self, one, other):
        raise NotImplementedError  # neither kind of task compares embeddings

    similarity_pairwise = similarity


def evaluated(task):
    model = Noisy()
    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    return model.read, result.task_results[0].scores["test"][0]["main_score"]


is_so = True
for kind in (Clusters, Labels):
    task = kind()
    (read, score), (read_next, score_next), (read_new, score_new) = evaluated(task), evaluated(task), evaluated(kind())
    print(f"{kind.__name__}: {score:.4f} on {len(read)} texts, then {score_next:.4f} with {len(read & read_next)} of them, "
          f"new object {score_new:.4f} with {len(read & read_new)} of them")
    is_so &= read != read_next and score != score_next and read == read_new and score == score_new
sys.exit(not is_so)
PY
HF_HUB_OFFLINE=1 MTEB_CACHE="$folder/cache" "$folder/venv/bin/python" "$folder/draws.py"
