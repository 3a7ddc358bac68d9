"""Labels are short and never ambiguous, and each leads back to its model."""

import pytest

from genzoo.errors import UnknownNameError
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.naming import find_model, labels, short_name, short_revision

ONE, OTHER = "a" * 40, "b" * 40


def named(*keys):
    return list(labels(ModelKey(*key) for key in keys).values())


def test_a_label_says_no_more_than_it_needs():
    assert named(("acme/base", ONE), ("other/large", ONE)) == ["base", "large"]
    assert named(("acme/base", ONE), ("other/base", ONE)) == ["acme/base", "other/base"]
    assert named(("acme/base", ONE), ("acme/base", OTHER)) == ["base @ aaaaaaa", "base @ bbbbbbb"]
    twin = "a" * 39 + "c"
    assert named(("acme/base", ONE), ("acme/base", twin)) == [f"base @ {ONE}", f"base @ {twin}"]


def test_labels_that_would_look_the_same_are_numbered():
    """A name may hold what looks like another's revision."""
    found = named(("acme/m", ONE), ("acme/m", OTHER), ("other/m @ aaaaaaa", ONE))
    assert found == ["m @ aaaaaaa", "m @ bbbbbbb", "m @ aaaaaaa (2)"]


def test_long_names_lose_their_middle_unless_that_makes_them_equal():
    (label,) = named(("acme/" + "x" * 100 + "end", ONE))
    assert len(label) < 80
    assert label.endswith("end")
    assert len(set(named(("acme/" + "x" * 150, ONE), ("acme/" + "x" * 160, ONE)))) == 2


def test_short_names_and_revisions():
    assert (short_name("acme/"), short_name("plain")) == ("acme/", "plain")
    assert short_revision("v1") == "v1"


@pytest.mark.parametrize("name", ["acme/Base", "Base", "base", "Base@aaa", "Base @ aaaaaaa"])
def test_every_way_to_name_a_model_finds_it(name):
    keys = [ModelKey("acme/Base", ONE), ModelKey("acme/other", ONE)]
    assert find_model(name, keys, "results") == keys[0]


def test_a_name_of_several_or_of_none_is_an_error_that_lists_them():
    keys = [ModelKey("acme/base", ONE), ModelKey("acme/base", OTHER)]
    with pytest.raises(
        UnknownNameError, match=f"means 2 rows of results: give one of acme/base@{ONE}, acme/base@{OTHER}"
    ):
        find_model("base", keys, "results")
    assert find_model(f"base@{OTHER}", keys, "results") == keys[1]
    with pytest.raises(UnknownNameError, match="did you mean base"):
        find_model("bese", keys, "results")
    with pytest.raises(UnknownNameError, match="it has acme/base"):
        find_model("zzz", keys, "results")


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2"),
        ("bm25", "mteb/baseline-bm25s"),
        ("smollm2-135m", "genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen"),
        ("smollm2-135m-mean", "genzoo/SmolLM2-135M-Instruct-MeanPooled"),
    ],
)
def test_a_model_is_found_by_the_name_that_evaluate_took(given, model):
    keys = [ModelKey(model, "r1"), ModelKey("acme/other", "r2")]
    assert find_model(given, keys, "results") == keys[0]
    assert find_model(f"{given}@r1", keys, "results") == keys[0]
    own = ModelKey(f"acme/{given}", "r3")  # a model that is really called so comes first
    assert find_model(given, [*keys, own], "results") == own
