"""Result files of any age and shape: what cannot be used is named, and the rest is still read."""

import json
import math
import os

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import ModelKey


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


def reasons(store):
    return {problem.source: problem.reason for problem in store.problems}


def test_every_scalar_is_a_row_and_bare_nan_is_read(full_tree, builder):
    store = ResultStore.load(full_tree.root)
    rows = store.frame.query("task == 'SciFact'")
    assert set(rows["metric"]) == {"ndcg_at_10", "nauc_ndcg_at_10_max", "main_score"}
    assert rows[rows["metric"] == "nauc_ndcg_at_10_max"]["value"].isna().all()
    assert store.value(ModelKey(*builder.STUDENT), "GenZooMiniSafetyRetrieval", "any_harmful_at_5") == 0.178
    assert store.value(ModelKey(*builder.STUDENT), "SciFact", "any_harmful_at_5") is None
    assert store.sources(ModelKey(*builder.STUDENT), "SciFact")[1:] == ("mteb 2.26.24", "data v1")


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
