"""A results folder is opened: one row a model, what mteb knows of a benchmark, what authors report."""

import json
import logging

import pytest
import results_tree

from genzoo.errors import UnknownNameError
from genzoo.leaderboards import opening
from genzoo.leaderboards.opening import lay_together, open_store, upstream_means, upstream_scores


def test_revisions_are_one_row_unless_they_are_kept_apart(tree, monkeypatch):
    monkeypatch.setattr(opening, "_registered", lambda: {"acme/m": "b" * 40})
    tree.task("STSBenchmark", "STS", "cosine_spearman")
    for revision, value in (("a" * 40, 0.4), ("b" * 40, 0.6)):
        tree.score(("acme/m", revision), "STSBenchmark", value)
    joined, apart = open_store(tree.root), open_store(tree.root, by_revision=True)
    assert [key.revision for key in joined.models] == ["b" * 40]
    assert joined.main_scores["value"].tolist() == [0.6]
    assert len(apart.models) == 2


def test_mteb_says_what_a_benchmark_holds_that_the_folder_does_not_know(tree):
    tree.score(("acme/m", "r1"), "GenZooMiniSTS", 0.5)
    assert open_store(tree.root).benchmarks == {}
    store = open_store(tree.root, "genzoo-mini")
    assert len(store.benchmarks["genzoo-mini"]) == 6
    assert store.tasks["GenZooMiniSTS"].main_score == "cosine_spearman"
    with pytest.raises(UnknownNameError, match=r"unknown benchmark 'mine'.*itself holds none"):
        open_store(tree.root, "mine")


def test_what_authors_report_is_added_on_request(tree, caplog):
    score = upstream_scores()[0]
    assert 0 < score.value < 1
    tree.score(("acme/m", "r1"), score.task, 0.5)
    assert len(open_store(tree.root).models) == 1
    store = open_store(tree.root, reported=True)
    assert store.models.keys() >= {(score.model, "reported")}
    assert store.claims == tuple(upstream_means())
    assert not caplog.records


def test_where_nothing_is_reported_about_the_tasks_it_is_said(full_tree, caplog):
    with caplog.at_level(logging.WARNING, "genzoo"):
        open_store(full_tree.root, reported=True)
    assert "reported figures cover MTEB(eng, v2)" in caplog.text
    assert results_tree.STUDENT in open_store(full_tree.root).models


def test_several_folders_are_one_and_the_first_counts(builder, tmp_path):
    mine, theirs = (builder.ResultsTree(tmp_path / name) for name in ("mine", "theirs"))
    for tree, value in ((mine, 0.6), (theirs, 0.4)):
        tree.task("STSBenchmark", "STS", "cosine_spearman")
        tree.benchmark("B", ["STSBenchmark"])
        tree.model("acme/m", "r1", role="zoo")
        tree.score(("acme/m", "r1"), "STSBenchmark", value)
    theirs.task("SciFact")
    theirs.score(("acme/m", "r1"), "SciFact", 0.7)
    theirs.score(("acme/n", "r2"), "SciFact", 0.8)
    theirs.evidence(("acme/n", "r2"), "why is the sky blue?")
    lay_together([mine.root, theirs.root / "results"], tmp_path / "both")
    store = open_store(tmp_path / "both", is_kept=False)
    rows = zip(store.main_scores["model"], store.main_scores["task"], store.main_scores["value"], strict=True)
    assert sorted(rows) == [("acme/m", "STSBenchmark", 0.6), ("acme/m", "SciFact", 0.7), ("acme/n", "SciFact", 0.8)]
    assert store.models["acme/m", "r1"].role == "zoo"
    assert list(store.evidence) == [("acme/n", "r2")]
    assert store.tasks["STSBenchmark"].main_score == "cosine_spearman"
    assert json.loads((theirs.root / "tasks.json").read_text()).keys() == {"STSBenchmark", "SciFact"}  # left as it was
