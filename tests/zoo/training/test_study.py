"""A study on tiny models: it resumes, shares what can be shared, and tells means with intervals."""

import csv
import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from conftest_builders import ON_A_TINY_LLM, SENTENCES
from filelock import FileLock

from genzoo.backbones.forward import remember
from genzoo.backbones.generation import Query, Response
from genzoo.backbones.tokenizer import plain_ids
from genzoo.backbones.whole import load_causal_lm
from genzoo.errors import InputError, TrainingError, ZooError
from genzoo.jobs import reporting_to
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.policies.policy import with_content
from genzoo.recipes.studies import STUDIES, Study, find_study
from genzoo.training import study as module
from genzoo.training.state import StateFolder, TextStates
from genzoo.training.study import StudyRow, _write, mean_interval, run_study, summarise

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES * 2)]


@pytest.fixture
def study(llama):
    common = {"backbone": str(llama), "optim.steps": 3, "optim.batch": 4, "optim.align_first": 1, "max_tokens": 64}
    common |= ON_A_TINY_LLM
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

    with pytest.raises(StopError), reporting_to(stop):
        run_study(study, QUERIES, tmp_path, measure=measure, device="cpu")
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
    monkeypatch.setattr(module, "TrainingRun", lambda *a, **k: pytest.fail("trained a finished cell"))
    assert run_study(study, QUERIES, tmp_path, measure=measure) == rows


def test_cells_of_another_recipe_are_refused(study, tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(f"study,variant,seed,metric,value,recipe_digest\ntiny,base,0,x,1.0,{'0' * 16}\n")
    with pytest.raises(TrainingError, match="holds base, seed 0, of another recipe or study"):
        run_study(study, QUERIES, tmp_path)
    path.write_text("study,variant\ntiny,base\n")
    with pytest.raises(TrainingError, match="is damaged"):
        run_study(study, QUERIES, tmp_path)


NEVER = lambda *given, **options: pytest.fail("began to train")  # noqa: E731
HEADING = "study,variant,seed,metric,value,recipe_digest"


def _row(study, variant, seed, *, name="tiny", metric="x", value="1.0", digest=None):
    digest = digest or (study.recipe_of(variant, seed).digest() if variant in study.variants else "0" * 16)
    return f"{name},{variant},{seed},{metric},{value},{digest}"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["tiny,base,0,x"], r"line 3: the row has 4 cells, the heading has 6"),
        (["tiny,base,zero,x,1.0,0"], r"line 3: invalid literal"),
        (["tiny,base,0,x,high,0"], r"line 3: could not convert"),
        (['tiny,"base,0,x,1.0,0'], r"line 3: a quote is opened"),
        (["tiny,base,0,x,1.0,0", "tiny,base,0,x,2.0,0"], r"lines 3 and 4 differ in x of base, seed 0"),
        ([HEADING], r"line 3: invalid literal"),
    ],
)
def test_a_damaged_table_is_named_by_its_line_before_any_training(study, tmp_path, monkeypatch, lines, told):
    monkeypatch.setattr(module, "TrainingRun", NEVER)
    text = "\n".join([HEADING, _row(study, "echo", 1), *lines])
    (tmp_path / "results.csv").write_text(text + "\n")
    with pytest.raises(TrainingError, match=rf"results\.csv is damaged .*{told}"):
        run_study(study, QUERIES, tmp_path)
    assert (tmp_path / "results.csv").read_text() == text + "\n"


def test_a_policy_of_other_examples_is_another_recipe(study, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TrainingRun", NEVER)
    policy = tmp_path / "policy.csv"
    rows = [f"text number {place},{str(place % 2 == 0).lower()}" for place in range(16)]
    policy.write_text("\n".join(["text,refuse", *rows]) + "\n")
    variants = {name: study.variants[name] for name in ("base", "align-only")}
    study = replace(study, variants=variants, common={**study.common, "policy.examples": str(policy)})
    digests = {cell: with_content(study.recipe_of(*cell)).digest() for cell in study.cells}
    lines = [_row(study, *cell, digest=digest) for cell, digest in digests.items()]
    (tmp_path / "results.csv").write_text("\n".join([HEADING, *lines]) + "\n")
    run_study(study, QUERIES, tmp_path)  # every cell is finished
    policy.write_text("\n".join(["text,refuse", *rows[:-1]]) + "\nanother text,false\n")
    with pytest.raises(TrainingError, match="of another recipe or study"):
        run_study(study, QUERIES, tmp_path)


def test_what_would_stop_a_later_cell_stops_the_study_at_once(study, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TrainingRun", NEVER)
    late = {**study.variants, "late": {"unsupervised.layer": 3}}
    for changes, told in (
        ({"variants": late}, "unsupervised.layer is 3, the backbone has layers 1 to 2"),
        ({"variants": late | {"late": {"lora.rank": 1, "lora.modules": "q_proj,nosuch"}}}, "is named nosuch"),
        ({"variants": late | {"late": {"unsupervised.whiten": 33, "unsupervised.fit_texts": 99}}}, "is 32 wide"),
        ({"variants": late | {"late": {"teacher": "nosuch"}}}, "unknown teacher"),
        ({"variants": late | {"late": {"backbone": "/nosuch/folder"}}}, "no folder"),
    ):
        with pytest.raises(ZooError, match=told):
            run_study(replace(study, **changes), QUERIES, tmp_path)
    with pytest.raises(InputError, match="the log has 7, of which 0 are held out"):
        run_study(replace(study, common={**study.common, "unsupervised.whiten": 7}), QUERIES[:7], tmp_path)
    # Of the last cell alone.
    for row, told in (
        (_row(study, "echo", 1, digest="0" * 16), "echo, seed 1, of another recipe"),
        (_row(study, "echo", 1, name="other"), "figures of the study other, this one is tiny"),
    ):
        (tmp_path / "results.csv").write_text(f"{HEADING}\n{row}\n")
        with pytest.raises(TrainingError, match=told):
            run_study(study, QUERIES, tmp_path)
    (tmp_path / "results.csv").unlink()
    StateFolder(tmp_path / "runs" / "echo--seed-1" / "tokens", {"recipe": "0" * 16}).save({"x": torch.ones(1)}, {})
    with pytest.raises(TrainingError, match=r"echo--seed-1.tokens holds the state of another run \(other recipe\)"):
        run_study(study, QUERIES, tmp_path)


def test_a_study_that_lost_variants_and_seeds_keeps_their_figures(study, tmp_path, notes):
    one = replace(study, variants={"base": {}}, seeds=(0,))
    lost = [
        _row(study, "echo", 0),
        _row(study, "base", 1),
        _row(study, "renamed", 0),
        _row(study, "echo", 5, metric="y"),
    ]
    (tmp_path / "results.csv").write_text("\n".join([HEADING, *lost]) + "\n")
    notes.clear()
    rows = run_study(one, QUERIES, tmp_path, device="cpu")
    assert [row.cell for row in rows[-4:]] == [("echo", 0), ("base", 1), ("renamed", 0), ("echo", 5)]
    assert {row.cell for row in rows[:-4]} == {("base", 0)}
    assert len(notes) == 1
    assert "not part of the study now: base (seed 1), echo (seed 0), echo (seed 5), renamed (seed 0)" in notes[0]


def test_finished_cells_are_known_by_what_they_were_made_of(study, llama, tiny_teacher, tmp_path, monkeypatch, notes):
    folders = {"backbone": tmp_path / "llama", "teacher": tmp_path / "teacher"}
    shutil.copytree(llama, folders["backbone"])
    shutil.copytree(tiny_teacher, folders["teacher"])
    common = {**study.common, **{name: str(folder) for name, folder in folders.items()}}
    one = replace(study, variants={"base": {}}, seeds=(0,), common=common)
    output, asked = tmp_path / "study", []

    def measure(model):
        asked.append(model)
        return {"A": 1.0, "B": 2.0} if len(asked) > 2 else {"A": 1.0}

    rows = run_study(one, QUERIES, output, measure=measure, metrics=["A"], device="cpu")
    assert len({row.made_of for row in rows}) == 1
    again = run_study(one, QUERIES, output, measure=measure, metrics=["A"], device="cpu")
    assert (again, len(asked)) == (rows, 2)  # the model and its teacher
    more = run_study(one, QUERIES, output, measure=measure, metrics=["A", "B"], device="cpu")
    assert {(row.variant, row.metric) for row in more} - {(row.variant, row.metric) for row in rows} == {
        ("base", "B"),
        ("teacher of base", "B"),
    }
    assert asked[-1] == str(folders["teacher"])
    monkeypatch.setattr(module, "TrainingRun", NEVER)
    with pytest.raises(TrainingError, match="base, seed 0, made of another query log, backbone or teacher"):
        run_study(one, QUERIES[1:], output)
    for folder, name in ((folders["backbone"], "tokenizer.json"), (folders["teacher"], "config.json")):
        kept = (folder / name).read_text()
        (folder / name).write_text(kept + "\n")
        with pytest.raises(TrainingError, match="made of another query log, backbone or teacher"):
            run_study(one, QUERIES, output)
        (folder / name).write_text(kept)
    # A table of an earlier version says nothing of it.
    table = [line.rsplit(",", 2)[0] for line in (output / "results.csv").read_text().splitlines()]
    (output / "results.csv").write_text("\n".join(table) + "\n")
    notes.clear()
    assert len(run_study(one, QUERIES, output)) == len(more)
    assert "does not say of which query log, backbone and teacher 1 of 1 cells were made" in notes[0]


def test_a_study_goes_on_from_its_table_alone_and_leaves_running_cells_to_others(study, tmp_path):
    rows = run_study(study, QUERIES, tmp_path / "whole", device="cpu")
    kept = [row for row in rows if (row.variant, row.seed) != ("echo", 1)]
    half = tmp_path / "half"
    half.mkdir()
    _write(half / "results.csv", kept, StudyRow)
    with FileLock(half / "runs" / "echo--seed-1" / ".lock"):
        assert run_study(study, QUERIES, half, device="cpu") == kept  # another process has that cell
    assert {row["variant"] for row in csv.DictReader((half / "summary.csv").open())} >= {"base", "echo"}
    again = run_study(study, QUERIES, half, device="cpu")
    assert [(row.variant, row.seed, row.metric) for row in again] == [
        (row.variant, row.seed, row.metric) for row in rows
    ]
    # Not bit-equal: the states of texts were computed in other passes.
    assert [row.value for row in again] == pytest.approx([row.value for row in rows], rel=1e-3)


def test_a_study_takes_answers_that_were_made_earlier(study, tmp_path, monkeypatch):
    monkeypatch.setattr("genzoo.training.pipeline.make_engine", lambda *given: pytest.fail("answered anew"))
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
    # Seed by seed the difference is the same, and three equal differences are no interval of zero width.
    assert second.difference == 2.0
    assert math.isnan(second.difference_low)
    assert math.isnan(second.difference_high)
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
        ("{", "is not JSON.*expected a JSON object"),
        (json.dumps(facts | {"variants": {"a": {"no.such": 1}}}), "there is no field 'no.such'"),
        (json.dumps(facts | {"variants": {"../a": {}}}), "cannot name a folder"),
        (json.dumps(facts | {"variants": {}}), "no variants"),
        (json.dumps(facts | {"colour": 1}), r"not a study \(colour: Extra inputs.*expected a JSON object with recipe"),
        (json.dumps(facts)[:-1] + ', "variants": {"b": {}}}', "names 'variants' twice"),
        (json.dumps(facts).replace('"one"', '"base"'), "names 'base' twice"),
        (json.dumps(facts | {"variants": ["base"]}), "variants: Input should be a valid dictionary"),
        (json.dumps(facts | {"variants": {"a": 5}}), r"variants\.a: Input should be a valid dictionary"),
        (json.dumps(facts | {"common": None}), "common: Input should be a valid dictionary"),
        (json.dumps(facts | {"seeds": "01"}), "seeds: Input should be a valid list"),
        (json.dumps(facts | {"seeds": ["0"]}), "give whole numbers"),
        (json.dumps(facts | {"seeds": [0, 0]}), "each of them once"),
        (json.dumps(facts | {"seeds": [1, -1]}), "seed is -1"),
        (json.dumps(facts | {"recipe": None}), "recipe: Input should be a valid string"),
        (json.dumps(facts | {"variants": {"a": {}, "b": {"seed": 7}}}), "changes seed in b, which would be ignored"),
        (json.dumps(facts | {"common": {"name": "x", "seed": 7}}), "changes name and seed in common"),
        (json.dumps({"variants": {"a": {}}}), "recipe: Field required"),
        (
            json.dumps(facts | {"variants": {"a": {}, "b": {"optim.lr_rows": -1}}}),
            r"variant b .*: optim.lr_rows is -1: it",
        ),
        ("[]", "holds a JSON list, expected an object"),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=told) as caught:
            find_study(str(path))
        assert str(path) in str(caught.value)


def test_the_study_of_exit_layers_changes_nothing_else():
    study = STUDIES.get("exit-layer")
    recipes = [study.recipe_of(name, 0) for name in study.variants]
    assert [recipe.exit_layer for recipe in recipes] == [0, 27, 24, 22, 20, 16]
    assert len({replace(recipe, name="", exit_layer=0) for recipe in recipes}) == 1


def test_a_study_keeps_the_states_of_each_exit_layer_by_themselves(study, tmp_path):
    layers = replace(study, variants={"whole": {}, "first": {"exit_layer": 1}}, seeds=(0,))
    rows = run_study(layers, QUERIES, tmp_path / "together", device="cpu")
    assert {row.variant: row.value for row in rows if row.metric == "layers_run"} == {"whole": 2, "first": 1}
    assert all(row.made_of and not row.sample for row in rows if row.metric == "layers_run")
    assert run_study(layers, QUERIES, tmp_path / "together", device="cpu") == rows
    alone = replace(layers, variants={"first": {"exit_layer": 1}})
    run_study(alone, QUERIES, tmp_path / "alone", device="cpu")
    found, wanted = (
        TokenCheckpoint.load(tmp_path / name / "runs" / "first--seed-0" / "checkpoint")
        for name in ("together", "alone")
    )
    assert torch.allclose(found.rows, wanted.rows, atol=1e-4)


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
