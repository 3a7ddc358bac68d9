"""Time and memory of `genzoo check` on a million passages; prints one line of JSON.

    python benchmarks/check_million.py [--passages 1000000] [--models minilm]

The passages are 40 words of a chain of words that follow each other in the bundled sets, one in a hundred with up to four words
replaced in a copy of an earlier one. What was found is compared with what was planted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WORDS, QUERIES, COPIES = 40, 1_000, 100  # of a passage; queries; a copy for every so many passages


def _chain(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Words, and n rows of their numbers, each word following one that it follows in the bundled sets."""
    from genzoo.tasks.sets.benchmarks import BUNDLED_TASKS

    rows = [row for task in BUNDLED_TASKS for file in task.bundled.files for row in task.bundled.rows(file)]
    said = " ".join(str(row[key]) for row in rows for key in ("text", "sentence1", "sentence2") if key in row).split()
    words, numbers = np.unique(np.array(said, object), return_inverse=True)
    order = np.argsort(numbers[:-1], kind="stable")
    following, counts = numbers[1:][order], np.bincount(numbers[:-1], minlength=len(words))
    starts, made = np.cumsum(counts) - counts, [rng.integers(len(words), size=n)]
    while len(made) < WORDS:
        place = starts[made[-1]] + (rng.random(n) * np.maximum(counts[made[-1]], 1)).astype(int)
        made.append(following[np.minimum(place, len(following) - 1)])
    return words, np.array(made).T


def write_set(folder: Path, n: int) -> int:
    """Write the set in BEIR's layout; how many passages were planted as near copies."""
    rng = np.random.default_rng(0)
    words, numbers = _chain(n, rng)
    copies = np.arange(n - n // COPIES, n)
    numbers[copies] = numbers[copies - n // 2]
    for place in copies:
        spots = rng.choice(WORDS, rng.integers(1, 5), replace=False)
        numbers[place, spots] = rng.integers(len(words), size=len(spots))
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"_id": f"d{n}", "text": " ".join(words[row])}) + "\n" for n, row in enumerate(numbers)
        )
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        rows = (" ".join(words[rng.permutation(numbers[n])[:6]]) for n in range(QUERIES))
        file.writelines(json.dumps({"_id": f"q{n}", "text": text}) + "\n" for n, text in enumerate(rows))
    with (folder / "qrels.jsonl").open("w", encoding="utf-8") as file:
        rows = ({"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(QUERIES))
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return len(copies)


def main() -> None:
    """Write the set, check it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--models", nargs="*", default=["minilm"])
    parser.add_argument("--write", type=Path, help="only write the set into this folder")
    given = parser.parse_args()
    if given.write:
        print(write_set(given.write, given.passages))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "million"
        folder.mkdir()
        # in a process of its own, whose memory is not counted
        command = [sys.executable, __file__, "--write", str(folder), "--passages", str(given.passages)]
        planted = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        import genzoo

        before, cpu, wall = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), time.perf_counter()
        found = genzoo.check(folder, given.models)
        near = next(
            (row.count for row in found.findings if row.code == "near-duplicates" and row.part == "passages"), 0
        )
        figures = {
            "passages": given.passages,
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "wall_seconds": round(time.perf_counter() - wall, 1),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "peak_mb_before": round(before / 1024),
            "planted_pairs": planted,
            "near_duplicates": near,
            "verdict": found.verdict,
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
