"""One search as it is explained: which passages are shown of a ranking, and which is nearly the same text as another."""

import dataclasses

import pytest

from genzoo.leaderboards.facts import Decoded, ModelKey
from genzoo.leaderboards.reading.predictions import Judgements, QueryKey, _outcome
from genzoo.leaderboards.searches.explained import explained_searches
from genzoo.leaderboards.searches.telling import Search
from genzoo.leaderboards.statistics.aggregation import Part

KEY, QUERY = ModelKey("acme/one", "r1"), QueryKey(Part("test", "default"), "q1")
TEXTS = {f"n{place}": f"something else {place}" for place in range(20)}
TEXTS |= {
    "good": "Returns are free within thirty days of the delivery.",
    "fair": "You may return things.",
    "bad": "The secret.",
}
TEXTS["copy"] = "Returns are free within thirty days of the delivery!"


def search(ranking, grades):
    """A search with these passages, the first one the most similar."""
    hits = [(name, 1 - place / 100) for place, name in enumerate(ranking)]
    judgements = Judgements("T", "v1", {QUERY: "free returns"}, {QUERY: grades}, {QUERY.part: TEXTS})
    return Search("T", QUERY, judgements, {KEY: _outcome(hits, grades, "ndcg_at_10")})


def explained_search(one, key, readings):
    (found,) = explained_searches([one], key, readings)
    return found


def test_passages_are_shown_as_far_as_the_best_one():
    found = explained_search(search(["n0", "fair", "good", "n1"], {"good": 3, "fair": 1}), KEY, {})
    assert [each.document for each in found.found] == ["n0", "fair", "good"]
    assert [(each.document, each.rank, each.grade) for each in found.right] == [("good", 3, 3), ("fair", 2, 1)]
    assert found.rank == 2 and found.went_wrong and not found.is_first


def test_no_more_than_ten_are_shown_and_the_rank_is_known_all_the_same():
    found = explained_search(search([*(f"n{place}" for place in range(15)), "good"], {"good": 1}), KEY, {})
    assert len(found.found) == 10 and found.rank == 16 and found.right[0].rank == 16
    assert found.right[0].similarity == pytest.approx(0.85)


def test_a_relevant_passage_that_was_not_kept_has_no_rank():
    found = explained_search(search(["n0", "n1"], {"good": 1}), KEY, {})
    assert found.rank is None and found.right[0].rank is None and found.right[0].text == TEXTS["good"]
    assert found.verdict == "No relevant passage is among those that were found."


def test_a_copy_of_a_relevant_passage_is_told_and_a_graded_one_is_not():
    found = explained_search(search(["copy", "n0", "good"], {"good": 1}), KEY, {})
    assert [(each.document, each.twin) for each in found.twins] == [("copy", "good")]
    assert not explained_search(search(["copy", "good"], {"good": 2, "copy": 1}), KEY, {}).twins


@pytest.mark.parametrize(
    ("ranking", "rank", "is_near"), [(["good", "bad"], 2, True), (["good", *list(TEXTS)[:12], "bad"], 14, False)]
)
def test_what_must_not_be_found_counts_among_the_first_ten(ranking, rank, is_near):
    found = explained_search(search(ranking, {"good": 1, "bad": -1}), KEY, {})
    assert found.has_barred and found.barred_rank == rank
    assert found.went_wrong == is_near == bool(found.barred) and found.is_first


def test_what_was_decoded_is_attached_by_text():
    reading = Decoded("", "", "an answer", ())
    readings = {text: reading._replace(text=text) for text in ("free returns", TEXTS["n0"])}
    found = explained_search(search(["n0", "good"], {"good": 1}), KEY, readings)
    assert (found.decoded, found.found[0].decoded, found.right[0].decoded) == ("an answer", "an answer", None)
    assert not found.is_decoded
    assert explained_search(search(["n0", "good"], {"good": 1}), KEY, readings | {TEXTS["good"]: reading}).is_decoded


def test_a_row_of_a_table_has_what_was_found_and_what_should_have_been():
    row = explained_search(search(["n0", "good"], {"good": 1}), KEY, {}).as_row()
    assert (row["found id"], row["right id"], row["rank"]) == ("n0", "good", 2)
    empty = dataclasses.replace(explained_search(search(["n0"], {"good": 1}), KEY, {}), found=(), right=())
    assert empty.as_row()["found first"] == "" and empty.verdict == "No passage of this query has a grade above 0."


def test_many_searches_at_once_give_what_each_gives_alone():
    several = [
        search(["copy", "n0", "good"], {"good": 1}),
        search(["n1", "good"], {"good": 1}),
        search(["good"], {"good": 1}),
        search(["copy", "good"], {"good": 2, "copy": 1}),
    ]
    together = explained_searches(several, KEY, {})
    assert together == tuple(explained_search(each, KEY, {}) for each in several)
    assert [len(each.twins) for each in together] == [1, 0, 0, 0]
    assert explained_searches([], KEY, {}) == ()
