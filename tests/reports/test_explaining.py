"""The searches of a results folder that went wrong: whose, with which texts, and what is decoded of them."""

import json
import shutil

import pytest
from conftest_builders import build_checkpoint

import genzoo
from genzoo.errors import InputError, UnknownNameError
from genzoo.models import loading

TASK = "GenZooMiniRetrieval"


@pytest.fixture(scope="module")
def measured(llama, tmp_path_factory):
    """A folder with the results of a tiny zoo model and of chance, without queries and passages; and the model's folder."""
    root = tmp_path_factory.mktemp("explaining")
    model = build_checkpoint(llama).save(root / "tiny")
    genzoo.evaluate([str(model), "random"], TASK, output=root / "results", evidence=False, cache_embeddings=False)
    assert not (root / "results" / "judgements").exists()
    return root


@pytest.fixture
def results(measured, tmp_path):
    shutil.copytree(measured / "results", tmp_path / "results")
    return genzoo.open_results(tmp_path / "results")


def test_texts_that_the_folder_lacks_are_read_from_the_data_of_the_task(results):
    found = results.searches(TASK, "baseline-random-encoder", decoded=0)
    assert found.total == 60 and len(found) > 40
    assert [search.score for search in found] == sorted(search.score for search in found)
    assert (results.root / "judgements" / f"{TASK}.json").is_file()
    assert all(search.right[0].text != search.right[0].document for search in found)


def test_a_zoo_model_decodes_the_worst_ones_once(results, measured, monkeypatch):
    loads, load = [], loading.load_decoder
    monkeypatch.setattr(loading, "load_decoder", lambda *a, **k: loads.append(a) or load(*a, **k))
    found = results.searches(TASK, measured / "tiny", decoded=2, device="cpu")
    assert [search.is_decoded for search in found[:3]] == [True, True, False] and len(loads) == 1
    (path,) = results.root.glob("evidence/local__tiny/*.json")
    kept = json.loads(path.read_text())
    assert "decoded" not in kept and kept["searches"][0]["text"] == found[0].text
    again = genzoo.open_results(results.root).searches(TASK, measured / "tiny", decoded=2, device="cpu")
    assert again[0].decoded == found[0].decoded and len(loads) == 1
    genzoo.evaluate(str(measured / "tiny"), TASK, output=results.root, device="cpu")  # adds the everyday questions
    assert len(json.loads(path.read_text())["decoded"]) == 20


def test_a_model_that_cannot_be_loaded_is_explained_without_decoded_texts(results, caplog):
    found = results.searches(
        TASK, "tiny", decoded=1
    )  # by the name of the board, which does not say where its folder is
    assert len(found) and not found[0].is_decoded
    assert "tiny cannot be decoded" in caplog.text and "name its folder with --model" in caplog.text


@pytest.mark.parametrize(("role", "shown"), [("baseline", "one"), ("other", "bm25")])
def test_by_default_the_best_embedder_is_explained(tree, caplog, role, shown):
    tree.judge(TASK, {"q1": "d1"}, {"d1": "bears", "d2": "cats"})
    tree.task(TASK)
    second = 0.6309297535714575
    scores = {"one": (0.9, 0.95, second, "other"), "two": (0.1, 0.95, second, role), "bm25": (0.95, 0.9, 1.0, role)}
    for name, (right, wrong, score, as_what) in scores.items():
        tree.model(f"acme/{name}", "r", role=as_what)
        tree.predict((f"acme/{name}", "r"), TASK, {"q1": {"d1": right, "d2": wrong}})
        tree.score((f"acme/{name}", "r"), TASK, score)
    with caplog.at_level("INFO"):
        found = genzoo.open_results(tree.root).searches(TASK)
    assert found.model == shown
    others = [name for name in ("bm25", "one", "two") if name != shown]
    assert (
        f"shown is {shown}, the best embedder on {TASK}; choose another model with --model: {', '.join(others)}"
        in caplog.text
    )


def test_wrong_names_are_one_clear_error(results):
    with pytest.raises(UnknownNameError, match=r"no task 'GenZooMiniRetrival' in .*: it holds GenZooMiniRetrieval"):
        results.searches("GenZooMiniRetrival")
    with pytest.raises(UnknownNameError, match=r"no model 'tinny' in .* did you mean .*tiny"):
        results.searches(TASK, "tinny")
    with pytest.raises(UnknownNameError, match="no judged query with the id 'rq1'"):
        results.searches(TASK, query="rq1", decoded=0)
    with pytest.raises(InputError, match="decoded is -1"):
        results.searches(TASK, decoded=-1)


def test_own_data_whose_texts_are_gone_say_what_to_run(tree):
    tree.task("HelpDesk", dataset={"path": "own/HelpDesk", "revision": "v1"})
    tree.model("acme/one", "r1")
    tree.predict(("acme/one", "r1"), "HelpDesk", {"q1": {"d1": 0.5}})
    tree.score(("acme/one", "r1"), "HelpDesk", 1.0)
    with pytest.raises(
        InputError,
        match=r"does not hold the queries and passages of HelpDesk.*with the data of the task and without --no-evidence",
    ):
        genzoo.open_results(tree.root).searches("HelpDesk")


def test_data_that_have_changed_since_are_not_used(tree):
    tree.task(TASK, dataset={"path": "genzoo/tasks/data/mini_retrieval", "revision": "v1"})
    tree.model("acme/one", "r1")
    tree.predict(("acme/one", "r1"), TASK, {"rq001": {"rp001": 0.5}})
    tree.score(("acme/one", "r1"), TASK, 1.0)
    with pytest.raises(InputError, match="have another revision today"):
        genzoo.open_results(tree.root).searches(TASK)


def test_a_task_without_predictions_says_what_it_needs(tree):
    tree.task("Pairs", "STS", "cosine_spearman")
    tree.model("acme/one", "r1")
    tree.score(("acme/one", "r1"), "Pairs", 0.5)
    with pytest.raises(InputError, match="holds no predictions for Pairs"):
        genzoo.open_results(tree.root).searches("Pairs")
