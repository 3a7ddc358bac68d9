"""The results folder becomes one frame; what cannot be used is named, never dropped silently."""

import pytest

from genzoo.errors import UnknownNameError, ZooError
from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.scores import COLUMNS


def reasons(store):
    return {problem.source: problem.reason for problem in store.problems}


def test_full_tree(full_tree, builder):
    store = ResultStore.load(full_tree.root)
    assert tuple(store.frame.columns) == COLUMNS
    assert store.problems == ()
    assert len(store.main_scores) == 4 * 9
    row = store.main_scores.query("task == 'SciFact' and model == 'sentence-transformers/all-MiniLM-L6-v2'").iloc[0]
    assert row["value"] == 0.64508
    assert (row["type"], row["split"], row["subset"], row["mteb_version"]) == (
        "Retrieval",
        "test",
        "default",
        "2.26.24",
    )
    assert row["source"] == f"results/sentence-transformers__all-MiniLM-L6-v2/{builder.HASH['b']}/SciFact.json"
    facts = store.models[ModelKey(*builder.STUDENT)]
    assert (facts.role, facts.teacher, facts.n_parameters, facts.texts_per_second) == (
        "zoo", "sentence-transformers/all-MiniLM-L6-v2", 134_515_008, 41.2,
    )  # fmt: skip
    assert facts.versions["mteb"] == "2.26.24"
    assert facts.machine["memory_gib"] == "8.0"
    assert store.benchmarks == {"GenZoo(mini, v1)": tuple(list(builder.MINI)[:6])}
    (examples,) = store.evidence.values()
    assert examples[0].text == "Why is the sky blue?"
    assert examples[0].logit_lens[0] == ("answer", " reply", "The")


@pytest.mark.parametrize("give", ["results", "."])
def test_results_folder_itself_may_be_given(full_tree, give):
    assert len(ResultStore.load(full_tree.root / give).benchmarks) == 1


def test_bare_results_folder_may_be_given(tree, builder):
    tree.score(builder.OTHER, "SciFact", 0.7)
    store = ResultStore.load(tree.root / "results")
    assert list(store.models) == [ModelKey(*builder.OTHER)]
    assert store.problems == ()


def test_two_revisions_are_two_models(tree, builder):
    tree.score(("acme/m", builder.HASH["a"]), "T", 0.5)
    tree.score(("acme/m", builder.HASH["b"]), "T", 0.6)
    store = ResultStore.load(tree.root)
    assert list(store.labels.values()) == ["m @ aaaaaaa", "m @ bbbbbbb"]
    with pytest.raises(UnknownNameError, match="2 rows"):
        store.find("m")
    assert store.find("m@bbb").revision == builder.HASH["b"]


def test_runs_with_other_arguments_are_rows_of_their_own(tree, builder):
    tree.score(("acme/m", "r1"), "T", 0.5)
    content = tree.root.joinpath("results/acme__m/r1/T.json").read_text()
    tree.write("results/acme__m/r1/experiments/precision_int8/T.json", content)
    store = ResultStore.load(tree.root)
    assert [key.revision for key in store.models] == ["r1", "r1+precision_int8"]


def test_the_same_result_twice_is_read_once(tree):
    tree.model("acme/m", "r1")
    tree.score(("acme/m", "r1"), "T", 0.5)
    content = tree.root.joinpath("results/acme__m/r1/T.json").read_text()
    tree.write("results/acme__m/r1/copy-of-T.json", content.replace("0.5", "0.9"))
    store = ResultStore.load(tree.root)
    assert list(store.main_scores["value"]) == [0.5]
    assert "is already in" in reasons(store)["results/acme__m/r1/copy-of-T.json"]


def test_file_outside_of_a_revision_folder(tree, builder):
    tree.score(builder.OTHER, "T", 0.5)
    tree.write("results/stray.json", "{}")
    assert "lies outside" in reasons(ResultStore.load(tree.root))["results/stray.json"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda root: None, "is not there"),
        (lambda root: root.mkdir(), "no usable result"),
        (lambda root: root.write_text("x"), "is not a folder"),
        (lambda root: (root / "results").mkdir(parents=True), "no usable result"),
    ],
)
def test_nothing_to_read_is_one_clear_error(tmp_path, make, match):
    root = tmp_path / "nothing"
    make(root)
    with pytest.raises(ZooError, match=match) as caught:
        ResultStore.load(root)
    assert f"genzoo evaluate -m MODEL -b BENCHMARK -o {root}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_unreadable_files_is_an_error_that_names_the_first(tree):
    tree.write("results/acme__m/r1/T.json", "{")
    with pytest.raises(ZooError, match=r"T\.json is not complete JSON"):
        ResultStore.load(tree.root)


@pytest.mark.parametrize(
    "name",
    [
        "genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen",
        "SmolLM2-135M-Instruct-LLM2Vec-Gen",
        "smollm2-135m-instruct-llm2vec-gen",
        "SmolLM2-135M-Instruct-LLM2Vec-Gen@aaaa",
    ],
)
def test_find_takes_full_short_and_pinned_names(full_tree, name):
    assert ResultStore.load(full_tree.root).find(name).model == "genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen"


def test_find_suggests(full_tree):
    with pytest.raises(UnknownNameError, match=r"did you mean .*all-MiniLM-L6-v2"):
        ResultStore.load(full_tree.root).find("all-MiniLM-L12")


def test_short_names_that_two_organisations_share_stay_long(tree):
    tree.score(("acme/base", "r1"), "T", 0.5)
    tree.score(("other/base", "r1"), "T", 0.6)
    tree.score(("acme/" + "x" * 200, "r1"), "T", 0.6)
    first, long, second = ResultStore.load(tree.root).labels.values()
    assert (first, second) == ("acme/base", "other/base")
    assert len(long) < 80
