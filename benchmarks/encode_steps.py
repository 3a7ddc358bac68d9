"""CPU time of encoding in two checkouts, each with the model that it ships, in turns on one machine. Not a test: run it.

    python benchmarks/encode_steps.py BEFORE AFTER -q ../shared/data/train/responses-smollm2-135m.jsonl.gz
    python benchmarks/encode_steps.py BEFORE AFTER -q RESPONSES --after output/run   # a model that AFTER does not ship yet

BEFORE and AFTER are checkouts with a ``.venv``. The texts are queries of the given responses under the prompt of queries, and their
responses under that of passages. A figure is the median of the CPU seconds of a process with one thread, which other load disturbs
least; AFTER is measured in float32 and in what ``dtype="auto"`` chooses there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def measure(name: str, responses: Path, count: int, dtype: str) -> dict[str, float | str]:
    """CPU seconds of encoding queries and passages, after a short warm-up."""
    import torch

    import genzoo

    torch.set_num_threads(1)
    rows = [json.loads(line) for line in gzip.decompress(responses.read_bytes()).splitlines()[:count]]
    model = genzoo.load(name, device="cpu", **({"dtype": dtype} if dtype else {}))
    texts = {"queries": [row["query"] for row in rows], "passages": [row["response"] or row["query"] for row in rows]}
    ways = {"queries": model.encode_query, "passages": model.encode_document}
    found: dict[str, float | str] = {"precision": str(next(model.parameters()).dtype)}
    for kind, encode in ways.items():
        encode(texts[kind][:8], show_progress_bar=False)
        began = time.process_time()
        encode(texts[kind], show_progress_bar=False)
        found[kind] = time.process_time() - began
    return found


def run(checkout: Path, name: str, given: argparse.Namespace, dtype: str) -> dict[str, float]:
    """`measure` in a process of a checkout."""
    own = [os.fspath(checkout / ".venv/bin/python"), __file__, "--measure", name, "-q", os.fspath(given.responses)]
    own += ["--count", str(given.count), "--dtype", dtype]
    done = subprocess.run(own, env=os.environ | THREADS, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(own)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure in turns and print a line for each kind of text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="*", metavar="BEFORE AFTER")
    parser.add_argument("-q", "--responses", type=Path, required=True)
    parser.add_argument("-m", "--model", default="smollm2-135m")
    parser.add_argument("--after", help="model of AFTER, where it is another")
    parser.add_argument("--count", type=int, default=192, help="texts of each kind")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.responses, given.count, given.dtype)))
        return
    if len(given.checkouts) != 2:
        parser.error("give two checkouts, BEFORE and AFTER")
    before, after = given.checkouts
    name = given.after or given.model
    ways = {
        "before": (before, given.model, ""),
        "float32": (after, name, "float32"),
        "auto": (after, name, "auto"),
    }
    turns = [{way: run(*told[:2], given, told[2]) for way, told in ways.items()} for _ in range(given.repeats)]
    for kind in ("queries", "passages"):
        first, *others = ((way, statistics.median(turn[way][kind] for turn in turns)) for way in ways)
        told = [f"{way} {seconds:.2f} s, {first[1] / seconds:.2f} times as fast" for way, seconds in others]
        print(f"{given.count} {kind}: before {first[1]:.2f} s CPU; " + "; ".join(told))


if __name__ == "__main__":
    main()
