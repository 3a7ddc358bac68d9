"""How fast a zoo model encodes, beside the ways that it replaces. Paired in one process; ratios of CPU time.

    python benchmarks/bench_encode.py --texts 2048 --rounds 2 --json out.json
    python benchmarks/bench_encode.py --texts 256 --ways packed --exit-layers 24 20   # speed alone: these embeddings mean nothing

The texts are real ones, of a realistic mix of lengths: about 60 tokens on average with prompt and trained tokens, 190 at the 99th
percentile. The ways are measured in turn, so that other load on the machine touches all alike, and by CPU time of the process.

- `reference`: what the reference's encode() does, rewritten here: batches of 32 in given order, padded on the left.
- `reference-sorted`: the same with texts sorted by characters first, as its benchmark script does.
- `stock`: the exported model under sentence-transformers.
- `packed`: genzoo.load.
- `packed-mkl`: the same with torch's own choice of library for float32 products (see `genzoo.compute.fast_products`).
- `rounded`: the same with products in bfloat16 (see `genzoo.backbones.precision`), whatever the check says.
- `layer-K`: the same, with the tokens read after layer K.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import random
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import genzoo
from genzoo import compute
from genzoo.backbones.entries import fetch_backbone
from genzoo.backbones.forward import pack
from genzoo.backbones.precision import round_products
from genzoo.models.assembly import assemble
from genzoo.models.loading import find_checkpoint

WAYS = ("reference", "reference-sorted", "stock", "packed-mkl", "rounded", "packed")


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Documentation and code of Python's standard library, half and half, cut to log-normal lengths."""
    docs, code = [], []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        source = path.read_text(encoding="utf-8", errors="ignore")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                docs.append(ast.get_docstring(node) or "")
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                code.append("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    rng = random.Random(seed)
    found = [list(filter(None, texts)) for texts in (docs, code)]
    return [
        rng.choice(found[rng.random() < 0.5])[: max(8, min(1000, int(rng.lognormvariate(5.1, 0.8))))]
        for _ in range(count)
    ]


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
        return checkpoint.aligned(soft.mean(dim=1)).numpy()


def make_ways(options: argparse.Namespace, texts: list[str]) -> dict[str, Callable[[], np.ndarray]]:
    """What is measured: name -> function that encodes the texts to `(texts, D)`."""
    checkpoint = find_checkpoint(options.model)
    backbone = fetch_backbone(checkpoint.backbone)
    dtype = getattr(torch, options.dtype)
    plain = assemble(checkpoint, backbone, device="cpu")
    prompt = plain.prompts["document"]

    def build(is_packed: bool, exit_layer: int = 0) -> Callable[[], np.ndarray]:
        shallow = dataclasses.replace(checkpoint, exit_layer=exit_layer)
        model = assemble(shallow, backbone, device="cpu", dtype=dtype)
        model = pack(model, len(checkpoint.spec)) if is_packed else model
        return lambda: model.encode(texts, prompt=prompt, batch_size=32, convert_to_tensor=True).float().numpy()

    def with_mkl() -> Callable[[], np.ndarray]:
        encode = build(is_packed=True)

        def encoded() -> np.ndarray:
            chosen, compute.has_exact_products = compute.has_exact_products, lambda: False
            try:
                return encode()
            finally:
                compute.has_exact_products = chosen

        return encoded

    def rounded() -> Callable[[], np.ndarray]:
        model = genzoo.load(options.model, device="cpu")
        round_products(model[0].model)
        return lambda: model.encode(texts, prompt=prompt, batch_size=32)

    made = {
        "reference": lambda: lambda: Reference(plain, checkpoint, is_sorted=False).encode(texts, prompt),
        "reference-sorted": lambda: lambda: Reference(plain, checkpoint, is_sorted=True).encode(texts, prompt),
        "stock": lambda: build(is_packed=False),
        "packed-mkl": with_mkl,
        "rounded": rounded,
        "packed": lambda: build(is_packed=True),
    }
    layers = {f"layer-{layer}": build(is_packed=True, exit_layer=layer) for layer in options.exit_layers}
    return {name: make() for name, make in made.items() if name in options.ways} | layers


def peak_gib(options: argparse.Namespace, name: str) -> float:
    """Peak memory of a process that encodes 256 of the texts in one way."""
    words = ["--ways", name, "--texts", "256", "--rounds", "1", "--dtype", options.dtype, "--model", options.model]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_gib"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="One alone gives its peak memory.")
    parser.add_argument("--exit-layers", nargs="+", type=int, default=[], help="Also with the tokens read after each.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = make_texts(options.texts)
    ways = make_ways(options, texts)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {}
    for _ in range(options.rounds):
        for name, encode in ways.items():
            start = time.process_time()
            vectors[name] = encode()
            seconds[name].append(time.process_time() - start)
            print(f"{name}: {seconds[name][-1]:.1f} s of CPU", flush=True)
    if len(ways) == 1:
        print(json.dumps({"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
        return
    best = {name: statistics.median(values) for name, values in seconds.items()}
    faster = {name: round(best["packed"] / best[name], 2) for name in best if name.startswith("layer-")}
    if faster:
        print(json.dumps({"seconds": best, "faster_than_packed": faster}), flush=True)
    if len(options.ways) == 1:
        return
    found = summary(options, texts, seconds, vectors)
    print(json.dumps(found, indent=1), flush=True)
    found["peak_gib"] = {name: round(peak_gib(options, name), 2) for name in options.ways}
    print(json.dumps(found["peak_gib"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def summary(
    options: argparse.Namespace, texts: list[str], seconds: dict[str, list[float]], vectors: dict[str, np.ndarray]
) -> dict[str, object]:
    """Ratios and agreement."""
    others = [name for name in options.ways if name != "packed"]
    lengths = {name: np.linalg.norm(rows, axis=1) for name, rows in vectors.items()}
    cosines = {
        name: float(((vectors[name] * vectors["packed"]).sum(axis=1) / lengths[name] / lengths["packed"]).min())
        for name in others
    }
    best = {name: statistics.median(values) for name, values in seconds.items()}
    model = genzoo.load(options.model, device="cpu")
    tokens = [len(ids) for ids in model.tokenizer([model.prompts["document"] + text for text in texts])["input_ids"]]
    return {
        "genzoo": genzoo.__version__,
        "texts": len(texts),
        "tokens": {"mean": statistics.mean(tokens), "p99": float(np.percentile(tokens, 99)), "max": max(tokens)},
        "dtype": options.dtype,
        "threads": options.threads,
        "seconds": best,
        "packed_is_faster_than": {name: round(best[name] / best["packed"], 2) for name in others},
        "smallest_cosine_to_packed": cosines,
    }


if __name__ == "__main__":
    main()
