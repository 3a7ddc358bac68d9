"""Measures what a large search set of one's own costs beside mteb's own run on the same files. Not a test: run it.

    python benchmarks/own_million.py output/million --passages 100000
    python benchmarks/own_million.py output/million --passages 1000000 --json

It writes a set of passages of 40 words and 1,000 queries (a Zipf vocabulary, seed 0) unless it is there, and runs each of these in a
process of its own: mteb alone with its stock loader and no predictions, then `genzoo evaluate`, then `genzoo evaluate` with the other
model. It prints CPU seconds (user and system), the largest resident set, and the bytes that the process read by `read` calls:
the second model must read less than the files hold, as they are not read again.

One million passages (275 MB) on 2026-11-29 (AMD EPYC, one thread, some other work on the machine): mteb took 65.4 s and 1.36 GB with the
random encoder and 73.5 s and 2.69 GB with BM25; genzoo took 75.3 s and 1.30 GB (1.15 times the CPU time) and 82.5 s and 2.62 GB (1.12 times).
The second model read 125 MB, libraries included, of the 275 MB that the files hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

WORDS, QUERY_WORDS, QUERIES, VOCABULARY = 40, 8, 1000, 50_000
MODELS = {"random": "mteb/baseline-random-encoder", "bm25": "mteb/baseline-bm25s"}
_CARD = """
---
configs:
- config_name: corpus
  data_files: [{split: corpus, path: corpus.jsonl}]
- config_name: queries
  data_files: [{split: queries, path: queries.jsonl}]
- config_name: default
  data_files: [{split: test, path: qrels.jsonl}]
---
"""
_MTEB = """
import sys, mteb
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
class Own(AbsTaskRetrieval):
    metadata = TaskMetadata(name="Own", description="", type="Retrieval", category="t2t", eval_langs=["eng-Latn"],
        eval_splits=["test"], main_score="ndcg_at_10", dataset={"path": sys.argv[1], "revision": "1"})
result = mteb.evaluate(mteb.get_model(sys.argv[2]), Own(), cache=None, co2_tracker=False, show_progress_bar=False)
print(result.task_results[0].get_score())
"""
_GENZOO = """
import sys, genzoo
genzoo.evaluate(sys.argv[2], sys.argv[1], output=sys.argv[3])
"""


def write_set(folder: Path, passages: int) -> None:
    """The set, deterministic: each query is some words of one passage."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, size=(VOCABULARY, 7), dtype=np.uint8)
    words = [row[: 3 + n % 5].tobytes().decode() for n, row in enumerate(letters)]
    chances = 1 / np.arange(1, VOCABULARY + 1)
    right = {int(place): number for number, place in enumerate(rng.choice(passages, QUERIES, replace=False))}
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(_CARD.lstrip())
    with (folder / "corpus.jsonl").open("w") as corpus, (folder / "queries.jsonl").open("w") as queries:
        for start in range(0, passages, 10_000):
            drawn = rng.choice(VOCABULARY, size=(min(10_000, passages - start), WORDS), p=chances / chances.sum())
            for place, row in enumerate(drawn.tolist(), start):
                text = " ".join(words[number] for number in row)
                corpus.write(json.dumps({"_id": f"d{place}", "title": "", "text": text}) + "\n")
                if place in right:
                    query = " ".join(words[number] for number in row[:QUERY_WORDS])
                    queries.write(json.dumps({"_id": f"q{right[place]}", "text": query}) + "\n")
    rows = ({"query-id": f"q{number}", "corpus-id": f"d{place}", "score": 1} for place, number in right.items())
    (folder / "qrels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(code: str, *arguments: str, cache: Path) -> dict[str, float]:
    """CPU seconds, GB of the largest resident set and MB read of a program in a process of its own."""
    told = """
        import atexit, json, os, resource
        def tell():
            used = resource.getrusage(resource.RUSAGE_SELF)
            read = next(int(line.split()[1]) for line in open("/proc/self/io") if line.startswith("rchar"))
            facts = {"cpu_s": used.ru_utime + used.ru_stime, "peak_gb": used.ru_maxrss / 2**20, "read_mb": read / 1e6}
            os.write(3, json.dumps(facts).encode())
        atexit.register(tell)
    """
    ends, told_end = os.pipe()
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(cache / "datasets"),
        "GENZOO_CACHE": str(cache / "genzoo"),
    }
    # the program finds the pipe as file 3
    run = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec "$@" 3>&{told_end}',
            "sh",
            sys.executable,
            "-c",
            textwrap.dedent(told) + code,
            *arguments,
        ],
        env=environment,
        pass_fds=[told_end],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(told_end)
    with os.fdopen(ends) as answer:
        said = answer.read()
    if run.returncode or not said:
        raise SystemExit(f"{arguments}: {run.stderr[-2000:]}")
    return {name: round(value, 2) for name, value in json.loads(said).items()}


def main() -> int:
    """Write the set, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the set and the results go")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("-m", "--model", action="append", choices=[*MODELS], help="both by default, in this order")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    root = given.folder / str(given.passages)
    if not (root / "own").is_dir():
        write_set(root / "own", given.passages)
    size = sum(path.stat().st_size for path in (root / "own").iterdir()) / 1e6
    output = root / f"results-{os.getpid()}"
    table = {}
    for model in given.model or [*MODELS]:
        table[f"mteb, {model}"] = measured(_MTEB, str(root / "own"), MODELS[model], cache=root / f"cache-{os.getpid()}")
        ours = measured(_GENZOO, str(root / "own"), model, str(output), cache=root / f"cache-{os.getpid()}")
        table[f"genzoo, {model}"] = ours | {"of_mteb": round(ours["cpu_s"] / table[f"mteb, {model}"]["cpu_s"], 3)}
        print(f"{model}: {table[f'genzoo, {model}']}", file=sys.stderr)
    if given.json:
        print(json.dumps({"passages": given.passages, "files_mb": round(size, 1), "runs": table}, indent=1))
        return 0
    print(f"{given.passages:,} passages, {size:.0f} MB of files")
    for name, facts in table.items():
        print(f"{name:16} " + "  ".join(f"{key} {value:g}" for key, value in facts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
