"""`genzoo explain` over a results folder; between texts it is tested with the other commands on models."""

import json

import pytest

TASK, MODEL = "HelpDesk", ("acme/one", "r1")


@pytest.fixture
def results(tree):
    tree.task(TASK, main="recall_at_1")
    grades = {"q1": {"right": 2, "other": 0}, "q2": {"other": 1}, "q3": {"right": 1, "secret": -1}}
    documents = {
        "right": "Send it [back] within thirty days.",
        "other": "We open at nine.",
        "secret": "The master code.",
    }
    queries = {"q1": "send it back", "q2": "when do you open", "q3": "code"}
    part = {"queries": queries, "documents": documents, "relevance": grades}
    tree.write(f"judgements/{TASK}.json", {"task": TASK, "data_revision": "v1", "parts": {"default": {"test": part}}})
    tree.model(*MODEL)
    tree.predict(
        MODEL, TASK, {"q1": {"other": 0.9, "right": 0.8}, "q2": {"other": 0.9}, "q3": {"right": 0.9, "secret": 0.4}}
    )
    tree.score(MODEL, TASK, 2 / 3)
    return tree.root


def test_the_searches_that_went_wrong_are_listed_worst_first(genzoo, results):
    code, text, errors = genzoo("explain", "--results", results, "--task", TASK)
    assert code == 0, errors
    lines = text.splitlines()
    assert lines[0].startswith("one on HelpDesk: 2 of 3 searches went wrong.")
    assert lines[2:6] == [
        "send it back",
        "  query q1 · Recall@1 0.000",
        "  The first relevant passage is at rank 2.",
        "  1. 0.900  grade 0 We open at nine. (other)",
    ]
    assert "  2. 0.800  grade 2 Send it [back] within thirty days. (right)" in lines
    assert lines.index("send it back") < lines.index("code")
    assert "secret, at rank 2, must not be found (grade -1)." in text
    assert "when do you open" not in text


def test_one_query_and_fewer_searches(genzoo, results):
    code, text, _ = genzoo("explain", "--results", results, "--task", TASK, "--query", "q2")
    assert code == 0 and text.splitlines()[1] == "when do you open" and "went wrong" not in text
    text = genzoo("explain", "--results", results, "--task", TASK, "--most", 1)[1]
    assert "send it back" in text and "code" not in text.split() and "1 more: --most N shows more" in text


def test_json_has_every_passage(genzoo, results):
    found = json.loads(genzoo("explain", "--results", results, "--task", TASK, "--json")[1])
    assert [search["query"] for search in found["searches"]] == ["q1", "q3"]
    assert found["searches"][0]["right"][0] == {
        "document": "right", "text": "Send it [back] within thirty days.", "rank": 2, "similarity": 0.8, "grade": 2,
        "shared": ["send", "back"], "twin": "", "decoded": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", TASK], "give that with --results DIR"),
        (["--query", "q1"], "give that with --results DIR"),
        (["--results", "RESULTS"], "name one of its tasks with --task"),
        (["--results", "RESULTS", "--task", TASK, "some text"], "no texts"),
        (["--results", "RESULTS", "--task", "Nothing"], "no task 'Nothing'"),
        ([], "nothing to explain: give a query and at least one document"),
        (["a query alone"], "nothing to explain: give a query and at least one document"),
    ],
)
def test_what_does_not_fit_together_is_one_clear_error(genzoo, results, words, message):
    code, text, errors = genzoo("explain", *(results if word == "RESULTS" else word for word in words))
    assert (code, text) == (1, "") and message in " ".join(errors.split())
