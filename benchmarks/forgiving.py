"""What a model loses when it is used carelessly: without prompts, with fewer dimensions, in int8 or in single bits. Not a test: run it.

    python benchmarks/forgiving.py ../shared/data/eval_dev -m smollm2-135m -q ../shared/data/train/responses-smollm2-135m.jsonl.gz

The sets are those of `dev_sets`, with mteb's protocols. Each text is encoded once under its prompt and once bare; embeddings are
kept in the output folder, so that a stopped run goes on, and every row of the table is made of them. ``turned`` rotates the
embeddings as ``optim.axes=shared`` does, which changes no cosine at full width. Quantisation is that of sentence-transformers, calibrated on the same texts. ``rescored`` searches by bits on both sides and ranks
the best 40 by the query's numbers against the documents' bits; other tasks have no search, so their types are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
        is_rescored: Whether a search by bits is rescored.
    """

    change: Change = same
    prompt: str | None = None
    is_rescored: bool = False


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
        """Cosines; or those of bits, and above them those of numbers with bits for the best."""
        queries, documents = (normalize(torch.as_tensor(one)) for one in (embeddings1, embeddings2))
        if not self.row.is_rescored:
            return queries @ documents.T
        bits = normalize(documents.sign())
        scores = normalize(queries.sign()) @ bits.T
        best = scores.topk(min(RESCORED, scores.shape[1])).indices
        return scores.scatter(1, best, 2 + (queries @ bits.T).gather(1, best))


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

    made = {"prompted": Row(), "bare": Row(prompt=""), "int8": Row(int8)}
    made |= {f"{name} everywhere": Row(prompt=name) for name in ("query", "document")}
    turns: dict[str, Change] = {"": same, "turned ": lambda embeddings: embeddings @ axes}
    for name, turn in turns.items():
        made |= {f"{name}{width}": Row(first(width, turn)) for width in (32, 64, 128)}
        made[f"{name}binary"] = Row(lambda embeddings, turn=turn: turn(embeddings).sign())
        made[f"{name}binary, rescored"] = Row(turn, is_rescored=True)
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
            if row.is_rescored and kind not in SEARCHES:
                continue
            result = mteb.evaluate(
                encoder, task, cache=None, co2_tracker=False, show_progress_bar=False, encode_kwargs={"batch_size": 32}
            )
            scores[name] = float(result.task_results[0].get_score())
            print(f"{way}: {name} {100 * scores[name]:.2f}", file=sys.stderr, flush=True)
        table[way] = means(scores, kinds) | {
            "searches": float(np.mean([value for name, value in means(scores, kinds).items() if name in SEARCHES]))
        }
    keys = [*dict.fromkeys(kinds.values()), "mean of types", "searches"]
    print("| |" + "|".join(keys) + "|\n|---|" + "---:|" * len(keys))
    for way, found in table.items():
        print(f"|{way}|" + "|".join(f"{100 * found[key]:.1f}" if key in found else "–" for key in keys) + "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
