"""Kills of a small run; `killed_runs.py --real` does the same, twenty times, to the models of the report."""

import subprocess
import sys
from pathlib import Path

KILLS = 4  # each costs a fresh interpreter, which loads torch and mteb


def test_kills_at_random_moments_leave_equal_scores(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "killed_runs.py"
    command = [sys.executable, str(script), "-o", str(tmp_path / "work"), "--kills", str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[-1] == f"PASSED after {KILLS} kills"
    assert sum(line.startswith("kill ") for line in lines) == KILLS
    assert all("36 of 36 files equal" in line for line in lines if line.endswith("scratch folders left"))
