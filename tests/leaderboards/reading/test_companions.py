"""What lies around the result files of a tree is read where it is there, and named where it is damaged."""

import pytest

from genzoo.errors import UnknownNameError
from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.facts import ModelKey, TaskFacts
from genzoo.leaderboards.reading.companions import read_decoded, read_model_facts, read_task_facts


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


KEY = ModelKey("acme/m", "r")


def test_the_environment_record_wins_over_the_card():
    found = read_model_facts(
        KEY, {"n_parameters": 7, "embed_dim": 8}, {"n_parameters": 9, "role": "zoo", "device": "cpu"}
    )
    assert (found.n_parameters, found.embed_dim, found.role, found.device) == (9, 8, "zoo", "cpu")
    assert found.has_environment


def test_wrong_types_count_as_unknown():
    found = read_model_facts(
        KEY, {"n_parameters": True, "training_datasets": 3}, {"max_tokens": float("inf"), "dtype": 4}
    )
    assert (found.n_parameters, found.max_tokens, found.dtype, found.training_datasets) == (None, None, None, None)
    task = read_task_facts("T", {"n_texts": True, "main_score": 3, "dataset": [], "splits": "test"})
    assert task == TaskFacts("T")


def test_training_data_are_read_from_a_list_and_from_the_keys_of_older_cards():
    for stated in (["SciFact"], {"SciFact": ["train"]}):
        found = read_model_facts(KEY, {"training_datasets": stated}, {})
        assert found.seen_of(["NFCorpus", "SciFact"]) == ["SciFact"]
        assert (found.has_seen("SciFact"), found.has_seen("NFCorpus")) == (True, False)
    assert read_model_facts(KEY, {}, {}).has_seen("SciFact") is None


def test_a_damaged_example_of_decoding_costs_no_other():
    good = {"text": "why?", "prompt": "query", "decoded": "because", "logit_lens": [["a", "b"]]}
    assert [each.decoded for each in read_decoded([good, {"text": 3}, "x"])] == ["because"]
    assert read_decoded({"text": "why?"}) == ()


def test_own_data_that_changed_under_one_name_are_two_columns(tree, builder):
    own = {"dataset": {"path": "own/help", "revision": "b" * 40}}
    tree.task("help", **own)
    tree.task("SciFact")
    for model, revision in ((builder.STUDENT, "a" * 40), (builder.TEACHER, "b" * 40), (builder.OTHER, "b" * 40)):
        tree.model(*model)
        tree.score(model, "help", 0.5, data=revision)
        tree.score(model, "SciFact", 0.5, data=revision)
    store = ResultStore.load(tree.root)
    assert store.task_names() == ("help", "help@aaaaaaa", "SciFact")  # of other tasks a caveat tells
    by_task = {str(task): list(rows["model"]) for task, rows in store.main_scores.groupby("task", observed=True)}
    assert by_task["help@aaaaaaa"] == [builder.STUDENT[0]]
    assert sorted(by_task["help"]) == sorted([builder.TEACHER[0], builder.OTHER[0]])
    assert store.tasks["help@aaaaaaa"].dataset_revision == "a" * 40
    assert (store.tasks["help@aaaaaaa"].earlier_of, store.tasks["help"].earlier_of) == ("help", None)
    assert store.problems == ()
