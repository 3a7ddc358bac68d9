"""genzoo.evaluate: names and objects, one or several, and bad input refused before anything is loaded."""

import json
import subprocess
import sys

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
        ("", {"tasks": "GenZooMiniSTS"}, UnknownNameError, "unknown model ''"),
        (None, {"tasks": "GenZooMiniSTS"}, InputError, "nothing to evaluate"),
        ({"a": "random"}, {"tasks": "GenZooMiniSTS"}, InputError, "'a' cannot name 'random'"),
        ("/no/such/model", {"tasks": "GenZooMiniSTS"}, InputError, "there is no folder /no/such/model"),
        ("random", {"tasks": 5}, InputError, "5 is not a task"),
        ("random", {"tasks": [None]}, InputError, "None is not a task"),
        ("random", {"benchmark": ["GenZoo(mini, v1)"]}, InputError, "is not a benchmark: give its name"),
        ("random", {"tasks": "GenZooMiniSTS", "batch_size": "8"}, InputError, "batch_size is '8': it must be a whole number"),
        ("random", {"tasks": "GenZooMiniSTS", "processes": 0}, InputError, "processes is 0"),
        ("random", {"tasks": "GenZooMiniSTS", "ray": 5}, InputError, "ray is 5"),
        ("random", {"tasks": "GenZooMiniSTS", "data": 5}, InputError, "'5': expected TASK=FOLDER"),
        ("random", {"tasks": "GenZooMiniSTS", "data": "STS12=@a"}, InputError, "names STS12"),
        ("random", {"tasks": "GenZooMiniSTS", "shard": 2}, InputError, "'2' is not a shard"),
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


def test_models_and_tasks_come_from_any_collection(tmp_path):
    asked = genzoo.plan_evaluation(
        (name for name in ["random", "random"]), {"GenZooMiniSTS": 1}.keys(), output=tmp_path
    )
    assert asked.asked["models"] == ("random", "random")
    assert asked.grid.size == 1


def test_the_callers_random_numbers_go_on_as_if_nothing_had_been_measured(tmp_path):
    """In a process of its own: mteb seeds the global generators when it is imported."""
    code = (
        "import random, sys, genzoo, numpy, torch\n"
        "state = lambda: (random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist())\n"
        "before = state()\n"
        f"genzoo.plan_evaluation('random', 'GenZooMiniSTS', output={str(tmp_path)!r}).run()\n"
        "assert state() == before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
