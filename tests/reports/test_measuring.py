"""genzoo.evaluate: names and objects, one or several, and bad input refused before anything is loaded."""

import json

import mteb
import pytest
from mteb.benchmarks.benchmark import Benchmark
from sentence_transformers import SentenceTransformer

import genzoo
from genzoo.errors import InputError, UnknownNameError
from genzoo.tasks.sets.registration import resolve_tasks


@pytest.fixture
def task():
    return resolve_tasks(None, ["GenZooMiniSTS"])[0][0]


@pytest.fixture
def no_loading(monkeypatch):
    monkeypatch.setattr(mteb.models.ModelMeta, "load_model", lambda *a, **k: pytest.fail("a model was loaded"))


def test_names_and_objects_are_measured_alike(tiny_teacher, task, tmp_path):
    ready = SentenceTransformer(str(tiny_teacher), device="cpu")
    shelf = Benchmark(name="Mine(v1)", tasks=[task])
    results = genzoo.evaluate([tiny_teacher, ready], shelf, output=tmp_path, evidence=False)
    assert results.benchmarks == ["Mine(v1)"]
    board = results.leaderboard("Mine(v1)")
    first, second = (row.scores["GenZooMiniSTS"] for row in board.rows)
    assert first == pytest.approx(second, abs=1e-6)
    assert len({row.key.revision for row in board.rows}) == 2  # of the files, and of the weights
    assert json.loads((tmp_path / "benchmarks.json").read_text()) == {"Mine(v1)": ["GenZooMiniSTS"]}


def test_a_second_call_loads_nothing(tiny_teacher, task, tmp_path, monkeypatch):
    ready = SentenceTransformer(str(tiny_teacher), device="cpu")
    first = genzoo.evaluate({"mine": ready}, task, output=tmp_path, evidence=False).to_frame()
    monkeypatch.setattr(mteb.models.ModelMeta, "load_model", lambda *a, **k: pytest.fail("a model was loaded"))
    again = genzoo.evaluate({"mine": ready}, [task], output=tmp_path, evidence=False).to_frame()
    assert first["value"].tolist() == again["value"].tolist()
    assert first["model"].tolist() == ["local/mine"]


def test_several_benchmarks_are_recorded(tiny_teacher, task, tmp_path):
    shelves = [Benchmark(name="A", tasks=[task]), Benchmark(name="B", tasks=[task])]
    ready = genzoo.plan_evaluation(tiny_teacher, [*shelves, "GenZooMiniRetrieval"], output=tmp_path, evidence=False)
    assert [one.metadata.name for one in ready.grid.tasks] == ["GenZooMiniSTS", "GenZooMiniRetrieval"]
    assert ready.grid.benchmark_name is None
    assert ready.run().benchmarks == ["A", "B"]


def test_a_plan_counts_and_loads_nothing(tiny_teacher, tmp_path, no_loading):
    ahead = genzoo.plan_evaluation(str(tiny_teacher), "GenZoo(mini, v1)", output=tmp_path / "results")
    assert ahead.grid.benchmark_name == "GenZoo(mini, v1)"
    assert sum(task.texts for task in ahead.plan.tasks) == 320 + 160 + 160 + 247 + 160 + 240
    assert not (tmp_path / "results").exists()


def test_a_zoo_model_that_is_loaded_is_compared_with_its_teacher(tiny_teacher, no_loading, tmp_path):
    ready = SentenceTransformer(str(tiny_teacher), device="cpu")
    hub_id = genzoo.get_entry("smollm2-135m-minilm").hub_id
    ahead = genzoo.plan_evaluation({hub_id: ready, "mine": ready}, "GenZooMiniSTS", output=tmp_path)
    facts = {name: found for (name, _), found in ahead.grid.facts.items()}
    assert facts[hub_id]["teacher"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert facts["local/mine"]["teacher"] is None


@pytest.mark.parametrize(
    ("models", "options", "error", "said"),
    [
        ("smolm2", {"tasks": "GenZooMiniSTS"}, UnknownNameError, "unknown model 'smolm2'"),
        ("random", {"tasks": "GenZooMiniST"}, UnknownNameError, "unknown task 'GenZooMiniST'; did you mean"),
        ("random", {"benchmark": "GenZoo(min)"}, UnknownNameError, "unknown benchmark .*See: genzoo benchmarks"),
        ("random", {}, InputError, "no task was named"),
        (3, {"tasks": "GenZooMiniSTS"}, InputError, "a model cannot be of type int"),
        ("random", {"tasks": "GenZooMiniSTS", "device": "warp"}, InputError, "no device 'warp'"),
        ("random", {"tasks": "GenZooMiniSTS", "shard": "3/2"}, InputError, "is not a shard"),
        ("random", {"tasks": "GenZooMiniSTS", "ray": "auto", "shard": "1/2"}, InputError, "give only one of them"),
        ({"a": object()}, {"tasks": "GenZooMiniSTS", "ray": "auto"}, InputError, "models and tasks by name"),
        ("random", {"tasks": "GenZooMiniSTS", "data": {"GenZooMiniSTS": "nowhere"}}, InputError, "GenZooMiniSTS"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(models, options, error, said, tmp_path, no_loading):
    with pytest.raises(error, match=said):
        genzoo.evaluate(models, output=tmp_path / "results", **options)
    assert not (tmp_path / "results").exists()
