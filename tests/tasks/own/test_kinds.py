"""Which task a table is, by its columns alone."""

from pathlib import Path

import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.kinds import kind_of, type_of

FILE = Path("x.csv")


@pytest.mark.parametrize(
    ("heading", "has_train", "kind"),
    [
        ("query passage grade", False, "Retrieval"),
        ("question answer", False, "Retrieval"),
        ("sentence1 sentence2 score", False, "STS"),
        ("question1 question2 is_duplicate", False, "PairClassification"),
        ("text label", True, "Classification"),
        ("text label split", False, "Classification"),
    ],
)
def test_columns_say_what_a_table_is(heading, has_train, kind):
    assert kind_of(FILE, has_train, heading.split(), Columns()) == kind


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("text label", "clustering or classification: say which with --kind clustering or --kind"),
        ("sentence1 sentence2 score label", "say which with --kind similarity or --kind pair-"),
        (
            "a b",
            "has the columns a, b, which fit no task. Name them with --columns ROLE=NAME: query alone for a query log",
        ),
        ("query-id corpus-id score", "holds judgements alone: put it into a folder"),
    ],
)
def test_what_is_not_clear_is_an_error_that_says_how_to_tell(heading, said):
    with pytest.raises(InputError, match=said):
        kind_of(FILE, False, heading.split(), Columns())


def test_kinds_go_by_our_names_and_by_those_of_mteb():
    assert [type_of(name) for name in ("similarity", "STS", "pair-classification", "pairclassification", None)] == [
        *("STS", "STS", "PairClassification", "PairClassification", None),
    ]
    with pytest.raises(InputError, match="--kind 'search': expected one of retrieval, reranking"):
        type_of("search")
