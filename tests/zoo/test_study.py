"""A study on tiny models: it resumes, shares what can be shared, and tells means with intervals."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch
from conftest_builders import SENTENCES
from filelock import FileLock

from genzoo.errors import InputError, TrainingError
from genzoo.forward import remember
from genzoo.studies import STUDIES, Study, find_study
from genzoo.tokens import plain_ids
from genzoo.training import engines
from genzoo.training.pipeline import load_causal_lm
from genzoo.training.queries import Query
from genzoo.training.responses import Response
from genzoo.training.study import StudyRow, _write, mean_interval, run_study, summarise
from genzoo.training.text_states import TextStates

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES * 2)]


@pytest.fixture
def study(llama):
    common = {"backbone": str(llama), "optim.steps": 3, "optim.batch": 4, "optim.align_first": 1, "max_tokens": 64}
    common |= {
        "unsupervised.layer": 1,
        "unsupervised.whiten": 6,
        "response.max_new_tokens": 3,
        "unsupervised.fit_texts": 64,
    }
    variants = {"base": {}, "align-only": {"losses.recon": 0}, "echo": {"response.source": "echo"}}
    return Study("tiny", "smollm2-135m", variants, seeds=(0, 1), common=common)


def test_study_runs_resumes_and_tells_means(study, tmp_path, monkeypatch):
    measured = []

    def measure(model):
        measured.append(model)
        return {"ToyTask": float(len(measured))}

    class StopError(Exception):
        pass

    def stop(stage, done, total, remark):
        if stage == "study" and done == 2:
            raise StopError

    with pytest.raises(StopError):
        run_study(study, QUERIES, tmp_path, measure=measure, device="cpu", on_progress=stop)
    kept = list(measured)
    rows = run_study(study, QUERIES, tmp_path, measure=measure, device="cpu")
    assert measured[: len(kept)] == kept
    assert len(set(measured)) == len(measured)  # no cell and no teacher twice
    assert {(row.variant, row.seed) for row in rows if row.metric == "recon_gap"} == {
        (variant, seed) for variant in study.variants for seed in study.seeds
    }
    # One file of answers for all cells that ask alike, one teacher per seed and response source.
    assert len(list((tmp_path / "responses").glob("*/responses.jsonl"))) == 1
    table = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [StudyRow(**row | {"seed": int(row["seed"]), "value": float(row["value"])}) for row in table] == rows
    summary = {(row["variant"], row["metric"]): row for row in csv.DictReader((tmp_path / "summary.csv").open())}
    assert summary["base", "ToyTask"]["n"] == "2"
    assert float(summary["base", "ToyTask"]["difference"]) == 0.0
    assert ("teacher of base", "ToyTask") in summary
    # Nothing is trained again.
    from genzoo.training import study as module

    monkeypatch.setattr(module, "TrainingRun", lambda *a, **k: pytest.fail("trained a finished cell"))
    assert run_study(study, QUERIES, tmp_path, measure=measure) == rows


def test_equal_variants_score_the_same_on_drawn_documents(study, tmp_path, monkeypatch):
    """One process measures all cells, with the task objects that its benchmark hands out each time."""
    from functools import partial

    from drawing_tasks import SHARED

    from genzoo.cli import studies as command
    from genzoo.cli.console import Bars

    monkeypatch.setattr("genzoo.tasks.catalogue.resolve_tasks", lambda *named: (list(SHARED), None))
    twins = replace(study, variants={"base": {}, "twin": {}, "other": {"n_compression": 2}}, seeds=(0,))
    with Bars(quiet=True) as bars:
        measure = partial(
            command._measure, benchmark=None, tasks=[], output=tmp_path / "results", device="cpu", bars=bars
        )
        rows = run_study(twins, QUERIES, tmp_path, measure=measure, device="cpu")
    found = {(row.variant, row.metric): row.value for row in rows}
    for task in SHARED:
        name = task.metadata.name
        assert found["base", name] == found["twin", name] != found["other", name]
        assert found["teacher of base", name] == found["teacher of twin", name]
    assert command._unfixed(tmp_path / "results") == []
    for record in (tmp_path / "results" / "environment").glob("*twin*/*/OneMultilabel.json"):
        record.write_text(json.dumps(json.loads(record.read_text()) | {"seeds": None}).replace('"seeds"', '"none"'))
    assert command._unfixed(tmp_path / "results") == ["OneMultilabel"]


def test_cells_of_another_recipe_are_refused(study, tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(f"study,variant,seed,metric,value,recipe_digest\ntiny,base,0,x,1.0,{'0' * 16}\n")
    with pytest.raises(TrainingError, match="holds base, seed 0, of another recipe or study"):
        run_study(study, QUERIES, tmp_path)
    path.write_text("study,variant\ntiny,base\n")
    with pytest.raises(TrainingError, match="is damaged"):
        run_study(study, QUERIES, tmp_path)


def test_a_study_goes_on_from_its_table_alone_and_leaves_running_cells_to_others(study, tmp_path):
    rows = run_study(study, QUERIES, tmp_path / "whole", device="cpu")
    kept = [row for row in rows if (row.variant, row.seed) != ("echo", 1)]
    half = tmp_path / "half"
    half.mkdir()
    _write(half / "results.csv", kept, StudyRow)
    with FileLock(half / "runs" / "echo--seed-1" / ".lock"):
        assert run_study(study, QUERIES, half, device="cpu") == kept  # another process has that cell
    again = run_study(study, QUERIES, half, device="cpu")
    assert [(row.variant, row.seed, row.metric) for row in again] == [
        (row.variant, row.seed, row.metric) for row in rows
    ]
    # Not bit-equal: the states of texts were computed in other passes.
    assert [row.value for row in again] == pytest.approx([row.value for row in rows], rel=1e-3)


def test_a_study_takes_answers_that_were_made_earlier(study, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "make_engine", lambda *given: pytest.fail("answered anew"))
    base = replace(study, variants={"base": {}}, seeds=(0,))
    given = [Response(query.id, query.text, f"about {query.text}", "stop", 5) for query in QUERIES]
    assert run_study(base, QUERIES, tmp_path, device="cpu", responses=given)


def test_kept_states_of_texts_are_those_computed_anew(llama):
    model, tokenizer = load_causal_lm(llama, "cpu")
    texts = ["a text", "", "another, longer text", "a text"]
    ids = plain_ids(tokenizer, texts)
    kept, few = TextStates(1 << 20), TextStates(1)
    first, again, never = (one.memory(model, texts, ids) for one in (kept, kept, few))
    assert (len(kept), len(few)) == (3, 0)
    assert kept.memory(model, ["a text", ""], [ids[0], []])[0][0][0].shape[2] == len(ids[0])
    assert few.memory(model, [""], [[]]) is None
    for layer, pairs in remember(model, ids).items():
        for place, pair in enumerate(pairs):
            for found in (first, again, never):
                for one, other in zip(found[layer][place], pair, strict=True):
                    assert torch.allclose(one, other, atol=1e-6)


def test_means_and_intervals():
    study = Study("s", "smollm2-135m", {"a": {}, "b": {"losses.recon": 0}}, seeds=(0, 1, 2))
    rows = [
        StudyRow("s", name, seed, "m", seed + shift, "d")
        for name, shift in (("a", 0.0), ("b", 2.0))
        for seed in range(3)
    ]
    first, second = summarise(study, rows)
    assert (first.mean, second.mean) == (1.0, 3.0)
    # Student's t for two degrees of freedom: 4.302653 standard errors.
    assert second.high - second.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    # Seed by seed the difference is exact, however much the seeds differ.
    assert (second.difference, second.difference_low, second.difference_high) == (2.0, 2.0, 2.0)
    assert math.isnan(mean_interval([1.0])[1])
    assert all(map(math.isnan, mean_interval([])))


def test_study_files(tmp_path):
    path = tmp_path / "mine.json"
    facts = {"recipe": "smollm2-135m", "variants": {"base": {}, "one": {"n_compression": 1}}, "seeds": [5]}
    path.write_text(json.dumps(facts))
    study = find_study(str(path))
    assert (study.name, study.seeds) == ("mine", (5,))
    assert study.recipe_of("one", 5).n_compression == 1
    for broken, told in (
        ("{", "is no study"),
        (json.dumps(facts | {"variants": {"a": {"no.such": 1}}}), "there is no field 'no.such'"),
        (json.dumps(facts | {"variants": {"../a": {}}}), "cannot name a folder"),
        (json.dumps(facts | {"variants": {}}), "no variants"),
        (json.dumps(facts | {"colour": 1}), "is no study"),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=told):
            find_study(str(path))


@pytest.mark.parametrize("name", ["ablation", "ablation-small"])
def test_the_ablation_covers_what_was_asked(name):
    study = STUDIES.get(name)
    recipes = {name: study.recipe_of(name, 0) for name in study.variants}
    assert {recipe.n_compression for recipe in recipes.values()} >= {1, 5, 10}
    assert {recipe.response.source for recipe in recipes.values()} == {"own", "echo", "none"}
    assert len({recipe.teacher for recipe in recipes.values()}) > 1
    assert len({recipe.response.limit for recipe in recipes.values()}) == 3
    assert len({recipe.response.system_prompt for recipe in recipes.values()}) == 2
    assert {(bool(recipe.losses.align), bool(recipe.losses.recon)) for recipe in recipes.values()} == {
        (True, True),
        (True, False),
        (False, True),
    }
    assert len({recipe.digest() for recipe in recipes.values()}) == len(recipes)
    assert len(study.seeds) > 1
