"""What lies around the result files of a tree is read where it is there, and named where it is damaged."""

import pytest

from genzoo.errors import UnknownNameError
from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey


def test_foreign_tree_without_genzoo_files(tree, builder):
    tree.score(builder.OTHER, "SciFact", 0.7)
    store = ResultStore.load(tree.root)
    assert store.tasks["SciFact"].type is None
    assert store.tasks["SciFact"].main_score == "main_score"
    assert list(store.main_scores["type"]) == ["unknown"]
    facts = store.models[ModelKey(*builder.OTHER)]
    assert (facts.role, facts.has_environment) == ("other", False)
    assert store.benchmarks == {}
    assert store.problems == ()


def test_broken_companions_do_not_stop_the_results(full_tree, builder):
    model = f"{builder.slug(builder.STUDENT[0])}/{builder.STUDENT[1]}"
    for below in ("tasks.json", "benchmarks.json", f"environment/{model}.json", f"evidence/{model}.json"):
        full_tree.write(below, "{broken")
    full_tree.write(f"results/{model}/model_meta.json", "[]")
    store = ResultStore.load(full_tree.root)
    assert len(store.main_scores) == 36
    assert len(store.problems) == 5


def test_wrong_types_in_an_environment_record_count_as_unknown(tree):
    tree.model("acme/m", "r1", role="king", n_parameters="many", texts_per_second=-3, prompts=["a"], embed_dim=True)
    tree.write("results/acme__m/r1/model_meta.json", {"name": "acme/m"})
    tree.score(("acme/m", "r1"), "T", 0.5)
    facts = ResultStore.load(tree.root).models[ModelKey("acme/m", "r1")]
    assert (facts.role, facts.n_parameters, facts.texts_per_second, facts.embed_dim) == ("other", None, None, None)
    assert facts.prompts == {}


def test_unknown_benchmark_lists_the_near_ones(full_tree):
    store = ResultStore.load(full_tree.root)
    with pytest.raises(UnknownNameError, match=r"GenZoo\(mini, v1\)"):
        store.task_names("GenZoo(mini)")
