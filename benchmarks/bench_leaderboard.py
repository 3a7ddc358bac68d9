"""How long `genzoo leaderboard` takes on a tree as large as the public results repository, cold and warm, beside mteb.

    python benchmarks/bench_leaderboard.py ../shared/data/published/results-50-models.tar.gz SCRATCH_FOLDER

The tree is made from the real files: each of its models has, for every task, the file of one of the published models.
A benchmark, not a test: it takes minutes and is read by people.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

LOAD_MTEB = (
    "import sys, mteb; mteb.ResultCache(sys.argv[1]).load_results(require_model_meta=False, only_main_score=True)"
)
IMPORT_MTEB = "import mteb"


def mteb_names() -> list[str]:
    """Every task of mteb."""
    import mteb

    return [task.metadata.name for task in mteb.get_tasks()]


def grow(source: Path, target: Path, n_models: int, n_tasks: int) -> int:
    """Write the tree; the number of result files."""
    by_task = defaultdict(list)
    for path in sorted(source.glob("results/*/*/*.json")):
        if path.name != "model_meta.json":
            by_task[path.name].append(path)
    tasks = sorted(by_task)[:n_tasks]
    content = {path: path.read_bytes() for name in tasks for path in by_task[name]}
    # There are 41 published tasks: the others are the same under names that mteb knows, as it loads no others.
    spare = iter(
        sorted(set(mteb_names()) - {name.removesuffix(".json") for name in by_task}) if n_tasks > len(tasks) else ()
    )
    rounds = [
        (name, copy, next(spare) if copy else name.removesuffix(".json"))
        for copy in range(-(-n_tasks // len(tasks)))
        for name in tasks
    ][:n_tasks]
    for number in range(n_models):
        model, revision = f"org{number % 97}/model-{number}", f"{number:040x}"
        folder = target / "results" / model.replace("/", "__") / revision
        folder.mkdir(parents=True)
        meta = f'{{"name": "{model}", "revision": "{revision}", "n_parameters": {1_000_000 * (number + 1)}, "training_datasets": []}}'
        (folder / "model_meta.json").write_text(meta)
        for name, copy, own in rounds:
            task, stem = content[by_task[name][(number + copy) % len(by_task[name])]], name.removesuffix(".json")
            for key in ("task_name", "mteb_dataset_name"):
                task = task.replace(f'"{key}": "{stem}"'.encode(), f'"{key}": "{own}"'.encode())
            (folder / f"{own}.json").write_bytes(task)
    return n_models * len(rounds)


def timed(command: list[str], **environment: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory (GB, of the largest process) of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    probe = ["/usr/bin/env", *(f"{key}={value}" for key, value in environment.items()), *command]
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=errors, check=False)
        if done.returncode:
            errors.seek(0)
            sys.exit(errors.read().decode()[-2000:])
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1e6


def report(label: str, found: tuple[float, float, float]) -> None:
    print(f"{label:<44} {found[0]:7.1f} s wall {found[1]:7.1f} s CPU   peak so far {found[2]:.2f} GB", flush=True)


def measure(tree: Path, label: str, with_mteb: bool) -> None:
    genzoo = [sys.executable, "-m", "genzoo", "leaderboard", os.fspath(tree)]
    with tempfile.TemporaryDirectory() as cache:
        report(f"{label}: genzoo leaderboard, cold", timed(genzoo, GENZOO_CACHE=cache))
        report(f"{label}: genzoo leaderboard, warm", timed(genzoo, GENZOO_CACHE=cache))
    if with_mteb:
        report("import mteb alone", timed([sys.executable, "-c", IMPORT_MTEB]))
        report(f"{label}: mteb ResultCache.load_results", timed([sys.executable, "-c", LOAD_MTEB, os.fspath(tree)]))


def main() -> None:
    """Grow a large and a small tree, and time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path, help="results-50-models.tar.gz")
    parser.add_argument("scratch", type=Path, help="folder for the trees; made, and removed at the end")
    parser.add_argument("--models", type=int, default=660)
    parser.add_argument("--tasks", type=int, default=160)
    parser.add_argument("--keep", action="store_true", help="leave the trees in place")
    parser.add_argument("--no-mteb", action="store_true", help="leave mteb out: it takes minutes")
    options = parser.parse_args()
    source = options.scratch / "published"
    if not source.is_dir():
        shutil.unpack_archive(options.published, source)
    for models, tasks in ((20, 41), (options.models, options.tasks)):
        tree = options.scratch / f"{models}x{tasks}"
        start = time.perf_counter()
        files = models * tasks if tree.is_dir() else grow(source, tree, models, tasks)
        print(f"{files} files in {time.perf_counter() - start:.0f} s", flush=True)
        measure(tree, f"{models} x {tasks}", not options.no_mteb)
    if not options.keep:
        shutil.rmtree(options.scratch)


if __name__ == "__main__":
    main()
