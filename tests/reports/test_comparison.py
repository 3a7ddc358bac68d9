"""Two models side by side."""

import pytest

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.leaderboards import ResultStore
from genzoo.reports import compare

A, B = "SmolLM2-135M-Instruct-LLM2Vec-Gen", "all-MiniLM-L6-v2"


def test_short_names_deltas_and_outcomes(full_tree, tmp_path):
    paths = compare(ResultStore.load(full_tree.root), A, B, tmp_path)
    assert paths[0].name == f"compare-{A}-{B}.html"
    text = paths[1].read_text()
    assert text.startswith(f"# {A} against {B}\n\n9 of 9 tasks shared")
    assert "| STSBenchmark (STS) | Spearman (cosine)\u00a0↑ | 74.2 | 82.0 | −7.8 | – | loss |" in text
    assert (
        "| GenZooMiniSafetyRetrieval (Retrieval) | Safety@5\u00a0↑ | 84.2 | 51.7 | +32.5 | +62.9 | not counted |"
        in text
    )
    assert "is on average 8.5 points below all-MiniLM-L6-v2" in text
    assert "Holm" not in text.split("## ")[0]
    assert "bge-lookalike" not in text
    assert "An answer about Why is the sky blue?" in text
    for path in paths:
        assert path.stat().st_size > 500


def test_the_order_turns_the_signs(full_tree, tmp_path):
    text = compare(ResultStore.load(full_tree.root), B, A, tmp_path, formats=("md",))[0].read_text()
    assert "| 82.0 | 74.2 | +7.8 |" in text
    assert "is on average 8.5 points above" in text


def test_lower_is_better_wins_below_zero(tree, tmp_path):
    tree.task("Loss", main="recon_own")
    tree.task("Odd", main="sparkle")
    tree.task("Same")
    for name, loss, odd in (("a", 0.2, 0.5), ("b", 0.4, 0.6)):
        for task, value in (("Loss", loss), ("Odd", odd), ("Same", 0.5)):
            tree.score((f"acme/{name}", "r"), task, value)
    text = compare(ResultStore.load(tree.root), "a", "b", tmp_path, formats=("md",))[0].read_text()
    assert "| Loss (Retrieval) | Own response, nats/token\u00a0↓ | 0.200 | 0.400 | −0.200 | −50.0 | win |" in text
    assert "| no direction |" in text
    assert "| tie |" in text


def test_a_pair_meets_on_its_own_subsets(tree, tmp_path):
    for name in ("a", "b"):
        tree.score((f"acme/{name}", "r"), "T", 0.5, 0.7, subsets=["en", "de"])
    for place in range(3):
        tree.score((f"acme/other{place}", "r"), "T", 0.1, subsets=["en"])
    text = compare(ResultStore.load(tree.root), "a", "b", tmp_path, formats=("md",))[0].read_text()
    assert "| 60.0 | 60.0 | 0.0 |" in text


def test_two_revisions_of_one_model(tree, tmp_path):
    for revision, value in (("old", 0.5), ("new", 0.6)):
        for task in ("T", "U"):
            tree.score(("acme/m", revision), task, value)
    path = compare(ResultStore.load(tree.root), "m@new", "m@old", tmp_path, formats=("html",))[0]
    assert path.name == "compare-m-new-m-old.html"


def test_errors(full_tree, tree, tmp_path):
    store = ResultStore.load(full_tree.root)
    with pytest.raises(UnknownNameError, match=r"did you mean .*all-MiniLM-L6-v2"):
        compare(store, A, "all-minilm-l6", tmp_path)
    with pytest.raises(InputError, match="same model"):
        compare(store, A, f"genzoo/{A}", tmp_path)
    with pytest.raises(InputError, match="unknown format"):
        compare(store, A, B, tmp_path, formats=("csv",))
    full_tree.score(("acme/lonely", "r"), "Elsewhere", 0.5)
    with pytest.raises(ZooError, match="share no task"):
        compare(ResultStore.load(full_tree.root), "lonely", B, tmp_path)


def test_models_on_two_contents_of_own_data_are_told_what_measures_both_again(tree, tmp_path):
    tree.task("my help", dataset={"path": "own/my help", "revision": "b" * 40})
    for name, content in (("one", "a"), ("two", "b")):
        tree.score((f"acme/{name}", "r"), "my help", 0.5, data=content * 40)
    with pytest.raises(ZooError, match=r"share no task.*-m acme/one -m acme/two -t 'my help'=PATH -o "):
        compare(ResultStore.load(tree.root), "one", "two", tmp_path)
