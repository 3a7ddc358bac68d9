"""CPU time of one job of the command line in two checkouts, in turns on the same machine: before, after and their ratio.

    python benchmarks/side_by_side.py finished BEFORE AFTER
    python benchmarks/side_by_side.py report BEFORE AFTER --published ../shared/data/published/results-50-models.tar.gz

BEFORE and AFTER are checkouts with a ``.venv``. Every job runs once in each checkout before the first measured run, so that files
are in memory and caches are filled; then the checkouts take turns. A figure is the median of the user and system seconds of the
process and of all processes that it started, with one thread each.

The jobs:

    finished            evaluate a pair of model and task that is finished already
    random              evaluate `random` on GenZooMiniRetrieval into a new folder
    hundred             the same in AFTER alone: into a new folder (before) and into one that holds 100 other models (after)
    report              report of the published models
    leaderboard-cold    leaderboard of 105,600 result files that were never read before
    leaderboard-warm    leaderboard of 105,600 result files that were read before
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
TASK = "GenZooMiniRetrieval"
Job = Callable[[Path, Path], "list[str] | None"]
"""Checkout and its scratch folder to the arguments of genzoo; what a run needs first is prepared on the way."""


def seconds(checkout: Path, arguments: list[str], cache: Path | None = None) -> tuple[float, float]:
    """CPU and wall seconds of a command, with those of all its children; the cache is the user's own if None."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [os.fspath(checkout / ".venv/bin/python"), "-m", "genzoo", *arguments]
    done = subprocess.run(
        command,
        env=os.environ | THREADS | ({"GENZOO_CACHE": os.fspath(cache)} if cache else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def empty(folder: Path) -> Path:
    """The folder, without whatever was in it."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def evaluation(model: str, output: Path) -> list[str]:
    """Arguments that measure a model on one small task."""
    return ["evaluate", "-m", model, "-t", TASK, "-o", os.fspath(output)]


def hundred_others(measured: Path, target: Path) -> Path:
    """A results folder with 100 models, each a copy of the one that was measured under another name."""
    empty(target).mkdir()
    for name in ("tasks.json", "judgements"):
        source = measured / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target / name)
    for number in range(100):
        for kind in ("results", "predictions", "environment"):
            (model,) = (measured / kind).iterdir()
            copy = shutil.copytree(model, target / kind / f"acme__model-{number:03}")
            for path in copy.rglob("model_meta.json"):
                path.write_text(json.dumps(json.loads(path.read_text()) | {"name": f"acme/model-{number:03}"}))
    return target


def jobs(options: argparse.Namespace, scratch: Path) -> dict[str, list[Job]]:
    """For each job the runs of its two columns."""

    def finished(_: Path, own: Path) -> list[str]:
        return evaluation(options.model, own / "finished")

    def fresh(_: Path, own: Path) -> list[str]:
        return evaluation(options.model, empty(own / "fresh"))

    def crowded(checkout: Path, own: Path) -> list[str]:
        measured = own / "measured"
        if not measured.is_dir():
            seconds(checkout, evaluation("random", measured))
        return evaluation(options.model, hundred_others(measured, own / "crowded"))

    def report(_: Path, own: Path) -> list[str]:
        tree = scratch / "published"
        if not tree.is_dir():
            shutil.unpack_archive(options.published, tree)
        return ["report", os.fspath(tree), "-o", os.fspath(own / "report")]

    def leaderboard(*, is_cold: bool) -> Job:
        def run(checkout: Path, own: Path) -> list[str]:
            tree = options.tree or scratch / "660x160"
            if not tree.is_dir():
                from bench_leaderboard import grow

                report(checkout, own)
                grow(scratch / "published", tree, 660, 160)
            if is_cold:
                empty(own / "cache/leaderboards")
            return ["leaderboard", os.fspath(tree)]

        return run

    cold, warm = leaderboard(is_cold=True), leaderboard(is_cold=False)
    twice: dict[str, list[Job]] = {"finished": [finished] * 2, "random": [fresh] * 2, "report": [report] * 2}
    return twice | {"hundred": [fresh, crowded], "leaderboard-cold": [cold] * 2, "leaderboard-warm": [warm] * 2}


def main() -> None:
    """Measure one job and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--published", type=Path, help="archive of published results; needed by report and leaderboard-*"
    )
    parser.add_argument(
        "--tree", type=Path, help="results folder for leaderboard-*, in place of one made of the archive"
    )
    parser.add_argument("--model", default="random", help="what finished, random and hundred evaluate")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scratch", type=Path, help="folder for what is made; kept, a temporary one is not")
    options = parser.parse_args()
    if options.job.startswith(("report", "leaderboard")) and not (options.published or options.tree):
        parser.error(f"{options.job} needs --published ARCHIVE")
    with tempfile.TemporaryDirectory() as made:
        scratch = options.scratch or Path(made)
        checkouts = [options.after if options.job == "hundred" else options.before, options.after]
        found: list[list[tuple[float, float]]] = [[], []]
        for turn in range(options.repeats + 1):
            for column, (job, checkout) in enumerate(zip(jobs(options, scratch)[options.job], checkouts, strict=True)):
                own = scratch / f"{options.job}-{column}"
                own.mkdir(parents=True, exist_ok=True)
                cache = own / "cache" if options.job.startswith("leaderboard") else None
                measured = seconds(checkout, job(checkout, own), cache)
                found[column] += [measured] if turn else []
        (cpu, wall), (cpu_after, wall_after) = (
            [statistics.median(part) for part in zip(*own, strict=True)] for own in found
        )
        print(f"{options.job}: before {cpu:.2f} s, after {cpu_after:.2f} s CPU, ratio {cpu_after / cpu:.3f}", end="")
        print(f" (wall {wall:.2f} s and {wall_after:.2f} s; medians of {options.repeats})")


if __name__ == "__main__":
    main()
