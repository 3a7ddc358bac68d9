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
        ("a.txt", b"\xff\xfe\x00\x81binary\x00", "no text in UTF-8"),
        ("a.txt", b"x" * 30_000, "30,000 characters"),
        ("a.jsonl", b'{"body": "x"}\n', "columns body: one must be named query"),
        ("a.jsonl", b'{"query": "x"\n', "line 1 is no JSON"),
        ("a.jsonl", b"[1]\n", "neither a string nor an object"),
        ("a.csv", b"name,city\na,b\n", "columns name, city"),
        ("a.parquet", b"PAR1 not really", "no readable Parquet"),
        ("a.txt.gz", b"not gzip", "no text in UTF-8"),
        ("a.docx", b"x", "unknown ending"),
        ("a.txt", b"x" * 1_000_000, "1,000,000 characters"),
        ("a.jsonl", b'{"query": "' + b"x" * 1_000_000 + b'"}', "1,000,000 characters"),
        ("a.csv", b"query\n" + b"x" * 1_000_000, "1,000,000 characters"),
        ("a.txt", b"\x00\x01\x02\x03" * 99, "holds control characters"),
        ("a.csv", b"query\na\x00b\n", "holds control characters"),
        ("a.jsonl", b'{"query": "a\\ud800b"}\n', "holds control characters"),
        ("a.jsonl", b'{"query": null}\n', "line 1: the query is of type NoneType"),
        ("a.jsonl", b'{"query": ["x"]}\n', "line 1: the query is of type list"),
        ("a.csv", b"", "columns none"),
        ("a.csv.gz", gzip.compress(b"query\nx\n", mtime=0)[:-9], "no text in UTF-8"),
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


def test_a_million_duplicates_are_one_query(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("same again\n" * 100_000)
    assert len(read_queries(path)) == 1
