"""How models read texts: limits, prompts and tokenizers of folders and names."""

import json

import pytest

from genzoo.errors import InputError, ZooError
from genzoo.tasks.checking.lengths import count_tokens
from genzoo.tasks.checking.readers import find_readers

TEXTS = ["one text", "", " ".join(["word"] * 60)]


def test_the_models_of_the_zoo_are_taken_where_they_are_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    assert find_readers(None) == []


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"sentence_bert_config.json": {"max_seq_length": 80}, "config.json": {"max_position_embeddings": 50}}, 80),
        ({"tokenizer_config.json": {"model_max_length": 1e30}, "config.json": {"max_position_embeddings": 50}}, 50),
        ({"tokenizer_config.json": {"model_max_length": 40}, "config.json": {"max_position_embeddings": 50}}, 40),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_folder(tmp_path, tiny_teacher, config, limit):
    (tmp_path / "tokenizer.json").write_bytes((tiny_teacher / "tokenizer.json").read_bytes())
    for name, content in config.items():
        (tmp_path / name).write_text(json.dumps(content))
    (reader,) = find_readers([str(tmp_path)])
    assert reader.max_tokens == limit
    (found,) = count_tokens([reader], TEXTS, "queries", "query")
    assert (found.n_cut == 0) == (limit is None)


def test_prompts_of_a_folder_are_read(tmp_path, tiny_teacher):
    (tmp_path / "tokenizer.json").write_bytes((tiny_teacher / "tokenizer.json").read_bytes())
    prompts = {"query": "query: ", "document": "", "passage": "passage: "}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    (reader,) = find_readers([str(tmp_path)])
    assert (reader.prompt("query"), reader.prompt("document")) == ("query: ", "passage: ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-model", "no tokenizer is known"),
        ("upstream-qwen3-8b", "no tokenizer is known"),
        ("http://127.0.0.1:8000/v1", "does not name a model"),
    ],
)
def test_models_without_a_tokenizer_are_refused(name, said):
    with pytest.raises(ZooError, match=said):
        find_readers([name])


def test_embedders_from_elsewhere_are_read_in_words_as_their_parts_or_not_at_all(tiny_teacher):
    served, bm25, vectors, folder = find_readers(
        ["rrf:ours=http://127.0.0.1:8000/v1#m+bm25", "vectors:folder", f"rrf:bm25+{tiny_teacher}"]
    )
    assert (served.model, served.unit, served.tokenizer) == ("localhost-8000/m", "words", None)
    assert (bm25.unit, bm25.tokenizer, vectors.tokenizer) == ("tokens", None, None)
    assert folder.tokenizer.parent == tiny_teacher


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        find_readers([str(tmp_path)])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="is not a tokenizer"):
        count_tokens(find_readers([str(tmp_path)]), ["a"], "queries", "query")


def test_of_a_model_on_the_hub_the_tokenizer_alone_is_fetched(monkeypatch, tiny_teacher):
    import genzoo.hub

    asked = []
    monkeypatch.setattr(
        genzoo.hub, "fetch_commit", lambda name, patterns: asked.append((name, patterns)) or tiny_teacher
    )
    name = f"org/name@{'a' * 40}"
    (reader,) = find_readers([name])
    assert (reader.model, reader.tokenizer) == (name, tiny_teacher / "tokenizer.json")
    assert asked == [(name, ("*.json", "*/*.json"))]
