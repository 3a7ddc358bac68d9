#!/bin/sh
# mteb 2.26.24: a retrieval task scores a model that returned NaN for a document, silently, and its measures then disagree.
#
# An encoder that divides by the norm gives NaN for a text of which it knows nothing. The search of a whole corpus does not look: the
# NaN document is ranked with the others, here first by MRR and by its id in nDCG. For one query and two documents, one of them
# relevant and embedded exactly as the query, nDCG@10 and MRR@10 are
#   1.0  and 1.0  where the other document has an embedding,
#   1.0  and 0.5  where that is NaN, and its id comes before the relevant one's,
#   0.63 and 0.5  where that is NaN, and its id comes after.
# Where mteb is told which documents to rank, and in an STS task, the same embedding raises a ValueError.
# genzoo stops the evaluation, and names the text (tasks/model_session.py).
#
# Exits with 0 while mteb behaves so, and with 1 once one of these changes.
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
from mteb.abstasks import AbsTaskRetrieval, AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

SHARED = {"description": "Letters.", "category": "t2t", "eval_langs": ["eng-Latn"], "eval_splits": ["test"]}
SHARED["dataset"] = {"path": "some/letters", "revision": "1"}


class Search(AbsTaskRetrieval):
    metadata = TaskMetadata(name="LetterSearch", type="Retrieval", main_score="ndcg_at_10", **SHARED)

    def __init__(self, texts, is_reranking=False):
        super().__init__()
        corpus = Dataset.from_list([{"id": name, "title": "", "text": text} for name, text in texts.items()])
        queries, ranked = Dataset.from_list([{"id": "q", "text": "a"}]), {"q": list(texts)} if is_reranking else None
        split = {"corpus": corpus, "queries": queries, "relevant_docs": {"q": {"m": 1}}, "top_ranked": ranked}
        self.dataset, self.data_loaded = {"default": {"test": split}}, True


class Pairs(AbsTaskSTS):
    metadata = TaskMetadata(name="LetterPairs", type="STS", main_score="cosine_spearman", **SHARED)
    min_score, max_score = 0, 1

    def load_data(self, num_proc=None, **kwargs):
        rows = [{"sentence1": "a", "sentence2": text, "score": float(text == "a")} for text in ("a", "b", "42")]
        self.dataset, self.data_loaded = {"default": {"test": Dataset.from_list(rows)}}, True


class Counts:
    """How often a text has each of two letters, normalised: 0 / 0 where it has none."""

    mteb_model_meta = mteb.get_model_meta("mteb/baseline-random-encoder")

    def encode(self, inputs, **kwargs):
        counts = np.array([[text.count("a"), text.count("b")] for batch in inputs for text in batch["text"]], float)
        with np.errstate(invalid="ignore"):
            return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def similarity(self, one, other):
        return torch.tensor(np.asarray(one) @ np.asarray(other).T)

    def similarity_pairwise(self, one, other):
        return torch.tensor((np.asarray(one) * np.asarray(other)).sum(1))


def outcome(task):
    try:
        result = mteb.evaluate(Counts(), task, cache=None, co2_tracker=False, show_progress_bar=False)
    except ValueError as error:
        return f"ValueError: {error}"
    scores = result.task_results[0].scores["test"][0]
    return tuple(round(float(scores.get(name, -1)), 2) for name in ("ndcg_at_10", "mrr_at_10"))


found = [outcome(Search(texts)) for texts in ({"m": "a", "n": "b"}, {"m": "a", "l": "42"}, {"m": "a", "n": "42"})]
raised = [outcome(Search({"m": "a", "n": "42"}, is_reranking=True)), outcome(Pairs())]
print(*found, *raised, sep="\n")
sys.exit(found != [(1.0, 1.0), (1.0, 0.5), (0.63, 0.5)] or not all("NaN" in each for each in raised))
PY
HF_HUB_OFFLINE=1 MTEB_CACHE="$folder/cache" "$folder/venv/bin/python" "$folder/scores.py"
