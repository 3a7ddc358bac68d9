"""Kills a training again and again, at any of its stages, and compares what it made with an undisturbed one, bit for bit.

    python benchmarks/killed_trainings.py                  # a tiny random Llama, 20 kills
    python benchmarks/killed_trainings.py --seed 7 --kills 5

Each process is the `genzoo train` of a user: answers, a teacher made of the backbone, targets, 240 steps, controls. It gets SIGKILL or
SIGTERM at a random moment, and the same command is given again; one that reaches its end alive begins a new lap in a new folder, until
all kills are spent. Equal must be: the answers, none lost and none doubled; the steps in the history, each once; the weights.
Exits with 0 if all of that holds, with 1 if not.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest_builders import SENTENCES, build_backbone

STEPS = 240
STAGES = ("checkpoint/genzoo.json", "tokens/history.jsonl", "targets", "teacher", "responses.jsonl")


def command(backbone: Path, log: Path, output: Path) -> list[str]:
    """What a user types."""
    words = ["train", "smollm2-135m", "-q", log, "--backbone", backbone, "-o", output, "--steps", STEPS, "--batch", 2]
    fields = ("response.max_new_tokens=8", "unsupervised.layer=1", "unsupervised.whiten=16", "max_tokens=64")
    changes = [word for field in (*fields, "held_out=8") for word in ("--set", field)]
    return [sys.executable, "-m", "genzoo", *map(str, [*words, *changes])]


def stage_of(output: Path) -> str:
    """The last stage that left something in the folder."""
    return next((stage.split("/")[0] for stage in STAGES if (output / stage).exists()), "start")


def facts_of(output: Path) -> dict[str, object]:
    """What must be equal, and what must be there once."""
    from genzoo.models.checkpoint import TokenCheckpoint

    rows = [json.loads(line) for line in (output / "responses.jsonl").read_text(encoding="utf-8").splitlines()]
    history = (output / "tokens" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "answers": sorted((row["id"], row["query"], row["response"]) for row in rows),
        "steps": [json.loads(line)["step"] for line in history],
        "digest": TokenCheckpoint.load(output / "checkpoint").digest(),
    }


def main() -> int:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        backbone = build_backbone(folder / "backbone", "llama", bos=True, tied=False, spare=16)
        log = folder / "log.txt"
        log.write_text("\n".join(f"{text} {number}" for number in range(40) for text in SENTENCES[:6]))
        began = time.perf_counter()
        subprocess.run(command(backbone, log, folder / "whole"), check=True, capture_output=True)
        length = time.perf_counter() - began
        whole = facts_of(folder / "whole")
        assert whole["steps"] == list(range(1, STEPS + 1))
        print(f"undisturbed: {length:.0f} s, {len(whole['answers'])} answers, {STEPS} steps", flush=True)
        kills, lap, is_good = 0, 0, True
        while True:
            output = folder / f"lap-{lap}"
            child = subprocess.Popen(
                command(backbone, log, output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            if kills < given.kills:
                try:
                    child.wait(rng.uniform(0.1, 1.0) * length)
                except subprocess.TimeoutExpired:
                    number = rng.choice((signal.SIGKILL, signal.SIGTERM))
                    child.send_signal(number)
                    child.communicate()
                    kills += 1
                    print(f"kill {kills}: {number.name} in lap {lap} at stage {stage_of(output)}", flush=True)
                    continue
            _, errors = child.communicate()
            if child.returncode:
                print(f"FAILED: a process stopped with {child.returncode}: {errors[-800:]}")
                return 1
            wrong = [name for name, value in facts_of(output).items() if value != whole[name]]
            is_good &= not wrong
            print(f"lap {lap}: {'differs in ' + ', '.join(wrong) if wrong else 'equal'}", flush=True)
            if kills >= given.kills:
                break
            lap += 1
    print("PASSED" if is_good else "FAILED")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
