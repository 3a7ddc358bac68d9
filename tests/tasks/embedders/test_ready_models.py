"""Models that come as objects: a name, a revision that is theirs alone, and nothing of a run left on them."""

import copy

import pytest
import torch
from conftest_builders import build_checkpoint
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer

import genzoo
from genzoo.errors import InputError
from genzoo.tasks.embedders.ready_models import describe_model
from genzoo.tasks.evaluation import evaluate
from genzoo.tasks.sets.bundled import GenZooMiniSTS


@pytest.fixture
def model(save_encoder, tmp_path):
    return SentenceTransformer(str(save_encoder(tmp_path / "encoder")), device="cpu")


def revision(model):
    return describe_model(model, "m").revision


def test_a_revision_is_of_everything_that_shapes_a_score(model):
    first = revision(model)
    assert first == revision(copy.deepcopy(model))
    assert len(first) == 40
    prompted, longer, other, half = (copy.deepcopy(model) for _ in range(4))
    prompted.prompts = {"query": "find: "}
    longer.truncate_dim = 8
    other[0].embedding.weight.data[3, 2] += 1e-3
    half = half.half()
    assert len({first, *map(revision, (prompted, longer, other, half))}) == 5


def test_a_wrapper_of_mteb_has_the_revision_of_its_model_and_prompts(model):
    prompts = {"query": "find: ", "document": "text: "}
    plain, same = (SentenceTransformerEncoderWrapper(copy.deepcopy(model)) for _ in range(2))
    prompted = SentenceTransformerEncoderWrapper(copy.deepcopy(model), model_prompts=prompts)
    assert revision(plain) == revision(same)
    assert revision(prompted) != revision(plain)


def test_a_name_comes_from_the_caller_or_the_model(model, tiny_teacher, llama, tmp_path):
    assert describe_model(model, "mine").name == "local/mine"
    assert describe_model(model, "org/mine").name == "org/mine"
    with pytest.raises(InputError, match=r"has no name .* genzoo.evaluate\(\{"):
        describe_model(model)
    with pytest.raises(InputError, match="not a model name"):
        describe_model(model, "../mine")
    model.model_card_data.model_name = "org/carded"
    assert describe_model(model).name == "org/carded"
    loaded = SentenceTransformer(str(tiny_teacher), device="cpu")
    assert describe_model(loaded).name == f"local/{tiny_teacher.name}"
    checkpoint = build_checkpoint(llama).save(tmp_path / "trained")
    assert describe_model(genzoo.load(checkpoint)).name == "local/trained"


def test_a_card_is_taken_as_it_is(make_meta):
    meta = make_meta()
    assert describe_model(meta) is meta
    assert describe_model(meta, "org/other").name == "org/other"


@pytest.mark.parametrize(
    ("given", "said"), [(3, "a model cannot be of type int"), (torch.nn.Linear(1, 1), "cannot be of type Linear")]
)
def test_what_is_no_model_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        describe_model(given, "m")


def test_an_encoder_without_weights_needs_a_card():
    class Encoder:
        def encode(self, inputs, **kwargs):
            return torch.zeros(len(inputs), 2)

    with pytest.raises(InputError, match=r"no weights .*mteb\.ModelMeta"):
        describe_model(Encoder(), "m")


def test_two_objects_are_measured_apart_and_left_as_they_were(model, tmp_path):
    other = copy.deepcopy(model)
    other[0].embedding.weight.data.neg_()[:, 0] = 0.5
    before = set(vars(model)), dict(model.prompts)
    metas = [describe_model(each, "m") for each in (model, other)]
    found = evaluate(metas, [GenZooMiniSTS()], tmp_path / "results")
    assert found[0].model_revision != found[1].model_revision
    assert len(list((tmp_path / "results" / "results" / "local__m").iterdir())) == 2
    assert (set(vars(model)), dict(model.prompts)) == before
