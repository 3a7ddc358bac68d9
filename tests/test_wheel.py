"""The built wheel does the main job where there is no checkout."""

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import genzoo

ROOT = Path(__file__).parents[1]
FOLDERS = {"zoo": "genzoo", "tasks": "genzoo/tasks", "leaderboards": "genzoo/leaderboards", "reports": "genzoo/reports"}
DATA = {".safetensors", ".json", ".jsonl", ".j2", ".css", ".js"}

# Every command in one process: importing mteb is most of the time.
MAIN_JOB = """
import contextlib, io, json, sys
from pathlib import Path
import genzoo
from genzoo.cli import main

def run(*words):
    sys.argv, out = ["genzoo", *words], io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as stop:
            assert not stop.code, (words, stop.code, out.getvalue())
    return out.getvalue()

printed = {
    "list": run("list", "--json"),
    "evaluate": run("evaluate", "-m", "random", "-t", "GenZooMiniSTS", "-o", "results"),
    "leaderboard": run("leaderboard", "results", "--json"),
    "report": run("report", "results", "-o", "report"),
}
checkpoints = [path.parent for path in Path(genzoo.__file__).parent.rglob("tokens.safetensors")]
printed["digests"] = {folder.name: genzoo.TokenCheckpoint.load(folder).digest() for folder in checkpoints}
printed["files"] = sorted(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "genzoo")
open("printed.json", "w").write(json.dumps(printed))
"""


def _pip(*words, folder):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what it is made of."""
    source = tmp_path_factory.mktemp("wheel") / "source"
    source.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip(
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        source.parent,
        source,
        folder=source.parent,
    )
    (path,) = source.parent.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel):
    """The folder that the wheel is installed into, alone."""
    target = wheel.parent / "installed"
    _pip("install", "--no-deps", "--no-index", "--target", target, wheel, folder=wheel.parent)
    return target


def test_everything_of_the_four_folders_is_inside_and_nothing_else(wheel):
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".md", *DATA} or path.name == "py.typed"
    }
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == expected
    assert "genzoo/py.typed" in found
    kinds = {Path(name).suffix for name in found}
    assert kinds >= DATA


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        facts = email.message_from_bytes(archive.read(path))
    assert (facts["Name"], facts["Version"]) == ("genzoo", genzoo.__version__)
    assert (facts["License-Expression"], facts["License-File"]) == ("Apache-2.0", "LICENSE")
    classifiers = facts.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    assert f"Programming Language :: Python :: {facts['Requires-Python'].removeprefix('>=')}" in classifiers


def test_the_main_job_needs_no_checkout(installed, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    variables = {**clean, "PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1", "GENZOO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", MAIN_JOB], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = json.loads((tmp_path / "printed.json").read_text())

    assert printed["files"] and all(path.startswith(str(installed / "genzoo")) for path in printed["files"])
    assert [row["name"] for row in json.loads(printed["list"])] == genzoo.list_models()
    assert printed["digests"] == {name: genzoo.get_entry(name).revision for name in genzoo.list_models()}
    (result,) = (tmp_path / "results" / "results").rglob("GenZooMiniSTS.json")
    (scores,) = json.loads(result.read_text())["scores"]["test"]
    (row,) = json.loads(printed["leaderboard"])["rows"]
    assert row["GenZooMiniSTS"] == scores["main_score"] and abs(row["GenZooMiniSTS"]) < 0.5  # random vectors
    page = (tmp_path / "report" / "report.html").read_text()
    assert "baseline-random-encoder" in page and "GenZooMiniSTS" in page
