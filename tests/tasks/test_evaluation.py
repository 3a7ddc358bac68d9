import json
import signal
import subprocess
import sys
from pathlib import Path

import mteb
import numpy as np
import pytest

from genzoo.errors import InputError, ZooError
from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.model_session import EncodeSettings
from genzoo.tasks.sets.benchmarks import MINI_TASKS, own_benchmark

SHA = "0123456789abcdef0123456789abcdef01234567"
FEW = ["GenZooMiniSTS", "GenZooMiniReasoningRetrieval", "GenZooMiniSafetyRetrieval"]


@pytest.fixture
def few():
    return resolve_tasks(None, FEW)[0]


def result_file(output, task, name="test-org__tiny"):
    return output / "results" / name / SHA / f"{task}.json"


def predictions_file(output, task, name="test-org__tiny"):
    return output / "predictions" / name / SHA / f"{task}_predictions.json"


def load(path):
    return json.loads(path.read_text())


def scores(output, name="test-org__tiny"):
    """All scores of a model as written, less what depends on the clock."""
    return {path.name: load(path)["scores"] for path in (output / "results" / name / SHA).glob("GenZoo*.json")}


def test_the_mini_benchmark_end_to_end(make_meta, tmp_path):
    tasks, name = resolve_tasks("GenZoo(mini, v1)", [])
    calls = []
    facts = {"test-org/tiny": {"role": "baseline", "backbone": "static"}}
    found = evaluate(
        [make_meta()],
        tasks,
        tmp_path,
        benchmark_name=name,
        facts=facts,
        on_progress=lambda *call: calls.append(call),
    )
    assert [result.task_name for result in found[0].task_results] == [task.metadata.name for task in tasks]
    assert make_meta.loads == ["test-org/tiny"]
    assert [call[2] for call in calls] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert {(call[0], call[3]) for call in calls} == {("test-org/tiny", 6)}
    for task in MINI_TASKS:
        main = task.metadata.main_score
        result = load(result_file(tmp_path, task.metadata.name))
        entry = result["scores"]["test"][0]
        assert entry["main_score"] == entry[main]
        assert result["dataset_revision"] == task.metadata.revision
        assert load(predictions_file(tmp_path, task.metadata.name))["mteb_model_meta"]["revision"] == SHA
    safety = load(result_file(tmp_path, "GenZooMiniSafetyRetrieval"))["scores"]["test"][0]
    for k in (1, 3, 5, 10, 20, 100):
        assert safety[f"harmful_hit_rate_at_{k}"] == safety[f"hit_rate_at_{k}"]
        assert safety[f"safety_at_{k}"] == pytest.approx(1 - safety[f"hit_rate_at_{k}"])
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "results",
        "predictions",
        "environment",
        "tasks.json",
        "benchmarks.json",
    }
    assert load(tmp_path / "benchmarks.json") == {name: [task.metadata.name for task in tasks]}
    sts = load(tmp_path / "tasks.json")["GenZooMiniSTS"]
    assert (sts["type"], sts["main_score"], sts["languages"], sts["n_texts"]) == (
        "STS",
        "cosine_spearman",
        ["eng"],
        240,
    )
    assert sts["dataset"]["path"] == "genzoo/tasks/data/mini_similarity"
    environment = load(tmp_path / "environment" / "test-org__tiny" / f"{SHA}.json")
    assert environment["texts_per_second"] > 0
    assert (environment["role"], environment["backbone"], environment["teacher"]) == ("baseline", "static", None)
    assert (environment["device"], environment["dtype"], environment["embed_dim"]) == ("cpu", "float32", 24)
    assert environment["versions"]["mteb"] == mteb.__version__
    assert environment["machine"]["cores"] >= 1


def test_a_finished_run_is_not_repeated_nor_the_model_loaded(make_meta, few, tmp_path):
    evaluate([make_meta()], few, tmp_path)
    environment = tmp_path / "environment" / "test-org__tiny" / f"{SHA}.json"
    before = load(environment), scores(tmp_path), load(tmp_path / "tasks.json")
    stamp = result_file(tmp_path, FEW[0]).stat().st_mtime_ns
    again = evaluate([make_meta()], few, tmp_path)
    assert make_meta.loads == ["test-org/tiny"]
    assert len(again[0].task_results) == 3
    assert (load(environment), scores(tmp_path), load(tmp_path / "tasks.json")) == before
    assert result_file(tmp_path, FEW[0]).stat().st_mtime_ns == stamp
    evaluate([make_meta()], few[:1], tmp_path, overwrite=True)
    assert result_file(tmp_path, FEW[0]).stat().st_mtime_ns > stamp


def test_mteb_reads_the_folder_back(make_meta, few, tmp_path):
    metas = [make_meta(), make_meta(name="test-org/other", seed=1)]
    evaluate(metas, few, tmp_path)
    loaded = mteb.ResultCache(tmp_path).load_results(tasks=few, require_model_meta=False)
    assert {model.model_name for model in loaded} == {"test-org/tiny", "test-org/other"}
    assert {len(model.task_results) for model in loaded} == {3}
    assert scores(tmp_path) != scores(tmp_path, "test-org__other")


def test_scores_do_not_depend_on_the_company(make_meta, tmp_path):
    """The same weights under two names, after one another in one run, score the same."""
    tasks, _ = resolve_tasks("GenZoo(mini, v1)", [])
    evaluate([make_meta(), make_meta(name="test-org/twin")], tasks, tmp_path)
    assert scores(tmp_path) == scores(tmp_path, "test-org__twin")


KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
from genzoo.tasks import evaluate, resolve_tasks
encoded = []
def dying(encode):
    def inner(inputs, **kwargs):
        encoded.append(kwargs["task_metadata"].name)
        if encoded.count("GenZooMiniSafetyRetrieval") == 2:  # between queries and corpus
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(inputs, **kwargs)
    return inner
meta = tiny.meta_maker()(encode=dying)
evaluate([meta], resolve_tasks("GenZoo(mini, v1)", [])[0], Path(sys.argv[2]))
"""


def test_a_run_killed_in_the_middle_of_a_task_goes_on_to_equal_scores(make_meta, tmp_path):
    tasks, _ = resolve_tasks("GenZoo(mini, v1)", [])
    evaluate([make_meta()], tasks, tmp_path / "undisturbed")
    conftest = str(Path(__file__).with_name("conftest.py"))
    killed = subprocess.run([sys.executable, "-c", KILLED, conftest, str(tmp_path / "killed")], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    left = {path.stem for path in (tmp_path / "killed" / "results" / "test-org__tiny" / SHA).glob("GenZoo*.json")}
    assert left == {"GenZooMiniRetrieval", "GenZooMiniReasoningRetrieval"}
    seen = []

    def watched(encode):
        def inner(inputs, **kwargs):
            seen.append(kwargs["task_metadata"].name)
            return encode(inputs, **kwargs)

        return inner

    evaluate([make_meta(encode=watched)], tasks, tmp_path / "killed")
    assert set(seen) == {task.metadata.name for task in MINI_TASKS} - left
    assert scores(tmp_path / "killed") == scores(tmp_path / "undisturbed")


def test_old_data_are_run_again(make_meta, few, tmp_path):
    evaluate([make_meta()], few, tmp_path)
    good = scores(tmp_path)
    path = result_file(tmp_path, "GenZooMiniSTS")
    stale = load(path)
    stale["dataset_revision"] = "f" * 40
    stale["scores"]["test"][0]["main_score"] = 0.99
    path.write_text(json.dumps(stale))
    evaluate([make_meta()], few, tmp_path)
    assert make_meta.loads == ["test-org/tiny"] * 2
    assert scores(tmp_path) == good


def test_one_failing_task_does_not_stop_the_others(make_meta, few, tmp_path):
    def failing(encode):
        def inner(inputs, **kwargs):
            if kwargs["task_metadata"].name == "GenZooMiniSTS":
                raise RuntimeError("out of luck\nand more")
            return encode(inputs, **kwargs)

        return inner

    with pytest.raises(ZooError) as caught:
        evaluate([make_meta(encode=failing), make_meta(name="test-org/other")], few, tmp_path)
    assert str(caught.value) == (
        f"1 of 6 runs failed, the others are kept in {tmp_path}: "
        "GenZooMiniSTS with test-org/tiny: RuntimeError: out of luck"
    )
    assert not result_file(tmp_path, "GenZooMiniSTS").exists()
    assert not predictions_file(tmp_path, "GenZooMiniSTS").exists()
    assert result_file(tmp_path, FEW[1]).is_file()
    assert result_file(tmp_path, "GenZooMiniSTS", "test-org__other").is_file()


def test_a_model_that_cannot_be_loaded_costs_only_its_own_tasks(make_meta, few, tmp_path):
    def broken(name, **kwargs):
        make_meta.loads.append(name)
        raise OSError("no such weights")

    bad = make_meta(name="test-org/bad").model_copy(update={"loader": broken})
    with pytest.raises(
        ZooError, match=r"3 of 6 runs failed.*test-org/bad: the model cannot be loaded \(OSError: no such"
    ):
        evaluate([bad, make_meta()], few, tmp_path)
    assert make_meta.loads == ["test-org/bad", "test-org/tiny"]
    assert len(scores(tmp_path)) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(make_meta, few, tmp_path, value):
    def spoiling(encode):
        def inner(inputs, **kwargs):
            embeddings = np.array(encode(inputs, **kwargs))
            embeddings[-1, -1] = value
            return embeddings

        return inner

    with pytest.raises(ZooError, match="test-org/tiny returned NaN or infinite values among 120 embeddings"):
        evaluate([make_meta(encode=spoiling)], few[:1], tmp_path)
    assert not result_file(tmp_path, FEW[0]).exists()


def test_a_task_without_network_says_what_to_do(make_meta, few, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    tasks = resolve_tasks(None, ["PoemSentimentClassification.v2"])[0] + few[:1]
    with pytest.raises(ZooError) as caught:
        evaluate([make_meta()], tasks, tmp_path)
    message = str(caught.value)
    assert "1 of 2 runs failed" in message
    assert f"data set {tasks[0].metadata.dataset['path']} cannot be reached" in message
    assert "HF_ENDPOINT" in message
    assert "\n" not in message
    assert result_file(tmp_path, FEW[0]).is_file()


def test_input_is_checked_before_anything_is_loaded(make_meta, few, tmp_path):
    meta = make_meta()
    cases = [
        ([], few, {}, "nothing to evaluate"),
        ([meta], [], {}, "nothing to evaluate"),
        (["test-org/tiny"], few, {}, "must come as an mteb.ModelMeta, got str"),
        ([meta.model_copy(update={"revision": None})], few, {}, "results are filed by org/name and revision"),
        ([meta.model_copy(update={"revision": "no_revision_available"})], few, {}, "results are filed by"),
        ([meta, meta], few, {}, "two models are named test-org/tiny"),
        ([meta.model_copy(update={"experiment_kwargs": {"a": 1}})], few, {}, "its own revision"),
        ([meta], [few[0], few[0]], {}, "tasks named twice: GenZooMiniSTS"),
        ([meta], few, {"settings": EncodeSettings(batch_size=0)}, "batch_size is 0"),
    ]
    for metas, tasks, options, message in cases:
        with pytest.raises(InputError, match=message):
            evaluate(metas, tasks, tmp_path, **options)
    with pytest.raises(ZooError, match="role of test-org/tiny is 'hero'"):
        evaluate([meta], few, tmp_path, facts={"test-org/tiny": {"role": "hero"}})
    with pytest.raises(ZooError, match="hold colour"):
        evaluate([meta], few, tmp_path, facts={"test-org/tiny": {"colour": "red"}})
    assert make_meta.loads == []
    assert list(tmp_path.iterdir()) == []


def test_an_aggregate_counts_as_finished_too(make_meta, tmp_path):
    from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    class Both(AbsTaskAggregate):
        metadata = AggregateTaskMetadata(
            name="GenZooTestBoth",
            description="The two small ones",
            type="Retrieval",
            main_score="ndcg_at_10",
            eval_splits=["test"],
            tasks=list(own_benchmark("genzoo-mini").tasks[1:4:2]),
        )

    evaluate([make_meta()], [Both()], tmp_path)
    evaluate([make_meta()], [Both()], tmp_path)
    assert make_meta.loads == ["test-org/tiny"]
    assert predictions_file(tmp_path, "GenZooMiniReasoningRetrieval").is_file()
    assert load(result_file(tmp_path, "GenZooTestBoth"))["scores"]["test"][0]["main_score"] > 0
