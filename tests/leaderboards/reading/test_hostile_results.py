"""Hostile results folders: refused clearly or shown safely, and the rest is still read."""

import json
import os

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore


def test_fifty_megabytes_are_refused_unread(tree):
    tree.score(("acme/m", "r1"), "T", 0.5)
    big = tree.write("results/acme__big/r1/T.json", "")
    with big.open("wb") as file:
        file.truncate(50_000_000)
    store = ResultStore.load(tree.root)
    assert [(p.source, p.reason) for p in store.problems] == [
        ("results/acme__big/r1/T.json", "has 50 MB, more than the 40 MB that are read")
    ]
    assert len(store.main_scores) == 1


def test_links_that_lead_nowhere_and_folders_that_cannot_be_listed(tree):
    tree.score(("acme/m", "r1"), "T", 0.5)
    (tree.root / "results/acme__m/r1/Gone.json").symlink_to("nowhere.json")
    (tree.root / "results/acme__m/r2").mkdir()
    store = ResultStore.load(tree.root)
    assert [p.source for p in store.problems] == ["results/acme__m/r1/Gone.json"]
    if os.geteuid():
        (tree.root / "results/acme__m/r2").chmod(0)
        assert "cannot be listed" in ResultStore.load(tree.root).problems[1].reason
        (tree.root / "results/acme__m/r2").chmod(0o755)


@pytest.mark.parametrize("value", [1e308, -1e308, -0.5, 1.7, 85.3])
def test_scores_that_cannot_be_are_missing_and_named(tree, value):
    tree.task("T", main="ndcg_at_10")
    tree.score(("acme/m", "r1"), "T", value)
    tree.score(("acme/n", "r1"), "T", 0.5)
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    assert [row.label for row in board.rows] == ["n"]
    assert f"m on T: {value:g}" in next(c.text for c in board.caveats if c.kind == "range")


def test_odd_shapes_of_one_file(tree):
    tree.score(("acme/good", "r1"), "T", 0.5)
    for place, scores in enumerate(
        [
            None,
            {"test": None},
            {"test": [[]]},
            {"test": [{"main_score": [1]}]},
            {"test": [{"main_score": {"a": 1}}]},
            {"": [{}]},
        ]
    ):
        tree.write(f"results/acme__m{place}/r1/T.json", json.dumps({"task_name": "T", "scores": scores}))
    store = ResultStore.load(tree.root)
    assert {p.source for p in store.problems} == {f"results/acme__m{place}/r1/T.json" for place in range(6)}
    assert [row.label for row in Leaderboard.from_store(store).rows] == ["good"]


@pytest.mark.parametrize("task", ["../../outside", "x" * 300, "a\0b", "/etc/x", ".."])
def test_a_task_names_no_place_outside_of_the_results(tree, task):
    """Judgements, predictions and evidence are found by the names in the files."""
    tree.task(task, main="ndcg_at_10")
    tree.write("results/acme__m/r1/T.json", json.dumps({"task_name": task, "scores": {"test": [{"main_score": 0.5}]}}))
    part = {"queries": {"q": "secret"}, "documents": {"d": "secret"}, "relevance": {"q": {"d": 1}}}
    outside = {"task": task, "data_revision": "unknown", "parts": {"default": {"test": part}}}
    (tree.root.parent / "outside.json").write_text(json.dumps(outside))
    (tree.root / "judgements").mkdir()
    store = ResultStore.load(tree.root)
    assert store.judgements(task) is None
    assert store.pairs(next(iter(store.models)), task) is None
    assert store.outcomes(next(iter(store.models)), task) == {}
    assert [row.label for row in Leaderboard.from_store(store).rows] == ["m"]
