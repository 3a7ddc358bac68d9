"""A results folder is read from its own level only, and a file counts for the task that it is named after."""

import json
import re
import shutil

import pytest

from genzoo.errors import ZooError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.reading import scores

MODELS = {("acme/a", "a" * 40): 0.7, ("acme/b", "b" * 40): 0.6, ("acme/c", "c" * 40): 0.5}


@pytest.fixture
def three(tree):
    """Three models on one task."""
    for model, value in MODELS.items():
        tree.model(*model)
        tree.score(model, "T", value)
    return tree


def values(root):
    store = ResultStore.load(root)
    main = store.main_scores
    return dict(zip(zip(main["model"], main["revision"], strict=True), main["value"], strict=True))


def test_the_tree_its_results_and_the_folder_above_are_read_alike(three, tmp_path):
    clone = tmp_path / "output" / "results"
    shutil.copytree(three.root, clone)
    for root in (clone, clone / "results", clone.parent):
        assert values(root) == MODELS


def test_records_beside_the_results_are_found_from_the_folder_above(three, tmp_path):
    three.model("acme/a", "a" * 40, role="zoo")
    clone = tmp_path / "output" / "results"
    shutil.copytree(three.root, clone)
    assert {facts.role for facts in ResultStore.load(clone.parent).models.values()} == {"zoo", "other"}


@pytest.mark.parametrize("inner", ["results", "", "results/results"])
@pytest.mark.parametrize("above", ["x", "x/y", "x/y/z"])
@pytest.mark.parametrize("has_meta", [True, False])
def test_a_folder_further_up_is_refused_and_the_right_one_named(three, tmp_path, above, inner, has_meta):
    whole = tmp_path / "top" / above
    shutil.copytree(three.root / "results", whole / inner if inner else whole)
    if not has_meta:
        for path in whole.rglob("model_meta.json"):
            path.unlink()
    meant = (whole / inner).parent if inner else whole
    with pytest.raises(ZooError, match=f"Was .*{re.escape(meant.relative_to(tmp_path).as_posix())} meant"):
        ResultStore.load(tmp_path / "top")


@pytest.mark.parametrize("has_meta", [True, False])
@pytest.mark.parametrize("below", ["acme__a", f"acme__a/{'a' * 40}"])
def test_a_folder_further_down_is_refused_and_the_right_one_named(three, below, has_meta):
    three.write(f"results/acme__a/{'a' * 40}/experiments/x_1/T.json", json.dumps({"task_name": "T", "scores": {}}))
    if not has_meta:
        for path in three.root.rglob("model_meta.json"):
            path.unlink()
    with pytest.raises(ZooError, match=r"no usable result in .* Was .*results-folder meant"):
        ResultStore.load(three.root / "results" / below)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"no usable result in .*genzoo evaluate"):
        ResultStore.load(tmp_path)


def test_experiments_and_other_folders_of_a_revision_are_rows_of_their_own(three):
    content = (three.root / f"results/acme__a/{'a' * 40}/T.json").read_text()
    for below in ("experiments/precision_int8", "experiments/a__b", "old"):
        three.write(f"results/acme__a/{'a' * 40}/{below}/T.json", content)
    found = values(three.root)
    assert {revision[40:] for model, revision in found if model == "acme/a"} == {"", "+precision_int8", "+a__b", "+old"}


@pytest.mark.parametrize("name", ["T (1).json", "T copy.json", "AAA.json", "t.json", "T.v2.json"])
@pytest.mark.parametrize("split", ["test", "dev"])
@pytest.mark.parametrize("is_kept", [True, False])
def test_the_file_named_after_its_task_wins(three, name, split, is_kept, monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scores, "_WORTH_KEEPING", 1)
    three.score(("acme/a", "a" * 40), "T", 0.99, split=split).rename(three.root / f"results/acme__a/{'a' * 40}/{name}")
    three.score(("acme/a", "a" * 40), "T", 0.7)
    for _ in range(2):
        store = ResultStore.load(three.root, is_kept=is_kept)
        assert store.main_scores["value"].tolist() == list(MODELS.values())
        (problem,) = store.problems
        assert problem.source.endswith(name)
        assert problem.reason.endswith("T.json, which is named after T: this one was left out")


def test_a_file_of_another_name_counts_where_it_is_the_only_one(tree):
    tree.score(("acme/a", "r"), "T", 0.4).rename(tree.root / "results/acme__a/r/T (1).json")
    tree.score(("acme/a", "r"), "U", 0.5)
    store = ResultStore.load(tree.root)
    assert dict(zip(store.main_scores["task"], store.main_scores["value"], strict=True)) == {"T": 0.4, "U": 0.5}
    assert [problem.reason for problem in store.problems] == ["holds a result of T and is counted as such"]


def test_what_editors_and_systems_leave_behind_is_no_result(tree):
    tree.score(("acme/a", "r"), "T", 0.4)
    for name in ("._T.json", ".~lock.T.json#", "T.json.bak", "T.json~", ".DS_Store", "T.json.swp"):
        tree.write(f"results/acme__a/r/{name}", "{")
    store = ResultStore.load(tree.root)
    assert store.main_scores["value"].tolist() == [0.4]
    assert store.problems == ()


@pytest.mark.parametrize(
    ("task", "values", "reason"),
    [
        ({"splits": ["test"]}, {"split": "dev"}, "T is measured on the split test, the results are of dev"),
        ({"subsets": ["en"]}, {"subsets": ["de"]}, "T is measured on the subset en, the results are of de"),
        ({}, {"value": float("nan")}, "the main scores of T are missing or NaN"),
        ({}, {"value": 80.0}, r"outside the range of their metric \(80 on T\)"),
    ],
)
def test_a_board_without_a_score_gives_the_reason(tree, task, values, reason):
    tree.task("T", **task)
    tree.benchmark("B", ["T"])
    tree.score(("acme/a", "r"), "T", values.pop("value", 0.5), **values)
    with pytest.raises(ZooError, match=f"no model in .* has a score on B: .*{reason}"):
        Leaderboard.from_store(ResultStore.load(tree.root), "B")


def test_a_board_of_other_tasks_names_them_and_what_is_broken(tree):
    tree.benchmark("B", ["T"])
    tree.score(("acme/a", "r"), "U", 0.5)
    with pytest.raises(ZooError, match="has a score on B: the folder has results of 1 other tasks: U"):
        Leaderboard.from_store(ResultStore.load(tree.root), "B")
    tree.write("results/acme__a/r/T.json", "{")
    with pytest.raises(ZooError, match=r"has a score on B: 1 of their files cannot be used \(results/acme__a/r/T.json"):
        Leaderboard.from_store(ResultStore.load(tree.root), "B")
