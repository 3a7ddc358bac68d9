"""Vectors computed elsewhere stand in for a model, or say what they lack."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import genzoo
from genzoo.errors import FailedRunsError, InputError
from genzoo.tasks.embedders.vectors import describe_vectors
from genzoo.tasks.sets.bundled import GenZooMiniRetrieval, GenZooMiniSTS

TASK = "GenZooMiniRetrieval"


def sentence_transformer(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def rows_of(task):
    """Texts of a bundled task with their ids, by side; pairs have neither."""
    sides = {"queries.jsonl": "query", "corpus.jsonl": "document"}
    for file in task.bundled.files:
        for row in task.bundled.rows(file):
            for key in ("text", "sentence1", "sentence2"):
                if key in row:
                    yield sides.get(file, ""), row.get("_id", row.get("id")), row[key]


def write_parquet(path, vectors, **names):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: pa.array(values) for name, values in names.items()}
    pq.write_table(pa.table({**columns, "embedding": pa.array(np.asarray(vectors, np.float32).tolist())}), path)


def write_npz(path, vectors, **names):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, embeddings=np.asarray(vectors), **{f"{name}s": np.array(values) for name, values in names.items()})


def main_score(output, name, task=TASK):
    (path,) = output.glob(f"results/{name}/*/{task}.json")
    return json.loads(path.read_text())["scores"]["test"][0]["main_score"]


@pytest.fixture
def model(save_encoder, tmp_path):
    return save_encoder(tmp_path / "model")


@pytest.mark.parametrize("write", [write_parquet, write_npz])
@pytest.mark.parametrize("by", ["text", "id", "sides"])
def test_scores_are_those_of_the_model_that_made_the_vectors(model, tmp_path, write, by):
    encode, folder, ending = sentence_transformer(model).encode, tmp_path / "vec", write.__name__.removeprefix("write_")
    rows = list(rows_of(GenZooMiniRetrieval()))
    if by == "sides":
        for name, side in (("queries", "query"), ("documents", "document")):
            texts = [text for where, _, text in rows if where == side]
            write(folder / f"{name}.{ending}", encode(texts), text=texts)
    elif by == "id":
        write(folder / TASK / f"all.{ending}", encode([row[2] for row in rows]), id=[str(row[1]) for row in rows])
    else:
        texts = sorted({row[2] for row in rows})
        write(folder / f"a.{ending}", encode(texts[::2]), text=texts[::2])
        write(folder / f"b.{ending}", encode(texts[1::2]), text=texts[1::2])
    genzoo.evaluate([str(model), f"vectors:{folder}"], TASK, output=tmp_path / "r", evidence=False)
    assert main_score(tmp_path / "r", "vectors__vec") == pytest.approx(
        main_score(tmp_path / "r", "local__model"), abs=1e-6
    )
    written = b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert str(tmp_path).encode() not in written


def test_tasks_without_ids_go_by_text(model, tmp_path):
    texts = sorted({text for *_, text in rows_of(GenZooMiniSTS())})
    write_parquet(tmp_path / "vec" / "x.parquet", sentence_transformer(model).encode(texts), text=texts)
    genzoo.evaluate([str(model), f"vectors:{tmp_path / 'vec'}"], "GenZooMiniSTS", output=tmp_path / "r", evidence=False)
    found = [main_score(tmp_path / "r", name, "GenZooMiniSTS") for name in ("vectors__vec", "local__model")]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_missing_texts_are_one_error_with_their_number_and_one_of_them(model, tmp_path):
    rows = [row for row in rows_of(GenZooMiniRetrieval()) if row[0] == "query"]
    kept = [row[2] for row in rows[:-5]]
    write_parquet(tmp_path / "vec" / "x.parquet", sentence_transformer(model).encode(kept), text=kept)
    with pytest.raises(FailedRunsError) as stop:
        genzoo.evaluate(f"vectors:{tmp_path / 'vec'}", TASK, output=tmp_path / "r", evidence=False)
    said = str(stop.value)
    assert f"no embedding for 5 of {len(rows)} texts of {TASK}, such as" in said
    assert any(repr(row[2])[:100] in said for row in rows[-5:])


def test_a_query_may_have_another_vector_than_the_same_text_as_a_document(tmp_path):
    from types import SimpleNamespace

    write_npz(tmp_path / "queries.npz", [[1.0, 0.0]], text=["same"])
    write_npz(tmp_path / "documents.npz", [[0.0, 1.0]], text=["same"])
    model, task = describe_vectors(f"vectors:{tmp_path}").load_model(), SimpleNamespace(name="T")
    for side, first in (("query", 1.0), ("document", 0.0)):
        found = model.encode([{"text": ["same"]}], task_metadata=task, prompt_type=SimpleNamespace(value=side))
        assert found.tolist() == [[first, 1 - first]]


def test_a_document_is_found_by_its_text_without_the_title(tmp_path):
    from types import SimpleNamespace

    write_npz(tmp_path / "x.npz", [[1.0, 2.0]], text=["the body"])
    model = describe_vectors(f"vectors:{tmp_path}").load_model()
    batch = {"id": ["7"], "text": ["A title the body"], "title": ["A title"], "body": ["the body"]}
    assert model.encode([batch], task_metadata=SimpleNamespace(name="T")).tolist() == [[1.0, 2.0]]


def test_other_vectors_are_another_revision(tmp_path):
    write_npz(tmp_path / "x.npz", [[1.0, 2.0]], text=["a"])
    before = describe_vectors(f"vectors:{tmp_path}").revision
    assert describe_vectors(f"vectors:{tmp_path}").revision == before
    write_npz(tmp_path / "x.npz", [[1.0, 2.5]], text=["a"])
    assert describe_vectors(f"vectors:{tmp_path}").revision != before


def read(folder):
    from types import SimpleNamespace

    model = describe_vectors(f"vectors:{folder}").load_model()
    return model.encode([{"text": ["a"]}], task_metadata=SimpleNamespace(name="T"))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda folder: write_npz(folder / "x.npz", [[1.0], [np.nan]], text=["a", "b"]), "NaN or infinite values in 1 vector, such as that of 'b'"),
        (lambda folder: write_npz(folder / "x.npz", [[1.0]], text=["a", "b"]), "2 names and vectors of the shape"),
        (lambda folder: write_npz(folder / "x.npz", [1.0, 2.0], text=["a", "b"]), "one row for each name"),
        (lambda folder: write_npz(folder / "x.npz", [[1.0], [2.0]], text=["a", "a"]), "two vectors for the text 'a'"),
        (lambda folder: write_npz(folder / "x.npz", [[1.0]], id=["a"]), "by id, which one data set alone knows"),
        (lambda folder: write_npz(folder / "x.npz", [[1.0]], name=["a"]), "x.npz holds embeddings; it takes"),
        (lambda folder: np.savez(folder / "x.npz", texts=np.array(["a", None], dtype=object), embeddings=np.eye(2)), "dtype str"),
        (lambda folder: (folder / "x.npz").write_bytes(b"PK"), "no npz file of plain arrays"),
        (lambda folder: (folder / "x.parquet").write_bytes(b"PAR1"), "no readable Parquet file"),
        (lambda folder: pq.write_table(pa.table({"text": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}), folder / "x.parquet"), "several widths"),
        (lambda folder: pq.write_table(pa.table({"text": ["a"], "embedding": [None]}), folder / "x.parquet"), "several widths, or none"),
        (lambda folder: pq.write_table(pa.table({"text": ["a"], "embedding": [["x"]]}), folder / "x.parquet"), "no numbers"),
        (lambda folder: pq.write_table(pa.table({"passage": ["a"], "vec": [[1.0]]}), folder / "x.parquet"), "x.parquet holds passage, vec; it takes"),
        (lambda folder: (write_npz(folder / "x.npz", [[1.0]], text=["a"]), write_npz(folder / "y.npz", [[1.0, 2.0]], text=["b"])), "width 2, another file of 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, write, said):
    write(tmp_path)
    with pytest.raises(InputError, match=said):
        read(tmp_path)


def test_the_same_vector_twice_is_no_fault(tmp_path):
    write_npz(tmp_path / "x.npz", [[1.0], [1.0]], text=["a", "a"])
    assert read(tmp_path).tolist() == [[1.0]]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 2), pa.large_list(pa.float16())])
def test_every_list_type_of_parquet_is_read(tmp_path, kind):
    values = np.asarray([[1.0, 2.0], [3.0, 4.0]], np.float16 if "half" in str(kind) else np.float64)
    column = pa.array(list(values), type=kind) if "half" in str(kind) else pa.array(values.tolist(), type=kind)
    pq.write_table(pa.table({"text": ["b", "a"], "vector": column}), tmp_path / "x.parquet")
    assert read(tmp_path).tolist() == [[3.0, 4.0]]


def test_a_folder_without_vectors_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        describe_vectors(f"vectors:{tmp_path / 'none'}")
    with pytest.raises(InputError, match="the folder holds no vectors"):
        describe_vectors(f"vectors:{tmp_path}")
