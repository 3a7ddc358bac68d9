"""Texts a second of a zoo model by the number of threads, alone and beside busy processes; each in a process of its own.

    python benchmarks/bench_threads.py --busy 0 1 --texts 48

- `one`, `all`: OMP_NUM_THREADS is 1, or the number of processors.
- `chosen`: the number that `genzoo.compute.computing` chooses, as in genzoo evaluate and genzoo train.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from bench_encode import make_texts


def encode(model_name: str, count: int, rounds: int) -> None:
    """Print the best speed of several rounds and the threads that torch had."""
    import torch

    import genzoo
    from genzoo.compute import computing

    texts, seconds = make_texts(count), []
    model = genzoo.load(model_name, device="cpu")
    with computing():
        for _ in range(rounds):
            start = time.perf_counter()
            model.encode(texts, prompt_name="document", show_progress_bar=False)
            seconds.append(time.perf_counter() - start)
        print(
            json.dumps(
                {"texts_per_second": round(count / sorted(seconds)[rounds // 2], 1), "threads": torch.get_num_threads()}
            )
        )


def measure(options: argparse.Namespace, threads: int | None) -> dict[str, float]:
    """Speed and threads of a process whose user sets the number of threads, or does not."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    }
    environment |= {"OMP_NUM_THREADS": str(threads)} if threads else {}
    words = [sys.executable, __file__, "--encode", "--texts", str(options.texts), "--rounds", str(options.rounds)]
    done = subprocess.run(
        [*words, "--model", options.model], capture_output=True, text=True, check=True, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1], help="Busy processes beside it.")
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--encode", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.encode:
        encode(options.model, options.texts, options.rounds)
        return
    for busy in options.busy:
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            ways = {"one": 1, "all": os.cpu_count(), "chosen": None}
            found = {name: measure(options, threads) for name, threads in ways.items()}
            print(json.dumps({"busy": busy, **found}), flush=True)
        finally:
            for other in others:
                other.kill()
                other.wait()


if __name__ == "__main__":
    main()
