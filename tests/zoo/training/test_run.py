"""The verbs of training from Python: the same as on the command line, silent, with values in return."""

import json
import logging

import pytest
import torch
from conftest_builders import ON_A_TINY_LLM, SENTENCES

import genzoo
from genzoo.backbones.generation import Query
from genzoo.errors import InputError, TrainingError, UnknownNameError
from genzoo.recipes.recipes import RECIPES
from genzoo.training.controls import Controls
from genzoo.training.run import choose_recipe, read_log, teacher_of

TEXTS = [f"{text} {number}" for number, text in enumerate(SENTENCES * 2)]
FIELDS = ON_A_TINY_LLM | {"response.max_new_tokens": 3}


@pytest.fixture(scope="module")
def run(llama, tiny_teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "run"
    options = {"backbone": str(llama), "teacher": str(tiny_teacher), "steps": 2, "batch": 4, "answers": 32}
    return genzoo.train("smollm2-135m", TEXTS, folder, set=FIELDS, **options), options


def test_a_run_is_a_model_with_held_out_figures(run, tmp_path):
    made, _ = run
    assert made.checkpoint.n_parameters
    assert isinstance(made.controls, Controls)
    assert made.controls.n == 3
    assert made.controls.to_frame()["recon_gap"].item() == made.controls.recon_gap
    assert "held-out queries" in made.controls._repr_html_()
    embedding = made.load(device="cpu").encode("where do foxes live?")
    assert embedding.shape == (12,)
    folder = made.export(tmp_path / "model", merge=True)
    assert folder == tmp_path / "model"
    assert genzoo.load(folder, device="cpu").encode("where do foxes live?") == pytest.approx(embedding, abs=1e-5)
    assert teacher_of(made.folder) == made.checkpoint.info["recipe"]["teacher"]


def test_the_same_call_goes_on_and_a_file_of_queries_is_the_same_log(run, tmp_path):
    made, options = run
    log = tmp_path / "log.csv"
    log.write_text("query\n" + "\n".join(f'"{text}"' for text in TEXTS) + "\n")
    again = genzoo.train("smollm2-135m", log, made.folder, set=FIELDS, **options)
    assert again.checkpoint.digest() == made.checkpoint.digest()
    answered = genzoo.responses(
        "smollm2-135m", TEXTS, made.folder, set=FIELDS, answers=32, backbone=options["backbone"]
    )
    assert [row.query for row in answered] == [text for text in TEXTS[:32] if text in {row.query for row in answered}]
    assert list(answered.to_frame()["query"]) == [row.query for row in answered]
    found = genzoo.targets("smollm2-135m", TEXTS, made.folder, set=FIELDS, **options)
    assert {tuple(vector.shape) for vector in found.values()} == {(12,)}
    with pytest.raises(TrainingError, match=r"of another run \(other recipe\)"):
        genzoo.train("smollm2-135m", TEXTS, made.folder, set=FIELDS | {"response.repetition_penalty": 1.5}, **options)


def test_controls_are_those_of_the_training(run):
    made, _ = run
    found = genzoo.controls(made.folder, device="cpu")
    assert found.recon_gap == pytest.approx(made.controls.recon_gap, abs=1e-5)
    with pytest.raises(InputError, match="--save needs a folder"):
        genzoo.controls("smollm2-135m", save=True)


def test_nothing_prints(run, capfd):
    made, options = run
    genzoo.train("smollm2-135m", TEXTS, made.folder, set=FIELDS, **options)
    assert capfd.readouterr().out == ""


def test_a_plan_is_made_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = genzoo.plan_training("llama-3.2-1b", TEXTS, steps=10, batch=4)
    assert plan.n_queries == len(TEXTS)
    assert dict(plan.rows())["training"] == "10 steps of 4: 40 examples"
    assert "10 steps of 4: 40 examples" in plan._repr_html_()
    assert not list(tmp_path.iterdir())


def test_a_teacher_is_a_sentence_transformer_folder(llama, tmp_path):
    fields = ON_A_TINY_LLM | {"unsupervised.layer": 1, "unsupervised.whiten": 4}
    folder = genzoo.teacher("smollm2-135m", TEXTS, tmp_path / "teacher", backbone=str(llama), set=fields)
    assert genzoo.load(folder, device="cpu").encode(["a"]).shape == (1, 4)


def test_recipes():
    own = RECIPES.get("smollm2-135m")
    assert choose_recipe("smollm2-135m") == choose_recipe(own) == own
    changed = choose_recipe(own, {"losses.recon": 0, "optim.steps": 7}, steps=3, batch=None, answers=5)
    assert (changed.losses.recon, changed.optim.steps, changed.response.limit) == (0, 7, 5)
    assert changed.optim.batch == own.optim.batch
    with pytest.raises(UnknownNameError, match="unknown recipe"):
        choose_recipe("nope")
    with pytest.raises(InputError, match="there is no field 'steps'"):
        choose_recipe(own, {"steps": 3})


def test_a_list_of_queries_is_read_like_a_file(tmp_path, caplog):
    texts = [" what is wine ", "", "what is tea", "what is wine"]
    path = tmp_path / "log.txt"
    path.write_text("\n".join(texts))
    assert [query.text for query in read_log(texts)] == [query.text for query in read_log(path)]
    assert read_log(["a", "b"]) == [Query("q000000", "a"), Query("q000001", "b")]
    for wrong, message in (
        ([], "is empty"),
        (["  "], "is empty"),
        ([1], "query number 0 is a int"),
        (["a", None], "number 1"),
    ):
        with pytest.raises(InputError, match=message):
            read_log(wrong)


def test_earlier_responses_that_do_not_answer_all_are_noted(run, llama, tmp_path, caplog):
    from genzoo.training.run import given_responses

    made, _ = run
    path = made.folder / "responses.jsonl"
    kept = [json.loads(line)["query"] for line in path.read_text().splitlines()]
    caplog.set_level(logging.WARNING, "genzoo")
    rows = given_responses(path, [Query("a", kept[0]), Query("b", "another")])
    assert [row.query for row in rows] == kept[:1]
    assert "answers 1 of 2 queries; the others are answered now" in caplog.text
    with pytest.raises(InputError, match="answers none of the 1 queries"):
        given_responses(path, [Query("b", "another")])
    with pytest.raises(InputError, match="there is no file"):
        given_responses(tmp_path / "none.jsonl", [Query("b", "another")])
    assert given_responses(None, []) == []
    assert torch.is_tensor(made.checkpoint.rows)


@pytest.mark.parametrize(
    ("recipe", "queries", "changes", "said"),
    [
        (None, TEXTS, None, "None is no recipe: give the name of one"),
        ("smollm2-135m", 5, None, "queries are 5: give a list of texts"),
        ("smollm2-135m", TEXTS, "losses.recon=0", "set is 'losses.recon=0': give a dict"),
    ],
)
def test_what_is_of_a_wrong_kind_is_named(recipe, queries, changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        genzoo.train(recipe, queries, tmp_path / "run", set=changes)
    assert not (tmp_path / "run").exists()
