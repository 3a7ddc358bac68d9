#!/bin/sh
# mteb 2.26.24: in a reranking task the BM25 baseline drops every candidate that is not among the best of the whole corpus.
#
# A reranking task names the documents to rank for each query. BM25Search takes the best 1,000 (the task's largest k) of the whole
# corpus and then strikes out what is no candidate; a candidate beyond them is never scored. Where one relevant and one irrelevant
# candidate share words with the query, and 1,200 other documents of the corpus share more, the ranking comes out empty:
#   nDCG@10 is 1.0 without those other documents, and 0.0 with them.
# A dense model scores its candidates whatever else is in the corpus.
# genzoo's hybrids ask BM25 for a ranking of all documents where candidates are given (tasks/embedders/hybrids.py).
#
# Exits with 0 while mteb behaves so, and with 1 once it scores all candidates.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mteb==2.26.24 datasets==5.2.0 bm25s==0.3.16 PyStemmer==3.1.0
cat > "$folder/candidates.py" <<'PY'
import sys

import mteb
from datasets import Dataset
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

CANDIDATES = {"right": "a red apple in a basket of many other things", "wrong": "an apple and a long list of other things again"}


class Reranking(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="AppleReranking",
        type="Reranking",
        description="Apples.",
        category="t2t",
        eval_langs=["eng-Latn"],
        eval_splits=["test"],
        main_score="ndcg_at_10",
        dataset={"path": "some/apples", "revision": "1"},
    )

    def __init__(self, n_others):
        super().__init__()
        texts = CANDIDATES | {f"other{number}": "red apple" for number in range(n_others)}
        corpus = Dataset.from_list([{"id": name, "title": "", "text": text} for name, text in texts.items()])
        queries = Dataset.from_list([{"id": "q", "text": "red apple"}])
        split = {"corpus": corpus, "queries": queries, "relevant_docs": {"q": {"right": 1}}}
        self.dataset = {"default": {"test": split | {"top_ranked": {"q": list(CANDIDATES)}}}}
        self.data_loaded = True


def score(n_others):
    model = mteb.get_model("mteb/baseline-bm25s")
    result = mteb.evaluate(model, Reranking(n_others), cache=None, co2_tracker=False, show_progress_bar=False)
    return float(result.task_results[0].scores["test"][0]["ndcg_at_10"])


found = [score(0), score(1200)]
print(*found, sep="\n")
sys.exit(found != [1.0, 0.0])
PY
HF_HUB_OFFLINE=1 MTEB_CACHE="$folder/cache" "$folder/venv/bin/python" "$folder/candidates.py"
