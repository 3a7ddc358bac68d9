"""A session loads every model through the same check, whoever's loader it is."""

import pytest
import torch
from mteb.models import SentenceTransformerEncoderWrapper
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from genzoo.errors import CheckpointError
from genzoo.tasks.model_session import PLAIN, ModelSession


@pytest.fixture
def stranger(make_meta, tiny_teacher, tmp_path):
    """A model as mteb has hundreds: its loader knows nothing of genzoo."""
    folder = tmp_path / "stranger"
    SentenceTransformer(str(tiny_teacher), device="cpu").save_pretrained(str(folder), create_model_card=False)

    def loader(name, revision=None, device=None, **kwargs):
        return SentenceTransformerEncoderWrapper(SentenceTransformer(str(folder), device=device))

    return make_meta().model_copy(update={"loader": loader}), folder


def test_a_whole_model_is_loaded(stranger):
    session = ModelSession(stranger[0], PLAIN)
    session.load()
    assert session.model.model.get_embedding_dimension() == 12


def change(folder, edit):
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: {f"xx.{name}": one for name, one in t.items()}, "is not whole"),
        (lambda t: {name: one for name, one in t.items() if "layers.1" not in name}, "is not whole"),
        (lambda t: {name: torch.full_like(one, torch.nan) for name, one in t.items()}, "NaN or infinite"),
        (lambda t: t | {"embed_tokens.weight": t["embed_tokens.weight"][:1].expand_as(t["embed_tokens.weight"]).contiguous()}, "same embedding"),
    ],
)  # fmt: skip
def test_a_model_that_no_score_should_be_made_of_is_refused_before_it_encodes(stranger, edit, told):
    meta, folder = stranger
    change(folder, edit)
    session = ModelSession(meta, PLAIN)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=told):
            session.load()
    assert session.model is None or session.meter is None
