"""Stored vectors are sampled with their texts, and the distance that the store ranks by is known."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from embedding_server import words_to_vectors

from genzoo.errors import InputError
from genzoo.tasks.doctor.stores import SAMPLE, is_stored, read_stored

TEXTS = [f"page {number} of the handbook{chr(10) if number % 40 == 0 else ' '}on printers" for number in range(500)]


def write(path, texts, name="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: texts, "embedding": words_to_vectors(texts).tolist()}), path)


def check(stored):
    texts, vectors = stored.sides["document"]
    assert len(texts) == len(set(texts)) == SAMPLE
    assert np.allclose(vectors, words_to_vectors(texts))
    assert any("\n" in text for text in texts)
    places = [TEXTS.index(text) for text in texts]
    assert places[0] < 100
    assert places[-1] > 400


def test_files(tmp_path):
    write(tmp_path / "documents.parquet", TEXTS)
    write(tmp_path / "queries.parquet", ["one", "two"])
    np.savez(tmp_path / "others.npz", ids=np.array(["a"]), embeddings=np.ones((1, 16)))
    stored = read_stored(f"vectors:{tmp_path}")
    assert stored.sides["query"][0] == ["one", "two"]
    check(stored)
    assert (stored.total, stored.space) == (len(TEXTS) + 2, "")


def test_a_chroma_collection(chroma):
    stored = read_stored(chroma(TEXTS, words_to_vectors, hnsw={"space": "cosine"}))
    check(stored)
    assert stored.space == "cosine"


def test_the_default_distance_of_chroma_is_l2(chroma):
    assert read_stored(chroma(TEXTS, words_to_vectors)).space == "L2"


def test_a_lancedb_table(lance):
    stored = read_stored(lance(TEXTS, words_to_vectors))
    check(stored)
    assert stored.space == ""


def test_the_index_of_a_lancedb_table(lance):
    assert read_stored(lance(TEXTS, words_to_vectors, metric="cosine")).space == "cosine"


def test_what_is_not_there(chroma, tmp_path):
    place = chroma(TEXTS, words_to_vectors)
    with pytest.raises(InputError, match="has no collection 'other': there are pages"):
        read_stored(place.replace("#pages", "#other"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no folder .*empty with a chroma.sqlite3"):
        read_stored(f"chroma:{tmp_path / 'empty'}#pages")
    assert not list((tmp_path / "empty").iterdir())


def test_what_is_no_table(lance, tmp_path):
    place = lance(TEXTS, words_to_vectors)
    with pytest.raises(InputError, match="has no table 'other': there are pages"):
        read_stored(place.replace("#pages", "#other"))
    with pytest.raises(InputError, match="write lancedb:FOLDER#TABLE"):
        read_stored(f"lancedb:{tmp_path}")


@pytest.mark.parametrize("name", ["chromadb", "lancedb"])
def test_a_library_that_is_not_installed(name, tmp_path, monkeypatch):
    (tmp_path / "chroma.sqlite3").touch()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"{name} is not installed: run pip install 'genzoo\[stores\]'"):
        read_stored(f"{name.removesuffix('db') if name == 'chromadb' else name}:{tmp_path}#pages")


def test_files_without_texts(tmp_path):
    write(tmp_path / "all.parquet", ["a", "b"], name="id")
    with pytest.raises(InputError, match="holds no vector with its text"):
        read_stored(f"vectors:{tmp_path}")
    with pytest.raises(InputError, match="there is no such folder"):
        read_stored(f"vectors:{tmp_path / 'nothing'}")


def test_names_of_stores():
    assert all(map(is_stored, ("vectors:a", "chroma:a#b", "lancedb:a#b")))
    assert not any(map(is_stored, ("module:name", "http://127.0.0.1/v1#m", 3)))
