"""A study whose variants are measured on tasks, in one process."""

import json
from dataclasses import replace
from functools import partial

import pytest
from conftest_builders import ON_A_TINY_LLM, SENTENCES
from drawing_tasks import SHARED

import genzoo
from genzoo.backbones.generation import Query
from genzoo.errors import UnknownNameError
from genzoo.leaderboards import study_runs
from genzoo.recipes.studies import Study
from genzoo.training.study import run_study

TEXTS = [f"{text} {number}" for number, text in enumerate(SENTENCES * 2)]
QUERIES = [Query(f"q{number}", text) for number, text in enumerate(TEXTS)]


@pytest.fixture
def study(llama):
    common = {"backbone": str(llama), "optim.steps": 2, "optim.batch": 4, "optim.align_first": 1, "max_tokens": 64}
    common |= {"unsupervised.layer": 1, "unsupervised.whiten": 6, "unsupervised.fit_texts": 64}
    common |= {"response.max_new_tokens": 3} | ON_A_TINY_LLM
    return Study("tiny", "smollm2-135m", {"base": {}}, seeds=(0,), common=common)


def test_equal_variants_score_the_same_on_drawn_documents(study, tmp_path, monkeypatch):
    """One process measures all cells, with the task objects that its benchmark hands out each time."""
    monkeypatch.setattr("genzoo.tasks.sets.registration.resolve_tasks", lambda *named: (list(SHARED), None))
    twins = replace(study, variants={"base": {}, "twin": {}, "other": {"n_compression": 1}}, seeds=(0,))
    measure = partial(study_runs._measure, benchmark=None, tasks=["drawn"], output=tmp_path / "results", device="cpu")
    rows = run_study(twins, QUERIES, tmp_path, measure=measure, device="cpu")
    found = {(row.variant, row.metric): row.value for row in rows}
    for task in SHARED:
        name = task.metadata.name
        assert found["base", name] == found["twin", name] != found["other", name]
        assert found["teacher of base", name] == found["teacher of twin", name]
    assert study_runs.unfixed_tasks(tmp_path / "results") == []
    for record in (tmp_path / "results" / "environment").glob("*twin*/*/OneMultilabel.json"):
        record.write_text(json.dumps(json.loads(record.read_text()) | {"seeds": None}).replace('"seeds"', '"none"'))
    assert study_runs.unfixed_tasks(tmp_path / "results") == ["OneMultilabel"]


def test_a_study_without_tasks_from_python(study, tmp_path, capfd):
    """The same call goes on: nothing is trained again."""
    facts = {
        "recipe": study.recipe,
        "common": dict(study.common),
        "seeds": [0],
        "variants": {"base": {}, "other": {"n_compression": 2}},
    }
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    found = genzoo.study(tmp_path / "mine.json", TEXTS, tmp_path / "out", device="cpu")
    assert {(row.variant, row.n) for row in found} == {("base", 1), ("other", 1)}
    frame = found.to_frame()
    assert {"variant", "metric", "mean", "low", "high", "difference"} <= set(frame.columns)
    assert set(frame[frame.variant == "base"].difference) == {0.0}
    assert "recon_gap" in found._repr_html_()
    again = genzoo.study(tmp_path / "mine.json", TEXTS, tmp_path / "out", device="cpu")
    assert again.to_frame().equals(frame)
    assert capfd.readouterr().out == ""


def test_an_unknown_task_is_an_error_before_anything_is_trained(study, tmp_path):
    with pytest.raises(UnknownNameError, match="NoSuchTask"):
        genzoo.study("ablation-small", TEXTS, tmp_path / "out", tasks=["NoSuchTask"])
    assert not (tmp_path / "out").exists()
