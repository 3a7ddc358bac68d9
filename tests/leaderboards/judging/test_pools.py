"""Where the judging of a pool stands, in facts, as a frame and for JSON."""

import json

import pytest

import genzoo
from genzoo.errors import InputError
from genzoo.leaderboards.judging.pools import judgements, next_step


@pytest.fixture
def folder(tmp_path):
    """Three queries of four passages each."""
    rows = [
        {"query-id": f"q{query}", "corpus-id": f"d{place}", "item": f"i{query}{place}"}
        for query in range(3)
        for place in range(4)
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "judgements").mkdir()
    return tmp_path


def judge(folder, name, grades):
    rows = ({"item": item, "judge": name, "score": grade, "time": "1"} for item, grade in grades.items())
    (folder / "judgements" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_two_judges_are_merged_and_their_agreement_is_told(folder):
    judge(folder, "anna", {f"i{query}{place}": 3 * (place == query) for query in range(3) for place in range(4)})
    judge(folder, "bert", {f"i0{place}": 2 * (place == 0) for place in range(4)} | {"i11": 0, "i12": None})
    found = genzoo.judgements(folder)
    facts = dict(found.facts)
    assert facts["passages"] == "12 of 12 judged" and facts["queries"] == "3 of 3 complete"
    assert facts["overruled"] == "1 x cannot tell, as another judge gave a grade"
    assert facts["judges"] == "anna (12), bert (6)" and facts["disputed"] == "1 passage with grades two or more apart"
    assert facts["agreement"].startswith("2 judges on 5 passages: 60 % of the pairs of grades are equal")
    assert (folder / "qrels.jsonl").is_file() and next_step(found).endswith(f"-t {folder}")
    frame = found.to_frame()
    assert list(frame.columns) == ["query", "passage", "anna", "bert", "grade", "disputed"] and len(frame) == 12
    assert frame[frame["disputed"]][["query", "passage", "anna", "bert", "grade"]].to_numpy().tolist() == [
        ["q1", "d1", 3, 0, 1]
    ]
    assert found.as_row()["judges"] == {"anna": 12, "bert": 6} and json.dumps(found.as_row(), allow_nan=False)
    assert "Krippendorff" in found._repr_html_()


def test_a_query_without_a_relevant_passage_is_told(folder):
    judge(folder, "anna", {f"i0{place}": 0 for place in range(4)} | {f"i1{place}": place for place in range(4)})
    assert dict(judgements(folder).facts)["queries"] == (
        "2 of 3 complete; 1 of these have no relevant passage, and an evaluation leaves them out"
    )


def test_before_anything_counts_it_says_what_to_do(folder, tmp_path_factory):
    found = judgements(folder)
    assert dict(found.facts)["judges"] == "none" and "judge.html" in next_step(found) and found.to_frame().empty
    judge(folder, "anna", {"i00": 1})
    found = judgements(folder)
    assert "no query is complete yet" in next_step(found) and not (folder / "qrels.jsonl").exists()
    with pytest.raises(InputError, match="is no pool"):
        judgements(tmp_path_factory.mktemp("other"))
