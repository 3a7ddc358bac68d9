"""What was not judged, a log, a corpus or both, says what it is good for and which command comes next."""

import json

import pytest

from genzoo.errors import InputError
from genzoo.tasks.checking.unjudged import open_unjudged
from genzoo.tasks.own.columns import Columns

NOBODY = Columns()
RETURN = "You can return any article within thirty days of delivery, free of charge and without giving a reason."


def findings(there):
    return {each.code: each for each in there.findings()}


def test_a_folder_of_texts_says_what_it_lacks(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.md").write_text(f"# Returns\n\n{RETURN}\n\n# Parcels\n\nThey arrive after two days.\n")
    (tmp_path / "below/b.txt").write_text("Returns " + RETURN.replace("thirty", "fourteen"))
    there = open_unjudged(tmp_path, NOBODY)
    assert there.kind == "corpus"
    assert [passage.id for passage in there.passages] == ["a.md#1", "a.md#2", "below/b.txt"]
    assert [(name, texts[0], side) for name, texts, side in there.parts] == [
        ("passages", f"Returns {RETURN}", "document")
    ]
    found = findings(there)
    assert set(found) == {"no-queries", "near-duplicates"}
    assert found["no-queries"].severity == "missing"
    assert there.next_command.startswith(f"genzoo pool --queries LOG --corpus {tmp_path} -m ")
    assert found["near-duplicates"].examples == ("a.md#1 ~ below/b.txt",)


def test_a_text_that_is_not_utf_8_is_named_wherever_it_lies(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.md").write_text(RETURN)
    (tmp_path / "below/b.txt").write_bytes(b"Caf\xe9 opens at eight.")
    with pytest.raises(InputError, match=r"b\.txt is not UTF-8 text \(line 1 holds the byte 0xe9"):
        open_unjudged(tmp_path, NOBODY)


def test_a_corpus_alone_is_one_too(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n')
    assert [passage.id for passage in open_unjudged(tmp_path, NOBODY).passages] == ["1", "2"]


def test_a_corpus_with_queries_says_that_judging_comes_next(tmp_path):
    folder = tmp_path / "my search"
    folder.mkdir()
    (folder / "corpus.csv").write_text(f"id;title;text\n1;Returns;{RETURN}\n2;;Returns {RETURN}\n")
    (folder / "queries.csv").write_text("id,query\nq1,can I return it\nq2,can I return it\n")
    there = open_unjudged(folder, NOBODY)
    assert there.kind == "search to be judged"
    assert [(part, len(texts)) for part, texts, _ in there.parts] == [("passages", 2), ("queries", 2)]
    found = findings(there)
    assert set(found) == {"no-judgements", "duplicates", "distinct-queries", "frequent-queries"}
    assert f"--queries '{folder}/queries.csv' --corpus '{folder}/corpus.csv' -m" in there.next_command
    (folder / "queries.csv").write_text("id,query\nq1,\n")
    with pytest.raises(InputError, match="line 2: the query has no text"):
        open_unjudged(folder, NOBODY)


@pytest.mark.parametrize("name", ["queries.jsonl", "qrels.tsv", "qrels", "topics.1.txt"])
def test_a_search_that_cannot_be_read_is_none_of_these(tmp_path, name):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "one"}\n')
    (tmp_path / name).write_text("broken")
    (tmp_path / "qrels.qrels").write_text("q1 0 1 1\n")
    assert open_unjudged(tmp_path, NOBODY) is None


def test_what_holds_no_texts_is_none_of_these(tmp_path):
    assert open_unjudged(tmp_path, NOBODY) is None
    (tmp_path / "x.bin").write_bytes(b"\x00")
    assert open_unjudged(tmp_path, NOBODY) is None
    assert open_unjudged(tmp_path / "x.bin", NOBODY) is None


def test_a_log_says_what_it_is_good_for_and_what_it_lacks(tmp_path):
    path = tmp_path / "log.csv"
    asked = (
        ["reset my password"] * 6
        + ["Reset  my password"]
        + [f"where is the parcel number {n} of my last order from you" for n in range(12)]
        + [""]
    )
    path.write_text("time,search_term\n" + "".join(f"{n},{text}\n" for n, text in enumerate(asked)))
    there = open_unjudged(path, NOBODY)
    found = findings(there)
    assert there.kind == "query log" and found["no-passages"].severity == "missing"
    assert there.next_command.startswith(f"genzoo pool --queries {path} --corpus PASSAGES -m ")
    assert (found["empty"].count, found["empty"].total) == (1, 20)
    assert found["distinct-queries"].text == (
        "14 distinct queries in 19 rows, 13 whatever their case and spaces: a pool has each of these once"
    )
    assert (found["frequent-queries"].count, found["frequent-queries"].examples) == (
        7,
        ("reset my password (7 times)",),
    )
    assert found["near-duplicates"].count == 12


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("log.txt", "one query a line\nanother\n", 2),
        ("log.txt", "\ufeffone\r\ntwo\r\n", 2),
        ("log.jsonl", '"one query"\n"another"\n', 2),
        ("log.jsonl", '{"query": "one query", "clicks": 3}\n', 1),
    ],
)
def test_lines_strings_and_objects_are_logs(tmp_path, name, text, count):
    (tmp_path / name).write_text(text, newline="")
    assert len(open_unjudged(tmp_path / name, NOBODY).queries) == count


def test_the_column_of_the_queries_may_be_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("frage\nwie lange dauert der Versand\n")
    assert open_unjudged(path, NOBODY) is None
    there = open_unjudged(path, Columns.parse(["query=frage"]))
    assert [row.text for row in there.queries] == ["wie lange dauert der Versand"]
    assert f"--queries {path} --columns query=frage --corpus" in there.next_command


@pytest.mark.parametrize(
    "heading", ["query,passage,grade", "text1,text2", "text,label", "query-id,corpus-id,score", "a,b", "query,answer"]
)
def test_other_tables_are_no_logs(tmp_path, heading):
    path = tmp_path / "table.csv"
    path.write_text(f"{heading}\n" + ",".join("x" for _ in heading.split(",")) + "\n")
    assert open_unjudged(path, NOBODY) is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("log.txt", b"\xff\xfea\x00", "UTF-16"), ("log.csv", b"id,query\n1,a\x00b\n", "control characters")],
)
def test_a_log_that_cannot_be_read_is_an_error(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        open_unjudged(tmp_path / name, NOBODY)


def test_a_log_without_a_query_is_told(tmp_path):
    (tmp_path / "log.csv").write_text("query,n\n,1\n,2\n")
    found = findings(open_unjudged(tmp_path / "log.csv", NOBODY))
    assert set(found) == {"no-query"}
    assert json.dumps(found["no-query"].as_row())
