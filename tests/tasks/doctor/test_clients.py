"""Every kind of client is asked in its own way."""

import sys

import numpy as np
import pytest
from embedding_server import words_to_vectors

from genzoo.errors import CheckpointError, InputError, ZooError
from genzoo.tasks.doctor.clients import ASKED, open_client


def queries(texts):
    return words_to_vectors(texts)


def documents(texts):
    return 2 * words_to_vectors(texts)


class LangChain:
    def embed_query(self, text):
        return queries([text])[0].tolist()

    def embed_documents(self, texts):
        return documents(texts).tolist()


class LlamaIndex:
    def get_query_embedding(self, query):
        return queries([query])[0].tolist()

    def get_text_embedding(self, text):
        return documents([text])[0].tolist()


class LanceDB:
    def compute_query_embeddings(self, query):
        return [queries([query])[0]]

    def compute_source_embeddings(self, texts):
        return list(documents(texts))


class Chroma:
    def embed_query(self, input):
        return list(queries(input))

    def __call__(self, input):
        return list(documents(input))


class SentenceTransformers:
    def encode_query(self, texts):
        return queries(texts)

    def encode_document(self, texts):
        return documents(texts)

    def encode(self, texts):
        raise AssertionError("it has a method for each side")


@pytest.mark.parametrize(
    "target",
    [LangChain(), LlamaIndex(), LanceDB(), Chroma(), SentenceTransformers(), (queries, documents)],
    ids=lambda one: type(one).__name__,
)
def test_each_side_has_its_method(target):
    texts = ["one", "two words"]
    with open_client(target) as client:
        assert np.allclose(client.ask("query", texts, "ignored: "), queries(texts))
        assert np.allclose(client.ask("document", texts, "ignored: "), documents(texts))


def test_a_function_and_encode_serve_both_sides():
    class Encoder:
        encode = staticmethod(queries)

    for target in (queries, Encoder()):
        with open_client(target) as client:
            assert np.allclose(client.ask("document", ["one"], ""), queries(["one"]))


def test_an_endpoint_gets_the_prompt_of_the_model(server):
    with open_client(server.name) as client:
        found = client.ask("query", ["one", "two"], "ask: ")
    assert np.allclose(found, words_to_vectors(["ask: one", "ask: two"]))


def test_a_module_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "own_search.py").write_text("import embedding_server\nembed = embedding_server.words_to_vectors\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_search", raising=False)
    with open_client("own_search:embed") as client:
        assert client.ask("query", ["one"], "").shape == (1, 16)
    with pytest.raises(InputError, match=r"own_search:nothing cannot be imported \(AttributeError"), open_client("own_search:nothing"):  # fmt: skip
        pass


def test_a_folder_is_loaded_as_it_is(stock, exported, model):
    for folder in (exported, model):
        with open_client(folder) as client:
            assert (
                np.allclose(client.ask("query", ["one"], ""), stock.encode_query(["one"]), atol=1e-5) or folder == model
            )


def test_what_is_no_client(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "modules.json").write_text('[{"type": "own.Module", "path": ""}]')
    for target, kind, said in (
        ("no-such-folder", InputError, "there is no folder no-such-folder"),
        (str(tmp_path), InputError, "is no model"),
        (str(tmp_path / "code"), CheckpointError, "never run"),
        (3, InputError, "int cannot be asked for embeddings"),
        ("http://127.0.0.1:1/v1", InputError, "does not name a model"),
    ):
        with pytest.raises(kind, match=said), open_client(target):
            pass


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda texts: [1.0] * len(texts), r"an array of the shape \(\d+,\) for \d+ texts"),
        (lambda texts: words_to_vectors(texts)[:-1], "one row of numbers for each"),
        (lambda texts: 1 / 0, r"cannot embed a query \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_what_a_client_may_do_wrong(function, said):
    with open_client(function) as client, pytest.raises(ZooError, match=said):
        client.ask("query", ASKED["query"], "")


def test_the_texts_tell_faults_apart():
    for texts in ASKED.values():
        assert any("\n" in text for text in texts)
        assert any(not text.isascii() for text in texts)
        assert min(map(len, texts)) < 20 < 90 < max(map(len, texts))
    assert max(map(len, ASKED["document"])) > 3000
