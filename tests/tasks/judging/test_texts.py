"""The texts of a pool: a log with ids of any kind, a corpus copied as it is."""

import json

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.passages import Passage
from genzoo.tasks.judging.texts import copied_corpus, digest_of_texts, read_log
from genzoo.tasks.own.columns import Columns


def test_the_column_of_queries_can_be_named(tmp_path):
    (tmp_path / "log.csv").write_text("id,frage,kurz\n7,wo ist mein paket,paket\n8,wie lange,dauer\n")
    named = Columns.parse({"query": "frage", "passage": "text"})
    assert [(each.id, each.text) for each in read_log(tmp_path / "log.csv", named)] == [
        ("7", "wo ist mein paket"),
        ("8", "wie lange"),
    ]
    with pytest.raises(InputError, match="name one column of the log"):
        read_log(tmp_path / "log.csv", Columns.parse({"query": ["frage", "kurz"]}))


def test_ids_that_repeat_are_replaced_by_numbers(tmp_path, caplog):
    (tmp_path / "log.csv").write_text("id,query\nu1,refund\nu1,cancel\nu2,refund\n")
    found = [(each.id, each.text) for each in read_log(tmp_path / "log.csv", Columns())]
    assert found == [("q000001", "refund"), ("q000002", "cancel")] and "the queries are numbered" in caplog.text


def test_a_corpus_is_copied_in_batches_without_loss(tmp_path):
    passages = [Passage(f"d{place}", "title" * (place % 2), f"text {place}\n\u2028ü") for place in range(20_000)]
    data = copied_corpus(iter(passages), tmp_path / "corpus.jsonl")
    assert data.column_names == ["id", "title", "text"] and len(data) == 20_000
    assert data[19_999] == passages[19_999]._asdict()
    with (tmp_path / "corpus.jsonl").open(encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    assert [(row["_id"], row["title"], row["text"]) for row in rows] == passages


def test_the_digest_is_of_ids_and_texts_in_any_order():
    one = digest_of_texts({"a": "x", "b": "y"})
    assert one == digest_of_texts({"b": "y", "a": "x"}) != digest_of_texts({"a": "y", "b": "x"})
