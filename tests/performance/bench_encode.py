"""How fast a zoo model encodes, beside the ways that it replaces. Paired in one process; ratios of CPU time.

    python tests/performance/bench_encode.py --texts 2048 --rounds 2 --json out.json

The texts have a realistic mix of lengths: about 60 tokens on average with prompt and trained tokens, 190 at the 99th percentile. The
ways are measured in turn, so that other load on the machine touches all alike, and by CPU time of the process.

- `reference`: what the reference's encode() does, rewritten here: batches of 32 in given order, padded on the left.
- `reference-sorted`: the same with texts sorted by characters first, as its benchmark script does.
- `stock`: the exported model under sentence-transformers.
- `packed`: genzoo.load.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch

import genzoo
from genzoo.assembly import assemble
from genzoo.backbones import fetch_backbone
from genzoo.loading import find_checkpoint
from genzoo.packed_encoding import pack

PROSE = "the of a water river answer small people under between light stone because seven window carry question history"
CODE = "self._rows[index] if(x != None): return {'key': value, **kwargs} assert_equal(np.array(out), 0x7f) def __init__ -> None:"
FIGURES = "1,204.55 2026-11-22 17:45:03 #4411 3.14159 0.00072 (n=183) 10.1145/3292500 +49-30-1234567 64x128"
OTHER = "Geschwindigkeitsbegrenzung przepraszam étonnamment διάλογος 検索する погода sürdürülebilir naïveté"
KINDS = ((PROSE, 0.85), (CODE, 0.13), (FIGURES, 0.01), (OTHER, 0.01))
"""Kinds of text and their shares: sorting by characters errs by what differs in characters per token, about as in a real corpus."""


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of log-normal length, cut so that the longest have about 300 tokens."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = rng.choices([words for words, _ in KINDS], [share for _, share in KINDS])[0].split()
        per_word = {PROSE: 1.0, CODE: 3.1, FIGURES: 9.3, OTHER: 6.4}[" ".join(words)]
        length = max(2, round(min(290, rng.lognormvariate(3.5, 0.75)) / per_word))
        texts.append(" ".join(rng.choice(words) for _ in range(length)))
    return texts


class Reference:
    """The reference's encode(), on the same weights."""

    def __init__(self, model, checkpoint, *, is_sorted: bool) -> None:
        self.model, self.checkpoint, self.is_sorted = model, checkpoint, is_sorted

    def encode(self, texts: list[str], prompt: str) -> np.ndarray:
        """Embeddings `(texts, D)`."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i])) if self.is_sorted else list(range(len(texts)))
        out = np.empty((len(texts), self.checkpoint.dim), dtype=np.float32)
        for start in range(0, len(order), 32):
            places = order[start : start + 32]
            out[places] = self._batch([prompt + texts[i] for i in places])
        return out

    @torch.inference_mode()
    def _batch(self, texts: list[str]) -> np.ndarray:
        module, checkpoint = self.model[0], self.checkpoint
        tokenizer = module.tokenizer
        side, tokenizer.padding_side = tokenizer.padding_side, "left"
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=checkpoint.max_tokens, return_tensors="pt")
        tokenizer.padding_side = side
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        states = (
            module.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], position_ids=positions)
            .last_hidden_state[:, -checkpoint.spec.n_compression :]
            .float()
        )
        soft = states @ checkpoint.recon_weight.T + checkpoint.recon_bias
        return (soft @ checkpoint.align_weight.T + checkpoint.align_bias).mean(dim=1).numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint = find_checkpoint(options.model)
    backbone = fetch_backbone(checkpoint.backbone)
    dtype = getattr(torch, options.dtype)
    plain = assemble(checkpoint, backbone, device="cpu")
    stock = plain if options.dtype == "float32" else assemble(checkpoint, backbone, device="cpu", dtype=dtype)
    packed = pack(assemble(checkpoint, backbone, device="cpu", dtype=dtype), len(checkpoint.spec))
    prompt = plain.prompts["document"]
    texts = make_texts(options.texts)
    tokens = [len(ids) for ids in plain.tokenizer([prompt + text for text in texts])["input_ids"]]
    ways = {
        "reference": lambda: Reference(plain, checkpoint, is_sorted=False).encode(texts, prompt),
        "reference-sorted": lambda: Reference(plain, checkpoint, is_sorted=True).encode(texts, prompt),
        "stock": lambda: stock.encode(texts, prompt=prompt, batch_size=32, convert_to_tensor=True).float().numpy(),
        "packed": lambda: packed.encode(texts, prompt=prompt, batch_size=32, convert_to_tensor=True).float().numpy(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {}
    for _ in range(options.rounds):
        for name, encode in ways.items():
            start = time.process_time()
            vectors[name] = encode()
            seconds[name].append(time.process_time() - start)
            print(f"{name}: {seconds[name][-1]:.1f} s of CPU", flush=True)
    expected = vectors["reference"]
    norm = np.linalg.norm(expected, axis=1)
    cosine = (vectors["packed"] * expected).sum(axis=1) / norm / np.linalg.norm(vectors["packed"], axis=1)
    best = {name: statistics.median(values) for name, values in seconds.items()}
    found = {
        "genzoo": genzoo.__version__,
        "texts": len(texts),
        "tokens": {"mean": statistics.mean(tokens), "p99": float(np.percentile(tokens, 99)), "max": max(tokens)},
        "dtype": options.dtype,
        "threads": options.threads,
        "seconds": best,
        "packed_is_faster_than": {name: round(best[name] / best["packed"], 2) for name in ways if name != "packed"},
        "smallest_cosine_to_reference": float(cosine.min()),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
