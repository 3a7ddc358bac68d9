"""A run that has nothing to measure is known from files, and whatever could change that is seen."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest_builders import build_backbone, build_checkpoint

from genzoo.models.assembly import export
from genzoo.reports import finished
from genzoo.reports.measuring import plan_evaluation

TASK = "GenZooMiniSTS"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small export, the backbone that it loads, and the results of one task."""
    root = tmp_path_factory.mktemp("finished")
    backbone = build_backbone(root / "backbone")
    export(build_checkpoint(backbone), backbone, root / "model", "adapter", name="x")
    plan_evaluation(str(root / "model"), TASK, output=root / "results").run()
    return root


@pytest.fixture
def measured(made, tmp_path):
    """The same as a copy that a test may change; its model is still the one of `made`, unless it says otherwise."""
    shutil.copytree(made / "results", tmp_path / "results")
    return tmp_path / "results"


def ahead(made, output, model=None, tasks=TASK, **options):
    return plan_evaluation(str(model or made / "model"), tasks, output=output, **options)


def test_what_is_finished_is_known_and_says_what_it_said(made, measured):
    before = {path: path.read_bytes() for path in measured.rglob("*") if path.is_file()}
    found = ahead(made, measured)
    assert found.finished == finished.Finished(1, ())
    assert found.run().models == ["model"]
    assert {path: path.read_bytes() for path in measured.rglob("*") if path.is_file()} == before


def edited(path, change):
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def one(results, pattern):
    (path,) = results.glob(pattern)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda results: one(results, f"results/*/*/{TASK}.json").unlink(),
        lambda results: edited(one(results, f"results/*/*/{TASK}.json"), lambda facts: facts.update(evaluation_time=9)),
        lambda results: one(results, f"environment/*/*/{TASK}.json").unlink(),
        lambda results: edited(one(results, f"environment/*/*/{TASK}.json"), lambda facts: facts.update(seeds={})),
        lambda results: one(results, "predictions/*/*/*.json").unlink(),
        lambda results: one(results, "environment/*/*.json").unlink(),
        lambda results: one(results, "evidence/*/*.json").unlink(),
        lambda results: one(results, "judgements/*.json").unlink(),
        lambda results: edited(results / "tasks.json", lambda facts: facts.pop(TASK)),
        lambda results: (results / ".finished.json").write_text("{"),
        lambda results: edited(
            results / ".finished.json", lambda facts: [each.pop("files") for each in facts.values()]
        ),
    ],
)
def test_a_change_in_the_results_is_seen(made, measured, change):
    change(measured)
    assert ahead(made, measured).finished is None


def test_something_else_that_is_asked_is_no_finished_run(made, measured):
    for options in (
        {"tasks": [TASK, "GenZooMiniRetrieval"]},
        {"prompts": "tasks"},
        {"overwrite": True},
        {"shard": "1/2"},
    ):
        assert ahead(made, measured, **options).finished is None, options


def test_other_packages_or_other_code_are_seen(made, measured, monkeypatch):
    versions = finished.package_versions()
    with monkeypatch.context() as patch:
        patch.setattr(finished, "package_versions", lambda: versions | {"numpy": "0.1"})
        assert ahead(made, measured).finished is None
    monkeypatch.setattr(finished, "_PARTS", finished._PARTS[:1])
    assert ahead(made, measured).finished is None


@pytest.mark.parametrize("name", ["model/adapter_config.json", "backbone/tokenizer.json", "backbone/new.txt"])
def test_a_change_in_the_model_or_its_backbone_is_seen(made, measured, name):
    path = made / name
    before = path.read_bytes() if path.is_file() else None
    try:
        path.write_bytes((before or b"") + b" ")
        assert finished.recall(measured, question(made)) is None
    finally:
        path.write_bytes(before) if before is not None else path.unlink()
    assert finished.recall(measured, question(made)) is not None


def question(made):
    asked = {"models": (str(made / "model"),), "benchmark": None, "tasks": (TASK,), "data": ()}
    return asked | {"prompts": None, "strict_prompts": False, "shard": "1/1", "evidence": True}


def test_a_note_is_repeated(made, measured):
    edited(one(measured, f"environment/*/*/{TASK}.json"), lambda facts: facts["versions"].update(numpy="0.1"))
    ahead(made, measured).run()
    (note,) = ahead(made, measured).finished.notes
    assert "kept, but measured otherwise (numpy 0.1 ->" in note


def test_a_folder_that_takes_a_models_name_is_seen(made, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan_evaluation("random", TASK, output=measured).run()
    assert plan_evaluation("random", TASK, output=measured).finished is not None
    shutil.copytree(made / "model", tmp_path / "random")
    assert plan_evaluation("random", TASK, output=measured).finished is None


def test_own_data_that_change_are_seen(measured, tmp_path):
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "bears"}\n{"_id": "d2", "text": "wine"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "where do bears live"}\n')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    asked = {"output": measured, "data": {"GenZooMiniRetrieval": folder}, "evidence": False}
    plan_evaluation("random", "GenZooMiniRetrieval", **asked).run()
    assert plan_evaluation("random", "GenZooMiniRetrieval", **asked).finished is not None
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")
    assert plan_evaluation("random", "GenZooMiniRetrieval", **asked).finished is None


def test_objects_are_never_recalled(made, measured):
    with pytest.raises(TypeError):
        finished._question(question(made) | {"models": (object(),)})
    assert finished.recall(measured, question(made) | {"models": (object(),)}) is None


def test_neither_mteb_nor_torch_is_imported(made, measured):
    code = (
        "import sys; from genzoo.cli import main\n"
        "try:\n main()\nexcept SystemExit as stop:\n assert not stop.code\n"
        "print([name for name in ('mteb', 'torch', 'datasets', 'sentence_transformers') if name in sys.modules])"
    )
    command = ["evaluate", "-m", str(made / "model"), "-t", TASK, "-o", str(measured)]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert "plan: nothing to measure, 1 of 1 results are there" in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
