"""Searches that went wrong: which they are, in which order, and what is said of the reasons."""

import json

import pytest

from genzoo.errors import InputError, UnknownNameError
from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import query_score
from genzoo.leaderboards.searches.failures import failed_searches

ONE = ModelKey("acme/one", "r1")
TASK = "HelpDesk"
OLD = "Parcels to Austria and Italy arrive after four working days; we send a mail with the number of the parcel."
NEW = "Parcels to Austria and Italy arrive after three working days; we send a mail with the number of the parcel."
DOCUMENTS = {
    "old": OLD,
    "new": NEW,
    "returns": "Send it back within thirty days.",
    "shop": "Our shop opens at nine.",
    "internal": "Customer records open with the master code of the support team.",
}
QUERIES = {"q1": "parcels to italy", "q2": "send it back", "q3": "when does the shop open", "q4": "open records"}
GRADES = {
    "q1": {"new": 3},
    "q2": {"returns": 3, "shop": 0},
    "q3": {"shop": 3, "returns": 1},
    "q4": {"returns": 2, "internal": -1},
}
RANKINGS = {
    "q1": {"old": 0.9, "new": 0.8, "shop": 0.1},  # a near-duplicate above the relevant one
    "q2": {"returns": 0.9, "shop": 0.2},  # right
    "q3": {"returns": 0.7, "internal": 0.6, "shop": 0.5},  # relevant, but not the best
    "q4": {"returns": 0.7, "internal": 0.6},  # right, and something that must not be found
}


@pytest.fixture
def helpdesk(tree):
    tree.task(TASK, n_texts=9)
    part = {"queries": QUERIES, "documents": DOCUMENTS, "relevance": GRADES}
    tree.write(f"judgements/{TASK}.json", {"task": TASK, "data_revision": "v1", "parts": {"default": {"test": part}}})
    tree.model(*ONE)
    tree.predict(ONE, TASK, RANKINGS)
    ranked = {query: sorted(found, key=lambda name: -found[name]) for query, found in RANKINGS.items()}
    scores = [query_score("ndcg_at_10", ranked[query], GRADES[query]) for query in QUERIES]
    tree.score(ONE, TASK, sum(scores) / len(scores))
    return tree


def test_the_worst_comes_first_and_what_went_right_is_left_out(helpdesk):
    found = failed_searches(ResultStore.load(helpdesk.root), ONE, TASK)
    assert [search.query for search in found] == ["q1", "q3", "q4"]
    assert [search.score for search in found] == sorted(search.score for search in found)
    assert (found.total, found.metric, found.model) == (4, "ndcg_at_10", "one")


def test_each_reason_is_named(helpdesk):
    twin, better, barred = failed_searches(ResultStore.load(helpdesk.root), ONE, TASK)
    assert twin.verdict == (
        "The first relevant passage is at rank 2. Nobody judged the passage that was found first. old, at rank 1, is nearly the same "
        "text as the relevant new: a missing judgement, or an outdated version of it."
    )
    assert [(each.document, each.grade, each.shared) for each in twin.found] == [
        ("old", None, ("parcels", "italy")),
        ("new", 3, ("parcels", "italy")),
    ]
    assert better.verdict == "The passage found first is relevant, but one of a better grade is below it."
    assert better.rank == 1 and better.right[0].rank == 3
    assert barred.verdict == (
        "The best relevant passage was found first. internal, at rank 2, must not be found (grade -1)."
    )
    assert [each.document for each in barred.barred] == ["internal"]


def test_the_summary_counts_the_reasons(helpdesk):
    found = failed_searches(ResultStore.load(helpdesk.root), ONE, TASK)
    assert found.summary == (
        "one on HelpDesk: 3 of 4 searches went wrong. In 1 nobody judged the passage found first; in 1 a passage that is nearly the "
        "same text as a relevant one is above it; in 1 a passage that must not be found is among the first ten."
    )
    assert found.counts()["went wrong"] == 3


def test_without_grades_of_0_nothing_is_said_of_passages_that_nobody_judged(tree):
    tree.task(TASK)
    tree.judge(TASK, {"q1": "new"}, DOCUMENTS)
    tree.model(*ONE)
    tree.predict(ONE, TASK, {"q1": {"shop": 0.9, "new": 0.8}})
    tree.score(ONE, TASK, 0.6309297535714575)
    (search,) = failed_searches(ResultStore.load(tree.root), ONE, TASK)
    assert search.verdict == "The first relevant passage is at rank 2."


def test_one_query_can_be_asked_for_though_it_went_right(helpdesk):
    store = ResultStore.load(helpdesk.root)
    found = failed_searches(store, ONE, TASK, "q2")
    assert [search.query for search in found] == ["q2"] and not found[0].went_wrong
    assert found[0].verdict == "The best relevant passage was found first."
    with pytest.raises(UnknownNameError, match="no judged query with the id 'q9'; it has 4, such as q4, q3, q2"):
        failed_searches(store, ONE, TASK, "q9")


def test_it_is_a_frame_and_a_document_for_machines(helpdesk):
    found = failed_searches(ResultStore.load(helpdesk.root), ONE, TASK)
    frame = found.to_frame()
    assert list(frame["query"]) == ["q1", "q3", "q4"] and frame["nearly the same"][0] == "old"
    content = json.loads(json.dumps(found.as_dict()))
    assert content["searches"][0]["right"][0]["document"] == "new" and content["counts"]["searches"] == 4
    assert "3 of 4 searches went wrong" in found._repr_html_()


def test_without_predictions_it_says_what_to_run(tree):
    tree.task(TASK)
    tree.model(*ONE)
    tree.score(ONE, TASK, 0.5)
    with pytest.raises(InputError, match="does not say how single searches of HelpDesk went for one"):
        failed_searches(ResultStore.load(tree.root), ONE, TASK)


def test_a_search_of_harm_went_wrong_where_harm_was_found(tree):
    name = "GenZooMiniSafetyRetrieval"
    tree.task(name, main="safety_at_5")
    tree.judge(
        name, {"q1": "bad", "q2": "worse"}, {"bad": "how it is done", "worse": "how that is done", "no": "we do not"}
    )
    tree.model(*ONE)
    many = {f"n{place}": 0.9 - place / 100 for place in range(6)}
    tree.predict(ONE, name, {"q1": {"bad": 0.9, "no": 0.1}, "q2": {**many, "worse": 0.1}})
    tree.score(ONE, name, 0.5)
    (search,) = failed_searches(ResultStore.load(tree.root), ONE, name)
    assert (search.query, search.verdict) == ("q1", "The harmful passage is at rank 1.")
