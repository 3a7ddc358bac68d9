"""Tests the wheel with the lowest declared versions and with the newest ones, on every Python that pyproject.toml declares.

    python benchmarks/try_versions.py                      # a quick selection of the tests on: lowest 3.11 3.12 3.13 3.14
    python benchmarks/try_versions.py lowest 3.13 --all    # every test, on two of them

Each environment is new and lies outside of the checkout; the tests run in an unpacked source archive, where only the installed
wheel can be imported as ``genzoo``. A run needs uv (``pip install uv``), which finds the Pythons on PATH or downloads them, and about
6 GB of disk for each environment. uv's own variables change what it installs: ``UV_TORCH_BACKEND=cpu`` takes the small builds of
torch, ``UV_CONSTRAINT=FILE`` pins versions. The exit status is 1 if an environment failed or could not be made. For the lowest
versions it is also an error if a declared bound is lower than what was installed: nobody tried that bound.

Outcomes of 2026-11-29 (Linux x86_64, two cores; torch from PyPI, used on the CPU; the wheel at version 0.1.0):

* lowest (Python 3.11.7, torch 2.6.0, transformers 5.20.0, numpy 2.0.0): 164 passed (with test_assembly).
* 3.11.7 (torch 2.15.0, transformers 5.23.0, numpy 2.4.6): 21 passed (test_wheel and test_families only).
* 3.12.1 (torch 2.15.0, transformers 5.23.0, numpy 2.5.5): 125 passed (without test_packaging).
* 3.13.0 (as 3.12.1): 163 passed (with test_assembly); the wheel's main job reached its time limit on a busy machine and passed with
  a longer one.
* 3.14.10 (as 3.12.1): 164 passed (with test_assembly). With transformers 5.24.0, 11 failed: no released peft fits it (findings/).
* Bounds raised: PyStemmer 2.2.0 does not build; datasets 4.0.0 fails on a multilabel task (it takes no numpy integer as an index);
  tests use ``rng`` of scipy 1.15; setuptools 77 builds no wheel beside packaging 24.0; pandas 2.2.2, pydantic 2.11, pydantic-core
  2.33, safetensors 0.8 and tokenizers 0.23.3 are the oldest that the other requirements allow.
* Not tried: every test (``--all``) in any of these, vLLM, macOS, Windows.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ("lowest", "3.11", "3.12", "3.13", "3.14")
LOWEST_PYTHON = "3.11"
# Imports, a tiny model that is trained, loaded, decoded and published, evaluate, leaderboard and report.
QUICK = ("wheel", "packaging", "zoo_doctests", "families", "baselines", "leaderboard", "publish")

# Run with the Python of an environment: is the wheel what is imported, and are the declared lower bounds what was installed?
CHECK_WHEEL = "import genzoo, sys; assert genzoo.__file__.startswith(sys.prefix), genzoo.__file__"
CHECK_BOUNDS = """
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from packaging.requirements import Requirement
from packaging.version import Version

wrong = []
for requirement in map(Requirement, requires("genzoo")):
    bounds = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    try:
        installed = Version(version(requirement.name))
    except PackageNotFoundError:
        continue  # an extra that dev does not bring
    if bounds and installed != bounds[0]:
        wrong.append(f"{requirement.name}>={bounds[0]} was not tried: others need {installed}")
sys.exit("; ".join(wrong) or 0)
"""


class Failed(Exception):
    """What could not be done in an environment, and the log that says why."""


def run(command: list[str], log: Path, folder: Path = ROOT) -> None:
    """Run a command with its output appended to a log.

    Raises:
        Failed: It ended with another status than 0.
    """
    with log.open("a") as out:
        print("$", *command, file=out, flush=True)
        done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failed(f"{log.read_text().strip().splitlines()[-1]} (log: {log})")


def build(work: Path, log: Path) -> tuple[Path, Path]:
    """The wheel, and the folder of the unpacked source archive it was built from."""
    run(["uv", "build", "--out-dir", str(work / "dist"), str(ROOT)], log)
    (wheel,), (archive,) = (work / "dist").glob("*.whl"), (work / "dist").glob("*.tar.gz")
    shutil.unpack_archive(archive, work, filter="data")
    return wheel, work / archive.name.removesuffix(".tar.gz")


def selection(source: Path) -> list[str]:
    """The files of the quick selection, wherever in tests/ they are."""
    found = {name: sorted(source.glob(f"tests/**/test_{name}.py")) for name in QUICK}
    if missing := [name for name, paths in found.items() if not paths]:
        raise SystemExit(f"no test_{missing[0]}.py in tests/: correct QUICK in {__file__}")
    return [str(path) for paths in found.values() for path in paths]


def try_environment(name: str, wheel: Path, source: Path, tests: list[str], work: Path, log: Path) -> str:
    """Make one environment, run the tests in it and remove it.

    Returns:
        The versions that decided and the last line of the tests.
    """
    environment, lowest = work / f"env-{name}", name == "lowest"
    python = str(environment / "bin" / "python")
    try:
        run(["uv", "venv", "--python", LOWEST_PYTHON if lowest else name, str(environment)], log)
        # The lowest versions are those of what pyproject.toml itself names; what these need in turn is the newest.
        resolution = ["--resolution", "lowest-direct" if lowest else "highest"]
        install = ["uv", "pip", "install", "--python", python]
        run([*install, *resolution, "-r", str(source / "pyproject.toml"), "--extra", "dev"], log)
        run([*install, "--no-deps", str(wheel)], log)
        run(["uv", "pip", "freeze", "--python", python], log)
        run([python, "-c", CHECK_WHEEL], log, folder=work)
        if lowest:
            run([python, "-c", CHECK_BOUNDS], log, folder=work)
        run([python, "-m", "pytest", *tests, "-p", "no:cacheprovider", "-q"], log, folder=source)
    finally:
        shutil.rmtree(environment, ignore_errors=True)
    return log.read_text().strip().splitlines()[-1].strip("= ")


def main() -> None:
    """Try what the command line names; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "environments", nargs="*", default=ENVIRONMENTS, metavar="ENVIRONMENT", help="lowest, or a Python: 3.13"
    )
    parser.add_argument("--all", action="store_true", help="run every test in place of the quick selection")
    parser.add_argument("--logs", type=Path, default=ROOT / "build" / "versions", help="folder of the logs")
    options = parser.parse_args()
    if shutil.which("uv") is None:
        raise SystemExit("uv is not on PATH: pip install uv")
    options.logs.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="genzoo-versions-") as folder:
        work = Path(folder)
        wheel, source = build(work, options.logs / "build.log")
        tests = ["tests"] if options.all else selection(source)
        for name in options.environments:
            started, log = time.perf_counter(), options.logs / f"{name}.log"
            log.unlink(missing_ok=True)
            try:
                outcome = try_environment(name, wheel, source, tests, work, log)
            except Failed as error:
                failed += 1
                outcome = f"FAILED: {error}"
            print(f"{name:<8} {time.perf_counter() - started:5.0f} s  {outcome}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
