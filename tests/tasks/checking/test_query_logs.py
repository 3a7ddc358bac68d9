import json

import pytest

from genzoo.errors import InputError
from genzoo.tasks.checking.query_logs import log_findings, open_log
from genzoo.tasks.own.columns import Columns

NOBODY = Columns()


def _findings(path, rows):
    return {each.code: each for each in log_findings(path, rows)}


def test_a_log_says_what_it_is_good_for_and_what_it_lacks(tmp_path):
    path = tmp_path / "log.csv"
    asked = (
        ["reset my password"] * 6
        + ["Reset  my password"]
        + [f"where is the parcel number {n} of my last order from you" for n in range(12)]
        + [""]
    )
    path.write_text("time,query\n" + "".join(f"{n},{text}\n" for n, text in enumerate(asked)))
    found = _findings(path, open_log(path, NOBODY))
    assert found["no-passages"].severity == "blocker"
    assert f"genzoo pool --queries {path} --corpus" in found["no-passages"].text
    assert (found["empty"].count, found["empty"].total) == (1, 20)
    assert found["distinct-queries"].text == "13 distinct queries in 19 rows"
    assert (found["frequent-queries"].count, found["frequent-queries"].examples) == (
        7,
        ("reset my password (7 times)",),
    )
    assert found["near-duplicates"].count == 12


@pytest.mark.parametrize("text", ["one query a line\nanother\n", "\ufeffone\r\ntwo\r\n"])
def test_lines_of_text_are_a_log(tmp_path, text):
    (tmp_path / "log.txt").write_text(text, newline="")
    assert len(open_log(tmp_path / "log.txt", NOBODY)) == 2


def test_json_strings_and_objects_are_logs(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('"one query"\n"another"\n')
    assert len(open_log(path, NOBODY)) == 2
    path.write_text('{"query": "one query", "clicks": 3}\n')
    assert len(open_log(path, NOBODY)) == 1


def test_the_column_of_the_queries_may_be_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("frage\nwie lange dauert der Versand\n")
    assert open_log(path, NOBODY) is None
    (row,) = open_log(path, Columns.parse(["query=frage"]))
    assert row.text == "wie lange dauert der Versand"


@pytest.mark.parametrize(
    "heading", ["query,passage,grade", "text1,text2", "text,label", "query-id,corpus-id,score", "a,b", "query,answer"]
)
def test_other_tables_are_no_logs(tmp_path, heading):
    path = tmp_path / "table.csv"
    path.write_text(f"{heading}\n" + ",".join("x" for _ in heading.split(",")) + "\n")
    assert open_log(path, NOBODY) is None


def test_a_folder_is_no_log_and_an_unreadable_one_is_an_error(tmp_path):
    assert open_log(tmp_path, NOBODY) is None
    (tmp_path / "log.txt").write_bytes(b"\xff\xfea\x00")
    with pytest.raises(InputError, match="UTF-16"):
        open_log(tmp_path / "log.txt", NOBODY)


def test_a_log_without_a_query_is_told(tmp_path):
    (tmp_path / "log.csv").write_text("query,n\n,1\n,2\n")
    found = _findings(tmp_path / "log.csv", open_log(tmp_path / "log.csv", NOBODY))
    assert set(found) == {"no-query"}
    assert json.dumps(found["no-query"].as_row())
