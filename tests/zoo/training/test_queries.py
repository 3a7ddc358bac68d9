import gzip
import json

import pandas as pd
import pytest

from genzoo.errors import InputError
from genzoo.training.queries import read_queries

TEXTS = ["where is the cat?", "why, oh why", "what is 2 + 2"]


def _write(path, kind):
    if kind == "txt":
        path.write_text("\n".join([*TEXTS, "", TEXTS[0], "  "]), encoding="utf-8")
    elif kind == "jsonl":
        path.write_text(
            "".join(json.dumps({"id": f"x{i}", "query": t}) + "\n" for i, t in enumerate([*TEXTS, TEXTS[0]]))
        )
    elif kind == "csv":
        pd.DataFrame({"question": [*TEXTS, TEXTS[1]]}).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame({"text": [*TEXTS, TEXTS[1]]}).to_parquet(path)
    else:
        with gzip.open(path, "wt") as file:
            file.writelines(json.dumps(text) + "\n" for text in TEXTS)


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet", "jsonl.gz"])
def test_every_kind_gives_the_same_queries(tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    _write(path, kind)
    assert [query.text for query in read_queries(path)] == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", b"", "holds no query"),
        ("a.txt", b"\n \n", "holds no query"),
        ("a.txt", b"\xff\xfe\x00\x81binary\x00", "not UTF-8 text"),
        ("a.txt", b"x" * 30_000, "30,000 characters"),
        ("a.jsonl", b'{"body": "x"}\n', "columns body: one must be named query"),
        ("a.jsonl", b'{"query": "x"\n', "line 1: no JSON"),
        ("a.jsonl", b"[1]\n", "neither a string nor an object"),
        ("a.csv", b"name,city\na,b\n", "columns name, city"),
        ("a.parquet", b"PAR1 not really", "not a readable Parquet"),
        ("a.txt.gz", b"not gzip", "not UTF-8 text"),
        ("a.docx", b"x", "unknown ending"),
        ("a.txt", b"x" * 1_000_000, "1,000,000 characters"),
        ("a.jsonl", b'{"query": "' + b"x" * 1_000_000 + b'"}', "1,000,000 characters"),
        ("a.csv", b"query\n" + b"x" * 1_000_000, "1,000,000 characters"),
        ("a.txt", b"\x00\x01\x02\x03" * 99, "holds control characters"),
        ("a.csv", b"query\na\x00b\n", "holds control characters"),
        ("a.jsonl", b'{"query": "a\\ud800b"}\n', "line 1: no JSON object"),
        ("a.jsonl", b'{"query": null}\n', "line 1: the query is of type NoneType"),
        ("a.jsonl", b'{"query": ["x"]}\n', "line 1: the query is of type list"),
        ("a.csv", b"", "columns none"),
        ("a.csv.gz", gzip.compress(b"query\nx\n", mtime=0)[:-9], "not UTF-8 text"),
        ("a.jsonl", b"", "holds no query"),
    ],
)
def test_bad_logs(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_queries(tmp_path / name)


def test_missing_log(tmp_path):
    with pytest.raises(InputError, match="there is no query log"):
        read_queries(tmp_path / "none.txt")


def test_parquet_holds_text_and_gaps(tmp_path):
    path = tmp_path / "log.parquet"
    pd.DataFrame({"query": ["a b", None, "c d"]}).to_parquet(path)
    assert [query.text for query in read_queries(path)] == ["a b", "c d"]
    pd.DataFrame({"query": [1, 2]}).to_parquet(path)
    with pytest.raises(InputError, match="row 1: the query is of type int"):
        read_queries(path)


def test_column_by_name(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("searched,query\nred shoes,no\n")
    assert [query.text for query in read_queries(path, "searched")] == ["red shoes"]
    with pytest.raises(InputError, match="has no column 'words': it has the columns searched, query"):
        read_queries(path, "words")


@pytest.mark.parametrize("name", ["search_term", "Search Term", "Query", "_question"])
def test_names_that_systems_give_the_column_are_known(tmp_path, name):
    path = tmp_path / "log.csv"
    path.write_text(f"when,{name},clicks\n2026,red shoes,3\n")
    assert [query.text for query in read_queries(path)] == ["red shoes"]
    path.write_text(f"{name},text\nno,red shoes\n")
    assert [query.text for query in read_queries(path)] == ["no" if name == "Query" else "red shoes"]


def test_a_million_duplicates_are_one_query(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("same again\n" * 100_000)
    assert len(read_queries(path)) == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            "query\nwhat is a newt\nhow do I get wine, or tea, out?\n",
            r"line 3: the row has 3 cells, the heading has 1",
        ),
        ("a.csv", "id,query,lang\n1,why is\nmy tap dripping,en\n", r"line 2: the row has 2 cells, the heading has 3"),
        ("a.csv", "id,query\n1,a\n\n2\n", r"line 4: the row has 1 cell, the heading has 2"),
        (
            "a.csv",
            'id,query\n1,"the capital of peru\n2,who is that\n',
            r"line 2: a quote is opened in this row and never",
        ),
        (
            "a.csv",
            'id,query\n1,a\n2,"the capital\n3,a 6" nail\n',
            r"line 4, in the row that begins on line 3: text follows a",
        ),
        ("a.csv", 'id,query\n1,"the capital" of peru\n', r"line 2: text follows a closing quote"),
        ("a.jsonl", '{"query": "a"}\n{"query": "b", "n": 1, "n": 2}\n', r"line 2 names the field 'n' twice"),
        ("a.csv", "query,query\na,b\n", r"has 2 columns named 'query'"),
        ("a.csv", "query\rwhat is a newt\rone, two\r", r"line 3: the row has 2 cells"),
        ("a.csv", "query\n" + "x" * 200_000 + ",b\n", r"line 2: the row has 2 cells"),
        ("a.csv", 'id,query\n1,"two\nlines"\n2,a,b\n', r"line 4: the row has 3 cells"),
        ("a.jsonl", '{"query": "a", "text": "b"}\n\n{"text": "a document"}\n', r"line 3 has no field 'query'"),
        ("a.jsonl", '{"text": "a document"}\n{"query": "a", "text": "b"}\n', r"line 1 has no field 'query'"),
        ("a.jsonl", '{"query": "a"}\n"b"\n', r"line 2 is a string, line 1 is an object"),
        ("a.jsonl", '{"query": "a"}\n{"query": "b", "query": "c"}\n', r"line 2 names the field 'query' twice"),
        ("a.jsonl", '{"query": "a"}\n{"query": "b', r"line 2: no JSON"),
        ("a.jsonl", '{"query": "a"}\n{"query": 5}\n', r"line 2: the query is of type int, not text: 5"),
        ("a.jsonl", "[" * 100_000 + "\n", r"line 1: no JSON"),
        ("a.txt", "a\nb\n\x00c\n", r"line 3 holds control characters"),
        ("a.csv", "id,query\n1,a\n2,b\x00\n", r"line 3 holds control characters"),
        ("a.txt", "a\nb\n" + "x" * 30_000, r"line 3: the query has 30,000 characters"),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_bad_rows_are_named_by_their_line(tmp_path, name, content, told, packed):
    path = tmp_path / (name + packed)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    with pytest.raises(InputError, match=told) as caught:
        read_queries(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("query\na\n".encode("utf-16"), "it is in UTF-16"),
        ("query\na\n".encode("utf-16-le"), "not UTF-16"),
        ("query\na\r\nb\rcaf\u00e9\n".encode("latin-1"), "line 4 holds the byte 0xe9"),
    ],
)
def test_other_encodings_are_named(tmp_path, data, told):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError, match=told):
        read_queries(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.csv", 'id,query\n1,"two\nlines, one query"\n\n2,a 6" nail\n', ["two\nlines, one query", 'a 6" nail']),
        ("a.csv", 'id, query\n1, "what, why"\n', ["what, why"]),
        ("a.csv", '\ufeffquery\n"say ""hi"""\n', ['say "hi"']),
        ("a.csv", ",query,,\n0,a,,\n1,b,x,y\n", ["a", "b"]),
        ("a.csv", "\nquery\n\n a \n   \nb\n", ["a", "b"]),
        ("a.csv", "query\r\na\r\nb\r\n", ["a", "b"]),
        ("a.CSV", "query\ra\rb", ["a", "b"]),
        ("a.tsv", "id\tquery\n1\twhy, oh why\n", ["why, oh why"]),
        ("a.jsonl", '\ufeff{"query": "a"}\n\n{"lang": "en", "query": "b\\nc"}', ["a", "b\nc"]),
        ("a.txt", "\ufeffa\rb\r\n\nc", ["a", "b", "c"]),
        ("a.txt", "what does a\u2028b mean", ["what does a\u2028b mean"]),
    ],
)
def test_unusual_but_valid_logs(tmp_path, recwarn, name, content, texts):
    (tmp_path / name).write_bytes(content.encode())
    assert [query.text for query in read_queries(tmp_path / name)] == texts
    assert not recwarn.list


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", 'id,query\n1,a\n2,\n3,""\n4,b\n', "2 of 4 rows hold no query (the first is line 3)"),
        ("a.jsonl", '{"query": "a"}\n{"query": " "}\n', "1 of 2 rows hold no query (the first is line 2)"),
        ("a.csv", "id;query\n1;a\n", "is read with semicolons between its columns"),
        ("a.csv", "id\tquery\n1\ta\n", "is read with tabs between its columns"),
        ("a.tsv", "id,query\n1,a\n", "is read with commas between its columns"),
        (
            "a.csv",
            'id,query\n1,"what\n2,how\n3,say "\n4,b\n',
            "line 2: a quoted cell goes on over lines that look like rows",
        ),
    ],
)
def test_doubtful_rows_are_told(tmp_path, name, content, told, notes):
    (tmp_path / name).write_text(content)
    assert read_queries(tmp_path / name)[0].text.startswith(("a", "what"))
    assert len(notes) == 1
    assert told in notes[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "<top>\n<num> Number: 301\n<title> newts\n<desc> Description:\nWhat is a newt?\n</top>\n",
            "look like TREC topics",
        ),
        ("<query id=1>newts</query>\n<query id=2>eels</query>\n", "TREC topics"),
        ("1185869\twhat is a newt\n1185868\twhat is an eel\n", "tab-separated records"),
        ('{"query": "newts"}\n{"query": "eels"}\n', "JSON"),
        ('[{"query": "newts"},\n{"query": "eels"}]\n', "JSON"),
        ("1,what is a newt,en\n2,what is an eel,en\n", "comma-separated records"),
        ("1;what is a newt\n2;what is an eel\n", "divided by semicolons or bars"),
        ("1. what is a newt\n2. what is an eel\n", "numbered lines"),
        ("2024-05-01 10:00:00 newts\n2024-05-01 10:00:07 eels\n", "lines of a log file"),
        ("[INFO] newts\n[INFO] eels\n", "lines of a log file"),
        ("Jan  3 10:00:00 host newts\nJan  3 10:00:01 host eels\n", "lines of a log file"),
        (
            '10.0.0.1 - - [10/Oct/2000:13:55:36] "GET"\n10.0.0.2 - - [10/Oct/2000:13:55:37] "GET"\n',
            "lines of a log file",
        ),
        ('"what is a newt"\n"what is an eel"\n', "quoted text"),
        ("id,query\nq1,newts\nq2,eels\n", "line 1 looks like the heading of a table"),
        ("query\nwhat is a newt\n", "line 1 looks like the heading of a table"),
    ],
)
def test_lines_of_text_that_look_like_records_are_told(tmp_path, content, told, notes):
    (tmp_path / "log.txt").write_text(content)
    assert read_queries(tmp_path / "log.txt")
    assert any(told in note for note in notes), notes


def test_a_plain_log_gets_no_note(tmp_path, recwarn):
    lines = [
        "what is a newt",
        "3 ways to cook an eel",
        "1,000 dollars in euros",
        '"to be or not to be" meaning',
        "python: how do I print | to a file; and {braces}?",
        "192.168.1.1 admin login",
        "<br> in html",
        "10:30 am in tokyo",
        "2024 olympics opening day",
        "question, what is a question?",
    ]
    (tmp_path / "log.txt").write_text("\n".join(lines))
    assert len(read_queries(tmp_path / "log.txt")) == len(lines)
    assert not recwarn.list


def test_a_column_of_a_log_without_columns_is_refused(tmp_path):
    for name, content in (("a.txt", "a\n"), ("a.jsonl", '"a"\n')):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="leave --column out"):
            read_queries(tmp_path / name, "query")


def test_parquet_lists_and_gaps_in_ids(tmp_path):
    path = tmp_path / "log.parquet"
    pd.DataFrame({"query": ["a", "b"], "id": [None, "x"]}).to_parquet(path)
    assert [query.id for query in read_queries(path)] == ["q000000", "x"]
    pd.DataFrame({"query": [["a", "b"], ["c"]]}).to_parquet(path)
    with pytest.raises(InputError, match="row 1: the query is of type ndarray"):
        read_queries(path)
