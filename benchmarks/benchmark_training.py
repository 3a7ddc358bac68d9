"""What a training step and a generated response cost, against the plain way, in one run on one machine. Not a test: run it.

    python benchmarks/benchmark_training.py smollm2-135m --steps 2 --rounds 2   # steps: time and peak memory
    python benchmarks/benchmark_training.py smollm2-135m --check --batch 8      # gradients: lean against plain, bfloat16
    python benchmarks/benchmark_training.py smollm2-135m --generate             # tokens per second
    python benchmarks/benchmark_training.py smollm2-135m --reuse                # prefix states kept over epochs

The plain way is how the method is usually written down: two copies of the backbone, gradients through the whole query, padding,
logits of all positions at once, gradient checkpointing, and the teacher in the loop. The reference way is the published code itself,
measured where it is installed (see `reference_way`). ``lean-half`` scores half of the response positions (``losses.recon_positions``).
Every way runs in a process of its own, so that peak memory is its own; ways take turns over the same batches, and times are CPU
seconds of the process, which other load on the machine disturbs least. With ``--device cuda`` they are wall-clock seconds after the
GPU has finished, once every batch was seen, and memory is what torch allocated there.
The training does not keep the states of the texts from one epoch to the next: they take 46 kB per token of SmolLM2-135M in float32
(30 layers x 2 x 3 heads x 64 numbers), some 3 MB per example, and its schedule of 36,000 examples in four views of 11,960 answers
shows an answer's query once or twice. A study, whose cells train on the same texts, does keep them (`genzoo.training.state`).
``--reuse`` measures what a backbone and a log with many epochs would gain.

What was measured is kept in a JSON file in ``--folder`` after every turn; the same command goes on where it was stopped.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

import torch
from plain_way import PlainWay
from reference_way import ReferenceWay, is_installed

from genzoo.backbones.entries import fetch_backbone
from genzoo.backbones.forward import Memory, Segments, flat_ids, packed_states
from genzoo.backbones.generation import Query, TransformersEngine
from genzoo.backbones.whole import load_causal_lm
from genzoo.files import write_text
from genzoo.recipes.fields import LossOptions, OptimOptions, ResponseOptions
from genzoo.recipes.recipes import Recipe, override
from genzoo.training.examples import TrainingExample
from genzoo.training.trainer import TokenTrainer

_SENTENCE = "the polar bear lives on ice and hunts seals near open water while people ask how it keeps warm in winter"
WORDS = _SENTENCE.split()
LEAN = {
    "lean": {},
    "lean-half": {"losses.recon_positions": 0.5},
    "lean-micro-4": {"optim.micro_batch": 4},
    "lean-half-micro-4": {"losses.recon_positions": 0.5, "optim.micro_batch": 4},
}
"""Way -> what differs from scoring every position of the whole batch at once."""
WAYS = ("reference", "plain", *LEAN) if is_installed() else ("plain", *LEAN)


def say(line: str) -> None:
    """Progress, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def make_examples(tokenizer, count: int, seed: int = 0) -> list[TrainingExample]:
    """Queries of 20 to 60 tokens (mean 40), responses of 48 to 144 (mean 96)."""
    rng = random.Random(seed)

    def text(length: int) -> str:
        ids = tokenizer(" ".join(rng.choices(WORDS, k=length)), add_special_tokens=False)["input_ids"][:length]
        return tokenizer.decode(ids)

    return [TrainingExample(text(rng.randint(20, 60)), text(rng.randint(48, 144)), False) for _ in range(count)]


def make_trainer(
    backbone: str, batch: int, folder: Path, changes: Mapping[str, object] | None = None, device: str = "cpu"
) -> TokenTrainer:
    """A trainer of the lean way with random targets of the teacher's width."""
    model, tokenizer = load_causal_lm(fetch_backbone(backbone), device)
    optim = OptimOptions(steps=4, batch=batch, warmup=1)
    recipe = Recipe("benchmark", backbone, "minilm", losses=LossOptions(recon_tokens=512), optim=optim)
    recipe = override(recipe, changes or {})
    examples = make_examples(tokenizer, 4 * batch)
    generator = torch.Generator().manual_seed(0)
    targets = {one.target: torch.randn(384, generator=generator) for one in examples}
    return TokenTrainer(recipe, model, tokenizer, examples, targets, folder)


def seconds(device: str) -> float:
    """CPU seconds of this process, or on a GPU the time of the day once it has finished what it was given."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes(device: str) -> int:
    """Most memory that this process has held, or that torch has allocated on a GPU."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated()


def run_way(way: str, given: argparse.Namespace) -> dict[str, float]:
    """Seconds per step and peak memory of this process."""
    steps, device = given.steps, given.device
    trainer = make_trainer(given.backbone, given.batch, given.folder, LEAN.get(way), device)
    other = {"plain": PlainWay, "reference": ReferenceWay}.get(way)
    other_way = other(trainer, given.teacher) if other else None
    times = []
    warm = 0 if device == "cpu" else len(trainer.batches)  # a GPU's first pass over each shape loads its kernels
    for step in range(steps + warm):
        began = seconds(device)
        if other_way is not None:
            other_way.step(trainer.batches[step % len(trainer.batches)])
        else:
            trainer.step = step % len(trainer.batches)
            trainer.train_step()
        times.append(seconds(device) - began)
        say(f"  {way}, step {step + 1}/{steps + warm}: {times[-1]:.3g} s")
    # every way takes the same batches, which differ in length: their mean
    return {"seconds": fmean(times[warm:]), "peak_gb": peak_bytes(device) / 1e9}


def spawn(way: str, given: argparse.Namespace) -> dict[str, float]:
    """`run_way` in a process of its own."""
    words = [sys.executable, __file__, given.backbone, "--way", way, "--batch", str(given.batch)]
    words += ["--steps", str(given.steps), "--folder", str(given.folder), "--teacher", given.teacher]
    words += ["--device", given.device]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare_steps(
    given: argparse.Namespace, run: Callable[[str, argparse.Namespace], dict[str, float]] = spawn
) -> dict:
    """Every way in turn, `given.rounds` times; turns that an earlier run measured are kept."""
    path = results_file(given, f"steps-batch-{given.batch}-mean-of-{given.steps}")
    facts = describe(given)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["machine"] == facts["machine"]:
            found |= before["turns"]
    for turn in range(given.rounds):
        for way in WAYS:
            if len(found[way]) <= turn:
                say(f"round {turn + 1}/{given.rounds}: {way}")
                found[way].append(run(way, given))
                keep(path, facts | {"turns": found})
    best = {way: {key: min(row[key] for row in rows) for key in rows[0]} for way, rows in found.items()}
    against = [way for way in WAYS if way not in LEAN]
    for way, row in best.items():
        print(f"{way:18} {row['seconds']:6.3g} s/step   peak {row['peak_gb']:.2f} GB")
        row |= {f"speed_to_{one}": best[one]["seconds"] / row["seconds"] for one in against}
        row |= {f"memory_to_{one}": row["peak_gb"] / best[one]["peak_gb"] for one in against}
        for one in against:
            print(
                f"    {row[f'speed_to_{one}']:.2f} times as fast as {one}, {row[f'memory_to_{one}']:.2f} of its memory"
            )
    return keep(path, facts | {"turns": found, "best": best})


def compare_gradients(given: argparse.Namespace) -> dict:
    """The largest relative difference of each gradient, and the verdict on bfloat16."""
    trainer = make_trainer(given.backbone, given.batch, given.folder, device=given.device)
    say("lean gradients")
    trainer.warm_start()
    trainer.backward(trainer.batches[0], 0)
    lean = {name: p.grad.clone() for name, p in trainer.heads.named_parameters() if p.grad is not None}
    say("bfloat16 gradients")
    check = trainer.check_gradients(1)
    print(check)
    say("plain gradients")
    PlainWay(trainer, None).loss(trainer.batches[0]).backward()
    differences = {}
    for name, parameter in trainer.heads.named_parameters():
        if parameter.grad is not None:
            differences[name] = float((parameter.grad - lean[name]).abs().max() / parameter.grad.abs().max())
            print(f"{name}: {differences[name]:.1e} relative difference to the plain way")
    facts = {"differences": differences, "bfloat16_cosines": check.cosines}
    return keep(results_file(given, f"gradients-batch-{given.batch}"), describe(given) | facts)


def compare_generation(given: argparse.Namespace, count: int = 32) -> dict:
    """Tokens per second (on a CPU, of the process), one query at a time and in batches of like length."""
    model, tokenizer = load_causal_lm(fetch_backbone(given.backbone), given.device)
    engine = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=given.tokens))
    queries = [Query(str(i), one.text) for i, one in enumerate(make_examples(tokenizer, count))]
    queries.sort(key=lambda query: len(query.text))
    speeds = {}
    for size in (1, count):
        part = queries if size > 1 else queries[:: max(1, count // 4)]
        began, tokens = seconds(given.device), 0
        for at in range(0, len(part), size):
            tokens += sum(row.n_tokens for row in engine.answer(part[at : at + size]))
            say(f"  {size} at a time: {at + size}/{len(part)}")
        speeds[size] = tokens / (seconds(given.device) - began)
        print(f"{size} at a time: {speeds[size]:.1f} tokens per second ({tokens} tokens)")
    print(f"ratio {speeds[count] / speeds[1]:.2f}")
    facts = {"tokens_per_second": speeds, "ratio": speeds[count] / speeds[1]}
    return keep(results_file(given, "generation"), describe(given) | facts)


def compare_reuse(given: argparse.Namespace) -> dict:
    """What the states of the texts cost: time of their pass, of the step that they serve, and bytes to keep them."""
    trainer = make_trainer(given.backbone, given.batch, given.folder)
    model, batch = trainer.model, trainer.batches[0]
    ids = trainer.text_ids(batch)
    lengths, texts = [len(row) for row in ids], model.get_input_embeddings()(flat_ids(ids, model.device))
    memory: Memory = {}
    times = {"texts": [], "step": []}
    for turn in range(given.rounds + 1):  # the first one warms up
        say(f"  turn {turn + 1}/{given.rounds + 1}")
        began = time.process_time()
        with torch.no_grad():
            packed_states(model, texts, Segments(lengths, kept=memory), [0] * len(ids))
        times["texts"].append(time.process_time() - began)
        began = time.process_time()
        trainer.backward(batch, 0)
        times["step"].append(time.process_time() - began)
    texts_seconds, step = (min(times[key][1:]) for key in ("texts", "step"))
    size = sum(t.numel() * t.element_size() for layer in memory.values() for pair in layer for t in pair)
    facts = {
        "texts": texts_seconds,
        "step": step,
        "share": texts_seconds / step,
        "bytes_per_token": size / sum(lengths),
    }
    facts |= {"megabytes_per_example": size / len(ids) / 1e6, "disk_seconds": _read_seconds(size, given.folder)}
    print(
        f"the texts' pass takes {texts_seconds:.2f} of {step:.2f} CPU s ({facts['share']:.0%}); keeping it takes "
        f"{facts['megabytes_per_example']:.2f} MB per example ({facts['bytes_per_token'] / 1e3:.0f} kB per token)"
    )
    return keep(results_file(given, f"reuse-batch-{given.batch}"), describe(given) | facts)


def _read_seconds(size: int, folder: Path) -> float:
    """CPU seconds of bringing that many bytes back from a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "states.bin"
    path.write_bytes(bytes(size))
    began = time.process_time()
    path.read_bytes()
    taken = time.process_time() - began
    path.unlink()
    return taken


def describe(given: argparse.Namespace) -> dict:
    """What a figure depends on."""
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    if given.device != "cpu":
        machine["device"] = torch.cuda.get_device_name(given.device)
    return {"backbone": Path(given.backbone).name, "batch": given.batch, "threads": 1, "machine": machine}


def results_file(given: argparse.Namespace, name: str) -> Path:
    """Where figures of that name are kept, those of a GPU apart."""
    return given.folder / (f"{name}.json" if given.device == "cpu" else f"{given.device}-{name}.json")


def keep(path: Path, facts: dict) -> dict:
    """Write the figures, and return them."""
    write_text(path, json.dumps(facts | {"date": time.strftime("%Y-%m-%d")}, indent=1) + "\n")
    say(f"  kept in {path}")
    return facts


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", nargs="?", default="smollm2-135m")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("output/benchmark"))
    parser.add_argument("--teacher", default="minilm", help="read by the plain way at every step")
    parser.add_argument("--tokens", type=int, default=48, help="longest response of --generate")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; --reuse is measured on a CPU only")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--generate", action="store_true")
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if given.way:
        print(json.dumps(run_way(given.way, given)))
    elif given.check:
        compare_gradients(given)
    elif given.generate:
        compare_generation(given)
    elif given.reuse:
        compare_reuse(given)
    else:
        compare_steps(given)


if __name__ == "__main__":
    main()
