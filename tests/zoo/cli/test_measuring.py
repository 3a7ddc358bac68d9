"""From models to a report on the command line, with tiny models."""

import json
import re
import shutil
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


def test_what_fails_costs_the_others_no_evidence(llama, tiny_teacher, monkeypatch, capsys, tmp_path):
    """A model and a data set that cannot be loaded: whatever finished has its judgements and decoded texts all the same."""
    from genzoo.errors import ZooError
    from genzoo.tasks.model_session import ModelSession
    from genzoo.tasks.sets.bundled import GenZooMiniIntentClassification

    build_checkpoint(llama).save(tmp_path / "tiny")
    load = ModelSession.load

    def fail_for_the_teacher(session):
        if session.meta.name.endswith(tiny_teacher.name):
            raise ZooError("no such weights")
        return load(session)

    def unreachable(*args, **kwargs):
        raise ConnectionError("no route to the data")

    monkeypatch.setattr(ModelSession, "load", fail_for_the_teacher)
    monkeypatch.setattr(GenZooMiniIntentClassification, "load_data", unreachable)
    words = ["evaluate", "-m", tiny_teacher, "-m", tmp_path / "tiny", "-o", tmp_path / "results"]
    words += ["-t", "GenZooMiniIntentClassification", "-t", "GenZooMiniSTS", "-t", "GenZooMiniRetrieval"]
    monkeypatch.setattr(sys, "argv", ["genzoo", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code
    assert "4 of 6 runs failed" in " ".join(capsys.readouterr().err.split())
    judged = {path.stem for path in (tmp_path / "results" / "judgements").iterdir()}
    assert judged == {"GenZooMiniSTS", "GenZooMiniRetrieval"}
    (evidence,) = (tmp_path / "results").glob("evidence/*/*.json")
    assert evidence.parent.name == "local__tiny"
    assert json.loads(evidence.read_text())["searches"]


def test_a_model_that_cannot_be_decoded_is_named_and_the_next_has_its_turn(llama, monkeypatch, capsys, tmp_path):
    from genzoo.models import loading

    load = loading.load_decoder
    for name, seed in (("first", 1), ("second", 2)):
        build_checkpoint(llama, seed=seed).save(tmp_path / name)

    def fail_for_the_first(name, **kwargs):
        if str(name).endswith("first"):
            raise RuntimeError("out of memory")
        return load(name, **kwargs)

    monkeypatch.setattr(loading, "load_decoder", fail_for_the_first)
    words = [
        "evaluate",
        "-m",
        tmp_path / "first",
        "-m",
        tmp_path / "second",
        "-t",
        "GenZooMiniSTS",
        "-o",
        tmp_path / "r",
    ]
    monkeypatch.setattr(sys, "argv", ["genzoo", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code
    told = " ".join(capsys.readouterr().err.split())
    assert "not every embedding could be decoded: local/first (RuntimeError: out of memory)" in told
    assert [path.parent.name for path in (tmp_path / "r").glob("evidence/*/*.json")] == ["local__second"]


@pytest.mark.parametrize(
    "damage", ['{"parts": {"default": {"test": {}}}', '{"data_revision": "REVISION", "parts": {"x": 3}}']
)
def test_a_damaged_file_costs_the_other_models_no_judgements(results, damage, tmp_path):
    """Judgements that cannot be read are written anew; predictions that make no sense are those of one model only."""
    from genzoo.leaderboards.searches.evidence import write_judgements
    from genzoo.tasks.sets.bundled import GenZooMiniRetrieval

    task, folder = GenZooMiniRetrieval(), tmp_path / "results"
    shutil.copytree(results, folder)
    path = folder / "judgements" / "GenZooMiniRetrieval.json"
    whole = json.loads(path.read_text())
    whole["parts"]["default"]["test"].pop("chosen")  # the next evaluation chooses its searches anew
    path.write_text(damage.replace("REVISION", task.metadata.revision))
    odd = folder / "predictions" / "acme__odd" / "r1" / "GenZooMiniRetrieval_predictions.json"
    odd.parent.mkdir(parents=True)
    odd.write_text(json.dumps({"default": {"test": {"q1": 3, "q2": {"d1": "near", "d2": 0.5}}}}))
    assert write_judgements([task], folder) == []
    assert json.loads(path.read_text()) == whole


def test_second_run_loads_nothing(results, monkeypatch, capsys):
    from genzoo.tasks.embedders import mteb_models

    monkeypatch.setattr(mteb_models, "load", lambda *a, **k: pytest.fail("loaded a model again"))
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
    for more in ([], ["-o", tmp_path]):
        run(monkeypatch, "leaderboard", results, "--json", *more)
        json.loads(capsys.readouterr().out)
    run(monkeypatch, "report", results, "-o", tmp_path / "report", "--title", "A <title> & more")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "A &lt;title&gt; &amp; more" in page
    assert "where do polar bears live?" in page
    assert page.count("<svg") >= 2
    run(monkeypatch, "compare", results, "tiny", "model", "-o", tmp_path / "versus")
    assert list((tmp_path / "versus").glob("*.html"))


def test_a_plan_says_what_an_endpoint_costs(monkeypatch, capsys, tmp_path):
    from embedding_server import serving

    with serving() as server:
        words = ["-m", server.name, "-m", "random", "-t", "GenZooMiniRetrieval", "-o", tmp_path / "r"]
        run(monkeypatch, "evaluate", *words, "--plan", "--price", "100", "--rate-limit", "600", "--query-prefix", "q: ")
        assert not server.task_texts()
    said = " ".join(capsys.readouterr().err.split())
    (tokens,) = re.findall(r"about ([\d,]+) tokens", said)
    cost = int(tokens.replace(",", "")) * 100 / 1e6
    assert f"/tiny: unknown, costs {cost:.2f} at most" in said
    assert said.count("costs") == 1
    assert not (tmp_path / "r").exists()
