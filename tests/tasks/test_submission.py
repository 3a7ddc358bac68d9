"""What goes to the MTEB results repository, and what stays."""

import json

import mteb
import pytest
from mteb.models import model_meta

from genzoo.errors import InputError
from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.submission import write_submission

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def results(make_meta, tmp_path):
    """A real run of ours, and beside it two results of an mteb task: one on mteb's data, one on other data."""
    folder = tmp_path / "results"
    tasks, _ = resolve_tasks(None, ["GenZooMiniSTS"])
    evaluate([make_meta()], tasks, folder)
    place = folder / "results" / "test-org__tiny" / SHA
    made = json.loads((place / "GenZooMiniSTS.json").read_text())
    settings = (place / "run_settings.jsonl").read_text()
    for name, revision in (("STSBenchmark", mteb.get_task("STSBenchmark").metadata.revision), ("STS13", "f" * 40)):
        (place / f"{name}.json").write_text(json.dumps(made | {"task_name": name, "dataset_revision": revision}))
        settings += settings.splitlines()[0].replace("GenZooMiniSTS", name) + "\n"
    (place / "run_settings.jsonl").write_text(settings)
    return folder


def test_takes_what_mteb_has_and_says_why_the_rest_stays(results, tmp_path):
    (part,) = write_submission(results, tmp_path / "out")
    place = tmp_path / "out" / "results" / "test-org__tiny" / SHA
    assert {path.name for path in place.iterdir()} == {"STSBenchmark.json", "model_meta.json", "run_settings.jsonl"}
    assert part.taken == ["STSBenchmark"]
    assert part.left_out["GenZooMiniSTS"] == "no task of mteb"
    assert part.left_out["STS13"].startswith(f"measured on data {'f' * 40}, mteb pins ")
    lines = [json.loads(line) for line in (place / "run_settings.jsonl").read_text().splitlines()]
    assert [line["task"] for line in lines] == ["STSBenchmark"]
    checklist = (tmp_path / "out" / "CHECKLIST.md").read_text()
    assert "40 of 41 tasks of MTEB(eng, v2) are missing: " in checklist
    assert "STS13 (measured on data" in checklist
    assert not any("does not read" in problem for problem in part.problems)


def test_mteb_reads_it_back(results, tmp_path):
    write_submission(results, tmp_path / "out")
    read = mteb.ResultCache(tmp_path / "out").load_results(include_remote=False)
    assert [(m.model_name, [t.task_name for t in m.task_results]) for m in read] == [
        ("test-org/tiny", ["STSBenchmark"])
    ]


def test_the_model_meta_is_python_that_makes_the_same_card(results, tmp_path, make_meta):
    write_submission(results, tmp_path / "out")
    source = (tmp_path / "out" / "model_meta" / "test-org__tiny.py").read_text()
    made = eval(source, dict(vars(model_meta)))  # noqa: S307  our own output
    meta = make_meta()
    for field in ("name", "revision", "license", "embed_dim", "training_datasets", "similarity_fn_name"):
        assert getattr(made, field) == getattr(meta, field)


def test_a_submission_that_is_whole_names_no_missing_task(results, tmp_path):
    place = results / "results" / "test-org__tiny" / SHA
    made = json.loads((place / "GenZooMiniSTS.json").read_text())
    for task in mteb.get_benchmark("MTEB(eng, v2)").tasks:
        name = task.metadata.name
        (place / f"{name}.json").write_text(
            json.dumps(made | {"task_name": name, "dataset_revision": task.metadata.revision})
        )
    (part,) = write_submission(results, tmp_path / "out")
    assert len(part.taken) == 41
    assert not any("missing" in problem for problem in part.problems)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ["no/body"]}, "no results of no/body .* those of test-org/tiny"),
        ({"benchmark": "MTEB(martian)"}, "unknown benchmark"),
    ],
)
def test_a_wrong_name_is_one_clear_error(results, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_submission(results, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(results, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        write_submission(results, tmp_path / "out")
    with pytest.raises(InputError, match="holds no results"):
        write_submission(tmp_path / "nothing", tmp_path / "new")
