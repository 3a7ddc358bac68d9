"""A run that has nothing to measure is known from files, and whatever could change that is seen."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading

import pytest
from conftest_builders import build_backbone, build_checkpoint

import genzoo
from genzoo.models.exported import export
from genzoo.reports import finished
from genzoo.reports.measuring import Evaluation, plan_evaluation

TASK = "GenZooMiniSTS"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of the module's own, for the proofs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GENZOO_CACHE", str(folder))
        yield folder


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
    ahead(made, tmp_path / "results").run()
    return tmp_path / "results"


def proofs(cache):
    """The file that was written last."""
    return max((cache / "finished").iterdir(), key=lambda path: path.stat().st_mtime_ns)


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
        lambda results: edited(results / "tasks.json", lambda facts: facts[TASK].update(n_texts=1)),
    ],
)
def test_a_change_in_the_results_is_seen(made, measured, change):
    change(measured)
    assert ahead(made, measured).finished is None


@pytest.mark.parametrize("text", ["{", "[]", "\0", '{"a": 1}'])
def test_a_damaged_proof_is_made_anew(made, measured, cache, text):
    proofs(cache).write_text(text)
    assert ahead(made, measured).finished is None
    ahead(made, measured).run()
    assert ahead(made, measured).finished is not None


@pytest.mark.parametrize("change", [lambda proof: proof.pop("files"), lambda proof: proof.update(asked=[1, 2, 3])])
def test_a_proof_of_another_form_is_none(made, measured, cache, change):
    edited(proofs(cache), lambda facts: [change(each) for each in facts.values()])
    assert ahead(made, measured).finished is None


def test_predictions_that_changed_in_time_alone_are_seen(made, measured):
    path = one(measured, "predictions/*/*/*.json")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert ahead(made, measured).finished is None


def test_a_copy_or_another_folder_in_its_place_is_looked_at_anew(made, measured, tmp_path):
    shutil.copytree(measured, tmp_path / "copy")
    assert ahead(made, tmp_path / "copy").finished is None
    shutil.rmtree(measured)
    assert ahead(made, measured).finished is None


def test_the_path_of_a_model_is_not_in_the_results(made, measured):
    for path in measured.rglob("*"):
        assert not path.is_file() or str(made / "model").encode() not in path.read_bytes(), path


def test_a_cache_that_takes_no_files_costs_time_alone(made, measured, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "file" / "cache"))
    ahead(made, measured).run()
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
        assert question(made, measured).recall() is None
    finally:
        path.write_bytes(before) if before is not None else path.unlink()
    assert question(made, measured).recall() is not None


def test_files_of_the_same_size_and_time_are_seen(made, measured):
    path = made / "model/model.safetensors"
    path = path if path.is_file() else next((made / "model").rglob("*.safetensors"))
    before, state = path.read_bytes(), path.stat()
    try:
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert question(made, measured).recall() is None
    finally:
        path.write_bytes(before)


def question(made, output):
    asked = {
        "models": (str(made / "model"),),
        "benchmark": None,
        "tasks": (TASK,),
        "kind": None,
        "columns": (),
        "data": (),
        "prompts": None,
    }
    options = {
        "batch_size": 32,
        "device": None,
        "processes": None,
        "shard": "1/1",
        "ray": None,
        "cache_embeddings": True,
    }
    options |= {"overwrite": False, "evidence": True, "strict_prompts": False, "split": None, "language": None}
    options |= {"query_prefix": "", "document_prefix": "", "rate_limit": None, "precision": "auto"}
    return finished.Question.of(output, asked | options)


def test_a_link_that_leads_to_another_model_is_seen(made, measured, tmp_path):
    link, other = tmp_path / "latest", tmp_path / "other"
    shutil.copytree(made / "model", other)
    link.symlink_to(made / "model")
    ahead(made, measured, link).run()
    assert ahead(made, measured, link).finished is not None
    link.unlink()
    link.symlink_to(other)
    assert ahead(made, measured, link).finished is None


def during(monkeypatch, change):
    """Change something after the models and tasks were found, as somebody does while a long run is under way."""
    measure = Evaluation._measure
    monkeypatch.setattr(Evaluation, "_measure", lambda self: (measure(self), change())[0])


def test_prompts_that_change_while_a_run_is_under_way_are_seen(made, measured, tmp_path, monkeypatch):
    path = tmp_path / "mine.json"
    path.write_text('{"STS": "one: "}')
    with monkeypatch.context() as patch:
        during(patch, lambda: path.write_text('{"STS": "two: "}'))
        ahead(made, measured, prompts=path, evidence=False).run()
    later = ahead(made, measured, prompts=path, evidence=False)
    assert later.finished is None
    later.run()
    assert len(list(measured.glob(f"results/*mine*/*/{TASK}.json"))) == 2


def test_code_that_changes_while_a_run_is_under_way_is_seen(made, measured, monkeypatch):
    shutil.rmtree(measured / "evidence")
    with monkeypatch.context() as patch:
        during(patch, lambda: patch.setattr(finished, "_code", list))
        ahead(made, measured).run()
    monkeypatch.setattr(finished, "_code", list)
    assert ahead(made, measured).finished is None


def test_a_plan_is_looked_at_again_when_it_is_run(made, measured):
    plan = ahead(made, measured)
    result = one(measured, f"results/*/*/{TASK}.json")
    result.unlink()
    plan.run()
    assert result.is_file()


def test_tasks_of_the_users_own_are_not_recalled():
    class Mine: ...

    assert not finished._is_packaged(Mine)
    assert finished._is_packaged(plan_evaluation)


def test_a_note_is_repeated(made, measured):
    edited(one(measured, f"environment/*/*/{TASK}.json"), lambda facts: facts["versions"].update(numpy="0.1"))
    ahead(made, measured).run()
    (note,) = ahead(made, measured).finished.notes
    assert "kept, but measured otherwise (numpy 0.1 ->" in note


def test_a_note_that_nobody_saw_is_not_lost(made, measured, caplog):
    """Neither `--quiet` nor a level of the user's own takes it away from a later run."""
    edited(one(measured, f"environment/*/*/{TASK}.json"), lambda facts: facts["versions"].update(numpy="0.1"))
    with genzoo.progress(level=logging.ERROR):
        assert logging.getLogger("genzoo.reports").isEnabledFor(logging.WARNING)
        ahead(made, measured).run()
    assert ahead(made, measured).finished.notes
    edited(one(measured, f"environment/*/*/{TASK}.json"), lambda facts: facts["versions"].update(numpy="0.2"))
    caplog.set_level(logging.ERROR, "genzoo")
    ahead(made, measured).run()
    assert ahead(made, measured).finished is None


def test_notes_of_another_thread_are_not_ours():
    log = logging.getLogger("genzoo.somewhere")
    with finished.noted() as lines:
        other = threading.Thread(target=log.warning, args=("theirs",))
        other.start()
        other.join()
        log.warning("ours")
    assert lines == ["ours"]


def test_a_folder_that_takes_a_models_name_is_seen(made, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan_evaluation("random", TASK, output=measured).run()
    assert plan_evaluation("random", TASK, output=measured).finished is not None
    shutil.copytree(made / "model", tmp_path / "random")
    assert plan_evaluation("random", TASK, output=measured).finished is None


def test_own_data_that_change_are_seen(measured, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder / "qrels").symlink_to(tmp_path / "elsewhere")
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "bears"}\n{"_id": "d2", "text": "wine"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "where do bears live"}\n')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    asked = {"output": measured, "data": {"GenZooMiniRetrieval": folder}, "evidence": False}
    plan_evaluation("random", "GenZooMiniRetrieval", **asked).run()
    assert plan_evaluation("random", "GenZooMiniRetrieval", **asked).finished is not None
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")
    assert plan_evaluation("random", "GenZooMiniRetrieval", **asked).finished is None


def test_objects_are_never_recalled(measured):
    for thing in (object(), ("name", object()), {"name": 1}, "a\0b\ud800", 5):
        asked = question(measured, measured).asked | {"tasks": (object(),), "models": (thing,)}
        assert finished.Question.of(measured, asked) is None


def test_neither_mteb_nor_torch_is_imported(made, measured):
    code = (
        "import sys; from genzoo.cli import main\n"
        "try:\n main()\nexcept SystemExit as stop:\n assert not stop.code\n"
        "print([name for name in ('mteb', 'torch', 'datasets', 'sentence_transformers') if name in sys.modules])"
    )
    command = ["evaluate", "-m", str(made / "model"), "-t", TASK, "-o", str(measured)]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert "plan: nothing to measure, 1 of 1 results are finished" in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
