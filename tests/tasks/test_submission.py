"""What goes to the MTEB results repository, and what stays."""

import json
import re

import mteb
import pytest
from mteb.models import ModelMeta, model_meta

from genzoo.backbones.entries import fetch_backbone
from genzoo.errors import BackboneError, InputError
from genzoo.models.entries import ENTRIES
from genzoo.tasks import evaluate, resolve_tasks, submission
from genzoo.tasks.own.choices import own_name
from genzoo.tasks.submission import published_meta, render_source, write_submission

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
    assert part.left_out["GenZooMiniSTS"] == "not a task of mteb"
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


def scores_of(task, value=0.5):
    """What a result of a task holds: its splits and subsets under one score."""
    subsets = ["default"] if task.is_aggregate else task.hf_subsets
    rows = [{"main_score": value, "hf_subset": subset, "languages": ["eng-Latn"]} for subset in subsets]
    return dict.fromkeys(task.eval_splits, rows)


def write_result(place, task, **changes):
    """A result file of an mteb task, as mteb writes it."""
    content = {
        "task_name": task.metadata.name, "dataset_revision": task.metadata.revision, "mteb_version": "2.26.24",
        "scores": scores_of(task), "evaluation_time": 1.0,
    }  # fmt: skip
    (place / f"{task.metadata.name}.json").write_text(json.dumps(content | changes))


def test_a_submission_that_is_whole_names_no_missing_task(results, tmp_path):
    place = results / "results" / "test-org__tiny" / SHA
    for task in mteb.get_benchmark("MTEB(eng, v2)").tasks:
        write_result(place, task)
    (part,) = write_submission(results, tmp_path / "out")
    assert len(part.taken) == 41
    assert part.incomplete == []
    assert not any("missing" in problem for problem in part.problems)
    assert "- [x] 41 results: " in (tmp_path / "out" / "CHECKLIST.md").read_text()


def row(value, subset="default", **more):
    return {"main_score": value, "hf_subset": subset, "languages": ["eng-Latn"], **more}


@pytest.mark.parametrize(
    ("task", "changes", "item"),
    [
        ("STSBenchmark", {"scores": {"test": [row(80.0)]}}, "main score of test/default is 80, and cosine_spearman lies between -1 and 1"),
        ("STSBenchmark", {"scores": {"test": [row(float("nan"))]}}, "main score of test/default is nan"),
        ("STSBenchmark", {"scores": {"test": [row(float("inf"))]}}, "main score of test/default is inf"),
        ("SciFact", {"scores": {"test": [row(-0.5)]}}, "is -0.5, and ndcg_at_10 lies between 0 and 1"),
        ("SciFact", {"scores": {"test": [row(0.9, ndcg_at_10=0.5)]}}, "is 0.9, but its ndcg_at_10 is 0.5"),
        ("SciFact", {"scores": {"test": [{"hf_subset": "default", "languages": []}]}}, "cannot be read|is None"),
        ("STSBenchmark", {"scores": {"dev": [row(0.8)]}}, "no score on test, but on dev/default"),
        ("STSBenchmark", {"scores": {}}, "no score on test, but on nothing"),
        ("STSBenchmark", {"scores": {"test": []}}, "no score on test, but on nothing"),
        ("STS17", {"scores": {"test": [row(0.8, "ar-ar")]}}, "no score on test, but on test/ar-ar"),
        ("STSBenchmark", {"scores": {"test": [row(0.5), row(0.9)]}}, "it has 2 scores on test/default"),
        ("STSBenchmark", {"task_name": "STS12"}, "holds a result of STS12"),
        ("STSBenchmark", None, "cannot be read"),
        ("STSBenchmark", {"scores": [1]}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_score_that_cannot_be_submitted_is_an_open_item(results, tmp_path, task, changes, item):
    place = results / "results" / "test-org__tiny" / SHA
    write_result(place, mteb.get_task("BIOSSES"))
    if changes is None:
        (place / f"{task}.json").write_text('{"task_name": "STSBen')
    else:
        write_result(place, mteb.get_task(task), **changes)
    (part,) = write_submission(results, tmp_path / "out")
    assert task not in part.taken
    assert not (tmp_path / "out" / "results" / "test-org__tiny" / SHA / f"{task}.json").exists()
    lines = (tmp_path / "out" / "CHECKLIST.md").read_text().splitlines()
    assert [line for line in lines if re.search(rf"- \[ \] {task}: .*({item})", line)]
    assert not [line for line in lines if line.startswith("- [x]") and task in line]
    assert "BIOSSES" in part.taken


def test_a_result_without_some_subsets_is_copied_and_open(results, tmp_path):
    place = results / "results" / "test-org__tiny" / SHA
    write_result(place, mteb.get_task("STS22.v2", hf_subsets=["en", "de"]))
    (part,) = write_submission(results, tmp_path / "other", benchmark="MTEB(Multilingual, v2)")
    assert "STS22.v2" in part.taken
    (problem,) = [problem for problem in part.problems if problem.startswith("STS22.v2: its result lacks ")]
    assert "test/es" in problem
    assert "test/en," not in problem
    checklist = (tmp_path / "other" / "CHECKLIST.md").read_text()
    assert not [line for line in checklist.splitlines() if line.startswith("- [x]") and "STS22.v2" in line]
    # the benchmark may ask for English alone
    (part,) = write_submission(results, tmp_path / "english")
    assert part.incomplete == []
    assert "STS22.v2" in part.taken


@pytest.mark.parametrize(
    ("card", "item"),
    [
        (None, "does not say the name and the revision"),
        ("{", "the model's card cannot be used"),
        ("[]", "the model's card cannot be used"),
        ("{}", "does not say the name and the revision"),
        ('{"name": "test-org/tiny"}', "does not say the revision"),
        (
            f'{{"name": "test-org/tiny", "revision": "{SHA}", "languages": 7}}',
            "not a card that mteb accepts: languages",
        ),
        (f'{{"name": "test-org/tiny", "revision": "{SHA}"}}', "license of the ModelMeta is not known"),
    ],
)
def test_a_sparse_or_damaged_card_is_an_open_item(results, tmp_path, card, item):
    path = results / "results" / "test-org__tiny" / SHA / "model_meta.json"
    path.unlink() if card is None else path.write_text(card)
    (part,) = write_submission(results, tmp_path / "out", models=["test-org/tiny"])
    assert (part.name, part.revision) == ("test-org/tiny", SHA)
    assert any(item in problem for problem in part.problems)
    assert part.taken == ["STSBenchmark"]


MARKUP = "<zz-node> [x](javascript:zz) `zz` *zz*\x1b[31m\n\n# zz\n- [x] zz"


@pytest.mark.parametrize("name", [f"a/b{MARKUP}", "../../zz", "a/\0b", f"a/{'e' * 300}", ".hidden/zz"])
def test_what_a_file_holds_is_text_in_the_checklist_and_names_no_path(results, tmp_path, name):
    place = results / "results" / "test-org__tiny" / SHA
    card = json.loads((place / "model_meta.json").read_text())
    (place / "model_meta.json").write_text(json.dumps(card | {"name": name, "revision": MARKUP}))
    stray = json.loads((place / "STS13.json").read_text())
    (place / "STS13.json").write_text(json.dumps(stray | {"dataset_revision": MARKUP}))
    (place / "BIOSSES.json").write_text(json.dumps(stray | {"task_name": MARKUP}))
    (part,) = write_submission(results, tmp_path / "out")
    assert part.name == name
    text = (tmp_path / "out" / "CHECKLIST.md").read_text()
    assert "\x1b" not in text
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    tokens = [token for block in markdown.parse(text) for token in (block, *(block.children or ()))]
    assert not [token for token in tokens if token.type.startswith(("html", "link", "em_"))]
    assert [line for line in text.splitlines() if line.startswith(("#", "- [x]")) and "zz" in line] == [
        line for line in text.splitlines() if line.startswith("## ") and " at " in line
    ]
    sources = list((tmp_path / "out" / "model_meta").iterdir())
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]*\.py", path.name) for path in sources)


@pytest.mark.parametrize(
    ("card", "item"),
    [
        ({"name": "acme/other"}, "says that the name is acme/other, the folder that it is test-org/tiny"),
        ({"revision": "f" * 40}, f"says that the revision is {'f' * 40}, the folder that it is {SHA}"),
    ],
)
def test_a_card_of_another_model_is_an_open_item(results, tmp_path, card, item):
    path = results / "results" / "test-org__tiny" / SHA / "model_meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | card))
    (part,) = write_submission(results, tmp_path / "out")
    assert any(item in problem for problem in part.problems)
    assert item in (tmp_path / "out" / "CHECKLIST.md").read_text()


def test_damaged_settings_lose_their_own_line_only(results, tmp_path):
    path = results / "results" / "test-org__tiny" / SHA / "run_settings.jsonl"
    path.write_text("{\n" + path.read_text() + "[]\n")
    (part,) = write_submission(results, tmp_path / "out")
    assert sum("run_settings.jsonl, line" in problem for problem in part.problems) == 2
    copied = tmp_path / "out" / "results" / "test-org__tiny" / SHA / "run_settings.jsonl"
    assert [json.loads(line)["task"] for line in copied.read_text().splitlines()] == ["STSBenchmark"]


def test_what_was_not_measured_on_the_official_data_stays(results, tmp_path):
    place = results / "results" / "test-org__tiny"
    task = mteb.get_task("SciFact")
    write_result(place / SHA, task)
    (place / SHA / "SciFact.json").rename(place / SHA / f"{own_name('SciFact', 'a' * 40)}.json")
    (place / "external").mkdir()
    write_result(place / "external", task)
    one, other = write_submission(results, tmp_path / "out")
    assert one.left_out[own_name("SciFact", "a" * 40)] == "measured on own data"
    assert other.taken == []
    assert other.left_out == {"SciFact": "read from a model card, not measured"}


def test_a_run_that_fails_leaves_nothing_behind(results, tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "_read_back", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_submission(results, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    monkeypatch.undo()
    assert write_submission(results, tmp_path / "out")


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


def test_the_cases_of_the_reference_folder(shared, tmp_path):
    (part,) = write_submission(shared / "cases" / "submit" / "s7", tmp_path / "s7")
    assert part.taken == []
    assert {problem.partition(":")[0] for problem in part.problems} >= {"SciFact", "STSBenchmark"}
    (part,) = write_submission(shared / "cases" / "submit" / "s10", tmp_path / "s10")
    assert part.taken == ["STSBenchmark"]


@pytest.fixture(params=ENTRIES.names())
def published(request):
    try:
        fetch_backbone(ENTRIES.get(request.param).backbone)
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")
    return published_meta(request.param, "acme/Model-LLM2Vec-Gen", "c" * 40)


def test_the_pasted_source_is_the_meta(published):
    space = {}
    exec(compile(render_source(published), "pasted", "exec"), space)  # noqa: S102 - that it runs is the promise
    (pasted,) = [value for value in space.values() if isinstance(value, ModelMeta)]
    assert pasted.model_dump(exclude={"loader"}) == published.model_dump(exclude={"loader"})
    assert pasted.loader is published.loader
    assert (pasted.name, pasted.revision) == ("acme/Model-LLM2Vec-Gen", "c" * 40)
    assert pasted.training_datasets
    assert "genzoo" not in str(pasted.loader.__module__)


def test_a_wrong_repository_or_commit_of_a_published_model_is_refused():
    with pytest.raises(InputError, match="40 hex digits"):
        published_meta("smollm2-135m", "acme/x", "main")
    with pytest.raises(InputError, match="write org/name"):
        published_meta("smollm2-135m", "x")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("acme/7b-embed.v1", "model_7b_embed_v1"),
        ("acme/Class", "model_class"),
        ("acme/Model", "model"),
        ("a/--", "model_"),
    ],
)
def test_the_variable_of_the_pasted_source_is_one(name, variable):
    meta = ModelMeta.create_empty({"name": name, "revision": "c" * 40})
    assert f"\n{variable} = " in render_source(meta)
    compile(render_source(meta), "pasted", "exec")
