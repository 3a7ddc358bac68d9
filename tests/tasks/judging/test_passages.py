"""A corpus in the forms that people have it in."""

import gzip
import json
import logging

import pandas as pd
import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.passages import read_passages

GUIDE = """Preface.

# Install

Download it.

```
# not a heading
```

## Linux

Use the package manager.

Old
===

> # quoted
> text
"""


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    (folder / "faq").mkdir(parents=True)
    (folder / "guide.md").write_text(GUIDE)
    (folder / "faq" / "refund.txt").write_bytes("\ufeffHow do I get a refund?\r\n\r\nWrite to us.\r\n".encode())
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden")
    return folder


def test_markdown_is_cut_at_its_headings_and_other_files_stay_whole(docs):
    found = {passage.id: (passage.title, passage.text) for passage in read_passages(docs)}
    assert list(found) == ["faq/refund.txt", "guide.md#1", "guide.md#2", "guide.md#3", "guide.md#4"]
    assert found["faq/refund.txt"] == ("", "How do I get a refund?\n\nWrite to us.")
    assert found["guide.md#1"] == ("", "Preface.")
    assert found["guide.md#2"] == ("Install", "Download it.\n\n```\n# not a heading\n```")
    assert found["guide.md#3"] == ("Install > Linux", "Use the package manager.")
    assert found["guide.md#4"] == ("Old", "> # quoted\n> text")


def test_a_heading_without_text_counts_unless_another_is_below_it(tmp_path):
    (tmp_path / "a.md").write_text("# Hours\n## Monday\n9 to 5\n## Sunday: closed\n")
    found = [tuple(passage) for passage in read_passages(tmp_path)]
    assert found == [("a.md#1", "Hours > Monday", "9 to 5"), ("a.md#2", "Hours > Sunday: closed", "")]


def test_each_file_may_be_one_passage(docs):
    assert [passage.id for passage in read_passages(docs, "files")] == ["faq/refund.txt", "guide.md"]


def test_paragraphs_are_joined_up_to_a_length_and_none_is_lost(tmp_path):
    paragraphs = [f"{number} " + "word " * 60 for number in range(5)] + ["long " * 400]
    (tmp_path / "a.txt").write_text("\n\n".join(paragraphs))
    found = [passage.text for passage in read_passages(tmp_path, "paragraphs")]
    assert [len(text.split()) for text in found] == [122, 122, 61, 400]
    assert " ".join(" ".join(found).split()) == " ".join(" ".join(paragraphs).split())


def test_long_passages_and_files_of_other_kinds_are_told(docs, caplog):
    (docs / "long.txt").write_text("word " * 351)
    (docs / "scan.pdf").write_bytes(b"%PDF")
    (docs / "empty.txt").write_text(" \n")
    with caplog.at_level(logging.WARNING):
        assert len(list(read_passages(docs))) == 6
    assert "1 files of other kinds are not read (.pdf)" in caplog.text
    assert "1 of 6 passages have more than 350 words" in caplog.text
    assert "1 passages have no text ('empty.txt'): left out" in caplog.text


ROWS = [{"_id": 7, "title": None, "text": "one"}, {"_id": "b", "title": "Two", "text": "two\nlines"}]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "tsv", "parquet", "folder"])
def test_records_of_every_kind_give_the_same_passages(tmp_path, kind):
    path = tmp_path / f"corpus.{kind}"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if kind == "parquet":
        pd.DataFrame([{**row, "_id": str(row["_id"])} for row in ROWS]).to_parquet(path)
    elif kind in ("csv", "tsv"):
        pd.DataFrame(ROWS).to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path = tmp_path if kind == "folder" else path
        (tmp_path / "corpus.jsonl").write_text(lines)
    assert [tuple(passage) for passage in read_passages(path)] == [("7", "", "one"), ("b", "Two", "two\nlines")]


def test_records_without_a_name_are_numbered(tmp_path):
    path = tmp_path / "faq.csv"
    path.write_text("question,passage\nx,first\ny,second\n")
    assert [(passage.id, passage.text) for passage in read_passages(path)] == [
        ("p000001", "first"),
        ("p000002", "second"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"_id": "1", "text": "a"}\n{"_id": "1", "text": "b"}\n', "two passages have the id '1'"),
        ("a.jsonl", '{"_id": "1", "words": "a"}\n', "no column for the passage"),
        ("a.jsonl", '{"_id": "1", "text": 3}\n', "a text is expected"),
        ("a.jsonl", "", "holds no passage"),
        ("a.csv", "text\n\xff\n", None),
        ("a.docx", "x", "is no corpus that can be read"),
        ("a.parquet", "x", "is no Parquet file"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=said or "not UTF-8"):
        list(read_passages(tmp_path / name))


def test_an_empty_folder_a_missing_one_and_an_unknown_split_are_said(tmp_path):
    with pytest.raises(InputError, match="it is empty"):
        list(read_passages(tmp_path))
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(InputError, match=r"files with \.pdf"):
        list(read_passages(tmp_path))
    with pytest.raises(InputError, match="there is no corpus"):
        list(read_passages(tmp_path / "none"))
    with pytest.raises(InputError, match="split is 'words'"):
        read_passages(tmp_path, "words")
