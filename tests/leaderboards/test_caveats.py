"""Scores on documents that were drawn anew for each model are named, and no others."""

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.caveats import unfixed_draws

ONE, TWO, FOREIGN = ("org/one", "a" * 40), ("org/two", "b" * 40), ("org/foreign", "c" * 40)
LEVELS = {"v_measures": {"Level 0": [0.5, 0.6]}}


def record(tree, model, task, **fields):
    name, revision = model
    tree.write(
        f"environment/{name.replace('/', '__')}/{revision}/{task}.json", {"versions": {"mteb": "2.26.24"}, **fields}
    )


@pytest.fixture
def measured(tree):
    tree.task("Groups", "Clustering", "v_measure", 100)
    tree.task("OldGroups", "Clustering", "v_measure", 100)
    tree.task("Labels", "MultilabelClassification", "accuracy", 100)
    tree.task("Pairs", "STS", "cosine_spearman", 100)
    for model in (ONE, TWO):
        tree.model(*model, role="other")
        tree.score(model, "Groups", 0.5, extra=LEVELS)
        tree.score(model, "OldGroups", 0.5, extra={"v_measures": [0.4, 0.6]})
        tree.score(model, "Labels", 0.2)
        tree.score(model, "Pairs", 0.7)
        for task in ("Groups", "OldGroups", "Labels", "Pairs"):
            record(tree, model, task)
    tree.score(FOREIGN, "Groups", 0.4, extra=LEVELS)  # of mteb's own repository: nothing says how it was measured
    return tree


def named(tree):
    store = ResultStore.load(tree.root)
    found = unfixed_draws(store, store.main_scores)
    return {(row.model, row.task) for row in found.itertuples()}


def test_results_without_a_seed_are_named(measured):
    assert named(measured) == {(model, task) for model in ("org/one", "org/two") for task in ("Groups", "Labels")}
    record(measured, ONE, "Groups", seeds={"Groups": 42})
    record(measured, ONE, "Labels", seeds={"Labels": 42})
    assert named(measured) == {("org/two", "Groups"), ("org/two", "Labels")}


def test_a_result_whose_record_is_gone_is_named(measured):
    for model in (ONE, TWO):
        record(measured, model, "Labels", seeds={"Labels": 42})
        record(measured, model, "Groups", seeds={"Groups": 42})
    assert named(measured) == set()
    (measured.root / "environment" / "org__one" / ONE[1] / "Groups.json").unlink()
    assert named(measured) == {("org/one", "Groups")}


def test_a_tree_that_genzoo_did_not_measure_is_left_alone(measured):
    import shutil

    shutil.rmtree(measured.root / "environment")
    assert named(measured) == set()


def test_the_board_says_so(measured):
    (caveat,) = [
        caveat for caveat in Leaderboard.from_store(ResultStore.load(measured.root)).caveats if caveat.kind == "draws"
    ]
    assert caveat.title == "Different documents: 2 tasks"
    assert "The documents of Groups, Labels may have been drawn anew for each model of a run" in caveat.text
    assert "one, two" in caveat.text
    assert "foreign" not in caveat.text
    for model in (ONE, TWO):
        for task in ("Groups", "Labels"):
            record(measured, model, task, seeds={task: 42})
    board = Leaderboard.from_store(ResultStore.load(measured.root))
    assert "draws" not in {caveat.kind for caveat in board.caveats}


@pytest.mark.parametrize(("dtype", "is_told"), [("float32", False), ("bfloat16 products", True), (None, False)])
def test_models_of_different_precision_are_named(tree, dtype, is_told):
    tree.task("Pairs", "STS", "cosine_spearman", 100)
    for model, precision in ((ONE, "float32"), (TWO, dtype)):
        tree.model(*model, role="other", dtype=precision)
        tree.score(model, "Pairs", 0.7)
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    texts = [caveat.text for caveat in board.caveats if caveat.kind == "precision"]
    assert [
        text.startswith("The models ran in different precision: one in float32; two in bfloat16 products.")
        for text in texts
    ] == [True] * is_told
