#!/bin/sh
# mteb 2.26.24: a query whose judged documents all have grade 0 counts as a query that the model got wrong.
#
# mteb leaves out queries without judged documents (`_filter_queries_without_positives`, "no relevant docs"), but keeps
# those that are judged and have no relevant document, which is common where pools were judged (TREC). No ranking can
# answer them, so each lowers every score. Here a perfect ranking of one query has nDCG@10 and Recall@10
#   1.0  alone,
#   1.0  beside a query without judgements,
#   0.5  beside a query whose one judged document has grade 0.
# genzoo leaves such queries of a `--data` folder out, and says how many.
#
# Exits with 0 while mteb behaves so, and with 1 once the third figure changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mteb==2.26.24 datasets==5.2.0
cat > "$folder/scores.py" <<'PY'
import sys

import mteb
import numpy as np
import torch
from datasets import Dataset
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata


class Letters(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="Letters", description="Two letters.", type="Retrieval", category="t2t", eval_langs=["eng-Latn"],
        eval_splits=["test"], main_score="ndcg_at_10", dataset={"path": "some/letters", "revision": "1"},
    )
    judgements = {}

    def load_data(self, num_proc=None, **kwargs):
        corpus = Dataset.from_list([{"id": f"d{text}", "title": "", "text": text} for text in "ab"])
        queries = Dataset.from_list([{"id": f"q{text}", "text": text} for text in "ab"])
        split = {"corpus": corpus, "queries": queries, "relevant_docs": dict(self.judgements), "top_ranked": None}
        self.dataset, self.data_loaded = {"default": {"test": split}}, True


class Exact:
    """One dimension a letter: each query finds its own."""

    mteb_model_meta = mteb.get_model_meta("mteb/baseline-random-encoder")

    def encode(self, inputs, **kwargs):
        return np.array([[text.strip() == "a", text.strip() == "b"] for batch in inputs for text in batch["text"]], float)

    def similarity(self, one, other):
        return torch.tensor(np.asarray(one) @ np.asarray(other).T)

    def similarity_pairwise(self, one, other):
        return torch.tensor((np.asarray(one) * np.asarray(other)).sum(1))


found = []
for judgements in ({"qa": {"da": 1}}, {"qa": {"da": 1}, "qb": {}}, {"qa": {"da": 1}, "qb": {"da": 0}}):
    task = Letters()
    task.judgements = judgements
    result = mteb.evaluate(Exact(), task, cache=None, co2_tracker=False, show_progress_bar=False)
    scores = result.task_results[0].scores["test"][0]
    found.append((scores["ndcg_at_10"], scores["recall_at_10"]))
    print(judgements, *found[-1])
sys.exit(found != [(1.0, 1.0), (1.0, 1.0), (0.5, 0.5)])
PY
HF_HUB_OFFLINE=1 MTEB_CACHE="$folder/cache" "$folder/venv/bin/python" "$folder/scores.py"
