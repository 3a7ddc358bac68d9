import numpy as np
import pytest
import torch

from genzoo.errors import ZooError
from genzoo.tasks.model_session import EncodeMeter


class Loader:
    def __init__(self, size):
        self.dataset = range(size)


class Model:
    def __init__(self, *outputs):
        self.outputs = list(outputs)

    def encode(self, inputs, **kwargs):
        return self.outputs.pop(0)


def test_counts_texts_and_seconds(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    model = Model(np.ones((6, 2)), torch.ones(2, 2))
    meter = EncodeMeter(model, "org/name")
    assert meter.texts_per_second is None
    model.encode(Loader(6))
    model.encode(Loader(2), prompt_type="query")
    assert (meter.texts, meter.seconds, meter.texts_per_second) == (8, 4.0, 2.0)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.ones((3, 2)), "3 embeddings for 2 texts"),
        (np.array([[1.0, np.nan], [0, 0]]), "NaN or infinite values among 2"),
        (torch.tensor([[1.0, float("-inf")], [0, 0]]), "NaN or infinite"),
        (torch.tensor([[1.0, float("nan")], [0, 0]], dtype=torch.bfloat16), "NaN or infinite"),
        ([np.ones((4, 2)), np.full((1, 2), np.nan)], "NaN or infinite"),
    ],
)
def test_refuses_what_no_score_should_be_made_of(output, message):
    model = Model(output)
    EncodeMeter(model, "org/name")
    with pytest.raises(ZooError, match=message):
        model.encode(Loader(2))


@pytest.mark.parametrize(
    "output",
    [
        np.array([[1.0, 0.0], [0.0, np.inf]]),
        torch.tensor([[1.0, 0.0], [0.0, float("nan")]]),
        torch.tensor([[1.0, 0.0], [0.0, float("nan")]]).to_sparse(),
        [np.ones((4, 2)), np.full((1, 2), np.nan)],
    ],
    ids=["array", "tensor", "sparse", "matrices"],
)
def test_names_the_text_without_an_embedding(output):
    loader = Loader(2)
    loader.dataset = [{"id": "d0", "text": "whole"}, {"id": "d1", "text": "a text that overflows"}]
    model = Model(output)
    EncodeMeter(model, "org/name")
    with pytest.raises(ZooError, match="among 2 embeddings, the first for the text 'a text that overflows'"):
        model.encode(loader)


def test_refuses_a_width_that_changes():
    model = Model(np.ones((2, 3)), np.ones((2, 4)))
    EncodeMeter(model, "org/name")
    model.encode(Loader(2))
    with pytest.raises(ZooError, match="width 4 after 3"):
        model.encode(Loader(2))


@pytest.mark.parametrize(
    "output",
    [
        np.ones((2, 3), dtype=np.int8),
        [np.ones((4, 3)), torch.ones(1, 3)],
        torch.eye(2).to_sparse(),
        torch.ones(2, 3).int(),
    ],
    ids=["int8", "matrices", "sparse", "integer tensor"],
)
def test_takes_every_kind_of_embedding_that_mteb_takes(output):
    model = Model(output)
    meter = EncodeMeter(model, "org/name")
    assert model.encode(Loader(2)) is output
    assert meter.texts == 2


def test_refuses_scores_of_a_cross_encoder_that_are_none():
    class Reranker:
        def predict(self, inputs1, inputs2, **kwargs):
            return np.array(inputs1)

    model = Reranker()
    EncodeMeter(model, "org/name")
    assert model.predict([0.5, 2.0], None).tolist() == [0.5, 2.0]
    with pytest.raises(ZooError, match="org/name returned NaN or infinite scores"):
        model.predict([0.5, float("nan")], None)


def test_a_model_without_encode_is_left_alone():
    meter = EncodeMeter(object(), "org/bm25")
    assert meter.texts_per_second is None


class Texts:
    """What mteb hands over: a loader of a data set with texts."""

    def __init__(self, *texts):
        from datasets import Dataset

        self.dataset = Dataset.from_dict({"text": list(texts)})


@pytest.mark.parametrize("row", [[0.5, 2.0], [0.0, 0.0]])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_refuses_one_embedding_for_different_texts(row, kind):
    model = Model(kind([row] * 3), kind([row] * 3), kind([row, row, [1.0, 1.0]]), kind([row]))
    EncodeMeter(model, "org/name")
    with pytest.raises(ZooError, match="org/name returned the same embedding for 3 texts that differ"):
        model.encode(Texts("a", "b", "c"))
    model.encode(Texts("a", "A", "a"))  # one text, written twice
    model.encode(Texts("a", "b", "c"))
    model.encode(Texts("a"))
