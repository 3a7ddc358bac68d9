import importlib
import re

import mteb
import pytest
from mteb.models.model_implementations import MODEL_REGISTRY

from genzoo.errors import ZooError
from genzoo.tasks.sets import registration
from genzoo.tasks.sets.benchmarks import TASKS, own_benchmark, own_benchmarks
from genzoo.tasks.sets.registration import register, register_model


@pytest.fixture
def own_models(monkeypatch):
    """Leave mteb's model registry as it was."""
    before = dict(MODEL_REGISTRY)
    monkeypatch.setattr(registration, "_OUR_MODELS", set())
    yield
    MODEL_REGISTRY.clear()
    MODEL_REGISTRY.update(before)


def test_the_names_that_we_touch_are_where_we_expect_them():
    """The contract with mteb: if this fails, read its release notes and mend registration.py, nothing else."""
    assert re.match(r"2\.", importlib.metadata.version("mteb"))
    tasks = importlib.import_module("mteb.get_tasks")
    assert isinstance(tasks._TASKS_REGISTRY, dict)
    assert isinstance(tasks.TASK_LIST, tuple)
    benchmarks = importlib.import_module("mteb.benchmarks.get_benchmark")
    assert benchmarks._build_registry() is benchmarks._build_registry()
    assert benchmarks._build_aliases_registry() is benchmarks._build_aliases_registry()
    assert isinstance(MODEL_REGISTRY, dict)
    table = importlib.import_module("mteb.benchmarks._create_table")
    for name in ("_static_model_meta", "_meta_df_no_zs", "_meta_df_with_zs"):
        assert callable(getattr(table, name).cache_clear)
    assert callable(importlib.import_module("mteb.results.benchmark_results")._get_cached_model_metas.cache_clear)


def test_mteb_finds_ours_by_name_and_by_filter():
    register()
    for task in TASKS:
        assert type(mteb.get_task(task.metadata.name)) is task
    assert mteb.get_benchmark("GenZoo(mini, v1)") is own_benchmark("genzoo-mini")
    assert mteb.get_benchmark("genzoo-mini") is own_benchmark("genzoo-mini")
    names = {task.metadata.name for task in mteb.get_tasks(task_types=["Retrieval"], languages=["eng"])}
    assert {"GenZooMiniSafetyRetrieval", "GenZooMiniReasoningRetrieval", "SciFact"} <= names


@pytest.mark.parametrize("name", ["GenZoo(mini, v1)", "GenZoo(safety, v1)"])
def test_mteb_averages_no_safety_with_other_scores(name):
    register()
    (grouping,) = mteb.get_benchmark(name).aggregations
    others, safety = ([task.metadata.main_score for task in group.tasks] for group in grouping.groups)
    assert len(others) + len(safety) == len(mteb.get_benchmark(name).tasks)
    assert {score.rpartition("_at_")[0] for score in safety} == {"safety"}
    assert not any("safety" in score for score in others)


def test_registering_twice_changes_nothing():
    register()
    tasks = importlib.import_module("mteb.get_tasks")
    before = len(tasks.TASK_LIST), len(tasks._TASKS_REGISTRY), tasks.TASK_LIST
    register()
    assert (len(tasks.TASK_LIST), len(tasks._TASKS_REGISTRY)) == before[:2]
    assert tasks.TASK_LIST is before[2]
    assert len(set(tasks.TASK_LIST)) == len(tasks.TASK_LIST)


def test_a_task_name_that_mteb_has_is_refused(monkeypatch):
    clash = type("Clash", (TASKS[0],), {"metadata": TASKS[0].metadata.model_copy(update={"name": "SciFact"})})
    monkeypatch.setattr(registration, "TASKS", (*TASKS, clash))
    with pytest.raises(ZooError, match="mteb already has a task named 'SciFact'"):
        register()
    assert type(mteb.get_task("SciFact")) is not clash


def test_a_benchmark_name_that_mteb_has_is_refused(monkeypatch):
    clash = mteb.Benchmark(name="MTEB(eng, v2)", tasks=[])
    monkeypatch.setattr(registration, "own_benchmarks", lambda: (*own_benchmarks(), clash))
    with pytest.raises(ZooError, match="mteb already has a benchmark named"):
        register()
    assert len(mteb.get_benchmark("MTEB(eng, v2)").tasks) == 41


def test_an_unknown_mteb_version_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.1.0")
    with pytest.raises(ZooError, match=r"mteb 3\.1\.0 is installed.*pip install"):
        register()


def test_changed_registries_are_refused(monkeypatch):
    monkeypatch.delattr(importlib.import_module("mteb.get_tasks"), "_TASKS_REGISTRY")
    with pytest.raises(ZooError, match=r"has other registries.*pip install"):
        register()


def test_models_are_found_and_may_be_renewed(make_meta, own_models):
    meta = make_meta()
    register_model(meta)
    assert mteb.get_model_meta("test-org/tiny") is not None
    assert MODEL_REGISTRY["test-org/tiny"] is meta
    again = make_meta()
    register_model(again)
    assert MODEL_REGISTRY["test-org/tiny"] is again


def test_a_model_name_that_is_taken_is_refused(make_meta, own_models):
    with pytest.raises(ZooError, match="'sentence-transformers/all-MiniLM-L6-v2' is registered with mteb"):
        register_model(make_meta(name="sentence-transformers/all-MiniLM-L6-v2"))
    register_model(make_meta())
    with pytest.raises(ZooError, match="another name"):
        register_model(make_meta(revision="f" * 40))


def test_a_model_without_revision_is_refused(make_meta, own_models):
    with pytest.raises(ZooError, match="needs a name and a revision"):
        register_model(make_meta().model_copy(update={"revision": None}))
