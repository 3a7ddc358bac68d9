import pytest

from genzoo.tasks.checking.corpora import corpus_findings, open_corpus, text_of

RETURN = "You can return any article within thirty days of delivery, free of charge and without giving a reason."


def test_a_folder_of_texts_says_what_it_lacks(tmp_path):
    (tmp_path / "a.md").write_text(f"# Returns\n\n{RETURN}\n\n# Parcels\n\nThey arrive after two days.\n")
    (tmp_path / "b.txt").write_text("Returns " + RETURN.replace("thirty", "fourteen"))
    passages = open_corpus(tmp_path)
    assert [passage.id for passage in passages] == ["a.md#1", "a.md#2", "b.txt"]
    assert text_of(passages[0]) == f"Returns {RETURN}"
    found = {each.code: each for each in corpus_findings(tmp_path, passages)}
    assert set(found) == {"no-queries", "near-duplicates"}
    assert found["no-queries"].severity == "blocker"
    assert f"genzoo pool --queries LOG --corpus {tmp_path}" in found["no-queries"].text
    assert found["near-duplicates"].examples == ("a.md#1 ~ b.txt",)


def test_a_corpus_alone_is_one_too(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n')
    assert [passage.id for passage in open_corpus(tmp_path)] == ["1", "2"]


@pytest.mark.parametrize("name", ["queries.jsonl", "qrels.tsv", "qrels", "topics.1.txt"])
def test_a_search_that_cannot_be_read_is_no_corpus(tmp_path, name):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "one"}\n')
    (tmp_path / name).write_text("broken")
    assert open_corpus(tmp_path) is None


def test_what_holds_no_texts_is_no_corpus(tmp_path):
    assert open_corpus(tmp_path) is None
    (tmp_path / "x.bin").write_bytes(b"\x00")
    assert open_corpus(tmp_path) is None
    assert open_corpus(tmp_path / "x.bin") is None
