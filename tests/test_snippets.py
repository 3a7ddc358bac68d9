"""Every code block of the README and of the pages below docs/ runs, in order, in a folder of its own.

A block below ``<!-- slow: REASON -->`` runs with ``pytest -m slow_docs`` only, one below ``<!-- not run: REASON -->`` never;
`NOT_RUN` lists the latter. One below ``<!-- client: REQUIREMENTS -->`` runs in that client's own environment (benchmarks/clients.py).
"""

from __future__ import annotations

import json
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
    "README.md": ["installs an environment", "installs an environment", "runs this test"],
    "docs/guides/any-embedder.md": ["needs an endpoint"] * 2,
    "docs/guides/convert.md": ["needs a checkpoint of llm2vec-gen"],
    "docs/guides/doctor.md": ["needs an index"],
    "docs/guides/evaluate.md": ["needs a Ray cluster"],
    "docs/guides/in-other-tools.md": ["needs a GPU"],
    "docs/guides/publish.md": ["needs a published model"],
    "docs/guides/report.md": ["needs chromium and make report"],
    "docs/guides/study.md": ["takes hours"],
    "docs/guides/train.md": ["takes two hours", "takes two hours", "needs several GPUs"],
    "docs/quickstart.md": ["installs an environment"] * 2,
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>slow|not run|client): (?P<reason>[^\n]+?) -->\n)?^```(?P<kind>python|bash|console)\n(?P<code>.*?)^```$",
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
        Block(
            f"{page}:{text.count(chr(10), 0, one.start('code')) + 1}",
            one["kind"],
            one["code"],
            one["mark"],
            one["reason"],
        )
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
        if block.mark in ("not run", "client") or (block.mark == "slow" and not slow):
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
        write_helpdesk(folder / "helpdesk")
        tasks = ["-t", "SciFact", "--data", "SciFact=helpdesk", "-t", "GenZooMiniSTS"]
        run_genzoo(TRIAL, ["evaluate", "-m", "run", *tasks, "-o", "own"])
    return folder


def write_helpdesk(folder: Path) -> None:
    """The small set of the guide to own data, as its own lines write it."""
    block = next(block for block in blocks_of("docs/guides/your-own-data.md") if block.kind == "python")
    exec(compile(block.code, block.place, "exec"), {})  # noqa: S102
    assert (folder / "qrels.jsonl").is_file()


@pytest.fixture
def page_folder(prepared, tmp_path):
    kept = shutil.ignore_patterns("own", "helpdesk")
    shutil.copytree(prepared, tmp_path / "page", ignore=kept)
    return tmp_path / "page"


RUNNING = [page for page in PAGES if any(block.mark not in ("not run", "client") for block in blocks_of(page))]
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
        pytest.skip(
            f"{len(slow)} slow block(s) of {page} ({', '.join(str(b.reason) for b in slow)}): pytest -m slow_docs"
        )
    run_page(page, page_folder, monkeypatch, slow=True)


def test_blocks_that_never_run_are_listed():
    found = {page: [str(b.reason) for b in blocks_of(page) if b.mark == "not run"] for page in PAGES}
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN


def test_every_fence_and_mark_is_understood():
    for page, path in PAGES.items():
        text = path.read_text(encoding="utf-8")
        assert len(re.findall(r"^```(python|bash|console)\b", text, flags=re.M)) == len(blocks_of(page)), page
        marks = [block for block in blocks_of(page) if block.mark]
        assert len(re.findall(r"<!-- (slow|not run|client)\b", text)) == len(marks), (
            f"{page}: a mark belongs right above its block"
        )


def documented_files(heading: str) -> list[str]:
    """The names in the first column of the first table below a heading of the page on results folders."""
    text = PAGES["docs/reference/results-folder.md"].read_text(encoding="utf-8")
    table = text.partition(f"# {heading}\n")[2].partition("\n#")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", table, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def as_pattern(name: str) -> re.Pattern[str]:
    """A documented name as a pattern of relative paths; a folder stands for everything in it."""
    pattern = re.sub(r"MODEL|REVISION|TASK|NAME|DIGEST", r"[^/]+", re.escape(name))
    return re.compile(pattern + (".+" if name.endswith("/") else ""))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "folders", "optional"),
    [
        (
            "Files of a results folder",
            ("results", "own"),
            {"benchmarks.json", "endpoints.json", "judging/TASK.json", "reported/NAME.csv", "studies/", ".staging/"},
        ),
        ("Files of a training run", ("run",), {"policy.json", "policy/DIGEST/", "refusals/"}),
    ],
)
def test_the_page_on_files_names_every_file_that_a_run_writes(prepared, heading, folders, optional):
    names = {name: as_pattern(name) for name in documented_files(heading)}
    roots = [prepared / folder for folder in folders]
    found = [path.relative_to(root).as_posix() for root in roots for path in root.rglob("*") if path.is_file()]
    found = [path for path in found if not path.endswith(".lock") or path == ".lock"]
    assert not [path for path in found if not any(one.fullmatch(path) for one in names.values())]
    assert not [name for name, one in names.items() if name not in optional and not any(map(one.fullmatch, found))]


KEYED = [
    "results/MODEL/REVISION/TASK.json",
    "results/MODEL/REVISION/run_settings.jsonl",
    "judgements/TASK.json",
    "environment/MODEL/REVISION.json",
    "environment/MODEL/REVISION/TASK.json",
    "evidence/MODEL/REVISION.json",
    "tasks.json",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", KEYED)
def test_the_page_on_files_names_every_key(prepared, name):
    pattern, keys = as_pattern(name), set[str]()
    for root in (prepared / "results", prepared / "own"):
        for path in root.rglob("*.json*"):
            if pattern.fullmatch(path.relative_to(root).as_posix()) and path.name != "model_meta.json":
                row = json.loads(
                    path.read_text(encoding="utf-8").splitlines()[0] if path.suffix == ".jsonl" else path.read_text()
                )
                keys |= set().union(*row.values()) if name == "tasks.json" else set(row)
    assert keys == set(documented_files(f"`{name}`"))
