"""What judges said: read from every form that it comes in, merged by one rule, and written as judgements of the corpus."""

import json
import os

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.judgements import Judging, PoolItem, read_judging, settle_judgements

ITEMS = [("i1", "q1", "a"), ("i2", "q1", "b"), ("i2", "q1", "c"), ("i3", "q2", "a"), ("i4", "q2", "d")]


@pytest.fixture
def folder(tmp_path):
    rows = ({"query-id": query, "corpus-id": name, "item": item} for item, query, name in ITEMS)
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "judgements").mkdir()
    return tmp_path


def said(folder, file, *rows):
    keys = ("item", "judge", "score", "time")
    text = "".join(json.dumps(dict(zip(keys, row, strict=False))) + "\n" for row in rows)
    (folder / "judgements" / file).write_text(text)


def qrels(folder):
    rows = map(json.loads, (folder / "qrels.jsonl").read_text().splitlines())
    return {(row["query-id"], row["corpus-id"]): row["score"] for row in rows}


def test_complete_queries_are_written_with_their_zeros_and_identical_passages_share_a_grade(folder):
    said(folder, "anna.jsonl", ("i1", "anna", 0, "1"), ("i2", "anna", 3, "2"), ("i3", "anna", 1, "3"))
    judging = settle_judgements(folder)
    assert qrels(folder) == {("q1", "a"): 0, ("q1", "b"): 3, ("q1", "c"): 3}
    assert list(judging.complete) == ["q1"]
    assert judging.notes == ("1 of 2 queries are judged in part: left out until they are complete",)


def test_the_median_of_the_judges_counts_and_half_a_grade_is_rounded_down(folder):
    for judge, grades in {"a": (0, 1, 3, 3), "b": (1, 1, 0, None), "c": (3, 2, 3, None)}.items():
        rows = [(f"i{place}", judge, grade, "1") for place, grade in enumerate(grades, 1)]
        said(folder, f"{judge}.jsonl", *rows)
    judging = settle_judgements(folder)
    assert judging.grades == {"i1": 1, "i2": 1, "i3": 3, "i4": 3}
    assert [item.item for item in judging.disputed] == ["i1", "i3"]
    two = Judging(folder, (PoolItem("i1", "q", ("a",)),), {"a": {"i1": 1}, "b": {"i1": 2}})
    assert two.grades == {"i1": 1}


def test_one_judge_who_sees_harm_is_enough(folder):
    for judge, grades in {"a": (3, 2), "b": (-1, 2), "c": (3, None)}.items():
        said(folder, f"{judge}.jsonl", *((f"i{place}", judge, grade, "1") for place, grade in enumerate(grades, 1)))
    settle_judgements(folder)
    assert qrels(folder) == {("q1", "a"): -1, ("q1", "b"): 2, ("q1", "c"): 2}


def test_what_nobody_could_tell_stays_unjudged_and_does_not_hold_up_its_query(folder):
    said(folder, "anna.jsonl", ("i1", "anna", None, "1"), ("i2", "anna", 2, "2"))
    settle_judgements(folder)
    assert qrels(folder) == {("q1", "b"): 2, ("q1", "c"): 2}


def test_the_latest_word_of_a_judge_counts_whatever_the_order_of_files(folder):
    said(folder, "b.jsonl", ("i1", "anna", 1, "2026-01-02"), ("i2", "anna", 1, "2026-01-01"))
    said(folder, "a.jsonl", ("i1", "anna", 2, "2026-01-01"), ("i2", "anna", 3, "2026-01-03"))
    (folder / "judgements" / "anna.qrels").write_text("q1 0 a 0\nq1 0 b 0\n")
    assert read_judging(folder).judges == {"anna": {"i1": 1, "i2": 3}}


def test_trec_files_and_rows_by_ids_are_read_too(folder):
    (folder / "judgements" / "bert.qrels").write_text("q1 0 a 1\n\nq1\t0\tc\t2\n")
    (folder / "judgements" / "cleo.jsonl").write_text('{"query-id": "q2", "corpus-id": "d", "score": 3}\n')
    assert read_judging(folder).judges == {"bert": {"i1": 1, "i2": 2}, "cleo": {"i4": 3}}


def test_judgements_of_other_texts_are_left_out_and_told(folder):
    said(folder, "anna.jsonl", ("i9", "anna", 1, "1"), ("i1", "anna", 1, "1"), ("i2", "anna", 1, "1"))
    assert settle_judgements(folder).notes == ("anna.jsonl: 1 judgement of texts that are not in this pool: left out",)


def test_it_is_said_whether_a_query_or_a_passage_is_not_in_the_pool(folder):
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "=rent"}\n{"_id": "q2", "text": "sofa"}\n')
    sheet = "grade,query,item\n1,'=rent,i8\n2,sofa,i9\n3,bins,i7\n"
    (folder / "judgements" / "ann.csv").write_text(sheet)
    (folder / "judgements" / "bert.qrels").write_text("q9 0 a 1\nq1 0 z 1\nq1 0 a 1\n")
    assert read_judging(folder).notes[:4] == (
        "ann.csv: 2 judgements of passages that are not in this pool: left out",
        "ann.csv: 1 judgement of queries that are not in this pool: left out",
        "bert.qrels: 1 judgement of passages that are not in this pool: left out",
        "bert.qrels: 1 judgement of queries that are not in this pool: left out",
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"item": "i1", "score": 4}\n', "'score' is '4': a grade is 0, 1, 2 or 3"),
        ("a.jsonl", '{"item": "i1", "score": "high"}\n', "a grade is 0, 1, 2 or 3"),
        ("a.jsonl", '{"item": "i1"}\n', "'grade' is missing"),
        ("a.qrels", "q1 a 1\n", "four columns"),
        ("a.qrels", "q1 0 a 1\nq1 0 b 1 extra\n", "line 2: the row has 5 cells"),
        ("a.csv", "grade,query\n1,x\n", "line 2: the field 'item' is missing"),
        ("a.csv", "grade,item\n1.5,i1\n", "a grade is 0, 1, 2 or 3"),
        ("a.docx", "x", "no file of judgements"),
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_is_written(folder, name, content, message):
    (folder / "judgements" / name).write_text(content)
    with pytest.raises(InputError, match=message):
        settle_judgements(folder)
    assert not (folder / "qrels.jsonl").exists()


@pytest.mark.parametrize(("older", "newer", "grade"), [("anna.qrels", "anna.csv", 2), ("anna.csv", "anna.qrels", 1)])
def test_of_two_files_without_times_the_one_that_was_changed_last_counts_and_it_is_said(folder, older, newer, grade):
    inside = folder / "judgements"
    (inside / "anna.qrels").write_text("q1 0 a 1\nq1 0 b 3\n")
    (inside / "anna.csv").write_text("grade,item\n2,i1\n3,i2\n")
    os.utime(inside / older, (1_000, 1_000))
    os.utime(inside / newer, (2_000, 2_000))
    found = read_judging(folder)
    assert found.judges == {"anna": {"i1": grade, "i2": 3}}
    assert found.notes == (
        f"judgements/{newer}: 1 grade of anna in place of another one in judgements/{older}, which was handed in before it",
    )


def test_what_was_handed_in_counts_before_the_spreadsheet_of_the_pool(folder):
    (folder / "judgements" / "judge.csv").write_text("grade,item\n2,i1\n")
    (folder / "judge.csv").write_text("grade,item\n1,i1\n3,i2\n")
    assert read_judging(folder).judges == {"judge": {"i1": 2, "i2": 3}}


def test_a_file_without_times_must_not_contradict_itself(folder):
    (folder / "judgements" / "anna.qrels").write_text("q1 0 a 1\nq1 0 a 2\n")
    with pytest.raises(InputError, match="the grades 1 and 2, and the file does not say when"):
        read_judging(folder)


def test_without_judgements_or_without_a_complete_query_it_says_what_to_do(folder, tmp_path_factory):
    with pytest.raises(InputError, match=r"open .*judge\.html"):
        settle_judgements(folder)
    said(folder, "anna.jsonl", ("i1", "anna", 1, "1"))
    with pytest.raises(InputError, match=r"only complete ones count\. The nearest lacks 1 passage"):
        settle_judgements(folder)
    with pytest.raises(InputError, match="is no pool"):
        read_judging(tmp_path_factory.mktemp("other"))


def test_what_did_not_change_is_not_written_again(folder):
    said(folder, "anna.jsonl", ("i1", "anna", 1, "1"), ("i2", "anna", 2, "1"))
    settle_judgements(folder)
    before = (folder / "qrels.jsonl").stat().st_mtime_ns
    settle_judgements(folder)
    assert (folder / "qrels.jsonl").stat().st_mtime_ns == before
