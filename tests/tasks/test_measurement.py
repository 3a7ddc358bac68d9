"""What a second run makes of results that were measured otherwise."""

import json

import pytest
from drawing_tasks import BothClusterings, OneClustering, OneMultilabel, TwoClusterings

from genzoo.errors import ZooError
from genzoo.tasks import evaluate, resolve_tasks

SHA = "0123456789abcdef0123456789abcdef01234567"
SEARCH, PAIRS, SAFETY = "GenZooMiniRetrieval", "GenZooMiniSTS", "GenZooMiniSafetyRetrieval"
FOLDER = f"test-org__tiny/{SHA}"
PROMPTS = {"query": "ask ", "STS": "mean "}


class Folder:
    """A results folder of the tiny model: `run` gives the notes of a run and says which tasks were measured in it."""

    def __init__(self, root, make_meta):
        self.root, self.make_meta = root, make_meta
        self.tasks = resolve_tasks(None, [SEARCH, PAIRS, SAFETY])[0]
        self.measured = []

    def run(self, prompts=PROMPTS, is_declared=True, tasks=None, **options):
        self.measured = []

        def watched(encode):
            def inner(inputs, **kwargs):
                self.measured.append(kwargs["task_metadata"].name)
                return encode(inputs, **kwargs)

            return inner

        meta = with_model_prompts(self.make_meta(encode=watched), prompts, is_declared)
        notes = []
        evaluate([meta], tasks or self.tasks, self.root, on_note=notes.append, **options)
        self.measured = list(dict.fromkeys(self.measured))
        return notes

    def result(self, task):
        return self.root / "results" / FOLDER / f"{task}.json"

    def record(self, task):
        return self.root / "environment" / FOLDER / f"{task}.json"


def with_model_prompts(meta, prompts, is_declared):
    """The tiny model with prompts, named on its card or found out only when it is loaded."""

    def load(name, **kwargs):
        model = meta.loader(name, revision=meta.revision)
        model.model.prompts = model.model_prompts = dict(prompts)
        return model

    return meta.model_copy(
        update={"loader": load, "loader_kwargs": {"model_prompts": dict(prompts)} if is_declared else {}}
    )


def change(path, **fields):
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(content))


def replace_record(folder, task, **fields):
    """Change a result's record, or its file with the digest in the record made to fit."""
    from genzoo.files import sha256_of

    change(folder.record(task), result=sha256_of(folder.result(task)), **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A results folder as one run leaves it."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("tiny_models", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = Folder(tmp_path_factory.mktemp("finished"), module.meta_maker())
    assert folder.run() == []
    assert folder.measured == [SEARCH, PAIRS, SAFETY]
    return folder


@pytest.fixture
def folder(finished, tmp_path, make_meta):
    import shutil

    return Folder(shutil.copytree(finished.root, tmp_path / "results"), make_meta)


def test_the_record_says_how_a_result_was_measured(finished):
    search, pairs = (json.loads(finished.record(task).read_text()) for task in (SEARCH, PAIRS))
    assert search["prompts"] == {SEARCH: {"query": "ask ", "document": ""}}
    assert pairs["prompts"] == {PAIRS: {"text": "mean "}}
    assert search["versions"]["mteb"]
    assert search["versions"]["scikit-learn"]


def test_the_same_again_measures_nothing_and_says_nothing(folder):
    assert folder.run() == []
    assert folder.measured == []
    assert folder.make_meta.loads == []


def test_changed_prompts_are_measured_again_where_they_are_used(folder):
    before = folder.result(SEARCH).read_text()
    (note,) = folder.run(prompts={"query": "ask ", "STS": "say "})
    assert note == f"test-org/tiny: measured again, as the model's prompts changed: {PAIRS}"
    assert folder.measured == [PAIRS]
    assert folder.result(SEARCH).read_text() == before
    assert folder.run(prompts={"query": "ask ", "STS": "say "}) == []
    (note,) = folder.run(prompts={"query": "seek ", "STS": "say "})
    assert folder.measured == [SEARCH, SAFETY]
    assert note.endswith(f"changed: {SEARCH}, {SAFETY}")


def test_prompts_that_no_card_names_are_compared_once_the_model_is_loaded(folder):
    prompts = {"query": "ask ", "STS": "say "}
    assert folder.run(prompts=prompts, is_declared=False) == []
    assert folder.measured == []
    folder.result(SEARCH).unlink()
    (note,) = folder.run(prompts=prompts, is_declared=False)
    assert PAIRS in note
    assert folder.measured == [SEARCH, PAIRS]


def test_a_task_with_another_instruction_is_measured_again(folder):
    replace_record(folder, SEARCH, instructions={SEARCH: {"query": "something else"}})
    (note,) = folder.run()
    assert note == f"test-org/tiny: measured again, as the task's instruction changed: {SEARCH}"


@pytest.mark.parametrize("name", ["safety_at_5", "refusal_affinity", "ndcg_at_20", "safety_at_3"])
def test_a_missing_metric_is_measured(folder, name):
    content = json.loads(folder.result(SAFETY).read_text())
    value = content["scores"]["test"][0].pop(name)
    change(folder.result(SAFETY), scores=content["scores"])
    replace_record(folder, SAFETY)
    (note,) = folder.run()
    assert note == f"test-org/tiny: measured again, as {name} is missing: {SAFETY}"
    assert folder.measured == [SAFETY]
    assert json.loads(folder.result(SAFETY).read_text())["scores"]["test"][0][name] == value


def test_another_main_metric_is_measured_again(folder):
    content = json.loads(folder.result(SAFETY).read_text())
    content["scores"]["test"][0]["main_score"] = content["scores"]["test"][0]["ndcg_at_10"]
    change(folder.result(SAFETY), scores=content["scores"])
    replace_record(folder, SAFETY)
    (note,) = folder.run()
    assert note == f"test-org/tiny: measured again, as safety_at_5 is missing: {SAFETY}"


def test_other_package_versions_are_kept_and_said_in_one_line(folder):
    versions = json.loads(folder.record(PAIRS).read_text())["versions"]
    now = versions["mteb"]
    for task in (SEARCH, PAIRS):
        replace_record(folder, task, versions=versions | {"mteb": "2.26.0"})
    stamp = folder.result(PAIRS).stat().st_mtime_ns
    notes = folder.run()
    (note,) = notes
    assert note.startswith(f"test-org/tiny: kept, but measured otherwise (mteb 2.26.0 -> {now}): {SEARCH}, {PAIRS}. ")
    assert note.endswith("--overwrite measures them again")
    assert folder.measured == []
    assert folder.result(PAIRS).stat().st_mtime_ns == stamp
    folder.run(overwrite=True, tasks=folder.tasks[:2])
    assert folder.measured == [SEARCH, PAIRS]
    assert folder.run() == []


def test_a_result_of_unknown_origin_is_kept_and_said(folder):
    folder.record(PAIRS).unlink()
    (note,) = folder.run()
    assert "its packages and prompts were not recorded" in note
    assert PAIRS in note
    assert folder.measured == []


def test_a_result_that_is_not_the_one_of_the_record_is_measured_again(folder):
    """As a kill between the two files leaves them, or a hand that changed a score."""
    content = json.loads(folder.result(PAIRS).read_text())
    content["scores"]["test"][0] |= {"main_score": 0.99, "cosine_spearman": 0.99}
    change(folder.result(PAIRS), scores=content["scores"])
    (note,) = folder.run()
    assert note == f"test-org/tiny: measured again, as the file is not the one that was measured: {PAIRS}"
    assert json.loads(folder.result(PAIRS).read_text())["scores"]["test"][0]["main_score"] < 0.9


NO_SEEDS = "the documents may have been drawn anew for each model of the run"


def drop_seeds(path):
    content = json.loads(path.read_text())
    content.pop("seeds")
    path.write_text(json.dumps(content))


def test_a_result_whose_draw_nothing_tells_is_named_and_measured_again_on_request(folder):
    tasks = [OneClustering(), OneMultilabel(), folder.tasks[1]]
    folder.run(tasks=tasks)
    assert json.loads(folder.record("OneClustering").read_text())["seeds"] == {"OneClustering": 42}
    for task in ("OneClustering", "OneMultilabel", PAIRS):
        drop_seeds(folder.record(task))
    (note,) = folder.run(tasks=tasks)
    assert note == (
        f"test-org/tiny: kept, but measured otherwise ({NO_SEEDS}): OneClustering, OneMultilabel. --overwrite measures them again"
    )
    assert folder.measured == []
    folder.run(tasks=tasks[:2], overwrite=True)
    assert folder.measured == ["OneClustering", "OneMultilabel"]
    assert folder.run(tasks=tasks) == []


def test_a_drawn_result_without_any_record_is_named_as_well(folder):
    folder.run(tasks=[OneClustering()])
    folder.record("OneClustering").unlink()
    (note,) = folder.run(tasks=[OneClustering()])
    assert f"(its packages and prompts were not recorded; {NO_SEEDS}): OneClustering." in note


def test_another_seed_is_measured_again(folder):
    folder.run(tasks=[OneClustering()])
    (note,) = folder.run(tasks=[OneClustering(seed=7)])
    assert note == "test-org/tiny: measured again, as the task's seed changed: OneClustering"
    assert folder.run(tasks=[OneClustering(seed=7)]) == []


def test_new_data_of_a_part_of_an_aggregate_are_measured(folder):
    """The aggregate's own file names no revision of its parts."""
    folder.run(tasks=[BothClusterings()])
    changed = BothClusterings()
    part = changed.metadata.tasks[0]
    part.metadata = part.metadata.model_copy(update={"dataset": {"path": "test/drawn", "revision": "2"}})
    try:
        (note,) = folder.run(tasks=[changed])
    finally:
        del part.metadata
    assert note == "test-org/tiny: measured again, as the data have another revision: BothClusterings"
    assert folder.measured == ["OneClustering", "OtherClustering"]


def test_a_missing_subset_is_never_merged_into_an_older_result(folder):
    """mteb's own cache would keep the old subset under the new revision and version."""
    folder.run(tasks=[TwoClusterings()])
    good = json.loads(folder.result("TwoClusterings").read_text())
    old = json.loads(json.dumps(good))
    old["scores"]["test"] = [old["scores"]["test"][0] | {"main_score": 0.99, "v_measure": 0.99}]
    old["mteb_version"] = "2.0.0"
    folder.result("TwoClusterings").write_text(json.dumps(old))
    replace_record(folder, "TwoClusterings")
    (note,) = folder.run(tasks=[TwoClusterings()])
    assert note == "test-org/tiny: measured again, as splits or languages are missing: TwoClusterings"
    found = json.loads(folder.result("TwoClusterings").read_text())
    assert found["scores"] == good["scores"]
    assert found["mteb_version"] == good["mteb_version"]


def test_a_damaged_record_is_named(folder):
    folder.record(PAIRS).write_text("{")
    with pytest.raises(ZooError, match=rf"{PAIRS}.json is not JSON"):
        folder.run()


def test_without_a_listener_notes_are_warnings(folder, make_meta):
    folder.record(PAIRS).unlink()
    with pytest.warns(UserWarning, match="kept, but measured otherwise"):
        evaluate([make_meta()], folder.tasks[1:2], folder.root)
