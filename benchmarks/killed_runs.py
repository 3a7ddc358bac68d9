"""Kills an evaluation run again and again, and compares its scores with those of an undisturbed run, byte for byte.

    python benchmarks/killed_runs.py                     # three tiny random models, 20 kills
    python benchmarks/killed_runs.py --real              # smollm2-135m, minilm and smollm2-135m-mean, 20 kills
    python benchmarks/killed_runs.py --real --seed 7 --kills 5 -o FOLDER

Every process gets SIGKILL at a random moment: one in five while it starts, the others while it works. Whoever reaches the end alive
begins a new lap in a new folder, until all kills are spent; then the last lap is left to finish. Equal must be: the scores in every
result file, every predictions file, and no embedding that was on disk before a process started may be computed in it again.
Exits with 0 if all of that holds, with 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = ("smollm2-135m", "minilm", "smollm2-135m-mean")
BENCHMARK = "GenZoo(mini, v1)"


def log_fresh(log):
    """Let every embedding that is computed be written down by its key, from here on in this process."""
    from genzoo.tasks.embedding_cache import VectorFile

    write = VectorFile.write

    def logged(self, made):
        with log.open("a") as file:
            file.write("".join(f"{key.hex()}\n" for key in made))
        return write(self, made)

    VectorFile.write = logged


def real_command(output, log, models):
    """`genzoo evaluate` as users run it, with the log."""
    named = (word for name in models for word in ("-m", name))
    command = ["evaluate", *named, "-b", BENCHMARK, "-o", str(output), "--no-evidence"]
    return [sys.executable, __file__, "--child", str(log), *command]


def tiny_command(output, log, models):
    """The runner on three random models that take their time."""
    return [sys.executable, __file__, "--tiny-child", str(log), str(output)]


def evaluate_tiny(output):
    """What a process of the tiny command does."""
    from genzoo.tasks import evaluate, resolve_tasks
    from genzoo.tasks.model_session import EncodeSettings

    spec = importlib.util.spec_from_file_location(
        "tiny_models", Path(__file__).parents[1] / "tests" / "tasks" / "conftest.py"
    )
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)

    def slowly(encode):
        def inner(inputs, **kwargs):
            time.sleep(0.05)
            found = encode(inputs, **kwargs)
            time.sleep(0.05)
            return found

        return inner

    make = tiny.meta_maker()
    metas = [make(name=f"test-org/tiny-{seed}", seed=seed, encode=slowly) for seed in range(3)]
    settings = EncodeSettings(cache=output / ".embeddings")
    evaluate(metas, resolve_tasks(BENCHMARK, [])[0], output, settings=settings)


class Runs:
    """Starts runs, watches and kills them."""

    def __init__(self, work, command, models):
        self.work, self.command, self.models = work, command, models
        self.repeated = 0

    def start(self, folder, log):
        return subprocess.Popen(self.command(folder, log, self.models))

    def undisturbed(self, folder):
        """Run to the end; gives the seconds until the work began, and those of the work."""
        start = time.monotonic()
        process = self.start(folder, self.work / "undisturbed.log")
        self._await_work(process, folder, None)
        begun = time.monotonic()
        if process.wait():
            sys.exit(f"the undisturbed run failed with exit code {process.returncode}")
        return begun - start, time.monotonic() - begun

    def killed(self, folder, before_work, after):
        """Run and kill, `before_work` seconds after the start, or if None `after` seconds into the work. False: it was done before."""
        known, log = stored(folder), self.work / "attempt.log"
        log.unlink(missing_ok=True)
        earlier = stamp(folder)
        process = self.start(folder, log)
        if before_work is None:
            self._await_work(process, folder, earlier)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after if before_work is None else before_work)
        was_alive = process.poll() is None
        process.kill()
        process.wait()
        if not was_alive and process.returncode:
            sys.exit(f"a resumed run failed by itself with exit code {process.returncode}")
        fresh = set(log.read_text().split()) if log.exists() else set()
        self.repeated += len(known & fresh)
        return was_alive

    @staticmethod
    def _await_work(process, folder, earlier):
        """Wait until a run writes its first file anew; `earlier` is how the file was before."""
        while process.poll() is None and stamp(folder) == earlier:
            time.sleep(0.01)


def stamp(folder):
    """When the first file that a run writes was written, None if it was not."""
    try:
        return (folder / "tasks.json").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def stored(folder):
    """The keys of all embeddings on disk."""
    keys = set()
    for path in folder.glob(".embeddings/*/*.sqlite"):
        base = sqlite3.connect(path, timeout=60)
        if base.execute("SELECT count(*) FROM sqlite_master WHERE name = 'vectors'").fetchone()[0]:
            keys |= {key.hex() for (key,) in base.execute("SELECT key FROM vectors")}
        base.close()
    return keys


def measured(folder):
    """Everything that is a score, as text, by file."""
    found = {}
    for path in sorted(folder.glob("results/*/*/*.json")):
        if path.name != "model_meta.json":
            found[str(path.relative_to(folder))] = json.dumps(json.loads(path.read_text())["scores"])
    for path in sorted(folder.glob("predictions/*/*/*.json")):
        found[str(path.relative_to(folder))] = path.read_text()
    return found


def main():
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--real", action="store_true", help="the models of the report, each process by the command line"
    )
    parser.add_argument("-m", "--model", action="append", help="with --real: other models")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("-o", "--output", type=Path, help="an empty folder to work in; a temporary one if not given")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    dice = random.Random(seed)
    work = options.output or Path(tempfile.mkdtemp(prefix="killed-runs-"))
    work.mkdir(parents=True, exist_ok=True)
    if any(work.iterdir()):
        sys.exit(f"{work} is not empty")
    print(f"seed {seed}, folder {work}", flush=True)
    runs = Runs(work, real_command if options.real else tiny_command, tuple(options.model or MODELS))
    before, during = runs.undisturbed(work / "undisturbed")
    print(f"undisturbed: {before:.1f} s until the work began, {during:.1f} s of work", flush=True)
    expected = measured(work / "undisturbed")
    laps = [work / "killed-1"]
    kills = 0
    while kills < options.kills:
        starting = dice.uniform(0, before) if dice.random() < 0.2 else None
        moment = dice.uniform(0, 2 * during / options.kills + 1)
        if not runs.killed(laps[-1], starting, moment):
            print(f"{laps[-1].name} reached its end after {kills} kills", flush=True)
            laps.append(work / f"killed-{len(laps) + 1}")
            continue
        kills += 1
        when = f"{starting:.1f} s after its start" if starting is not None else f"{moment:.1f} s into its work"
        state = f"{len(measured(laps[-1])) // 2} results, {len(stored(laps[-1]))} embeddings"
        print(f"kill {kills} of {options.kills}, {when}: {state} on disk", flush=True)
    runs.killed(laps[-1], 10**6, None)
    return verdict(expected, laps, runs.repeated, kills)


def verdict(expected, laps, repeated, kills):
    """Compare every lap with the undisturbed run, and say so."""
    is_good = bool(expected) and not repeated
    print(f"embeddings computed again although they were on disk: {repeated}")
    for lap in laps:
        found = measured(lap)
        other = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        left = [str(path) for path in lap.glob(".staging/*")]
        is_good &= not other
        print(
            f"{lap.name}: {len(expected) - len(other)} of {len(expected)} files equal, {len(left)} scratch folders left"
        )
        print(*(f"  differs: {name}" for name in other), sep="\n", end="\n" if other else "")
    print(f"{'PASSED' if is_good else 'FAILED'} after {kills} kills")
    return 0 if is_good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        log_fresh(Path(sys.argv[2]))
        sys.argv = ["genzoo", *sys.argv[3:]]
        from genzoo.cli import main as genzoo

        genzoo()
    elif sys.argv[1:2] == ["--tiny-child"]:
        log_fresh(Path(sys.argv[2]))
        evaluate_tiny(Path(sys.argv[3]))
    else:
        sys.exit(main())
