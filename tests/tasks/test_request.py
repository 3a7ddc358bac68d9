"""Shards, plans, prompt sets and processes of an evaluation run."""

import mteb
import numpy as np
import pytest
from results_tree import scores

from genzoo.errors import InputError
from genzoo.jobs import Shard
from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.model_session import EncodeSettings
from genzoo.tasks.request import Grid

FEW = ["GenZooMiniSTS", "GenZooMiniIntentClassification", "GenZooMiniRetrieval"]


def test_shards_together_are_the_whole_run(make_meta, tmp_path):
    metas = [make_meta(), make_meta(name="test-org/other", seed=1)]
    tasks, _ = resolve_tasks(None, FEW)
    evaluate(metas, tasks, tmp_path / "whole")
    seen = []
    for number in (1, 2, 3, 4):
        before = set(scores(tmp_path / "parts")) if (tmp_path / "parts").exists() else set()
        evaluate(metas, tasks, tmp_path / "parts", shard=Shard(number, 4))
        seen.append(set(scores(tmp_path / "parts")) - before)
    assert [len(part) for part in seen] == [2, 2, 1, 1]
    assert scores(tmp_path / "parts") == scores(tmp_path / "whole")


def test_a_plan_counts_texts_and_tokens_and_scales_with_the_model(make_meta):
    small = make_meta().model_copy(update={"n_parameters": 1_000_000})
    large = make_meta(name="test-org/large").model_copy(update={"n_parameters": 5_000_000})
    unknown = make_meta(name="test-org/unknown")
    tasks, _ = resolve_tasks(None, ["GenZooMiniSTS", "STSBenchmark", "GenZooMiniIntentClassification"])
    plan = Grid([small, large, unknown], tasks, None, {}).plan(speed=1e9)
    assert [task.texts for task in plan.tasks] == [240, 2758, 320]
    assert plan.tokens == sum(task.tokens for task in plan.tasks)
    assert 30_000 < plan.tasks[1].tokens < 40_000  # 147,886 characters
    assert plan.seconds["test-org/large"] == pytest.approx(5 * plan.seconds["test-org/tiny"])
    assert plan.seconds["test-org/unknown"] is None


def test_every_task_of_the_lite_benchmark_can_be_planned():
    plan = Grid([], mteb.get_benchmark("MTEB(eng, v2)").tasks, None, {}).plan(speed=1e9)
    assert all(task.texts and task.tokens for task in plan.tasks)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"processes": 0}])
def test_settings_below_one_are_refused(make_meta, tmp_path, wrong):
    tasks, _ = resolve_tasks(None, FEW[:1])
    with pytest.raises(InputError, match="it must be 1 or more"):
        evaluate([make_meta()], tasks, tmp_path, settings=EncodeSettings(**wrong))


def test_one_pool_serves_the_whole_run(make_meta, tmp_path, monkeypatch):
    """The pool is started once and handed to every call; what it does inside is sentence-transformers' own."""
    from sentence_transformers import SentenceTransformer

    started, stopped, pools = [], [], []
    encode = SentenceTransformer.encode

    def watched(self, inputs, *args, pool=None, **kwargs):
        pools.append(pool)
        return encode(self, inputs, *args, **kwargs)

    monkeypatch.setattr(
        SentenceTransformer, "start_multi_process_pool", lambda self, devices: started.append(devices) or "pool"
    )
    monkeypatch.setattr(SentenceTransformer, "stop_multi_process_pool", staticmethod(stopped.append))
    monkeypatch.setattr(SentenceTransformer, "encode", watched)
    tasks, _ = resolve_tasks(None, FEW)
    found = evaluate([make_meta()], tasks, tmp_path, settings=EncodeSettings(processes=2))
    assert len(started) == 1
    assert len(started[0]) == 2
    assert stopped == ["pool"]
    assert set(pools[pools.index("pool") :]) == {"pool"}  # before it, a few texts show that the model loaded in full
    assert pools.index("pool") <= 2
    assert np.isfinite(found[0].task_results[0].get_score())
