"""Columns are found under the names that people give them, and named where they are not."""

import doctest

import pytest

from genzoo.errors import InputError
from genzoo.tasks.own import columns
from genzoo.tasks.own.columns import Columns


@pytest.mark.parametrize(
    ("role", "part", "heading", "found"),
    [
        ("passage-id", "corpus", ["_id", "text"], "_id"),
        ("passage-id", "corpus", ["Doc ID", "id"], "id"),
        ("passage-id", "qrels", ["id", "query_id", "doc_id"], "doc_id"),
        ("query", "queries", ["qid", "Question"], "Question"),
        ("query", "", ["text"], None),
        ("grade", "", ["RELEVANCE"], "RELEVANCE"),
        ("text1", "", ["question1", "question2"], "question1"),
        ("match", "", ["is_duplicate"], "is_duplicate"),
    ],
)
def test_names_are_found_whatever_their_case_and_dashes(role, part, heading, found):
    assert Columns().find(role, heading, part) == found


def test_a_given_name_wins_and_is_not_taken_for_anything_else():
    chosen = Columns.parse(["query=passage,passage=query"])
    heading = ["query", "passage", "grade"]
    assert [chosen.find(role, heading) for role in ("query", "passage", "grade")] == ["passage", "query", "grade"]
    chosen.check_used("x.csv")
    assert Columns.parse({"passage-id": ["nr", "doc"]}).find("passage-id", ["a", "doc"]) == "doc"
    assert Columns.parse("text=Frage, kurz").named == {"text": ("Frage, kurz",)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["frage"], "--columns 'frage': expected ROLE=NAME"),
        (["query="], "--columns 'query': expected ROLE=NAME"),
        ({"frage": "query"}, "no column for 'frage'; the roles are query-id"),
    ],
)
def test_a_role_that_there_is_not(given, message):
    with pytest.raises(InputError, match=message):
        Columns.parse(given)


def test_what_is_missing_is_told_with_what_is_there():
    with pytest.raises(
        InputError, match=r"x.csv has no column for the query .*it has a, b. Name it: --columns query=NAME"
    ):
        Columns().need("query", ["a", "b"], "x.csv")
    unused = Columns.parse(["title=foo"])
    assert unused.find("title", ["title"]) == "title"
    with pytest.raises(InputError, match=r"--columns title=foo: no table of x.csv that needs it has such a column"):
        unused.check_used("x.csv")


def test_doctests():
    assert doctest.testmod(columns).attempted
    assert not doctest.testmod(columns).failed
