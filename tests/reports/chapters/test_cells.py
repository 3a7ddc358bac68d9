"""Cells and words that several chapters share."""

import pytest

from genzoo.leaderboards.facts import ModelFacts, ModelKey, Share
from genzoo.leaderboards.leaderboard import LeaderboardRow
from genzoo.leaderboards.metrics import metric
from genzoo.reports.chapters.cells import (
    change_style,
    p_cell,
    revision_in_words,
    row_mark,
    score_cell,
    span,
    whole_cell,
)


def row_of(**facts):
    key = ModelKey("acme/m", "a" * 40)
    return LeaderboardRow(key, "m", ModelFacts(key, **facts), {}, {}, None, None, None, None, 0)


@pytest.mark.parametrize(
    ("facts", "mark"),
    [
        ({"role": "teacher"}, "teacher"),
        ({"role": "other"}, ""),
        ({"is_reported": True}, "reported"),
        ({"revisions": (Share("one", 2, 3), Share("two", 1, 1))}, "2 revisions"),
        ({"revisions": (Share("one", 2, 3), Share("two", 0, 1))}, "one of 2 revisions"),
        ({"revisions": (Share("one", 2, 3), Share("external", 1, 1))}, "2 revisions, partly reported"),
    ],
)
def test_a_row_says_what_it_is_at_first_sight(facts, mark):
    assert row_mark(row_of(**facts)) == mark


def test_a_joined_row_says_what_each_revision_gives():
    assert revision_in_words(row_of()) == "aaaaaaa"
    assert revision_in_words(row_of(revisions=(Share("x", 2, 3),))) == "x: 2 of its 3 tasks"


def test_the_best_is_marked_and_what_was_seen_in_training_is_said(tree, board_of):
    tree.write("results/acme__a/r/model_meta.json", {"name": "acme/a", "revision": "r", "training_datasets": ["T0"]})
    board = board_of({"a": [0.5], "b": [0.4]})
    (column,) = board.columns_of("task")
    first, second = (score_cell(board, row, column, is_shaded=True) for row in board.rows)
    assert (first.style, first.note) == ("best shade-9", "seen")
    assert (second.style, second.note) == ("shade-0", "")


def test_small_things():
    assert span(metric("ndcg_at_10"), -0.01, 0.2, signed=True) == "−1.0 to +20.0"
    assert [change_style(gain) for gain in (None, 0.0005, 0.1, -0.1)] == ["", "", "gain", "loss"]
    assert change_style(0.1, is_significant=True) == "gain strong"
    assert [p_cell(p, "why").display for p in (None, 0.0001, 0.0123)] == ["–", "<0.001", "0.012"]
    assert p_cell(None, "why", "cannot decide").note == "cannot decide"
    assert [whole_cell(value).display for value in (None, 1234)] == ["–", "1,234"]
