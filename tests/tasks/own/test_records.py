"""Records of every format, each with its place, and the errors of files that are not what their name says."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.opening import open_data
from genzoo.tasks.own.records import Note, columns_of, read_records, stem_of, suffix_of

ROWS = [{"id": "1", "text": 'a "b", c'}, {"id": "2", "text": "über\tMaß"}]
TOPICS = """<top>
<num> Number: 301
<title> polar &amp; brown bears

<desc> Description:
Where do they
live?
</top>
<top>
<num> Number: 302 <title> ice
</top>
"""
XML = '<topics task="x">\n<topic number="1">\n<query>first</query>\n</topic>\n<topic number="2"><query>second</query></topic></topics>'
DOCS = "<DOC>\n<DOCNO> A-1 </DOCNO>\n<TITLE>T</TITLE>\n<TEXT>\none\ntwo &lt;3\n</TEXT>\n</DOC>\n<DOC><DOCNO>A-2</DOCNO><TEXT>x</TEXT></DOC>"


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.jsonl.gz", "".join(json.dumps(row) + "\r\n\r\n" for row in ROWS)),
        ("a.csv", 'id,text\n1,"a ""b"", c"\n2,über\tMaß\n'),
        ("a.csv", '\ufeffid,text\r\n1,"a ""b"", c"\r\n\r\n2,über\tMaß\r\n'),
        ("a.csv", 'id;text\n1;"a ""b"", c"\n2;über\tMaß\n'),
        ("a.tsv", 'id\ttext\n1\t"a ""b"", c"\n2\t"über\tMaß"\n'),
        ("a.tsv.gz", 'id\ttext\n1\t"a ""b"", c"\n2\t"über\tMaß"\n'),
    ],
)
def test_the_same_records_come_out_of_every_text_format(tmp_path, name, text):
    path = write(tmp_path / name, text)
    assert [dict(row.cells) for row in read_records([path])] == ROWS
    assert columns_of([path]) == ["id", "text"]


def test_a_field_that_the_first_record_lacks_is_a_column_too(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"query": "a", "passage": "b"}\n{"query": "a", "passage": "c", "grade": 0}\n')
    assert columns_of([path]) == ["query", "passage", "grade"]
    with pytest.raises(InputError, match=r"a.jsonl, line 1: the field 'grade' is missing"):
        open_data(path)


def test_parquet_parts_are_one_table_whose_rows_are_counted(tmp_path):
    paths = [tmp_path / f"x-{n}.parquet" for n in range(2)]
    for path, row in zip(paths, ROWS, strict=True):
        pq.write_table(pa.Table.from_pylist([row]), path)
    rows = list(read_records(paths))
    assert [dict(row.cells) for row in rows] == ROWS
    assert columns_of(paths) == ["id", "text"]
    assert str(rows[1].error("no")) == f"{paths[1]}, row 1: no"


@pytest.mark.parametrize(
    ("text", "expected", "lines"),
    [
        (TOPICS, [{"id": "301", "title": "polar & brown bears", "desc": "Where do they live?"}, {"id": "302", "title": "ice"}], [1, 9]),
        (XML, [{"id": "1", "query": "first"}, {"id": "2", "query": "second"}], [2, 5]),
        (DOCS, [{"id": "A-1", "title": "T", "text": "one two <3"}, {"id": "A-2", "text": "x"}], [1, 9]),
    ],
)  # fmt: skip
def test_tagged_files_of_trec(tmp_path, text, expected, lines):
    rows = list(read_records([write(tmp_path / "a.txt", text)]))
    assert [dict(row.cells) for row in rows] == expected
    assert [row.line for row in rows] == lines


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ('7\tsaid "no\n8\tb\tc\n', ("id", "text"), [{"id": "7", "text": 'said "no'}, {"id": "8", "text": "b\tc"}]),
        ("query_id\tquery\n7\ta\n", ("id", "text"), [{"query_id": "7", "query": "a"}]),
        ("q1 0 d1 2\nq1\tQ0\td2\t0\n", ("query-id", "iteration", "corpus-id", "score"),
         [{"query-id": "q1", "iteration": "0", "corpus-id": "d1", "score": "2"},
          {"query-id": "q1", "iteration": "Q0", "corpus-id": "d2", "score": "0"}]),
    ],
)  # fmt: skip
def test_tables_without_a_heading_are_told_from_those_with_one(tmp_path, text, columns, expected):
    assert [dict(row.cells) for row in read_records([write(tmp_path / "a.tsv", text)], columns)] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text\n1,a,b\n", r"a.csv, line 2: the row has 3 cells, the heading has 2"),
        ("a.csv", 'id,text\n1,"a\n', r"a.csv, line 2: a quote is opened in this row and never closed"),
        ("a.csv", b"id,text\n1,caf\xe9\n", r"a.csv, line 2: not UTF-8 text"),
        ("a.jsonl", "{}\n[1]\n", r"a.jsonl, line 2: no JSON object but \[1\]"),
        ("a.csv.gz", gzip.compress(b"id,text\n1,a\n" * 99, mtime=0)[:-9], r"a.csv.gz cannot be read"),
        ("a.parquet", "id,text", r"a.parquet is no Parquet file"),
        ("a.parquet", "", r"a.parquet is no Parquet file"),
    ],
)
def test_what_is_no_record_is_an_error_with_its_place(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        list(read_records([path]))


def test_a_row_of_another_length_in_a_table_without_heading(tmp_path):
    path = write(tmp_path / "q.txt", "q1 0 d1 2\nq1 d2 0\n")
    with pytest.raises(InputError, match=r"q.txt, line 2: the row has 3 cells, the first row has 4"):
        list(read_records([path], ("query-id", "iteration", "corpus-id", "score")))


def test_names_and_notes(tmp_path):
    assert [suffix_of(tmp_path / name) for name in ("a.CSV", "a.b.tsv.gz", "a.xlsx", "a")] == ["csv", "tsv", "", ""]
    assert stem_of(tmp_path / "qrels.test.txt") == "qrels.test"
    note = Note("1 of 2 is empty", "empty", 1, 2)
    assert Note(*note.as_list()) == note
    assert (note.at("x"), note.at("x").code, note.at("x").affected) == ("x: 1 of 2 is empty", "empty", 1)
