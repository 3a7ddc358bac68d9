"""What a model loses when it is used carelessly: without prompts, with fewer dimensions, in int8 or in single bits. Not a test: run it.

    python benchmarks/forgiving.py ../shared/data/eval_dev -m smollm2-135m -q ../shared/data/train/responses-smollm2-135m.jsonl.gz

The sets are those of `dev_sets`, with mteb's protocols. Each text is encoded once under its prompt and once bare; embeddings are
kept in the output folder, so that a stopped run goes on, and every row of the table is made of them. ``turned`` rotates the
embeddings as ``optim.axes=shared`` does, which changes no cosine at full width. Quantisation is that of sentence-transformers, calibrated
on the same texts. Its int8 divides each dimension by its own range, so that their cosines are others: ``restored`` undoes that.
``rescored`` searches by bits on both sides and ranks the best 40 by the query's numbers against the documents' bits, or against their
int8, restored; other tasks have no search, so their types are left out.

`smollm2-135m` of 2026-11-25 (30 layers, no field of `views` or `optim.axes` that forgives) in bfloat16 on one thread of an AMD EPYC,
with ``-t BIOSSES -t PoemSentimentClassification -t LIMITSmallRetrieval -t QASCRetrieval -t TrecQAReranking``:

| |STS|Classification|Retrieval|Reasoning|Reranking|mean of types|searches|
|---|---:|---:|---:|---:|---:|---:|---:|
|prompted|70.4|46.9|17.4|5.8|72.2|42.5|31.8|
|bare|68.1|47.4|14.5|3.5|66.0|39.9|28.0|
|query everywhere|67.3|49.4|15.4|5.8|71.5|41.9|30.9|
|int8|69.3|43.8|16.9|5.6|71.1|41.3|31.2|
|32|64.8|33.2|8.2|1.8|60.4|33.7|23.5|
|64|66.7|37.4|10.9|3.1|65.8|36.8|26.6|
|128|69.7|45.1|14.0|5.0|70.5|40.8|29.8|
|binary|62.5|39.0|10.8|4.1|67.2|36.7|27.4|
|binary, rescored|–|–|13.4|4.7|71.4|–|29.8|
|turned 32|59.6|39.3|10.3|3.1|63.5|35.2|25.6|
|turned 64|62.7|44.0|12.2|4.8|67.9|38.3|28.3|
|turned 128|67.6|46.1|14.9|5.4|71.9|41.2|30.7|
|turned binary|60.3|40.2|11.1|4.2|67.3|36.6|27.5|
|turned binary, rescored|–|–|14.0|5.2|72.2|–|30.5|

So 64 dimensions keep 90 % (87 % unturned), 128 keep 97 % (96 %), rescored bits 96 % of the searches' mean (94 %). Other rotations gave
no more at 64: principal axes 37.1, those of the pairs' shared variance over their total 38.5, axes learned to keep the order of the
neighbours 38.1; evening out the variances more or less changed nothing there.

`smollm2-135m` of 2026-11-30 (revision a54bcd3e: 24 layers, turned, a content policy) on eighteen of the sets (all but SciFact), bfloat16,
an Intel Xeon:

| |STS|Classification|Retrieval|Reasoning|Pairs|Reranking|Clustering|mean of types|searches|
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
|prompted|68.7|60.0|23.4|39.0|82.6|71.5|66.9|58.9|44.6|
|int8|67.3|58.8|20.0|36.7|83.1|67.7|63.1|56.7|41.5|
|int8, restored|68.7|60.0|23.5|39.0|82.6|71.5|67.2|58.9|44.7|
|64|66.5|51.7|18.3|34.8|82.6|71.9|61.4|55.3|41.7|
|128|68.5|57.9|22.7|39.1|82.6|70.6|67.6|58.4|44.1|
|binary, rescored by int8|–|–|21.4|38.2|–|71.3|–|–|43.6|
|binary, rescored|–|–|17.8|35.8|–|70.1|–|–|41.2|
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import mteb
import numpy as np
import torch
from dev_sets import REASONING, make_tasks, means
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers.util.quantization import quantize_embeddings
from torch.nn.functional import normalize

import genzoo
from genzoo.models import prompts
from genzoo.tasks.embedders.mteb_models import resolve_model
from genzoo.tasks.embedding_cache import EmbeddingCache
from genzoo.training.responses import read_responses

SEARCHES = ("Retrieval", "Reranking", REASONING)
RESCORED = 40
TEXTS = 600
"""Queries, and as many responses, that axes and ranges are fitted on."""
Change = Callable[[torch.Tensor], torch.Tensor]


def same(embeddings: torch.Tensor) -> torch.Tensor:
    """The embeddings themselves."""
    return embeddings


@dataclass(frozen=True)
class Row:
    """One way of using the model.

    Attributes:
        change: What becomes of its embeddings.
        prompt: Name of the prompt that every text gets; None for the right ones, empty for none.
        rescored: A search by bits is rescored with the query's numbers and what this makes of the documents' numbers.
    """

    change: Change = same
    prompt: str | None = None
    rescored: Change | None = None


class Used(SentenceTransformerEncoderWrapper):
    """The model as mteb sees it when it is used in one way."""

    def __init__(self, model: Any, row: Row, own: dict[str, str]) -> None:
        model.prompts = own if row.prompt is None else dict.fromkeys(own, own[row.prompt]) if row.prompt else {}
        super().__init__(model, model_prompts=dict(model.prompts))
        self.row = row

    def encode(self, inputs: Any, **options: Any) -> torch.Tensor:
        """As mteb's, changed."""
        return self.row.change(torch.as_tensor(super().encode(inputs, **options)).float())

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Cosines; or those of bits, and above them, for the best, those that the search is rescored by."""
        queries, documents = (normalize(torch.as_tensor(one)) for one in (embeddings1, embeddings2))
        if self.row.rescored is None:
            return queries @ documents.T
        scores = normalize(queries.sign()) @ normalize(documents.sign()).T
        best = scores.topk(min(RESCORED, scores.shape[1])).indices
        kept = normalize(self.row.rescored(documents))
        return scores.scatter(1, best, 2 + (queries @ kept.T).gather(1, best))


def ways(sample: torch.Tensor) -> dict[str, Row]:
    """Name -> row of the table.

    Args:
        sample: ``(2 pairs, D)`` embeddings of queries, and of their responses in the same order.
    """
    queries, responses = (half - half.mean(dim=0) for half in sample.double().chunk(2))
    cross = queries.T @ responses
    axes = torch.linalg.eigh(cross + cross.T).eigenvectors.flip(1).float()
    ranges = np.stack([sample.numpy().min(axis=0), sample.numpy().max(axis=0)])

    def first(width: int, turn: Change) -> Change:
        return lambda embeddings: turn(embeddings)[:, :width]

    def int8(embeddings: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(quantize_embeddings(embeddings.numpy(), "int8", ranges)).float()

    def restored(embeddings: torch.Tensor) -> torch.Tensor:
        low, high = torch.from_numpy(ranges)
        return (int8(embeddings) + 128) * (high - low) / 255 + low

    made = {"prompted": Row(), "bare": Row(prompt=""), "int8": Row(int8), "int8, restored": Row(restored)}
    made["binary, rescored by int8"] = Row(rescored=restored)
    made |= {f"{name} everywhere": Row(prompt=name) for name in ("query", "document")}
    turns: dict[str, Change] = {"": same, "turned ": lambda embeddings: embeddings @ axes}
    for name, turn in turns.items():
        made |= {f"{name}{width}": Row(first(width, turn)) for width in (32, 64, 128)}
        made[f"{name}binary"] = Row(lambda embeddings, turn=turn: turn(embeddings).sign())
        made[f"{name}binary, rescored"] = Row(turn, rescored=torch.sign)
    return made


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with sts/, classification/, retrieval/, ...")
    parser.add_argument("-m", "--model", default="smollm2-135m", help="zoo model or checkpoint folder")
    parser.add_argument("-q", "--responses", type=Path, required=True, help="answered queries that it was trained on")
    parser.add_argument("-t", "--task", action="append", help="only these")
    parser.add_argument("-w", "--way", action="append", help="only these rows of the table")
    parser.add_argument("-o", "--output", type=Path, default=Path("output/forgiving"))
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    made = {name: one for name, one in make_tasks(given.data).items() if not given.task or name in given.task}
    kinds = {name: kind for name, (kind, _) in made.items()}
    model = genzoo.load(given.model, dtype=given.dtype)
    own = dict(model.prompts)
    meta, _ = resolve_model(given.model)
    EmbeddingCache(given.output, meta, model).attach()
    rows = read_responses(given.responses)[:TEXTS]
    texts = [prompts.QUERY + row.query for row in rows] + [prompts.DOCUMENT + row.response for row in rows]
    table: dict[str, dict[str, float]] = {}
    sample = torch.from_numpy(model.encode(texts, show_progress_bar=False))
    every = ways(sample)
    for way, row in ((name, every[name]) for name in given.way or every):
        encoder, scores = Used(model, row, own), dict[str, float]()
        for name, (kind, task) in made.items():
            if row.rescored and kind not in SEARCHES:
                continue
            result = mteb.evaluate(
                encoder, task, cache=None, co2_tracker=False, show_progress_bar=False, encode_kwargs={"batch_size": 32}
            )
            scores[name] = float(result.task_results[0].get_score())
            print(f"{way}: {name} {100 * scores[name]:.2f}", file=sys.stderr, flush=True)
        table[way] = means(scores, kinds)
        table[way]["searches"] = fmean(value for kind, value in table[way].items() if kind in SEARCHES)
        if row.rescored:
            del table[way]["mean of types"]
    keys = [*dict.fromkeys(kinds.values()), "mean of types", "searches"]
    print("| |" + "|".join(keys) + "|\n|---|" + "---:|" * len(keys))
    for way, found in table.items():
        print(f"|{way}|" + "|".join(f"{100 * found[key]:.1f}" if key in found else "–" for key in keys) + "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
