"""The files of judges: exports, spreadsheets of every country, qrels."""

import json

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.judgement_files import judgement_files, read_judgements, sheet_grades
from genzoo.tasks.judging.judgements import read_judging

PAIRS = {("q1", "a"): "i1", ("q1", "b"): "i2", ("q1", "c"): "i2", ("q2", "a"): "i3"}


@pytest.fixture
def folder(tmp_path):
    rows = ({"query-id": query, "corpus-id": name, "item": item} for (query, name), item in PAIRS.items())
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "judgements").mkdir()
    return tmp_path


@pytest.mark.parametrize("divider", [",", ";", "\t"])
def test_the_spreadsheet_counts_where_it_was_filled_in(folder, divider):
    rows = [["grade", "query", "passage", "judge", "item"], ["2", "x", '"one\n""two"""', "dora", "i1"],
            ["", "x", "y", "dora", "i2"], ["X", "x", "y", "", "i3"]]  # fmt: skip
    text = "\r\n".join(divider.join(row) for row in rows)
    (folder / "judge.csv").write_bytes(("\ufeff" + text).encode())
    assert read_judging(folder).judges == {"dora": {"i1": 2}, "judge": {"i3": None}}
    assert sheet_grades(folder) == {"i1": ("2", "dora"), "i3": ("X", "")}


def test_a_row_may_name_the_item_or_the_ids(tmp_path):
    path = tmp_path / "anna.jsonl"
    rows = [
        {"item": "i1", "score": 2, "judge": "Anna", "time": "2026"},
        {"query-id": "q2", "corpus-id": "a", "score": None},
        {"query-id": "q9", "corpus-id": "a", "score": -1, "judge": " "},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [tuple(each) for each in read_judgements(path, PAIRS)] == [
        ("i1", "Anna", 2, "2026", f"{tmp_path.name}/anna.jsonl", ""),
        ("i3", "anna", None, "", f"{tmp_path.name}/anna.jsonl", "q2"),
        ("", "anna", -1, "", f"{tmp_path.name}/anna.jsonl", "q9"),
    ]


def test_trec_has_four_columns_and_no_judge(tmp_path):
    path = tmp_path / "Bert.qrels"
    path.write_text("q1 0 a 1\n\nq1\tQ0\tc\t3\n")
    assert [tuple(each)[:3] for each in read_judgements(path, PAIRS)] == [("i1", "Bert", 1), ("i2", "Bert", 3)]


def test_hidden_files_are_passed_over_and_others_refused(folder):
    for name in (".DS_Store", "b.jsonl", "a.csv"):
        (folder / "judgements" / name).touch()
    assert sorted(path.name for path in judgement_files(folder)) == ["a.csv", "b.jsonl"]
    (folder / "judgements" / "letter.docx").touch()
    with pytest.raises(InputError, match="no file of judgements"):
        judgement_files(folder)


def test_a_passage_that_must_not_be_found_is_marked_as_on_the_page(folder):
    (folder / "judge.csv").write_text(
        "grade,judge,item\n-,dora,i1\n\N{MINUS SIGN},dora,i2\n-1,dora,i3\n", encoding="utf-8"
    )
    assert read_judging(folder).judges == {"dora": {"i1": -1, "i2": -1, "i3": -1}}


@pytest.mark.parametrize("said", ["4", "1.5", "yes", "--"])
def test_another_grade_is_refused_with_those_that_there_are(folder, said):
    (folder / "judge.csv").write_text(f"grade,judge,item\n{said},dora,i1\n")
    with pytest.raises(InputError, match=rf"line 2: 'grade' is '{said}': a grade is 0, 1, 2 or 3, - \(or -1\).*or x"):
        read_judging(folder)
