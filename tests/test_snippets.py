"""Every code block of the README and of the pages below docs/ runs, in order, in a folder of its own.

A block below ``<!-- slow: REASON -->`` runs with ``pytest -m slow_docs`` only, one below ``<!-- not run: REASON -->`` never;
`NOT_RUN` lists the latter.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "generated" not in path.parts
}
NOT_RUN = {
    "README.md": ["installs an environment"] * 2,
    "docs/design.md": ["runs this test"],
    "docs/guides/convert.md": ["needs a checkpoint of llm2vec-gen"],
    "docs/guides/evaluate.md": ["needs a Ray cluster"],
    "docs/guides/publish.md": ["needs a published model"],
    "docs/guides/report.md": ["needs chromium and make report"],
    "docs/guides/study.md": ["takes hours"],
    "docs/guides/train.md": ["takes two hours", "takes two hours", "needs several GPUs"],
    "docs/quickstart.md": ["installs an environment"] * 2,
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>slow|not run): (?P<reason>[^\n]+?) -->\n)?^```(?P<kind>python|bash|console)\n(?P<code>.*?)^```$",
    flags=re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, with its mark and the line that it begins in."""

    place: str
    kind: str
    code: str
    mark: str | None
    reason: str | None


def blocks_of(page: str) -> list[Block]:
    text = PAGES[page].read_text(encoding="utf-8")
    return [
        Block(f"{page}:{text.count(chr(10), 0, one.start('code')) + 1}", one["kind"], one["code"], one["mark"], one["reason"])
        for one in _BLOCK.finditer(text)
    ]


def commands_of(code: str) -> list[str]:
    """The lines of a shell block, continued ones joined; what a console block prints is left out."""
    lines = re.sub(r"\\\n\s*", " ", code).splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def run_shell(block: Block) -> None:
    """Run a block: genzoo's commands in this process, which has imported everything already, others in a shell."""
    lines = commands_of(block.code)
    if all(re.match(r"genzoo [^|<>&;$]*$", line) for line in lines):
        for line in lines:
            run_genzoo(block, shlex.split(line, comments=True)[1:])
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    code = block.code if block.kind == "bash" else "\n".join(lines)
    done = subprocess.run(["bash", "-euc", code], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place}\n{done.stdout}{done.stderr}"


def run_genzoo(block: Block, arguments: list[str]) -> str:
    from typer.testing import CliRunner

    from genzoo.cli.app import app

    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, f"{block.place}: genzoo {shlex.join(arguments)}\n{done.output}\n{done.exception!r}"
    return done.output


def run_page(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, slow: bool) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.mark == "not run" or (block.mark == "slow" and not slow):
            continue
        if block.kind == "python":
            exec(compile(block.code, block.place, "exec"), names)  # noqa: S102
        else:
            run_shell(block)


TRIAL = next(block for block in blocks_of("docs/guides/train.md") if block.kind == "bash")
"""The first training of the guide: all stages with the real LLM, in seconds."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A query log, a finished training and a results folder of two models, which all pages begin with."""
    from genzoo.tasks.sets.bundled import BundledSet

    folder = tmp_path_factory.mktemp("prepared")
    sets = [BundledSet(name, ("queries.jsonl",)) for name in ("mini_retrieval", "mini_reasoning", "reasoning")]
    log = [row["text"] for one in sets for row in one.rows("queries.jsonl")]
    (folder / "log.txt").write_text("\n".join(log) + "\n")
    rows = "".join('"' + text.replace('"', '""') + '"\n' for text in log)
    (folder / "log.csv").write_text("searched\n" + rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_shell(TRIAL)
        models = ["-m", "minilm", "-m", "smollm2-135m-teacher"]
        tasks = ["-t", "GenZooMiniRetrieval", "-t", "GenZooMiniSTS"]
        run_genzoo(TRIAL, ["evaluate", *models, *tasks, "-o", "results"])
    return folder


@pytest.fixture
def page_folder(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "page")
    return tmp_path / "page"


RUNNING = [page for page in PAGES if any(block.mark != "not run" for block in blocks_of(page))]
SLOW = [page for page in PAGES if any(block.mark == "slow" for block in blocks_of(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING)
def test_blocks_of_a_page_run(page, page_folder, monkeypatch):
    run_page(page, page_folder, monkeypatch, slow=False)


@pytest.mark.slow_docs
@pytest.mark.parametrize("page", SLOW)
def test_slow_blocks_of_a_page_run(page, page_folder, monkeypatch, request):
    slow = [block for block in blocks_of(page) if block.mark == "slow"]
    if "slow_docs" not in request.config.option.markexpr:
        pytest.skip(f"{len(slow)} slow block(s) of {page} ({', '.join(str(b.reason) for b in slow)}): pytest -m slow_docs")
    run_page(page, page_folder, monkeypatch, slow=True)


def test_blocks_that_never_run_are_listed():
    found = {page: [str(b.reason) for b in blocks_of(page) if b.mark == "not run"] for page in PAGES}
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN


def test_every_fence_and_mark_is_understood():
    for page, path in PAGES.items():
        text = path.read_text(encoding="utf-8")
        assert len(re.findall(r"^```(python|bash|console)\b", text, flags=re.M)) == len(blocks_of(page)), page
        marks = [block for block in blocks_of(page) if block.mark]
        assert len(re.findall(r"<!-- (slow|not run)\b", text)) == len(marks), f"{page}: a mark belongs right above its block"
