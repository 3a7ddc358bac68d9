"""The results folder becomes one frame; what cannot be used is named, never dropped silently."""

import json
import math

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


def test_every_scalar_is_a_row_and_bare_nan_is_read(full_tree, builder):
    store = ResultStore.load(full_tree.root)
    rows = store.frame.query("task == 'SciFact'")
    assert set(rows["metric"]) == {"ndcg_at_10", "nauc_ndcg_at_10_max", "main_score"}
    assert rows[rows["metric"] == "nauc_ndcg_at_10_max"]["value"].isna().all()
    assert store.value(ModelKey(*builder.STUDENT), "GenZooMiniSafetyRetrieval", "any_harmful_at_5") == 0.178
    assert store.value(ModelKey(*builder.STUDENT), "SciFact", "any_harmful_at_5") is None
    assert store.sources(ModelKey(*builder.STUDENT), "SciFact")[1:] == ("mteb 2.26.24", "data v1")


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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"task_name": "T", "scores": {"te', "is not complete JSON"),
        ("", "is empty"),
        ("[1, 2]", "holds a JSON list"),
        ("{}", "holds no scores"),
        ('{"scores": {}}', "holds no scores"),
        ('{"scores": {"test": []}}', "holds no scores"),
        ('{"scores": 3}', 'its "scores" are a int'),
        ('{"scores": {"test": [7]}}', "entry 0 of split test is not an object"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_unusable_file_is_named_and_the_rest_loads(tree, builder, content, reason):
    tree.score(builder.OTHER, "Good", 0.7)
    tree.write("results/acme__bad/r1/T.json", content)
    store = ResultStore.load(tree.root)
    assert list(store.tasks) == ["Good"]
    assert reason in " | ".join(p.reason for p in store.problems if p.source == "results/acme__bad/r1/T.json")


def test_file_that_is_no_text(tree, builder):
    tree.score(builder.OTHER, "Good", 0.7)
    path = tree.write("results/acme__bad/r1/T.json", "")
    path.write_bytes(b"\xff\xfe\x00\x81")
    assert "is not UTF-8" in reasons(ResultStore.load(tree.root))["results/acme__bad/r1/T.json"]


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.5", True])
def test_main_score_that_is_no_number_counts_as_missing(tree, value):
    tree.write(
        "results/acme__m/r1/T.json",
        json.dumps({"task_name": "T", "scores": {"test": [{"main_score": value, "hf_subset": "default"}]}}),
    )
    store = ResultStore.load(tree.root)
    assert store.main_scores["value"].isna().all()
    assert "counted as missing" in reasons(store)["results/acme__m/r1/T.json"]


def test_missing_main_score_is_taken_from_the_declared_metric(tree):
    tree.task("T", main="safety_at_5")
    row = {"safety_at_5": 0.9, "hf_subset": "default"}
    tree.write("results/acme__m/r1/T.json", {"task_name": "T", "scores": {"test": [row]}})
    tree.write("results/acme__m/r2/T.json", {"task_name": "T", "scores": {"test": [{"x": 1, "hf_subset": "default"}]}})
    store = ResultStore.load(tree.root)
    assert store.value(ModelKey("acme/m", "r1"), "T", "main_score") == 0.9
    assert "nor safety_at_5" in reasons(store)["results/acme__m/r2/T.json"]


def test_format_before_mteb_1_11(tree):
    tree.task("STSX", "STS", "cosine_spearman")
    tree.write("results/acme__m/r1/STSX.json", {
        "dataset_revision": "abc", "mteb_dataset_name": "STSX", "mteb_version": "1.0.2",
        "test": {"cos_sim": {"pearson": 0.7, "spearman": 0.8}, "evaluation_time": 3.0},
    })  # fmt: skip
    tree.write("results/acme__m/r1/Multi.json", {
        "mteb_dataset_name": "Multi", "test": {"de": {"accuracy": 0.5, "main_score": 0.5}, "en": {"main_score": 0.7}},
    })  # fmt: skip
    store = ResultStore.load(tree.root)
    rows = store.frame.query("task == 'STSX'").set_index("metric")["value"]
    assert rows["cosine_spearman"] == rows["main_score"] == 0.8
    multi = store.main_scores.query("task == 'Multi'")
    assert dict(zip(multi["subset"], multi["value"], strict=True)) == {"de": 0.5, "en": 0.7}
    assert set(multi["mteb_version"]) == {"unknown"}


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


def test_unknown_benchmark_lists_the_near_ones(full_tree):
    store = ResultStore.load(full_tree.root)
    with pytest.raises(UnknownNameError, match=r"GenZoo\(mini, v1\)"):
        store.task_names("GenZoo(mini)")


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
