"""A tiny generative model as a checkpoint and as an exported folder, and clients with one fault each."""

import numpy as np
import pytest
from conftest_builders import build_checkpoint
from embedding_server import serving

LENGTH = 256  # tokens that the model reads: more than all texts but the longest have


@pytest.fixture(scope="session")
def model(llama, tmp_path_factory):
    """The folder of a checkpoint."""
    from dataclasses import replace

    made = replace(build_checkpoint(llama, n_thought=2, n_compression=4), max_tokens=LENGTH)
    return str(made.save(tmp_path_factory.mktemp("doctor") / "model"))


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """The folder that sentence-transformers loads."""
    import genzoo

    return str(genzoo.export(model, tmp_path_factory.mktemp("doctor") / "exported", merge=True))


@pytest.fixture
def stock(exported):
    """The exported folder as a user of sentence-transformers has it; new for each test, which may change it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(exported, device="cpu")


@pytest.fixture(scope="session")
def reference(model):
    from genzoo.tasks.doctor.variants import ReferenceModel

    return ReferenceModel(model)


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def chroma(tmp_path):
    """Makes a collection of a new Chroma folder."""
    chromadb = pytest.importorskip("chromadb", reason="needs chromadb")

    def make(texts, embed, **configuration):
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(str(tmp_path / "chroma"), settings=settings)
        collection = client.create_collection("pages", embedding_function=None, configuration=configuration or None)
        vectors = np.asarray(embed(texts)).tolist()
        collection.add(ids=[str(row) for row in range(len(texts))], documents=list(texts), embeddings=vectors)
        return f"chroma:{tmp_path / 'chroma'}#pages"

    return make


@pytest.fixture
def lance(tmp_path):
    """Makes a table of a new LanceDB folder."""
    lancedb = pytest.importorskip("lancedb", reason="needs lancedb")

    def make(texts, embed, metric=None):
        rows = [{"text": text, "vector": row} for text, row in zip(texts, np.asarray(embed(texts)), strict=True)]
        table = lancedb.connect(str(tmp_path / "lance")).create_table("pages", rows)
        if metric:
            config = lancedb.index.IvfFlat(distance_type=metric, num_partitions=1)
            table.create_index("vector", config=config)
        return f"lancedb:{tmp_path / 'lance'}#pages"

    return make
