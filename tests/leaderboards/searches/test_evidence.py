"""What is kept of single searches: decoded texts, each once, of the models of a run alone."""

import json
from types import SimpleNamespace

import pytest
from conftest_builders import build_checkpoint

from genzoo.leaderboards.searches import evidence
from genzoo.leaderboards.searches.evidence import EVERYDAY_QUESTIONS, keep_readings, measured_searches
from genzoo.models import loading

ONE, TWO = ("acme/one", "r1"), ("acme/two", "r1")


@pytest.fixture
def judged(tree):
    """Two models, one of which finds the right documents."""
    tree.task("Finder", n_texts=4)
    tree.judge("Finder", {"q1": "d1", "q2": "d2"}, {"d1": "polar bears", "d2": "red wine", "d3": "thunder"})
    for model, hits in ((ONE, {"q1": {"d1": 0.9, "d3": 0.1}, "q2": {"d2": 0.9, "d3": 0.1}}),
                        (TWO, {"q1": {"d3": 0.9, "d1": 0.1}, "q2": {"d2": 0.9, "d3": 0.1}})):  # fmt: skip
        tree.model(*model, role="zoo")
        score = 1.0 if model == ONE else (0.6309297535714575 + 1) / 2
        tree.score(model, "Finder", score)
        tree.predict(model, "Finder", hits)
    return tree.root


def meta(model):
    return SimpleNamespace(name=model[0], revision=model[1], loader=None)


def test_searches_are_those_of_the_models_of_the_run(judged, monkeypatch):
    found = measured_searches(judged, [meta(TWO), meta(("acme/none", "r1"))])
    assert set(found) == {TWO}
    (search,) = found[TWO]
    assert search.text == "text of q1"
    assert set(search.outcomes) == {TWO}


def test_a_folder_without_results_has_none(tmp_path):
    assert measured_searches(tmp_path, [meta(ONE)]) == {}


def test_a_text_is_decoded_once_and_kept(judged, llama, monkeypatch, tmp_path):
    folder = build_checkpoint(llama).save(tmp_path / "tiny")
    loads, load = [], loading.load_decoder
    monkeypatch.setattr(loading, "load_decoder", lambda *a, **k: loads.append(a) or load(*a, **k))
    found = measured_searches(judged, [meta(TWO)])[TWO]
    keep_readings(str(folder), meta(TWO), judged, found[:0])
    path = judged / "evidence" / "acme__two" / "r1.json"
    before = json.loads(path.read_text())
    assert [row["text"] for row in before["decoded"]] == list(EVERYDAY_QUESTIONS)
    keep_readings(str(folder), meta(TWO), judged, found)
    after = json.loads(path.read_text())
    assert after["decoded"] == before["decoded"]
    assert [row["text"] for row in after["searches"]] == ["text of q1", "thunder", "polar bears"]
    keep_readings(str(folder), meta(TWO), judged, found)
    assert len(loads) == 2  # the third time nothing was missing
    keep_readings(str(folder), meta(TWO), judged, found, overwrite=True)
    assert len(loads) == 3  # both sorts of texts with one model
    assert json.loads(path.read_text())["searches"] == after["searches"]


def test_a_damaged_file_counts_as_none(tmp_path):
    (tmp_path / "x.json").write_text('{"decoded": [')
    assert evidence.read_kept(tmp_path / "x.json") == {} == evidence.read_kept(tmp_path / "nowhere.json")


def split_of(relevance):
    """One split as mteb's retrieval tasks hold it."""
    from datasets import Dataset

    names = ["right", "barred", "zero", "found", "other"]
    corpus = Dataset.from_list([{"id": name, "title": "", "text": f"text of {name}"} for name in names])
    queries = Dataset.from_list([{"id": query, "text": f"text of {query}"} for query in relevance])
    return {"corpus": corpus, "queries": queries, "relevant_docs": relevance}


def test_texts_are_kept_of_what_was_judged_and_found_and_the_choice_stays():
    grades = {"q1": {"right": 2, "barred": -1, "zero": 0}}
    task = SimpleNamespace(dataset={"default": {"test": split_of(grades)}})
    rankings = [{"default": {"test": {"q1": {"found": 0.9}}}}]
    earlier = {"parts": {"default": {"test": {"documents": {"other": "x"}, "chosen": ["q1"]}}}}
    kept = evidence._parts(task, rankings, earlier)["default"]["test"]
    assert set(kept["documents"]) == {"right", "barred", "found", "other"}
    assert (kept["chosen"], kept["relevance"], kept["n_documents"]) == (["q1"], grades, 5)
    for damaged in ({"parts": {"default": {"test": []}}}, {"parts": {"default": {"test": {"chosen": 3}}}}, {}):
        kept = evidence._parts(task, rankings, damaged)["default"]["test"]
        assert "chosen" not in kept and set(kept["documents"]) == {"right", "barred", "found"}
