"""`--help` is what most people read: it is compared with files that were looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from golden_files import check_golden

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("command", ["", "leaderboard", "report", "compare", "explain", "site"])
def test_help(command):
    settings = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "genzoo", *command.split(), "--help"],
        env=settings,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    check_golden(
        GOLDEN / f"{command or 'genzoo'}.txt", "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
    )
