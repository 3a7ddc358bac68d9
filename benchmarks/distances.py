"""Whether an exported model ranks alike by cosine, inner product and Euclidean distance. Not a test: run it.

    python benchmarks/distances.py ../shared/data/eval_dev/retrieval/SciFact -m smollm2-135m

Exports the model, lets sentence-transformers alone embed the first 1,000 passages and 100 queries of a BEIR folder, and compares the
order of all passages for every query. Two passages may change places where their similarities differ by less than 1e-6, which is the
rounding of float32. Then it measures `GenZooMiniReasoningRetrieval` with each similarity. The exit status is 1 where an order or a
score differs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path

import mteb
import torch
from sentence_transformers import SentenceTransformer

import genzoo
from genzoo.tasks.sets.registration import register_tasks

SIMILARITIES = ("cosine", "dot", "euclidean")
TASK = "GenZooMiniReasoningRetrieval"
ROUNDING = 1e-6


def texts_of(folder: Path, stem: str, count: int) -> list[str]:
    """The first texts of ``corpus`` or ``queries``, with their titles."""
    path = next(folder.glob(f"{stem}.jsonl*"))
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in content.decode("utf-8").splitlines()[:count]]
    return [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="BEIR folder")
    parser.add_argument("-m", "--model", default="smollm2-135m")
    parser.add_argument("--passages", type=int, default=1000)
    given = parser.parse_args()
    register_tasks()
    scores, is_wrong = {}, False
    with tempfile.TemporaryDirectory() as scratch:
        folder = genzoo.export(given.model, Path(scratch) / "export", merge=True)
        model = SentenceTransformer(str(folder), device="cpu")
        queries = model.encode_query(texts_of(given.data, "queries", 100), convert_to_tensor=True)
        passages = model.encode_document(texts_of(given.data, "corpus", given.passages), convert_to_tensor=True)
        cosines = torch.nn.functional.normalize(queries.double()) @ torch.nn.functional.normalize(passages.double()).T
        for name in SIMILARITIES:
            model.similarity_fn_name = name
            order = model.similarity(queries, passages).argsort(dim=1, descending=True)
            along = cosines.gather(1, order)
            gap = float((along[:, 1:] - along[:, :-1]).max())
            is_wrong |= gap > ROUNDING
            print(
                f"{name}: order of {passages.shape[0]} passages for {queries.shape[0]} queries, largest rise of the cosine along it {gap:.1e}"
            )
        for name in SIMILARITIES:
            model.similarity_fn_name = name
            found = mteb.evaluate(model, mteb.get_task(TASK), cache=None, show_progress_bar=False)
            scores[name] = found.task_results[0].get_score()
            print(f"{name}: {TASK} {100 * scores[name]:.2f}")
    return int(is_wrong or len(set(scores.values())) > 1)


if __name__ == "__main__":
    sys.exit(main())
