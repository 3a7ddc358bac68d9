"""The public Python face: its names, and a session from a model to a report in a notebook, without a shell."""

import inspect
import subprocess
import sys

import pytest
from conftest_builders import SENTENCES

import genzoo


def test_importing_it_brings_in_nothing_heavy():
    code = (
        "import sys, genzoo; print([m for m in ('torch', 'pandas', 'mteb', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_is_there_and_says_what_it_does():
    assert {"evaluate", "open_results", "list_tasks", "plots", "progress"} <= set(dir(genzoo))
    for name in genzoo.__all__:
        found = getattr(genzoo, name)
        assert (inspect.getdoc(found) or "").strip(), name


def test_a_name_that_is_not_there_gets_the_nearest():
    with pytest.raises(AttributeError, match="'genzoo' has no attribute 'evalute'; did you mean evaluate"):
        _ = genzoo.evalute
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'; it has .*list_models"):
        _ = genzoo.nothing


CELLS = """
import genzoo
changes = {"exit_layer": 0}
run = genzoo.train(
    "smollm2-135m-minilm", QUERIES, "run", backbone=BACKBONE, teacher=TEACHER, policy="none", steps=20, batch=2, set=changes
)
run.export("merged", merge=True)
model = run.load()
---
genzoo.decode(["why is the sky blue?"], model="run")
---
results = genzoo.evaluate([TEACHER, "run"], ["GenZooMiniSTS", "GenZooMiniRetrieval"], output="results")
---
same = genzoo.evaluate({"ready": model}, "GenZooMiniSTS", output="results")
results = genzoo.open_results("results")
results
---
board = results.leaderboard(reference="teacher")
board
---
frame = board.to_frame()
assert frame.loc[["ready"], "GenZooMiniSTS"].between(-1, 1).all()
assert len(board.to_markdown().splitlines()) > 4 and "toprule" in board.to_latex()
frame
---
axes = genzoo.plots.tasks(board)
axes.figure
---
first, second, *_ = results.models
results.compare(first, second).to_frame()
---
paths = results.report("report.html", title="From a notebook")
site = results.site("site")
[path.name for path in paths]
"""


def test_a_notebook_goes_from_queries_to_a_report_and_nothing_prints(llama, tiny_teacher, monkeypatch, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="a notebook needs the extra dev: pip install 'genzoo[dev]'")
    nbclient = pytest.importorskip("nbclient", reason="a notebook needs the extra dev: pip install 'genzoo[dev]'")
    for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(name, raising=False)  # a notebook of somebody else does not set them
    queries = [f"{text} {number}" for number, text in enumerate(SENTENCES)]
    given = f"QUERIES, BACKBONE, TEACHER = {queries!r}, {str(llama)!r}, {str(tiny_teacher)!r}"
    sources = [given, *CELLS.split("---\n")]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [output for cell in book.cells for output in cell.outputs]
    assert [output for output in said if output.output_type == "stream"] == []
    shown = ["".join(output.data) for output in said if output.output_type == "execute_result"]
    assert sum("text/html" in kinds for kinds in shown) == 5  # readings, results, board, frame, comparison
    assert any("image/png" in kinds for kinds in shown)
    assert "From a notebook" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "site" / "index.html").is_file()
    assert not (tmp_path / "report.md").exists()
