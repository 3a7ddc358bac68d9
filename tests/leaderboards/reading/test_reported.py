"""Scores that somebody wrote down: read from CSV, and never taken for measured ones."""

import pytest

from genzoo.errors import InputError, ZooError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.reported import ReportedScore


def test_long_and_wide_csv(tmp_path):
    long, wide = tmp_path / "long.csv", tmp_path / "wide.csv"
    long.write_text(
        "model,task,main_score,revision,subset\nacme/m,T,0.5,abc,en\nacme/m,T,0.7,abc,de\nacme/n,U,0.25,,\n"
    )
    wide.write_text("model,T,U\nacme/m,0.6,\nacme/n,0.1,0.25\n")
    store = ResultStore.load(long)
    assert list(store.models) == [ModelKey("acme/m", "abc+reported"), ModelKey("acme/n", "reported")]
    assert store.main_scores["value"].tolist() == [0.5, 0.7, 0.25]
    assert all(facts.is_reported for facts in store.models.values())
    assert ResultStore.load(wide).main_scores["value"].tolist() == [0.6, 0.1, 0.25]


def test_reported_rows_stand_beside_measured_ones_and_are_marked(tree):
    tree.task("T")
    tree.score(("acme/m", "r1"), "T", 0.5)
    tree.write("reported/paper.csv", "model,task,main_score\nacme/m,T,0.9\n")
    store = ResultStore.load(tree.root, reported=[ReportedScore("acme/k", "T", 0.7, "arXiv 2603.10913, table 1")])
    assert [(key.model, facts.is_reported) for key, facts in store.models.items()] == [
        ("acme/k", True),
        ("acme/m", False),
        ("acme/m", True),
    ]
    assert store.sources(ModelKey("acme/k", "reported"), "T")[0] == "arXiv 2603.10913, table 1"
    board = Leaderboard.from_store(store)
    assert [row.mean_task for row in board.rows] == [0.9, 0.7, 0.5]
    (caveat,) = (caveat for caveat in board.caveats if caveat.kind == "reported")
    assert "m @ reported" in caveat.text
    assert "k" in caveat.text


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "none"),
        ("name,T\na,1\n", "'name', 'T'"),
        ("model,task\na,T\n", "no column main_score"),
        ("model,task,main_score\n", "no usable result"),
    ],
)
def test_unusable_csv_says_what_is_needed(tmp_path, text, match):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises((InputError, ZooError), match=match):
        ResultStore.load(path)


def test_lines_without_a_score_are_named(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("model,task,main_score\nacme/m,T,much\n,T,0.5\nacme/m,T,nan\nacme/m,U,0.5\n")
    store = ResultStore.load(path)
    assert len(store.main_scores) == 1
    assert [problem.reason[:7] for problem in store.problems] == ["line 2:", "line 3:", "line 4:"]
