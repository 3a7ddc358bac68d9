"""From models to a report on the command line, with tiny models."""

import json
import sys

import pytest
from conftest_builders import build_checkpoint

from genzoo.cli import main


@pytest.fixture(scope="module")
def results(llama, tiny_teacher, tmp_path_factory):
    """A results folder that `genzoo evaluate` wrote for a checkpoint folder and a SentenceTransformer folder."""
    folder = tmp_path_factory.mktemp("measuring")
    build_checkpoint(llama).save(folder / "tiny")
    words = ["genzoo", "evaluate", "-m", str(folder / "tiny"), "-m", str(tiny_teacher)]
    words += ["-t", "GenZooMiniSTS", "-t", "GenZooMiniRetrieval", "-o", str(folder / "results")]
    with pytest.MonkeyPatch.context() as patch:
        run(patch, *words[1:])
    return folder / "results"


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["genzoo", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


def test_results_are_complete(results, tiny_teacher):
    names = {path.name for path in (results / "results").iterdir()}
    assert names == {"local__tiny", f"local__{tiny_teacher.name}"}
    for model in (results / "results").iterdir():
        (revision,) = model.iterdir()
        assert len(revision.name) == 40
        assert (revision / "GenZooMiniSTS.json").is_file()
        assert (revision / "GenZooMiniRetrieval.json").is_file()
        assert (results / "predictions" / model.name / revision.name / "GenZooMiniRetrieval_predictions.json").is_file()
        facts = json.loads((results / "environment" / model.name / f"{revision.name}.json").read_text())
        assert facts["texts_per_second"] > 0
        assert facts["role"] == ("zoo" if model.name == "local__tiny" else "other")
        # Nothing that people pass on tells where things lie on this machine.
        assert str(results.parent) not in (revision / "model_meta.json").read_text()
    judged = json.loads((results / "judgements" / "GenZooMiniRetrieval.json").read_text())["parts"]["default"]["test"]
    assert judged["n_documents"] == 187  # the whole corpus, of which few texts are kept
    assert len(judged["documents"]) <= 187
    (evidence,) = results.glob("evidence/local__tiny/*.json")
    assert len(json.loads(evidence.read_text())["decoded"]) == 20


def test_second_run_loads_nothing(results, monkeypatch, capsys):
    from genzoo import mteb_meta

    monkeypatch.setattr(mteb_meta, "load", lambda *a, **k: pytest.fail("loaded a model again"))
    before = {path: path.stat().st_mtime_ns for path in results.glob("results/*/*/GenZoo*.json")}
    folder = results.parent / "tiny"
    run(monkeypatch, "evaluate", "-m", folder, "-t", "GenZooMiniSTS", "-t", "GenZooMiniRetrieval", "-o", results)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_leaderboard_report_and_comparison(results, monkeypatch, capsys, tmp_path):
    run(monkeypatch, "leaderboard", results, "-o", tmp_path)
    rows = json.loads((tmp_path / "leaderboard.json").read_text())
    assert "tiny" in json.dumps(rows)
    run(monkeypatch, "leaderboard", results)
    assert "| tiny" in capsys.readouterr().out
    run(monkeypatch, "leaderboard", results, "--json")
    json.loads(capsys.readouterr().out)
    run(monkeypatch, "report", results, "-o", tmp_path / "report", "--title", "A <title> & more")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "A &lt;title&gt; &amp; more" in page
    assert "where do polar bears live?" in page
    assert page.count("<svg") >= 2
    run(monkeypatch, "compare", results, "tiny", "model", "-o", tmp_path / "versus")
    assert list((tmp_path / "versus").glob("*.html"))
