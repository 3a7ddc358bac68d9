"""Compares MiniLM behind a real server (infinity-emb, torch engine) with MiniLM loaded here, and kills a run in the middle.

    python benchmarks/real_endpoint.py                     # installs infinity-emb into a virtual environment of its own
    python benchmarks/real_endpoint.py --infinity COMMAND  # uses the one that is there

Equal must be, to 1e-6, every score of three bundled tasks and those of the hybrid with BM25. A second run on the same folder goes
through a relay that counts texts and gets SIGKILL at the fifth request; it is started again, and no text may have been embedded
twice. Exits with 0 if all of that holds, with 1 if not.

Measured on two shared cores with infinity-emb 0.0.78, transformers 4.57.6 and torch 2.13.0: of 168 scores the largest difference is
1e-6, one unit of the sixth decimal, which is the last one that mteb keeps; of the hybrid 0. Killed after 122 texts and resumed, all 247
texts were embedded once.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import requests

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

TASKS = ("GenZooMiniRetrieval", "GenZooMiniSTS", "GenZooMiniIntentClassification")
HERE, SERVED = "sentence-transformers__all-MiniLM-L6-v2", "localhost-*__minilm"
EXPECTED = 1e-6


def installed(folder):
    """The command of infinity-emb in a new virtual environment: it needs other versions of transformers than genzoo."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "infinity-emb[torch,server]"], check=True)
    return folder / "bin" / "infinity_emb"


def started(command, folder):
    """Infinity on a free port, once it answers; the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["v2", "--model-id", folder, "--served-model-name", "minilm", "--engine", "torch", "--device", "cpu"]
    words += [
        "--dtype",
        "float32",
        "--no-bettertransformer",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--url-prefix",
        "/v1",
    ]
    quiet = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    process = subprocess.Popen(
        [command, *map(str, words)], env=os.environ | quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/v1"
    for _ in range(600):
        time.sleep(1)
        try:
            requests.get(f"{url}/models", timeout=5).raise_for_status()
        except requests.RequestException:
            if process.poll() is not None:
                sys.exit(f"infinity-emb ended with exit code {process.returncode}")
        else:
            return process, url
    process.terminate()
    sys.exit("infinity-emb did not answer within ten minutes")


def evaluate(models, output, tasks=TASKS):
    """`genzoo evaluate` as users run it; the process."""
    words = [word for name in models for word in ("-m", name)] + [word for name in tasks for word in ("-t", name)]
    return subprocess.Popen([sys.executable, "-m", "genzoo", "evaluate", *words, "-o", output, "--no-evidence"])


def finished(process):
    if process.wait():
        sys.exit(f"genzoo ended with exit code {process.returncode}")


def scores(output, model):
    """Every score of a model, by where it stands."""
    found = {}
    for path in output.glob(f"results/{model}/*/*.json"):
        if path.name == "model_meta.json":
            continue
        for split, rows in json.loads(path.read_text())["scores"].items():
            numbers = {name: value for row in rows for name, value in row.items() if isinstance(value, float)}
            found |= {(path.stem, split, name): value for name, value in numbers.items()}
    return found


def largest_difference(output, one, other):
    first, second = scores(output, one), scores(output, other)
    if not first or first.keys() != second.keys():
        sys.exit(f"{one} and {other} have other scores: {len(first)} and {len(second)}")
    return max(abs(first[key] - second[key]) for key in first if not np.isnan(first[key])), len(first)


def killed_and_resumed(url, output):
    """How often texts were embedded by a run that was killed at its fifth request, and then finished."""
    from embedding_server import serving

    def relay(texts):
        answer = requests.post(f"{url}/embeddings", json={"model": "minilm", "input": texts}, timeout=300).json()
        return [row["embedding"] for row in answer["data"]]

    with serving(relay, "minilm") as server:
        process = evaluate([server.name], output, TASKS[:1])
        server.stop_at(5, lambda: (process.send_signal(signal.SIGKILL), process.wait()))
        if process.wait() != -signal.SIGKILL:
            sys.exit("the run was not killed")
        before = sum(server.task_texts().values())
        server.faults = lambda texts: None
        finished(evaluate([server.name], output, TASKS[:1]))
        return before, server.task_texts()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--infinity", type=Path, help="the command infinity_emb of an environment that has it")
    given = parser.parse_args()
    from genzoo.teachers.teachers import fetch_teacher

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        process, url = started(given.infinity or installed(work / "venv"), fetch_teacher("minilm"))
        try:
            served = f"{url}#minilm"
            finished(evaluate(["minilm", served], work / "r"))
            finished(evaluate(["rrf:minilm+bm25", f"rrf:{served}+bm25"], work / "r", TASKS[:1]))
            plain, count = largest_difference(work / "r", HERE, SERVED)
            hybrid, _ = largest_difference(work / "r", "hybrid__rrf-all-MiniLM-L6-v2+bm25s", "hybrid__rrf-minilm+bm25s")
            before, texts = killed_and_resumed(url, work / "killed")
        finally:
            process.terminate()
            process.wait()
    often = collections.Counter(texts.values())
    print(f"{count} scores of {len(TASKS)} tasks: largest difference {plain:.2g}; of the hybrid {hybrid:.2g}")
    print(f"killed after {before} texts and resumed: {len(texts)} texts, embedded {dict(often)} times")
    sys.exit(round(max(plain, hybrid), 9) > EXPECTED or set(often) != {1})


if __name__ == "__main__":
    main()
