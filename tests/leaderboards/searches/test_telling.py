"""Which searches are shown: the same ones for all models that were measured, one call after another."""

import json
from types import SimpleNamespace

import pytest

from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.searches.evidence import measured_searches
from genzoo.leaderboards.searches.telling import searches_of, telling_searches

ONE, TWO = ModelKey("acme/one", "r1"), ModelKey("acme/two", "r1")
TASK = "Finder"
QUERIES = {f"q{place}": f"d{place}" for place in range(6)}


@pytest.fixture
def folder(tree):
    """Six queries; the first model misses the first three, and the second one those from the third on, by smaller margins."""
    tree.task(TASK, n_texts=12)
    tree.judge(TASK, QUERIES, {f"d{place}": f"document {place}" for place in range(6)})
    missed = {ONE: ("q0", "q1", "q2"), TWO: ("q2", "q3", "q4", "q5")}
    for model, gap in ((ONE, 0.3), (TWO, 0.01)):
        tree.model(*model, role="zoo")
        hits = {
            query: {right: 0.5, f"d{(int(right[1:]) + 1) % 6}": 0.5 + (gap if query in missed[model] else -gap)}
            for query, right in QUERIES.items()
        }
        tree.predict(model, TASK, hits)
        wrong = len(missed[model])
        tree.score(model, TASK, (wrong * 0.6309297535714575 + 6 - wrong) / 6)
    return tree


def decode(folder, model, searches):
    """What an evaluation keeps: the decoded queries."""
    rows = [{"text": search.text, "prompt": "", "decoded": "words", "logit_lens": []} for search in searches]
    folder.write(f"evidence/acme__{model.model[5:]}/r1.json", {"searches": rows})


def measure(folder, model):
    """One evaluation of one model; returns the queries that it decodes."""
    meta = SimpleNamespace(name=model.model, revision=model.revision)
    searches = measured_searches(folder.root, [meta])[model]
    decode(folder, model, searches)
    return [search.query.query for search in searches]


def shown(folder):
    store = ResultStore.load(folder.root)
    return telling_searches(store, list(store.models), [TASK]), store


def test_a_second_call_decodes_what_the_first_one_chose(folder):
    first = measure(folder, ONE)
    assert first == ["q0", "q1"]
    second = measure(folder, TWO)
    assert second == ["q0", "q1", "q2", "q3"]  # those of before, and two that this model missed
    chosen = json.loads((folder.root / "judgements" / f"{TASK}.json").read_text())["parts"]["default"]["test"]["chosen"]
    assert chosen == first


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
def test_a_report_over_several_calls_shows_searches_that_all_models_decoded(folder, order):
    for model in order:
        measure(folder, model)
    found, store = shown(folder)
    assert len(found) == 2
    for search in found:
        assert all(search.text in store.readings[key] for key in (ONE, TWO)), search.query


def test_without_a_choice_the_searches_that_more_models_decoded_come_first(folder):
    store = ResultStore.load(folder.root)
    by_id = {search.query.query: search for search in searches_of(store, [ONE, TWO], TASK)}
    decode(folder, ONE, [by_id["q4"], by_id["q5"]])
    found, _ = shown(folder)
    assert [search.query.query for search in found] == ["q4", "q5"]


def test_nothing_to_tell_without_judgements(tree):
    tree.score(ONE, TASK, 0.5)
    store = ResultStore.load(tree.root)
    assert searches_of(store, list(store.models), TASK) == []
    assert telling_searches(store, list(store.models), [TASK]) == ()
