import numpy as np
import pytest

from genzoo.tasks.checking.searches import SearchSet, search_findings

RNG = np.random.default_rng(1)
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def _text(n):
    return " ".join(RNG.choice(WORDS, n))


PASSAGES = {f"d{n}": _text(30) for n in range(80)}
QUERIES = {f"q{n}": _text(6) for n in range(60)}
JUDGED = {f"q{n}": {f"d{n}": 1, f"d{n + 20}": 0} for n in range(60)}


def _findings(passages=PASSAGES, queries=QUERIES, judged=JUDGED, candidates=None):
    data = SearchSet(
        list(passages), list(passages.values()), list(queries), list(queries.values()), {"test": judged}, candidates
    )
    found = list(search_findings(data))
    assert len({(each.code, each.part) for each in found}) == len(found)
    return {each.code if each.code != "duplicates" else f"{each.part}-duplicates": each for each in found}


def test_a_sound_set_has_facts_alone():
    found = _findings()
    assert {each.severity for each in found.values()} == {"fact"}
    assert set(found) == {"grades", "relevant-passages", "judged-passages"}
    assert found["grades"].text == "grades 0: 60, 1: 60"
    assert found["judged-passages"].text == "80 of 80 (100 %) passages are judged for a query"
    assert found["relevant-passages"].text == "relevant passages of a measured query: 1 in the median, at most 1"


def test_dangling_ids_are_counted_on_both_sides():
    judged = {**JUDGED, "q0": {"d0": 1, "gone": 1, "gone2": 0}, "nobody": {"d1": 1}}
    found = _findings(judged=judged)
    assert found["unknown-passages"].sentence == (
        "2 of 82 (2.4 %) judged passages are not among the passages and found by no model, such as 'gone' and 'gone2'"
    )
    assert (found["unknown-queries"].count, found["unknown-queries"].total) == (1, 61)
    assert found["unknown-queries"].severity == "caution"


def test_queries_without_a_relevant_passage_are_counted():
    judged = {query: grades for query, grades in JUDGED.items() if query not in ("q0", "q1")} | {
        "q2": {"d2": 0, "d5": -1}
    }
    found = _findings(judged=judged)
    assert found["measured-queries"].text == "57 of 60 (95 %) queries have a relevant passage: these are measured"
    assert found["queries-without-relevant"].sentence == (
        "1 of 58 (1.7 %) judged queries have no relevant passage and are left out, such as 'q2'"
    )
    assert found["grades"].text.startswith("grades -1: 1, 0: 58, 1: 57")
    assert "few-queries" not in found


def test_few_queries_are_a_caution():
    judged = {f"q{n}": {f"d{n}": 2} for n in range(9)}
    found = _findings(judged=judged)
    assert found["few-queries"].text.startswith("only 9 judged queries")
    assert found["few-queries"].severity == "caution"
    assert found["only-relevant"].severity == "fact"


def test_copies_of_relevant_passages_that_nobody_judged():
    words = PASSAGES["d1"].split()
    passages = {**PASSAGES, "copy": PASSAGES["d0"].upper(), "near": " ".join([*words[:-1], "changed"])}
    judged = {**JUDGED, "q0": {"d0": 1, "copy": 1}, "q1": {"d1": 2, "near": 0}, "q2": {"d2": 1, "d0": 1}}
    found = _findings(passages=passages, judged=judged)
    assert found["unjudged-twins"].examples == ("q2: d0 ~ copy",)
    assert found["unjudged-twins"].count == 1
    assert found["contradicting-grades"].examples == ("q1: d1 ~ near",)
    assert found["unjudged-twins"].severity == found["contradicting-grades"].severity == "caution"


def test_a_passage_that_is_relevant_to_many_queries():
    judged = {
        query: {**grades, "d7": 1} if place % 3 == 0 else grades for place, (query, grades) in enumerate(JUDGED.items())
    }
    found = _findings(judged=judged)
    assert (found["relevant-to-many"].count, found["relevant-to-many"].examples) == (21, ("d7",))
    assert found["relevant-to-many"].severity == "caution"
    assert "relevant-to-many" not in _findings()


def test_queries_that_occur_word_for_word():
    queries = {**QUERIES, **{f"q{n}": " ".join(PASSAGES[f"d{n}"].split()[3:9]).title() + "?" for n in range(12)}}
    queries["q30"] = " ".join(PASSAGES["d5"].split()[10:16])
    found = _findings(queries=queries)
    assert (found["verbatim-queries"].count, found["verbatim-queries"].total) == (13, 60)
    assert found["verbatim-queries"].severity == "caution"
    assert found["verbatim-queries"].examples == ("q0: d0", "q1: d1", "q2: d2")
    assert found["verbatim-unjudged"].examples == ("q30: d5",)


def test_repeated_queries_are_told_from_repeated_passages():
    queries = {**QUERIES, "q1": QUERIES["q0"], "q2": QUERIES["q3"].title()}
    found = _findings(queries=queries)
    assert found["queries-duplicates"].count == 2
    assert "passages-duplicates" not in found


def test_candidates_are_counted():
    found = _findings(candidates={"q0": ["d0", "d1"], "q1": ["d1"]})
    assert found["candidates"].text == "each query ranks 1.5 candidates in the median, 1 to 2"


@pytest.mark.parametrize("judged", [{}, {"q0": {}}])
def test_a_set_without_judgements_does_not_fail(judged):
    found = _findings(judged=judged)
    assert found["measured-queries"].count == 0


def test_a_real_set_holds_copies_that_nobody_judged(shared):
    """QASC repeats facts: the figures were counted by hand from its files (lower-cased, white space collapsed)."""
    import gzip
    import json

    folder = shared / "data/eval_dev/reasoning/QASC"
    corpus, queries, qrels = (
        [json.loads(line) for line in gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes()).splitlines()]
        for name in ("corpus", "queries", "qrels")
    )
    judged = {}
    for row in qrels:
        judged.setdefault(row["query-id"], {})[row["corpus-id"]] = row["score"]
    texts = {row["_id"]: row["text"] for row in corpus}
    found = _findings(texts, {row["_id"]: row["text"] for row in queries}, judged)
    plain = [" ".join(text.split()).casefold() for text in texts.values()]
    assert found["passages-duplicates"].count == len(plain) - len(set(plain))
    assert found["unjudged-twins"].count > 150
