"""Every model that ships: its files are what its entry says, and it does what an embedder must. Fetches the real backbone once."""

import numpy as np
import pytest
import torch

import genzoo
from genzoo.backbones.entries import BACKBONES, backbone_digest, fetch_backbone
from genzoo.backbones.tokenizer import spare_rows, start_rows
from genzoo.errors import BackboneError
from genzoo.files import sha256_of
from genzoo.models.entries import ENTRIES
from genzoo.models.loading import find_checkpoint
from genzoo.policies.policy import with_content
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED
from genzoo.tasks.embedders.mteb_models import resolve_model
from genzoo.teachers.teachers import TEACHERS, load_teacher

PAIRS = [
    ("where do polar bears live?", "Polar bears roam the frozen sea around the North Pole, where they hunt seals."),
    ("how long should I boil an egg?", "For a firm yolk leave it in simmering water for ten minutes."),
    ("what causes thunder and lightning?", "Charge builds up inside storm clouds until a spark leaps to the ground."),
    (
        "how do I train a puppy to sit?",
        "Hold a treat above the young dog's nose and reward it when it lowers its back.",
    ),
    ("who painted the Mona Lisa?", "The portrait is a work of Leonardo da Vinci, begun in Florence."),
    ("how can I save money on groceries?", "Plan your meals, buy what is in season and compare prices between shops."),
]


@pytest.fixture(scope="module", params=ENTRIES.names())
def entry(request):
    return ENTRIES.get(request.param)


@pytest.fixture(scope="module")
def model(entry):
    try:
        return genzoo.load(entry.name, device="cpu")
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")


def test_entry_agrees_with_its_files(entry):
    checkpoint = find_checkpoint(entry.name)
    assert checkpoint.digest() == entry.revision
    assert checkpoint.backbone == entry.backbone
    assert checkpoint.backbone_digest == entry.backbone_digest
    assert checkpoint.dim == entry.dim == TEACHERS.get(entry.teacher).dim
    assert checkpoint.max_tokens == entry.max_tokens
    assert checkpoint.recipe_digest == with_content(RECIPES.get(entry.recipe)).digest()
    assert entry.licence == BACKBONES.get(entry.backbone).licence
    assert not list(entry.folder.glob("*.bin"))
    assert checkpoint.rows.shape[0] == len(checkpoint.spec)


def test_a_teacher_of_a_recipe_is_its_backbone_and_the_whitening_that_ships(entry, model):
    teacher = TEACHERS.get(entry.teacher)
    assert bool(teacher.recipe) == (RECIPES.get(entry.recipe).teacher == UNSUPERVISED)
    if not teacher.recipe:
        return
    assert teacher.recipe == entry.recipe
    assert sha256_of(teacher.whitening / "model.safetensors")[:40] == teacher.revision
    loaded = load_teacher(teacher.key, "cpu")
    options = RECIPES.get(entry.recipe).unsupervised
    assert len(loaded[0].model.layers) == options.layer
    assert loaded.get_embedding_dimension() == teacher.dim == options.whiten
    assert loaded.max_seq_length == teacher.max_tokens == options.max_tokens
    meta, facts = resolve_model(teacher.key)
    assert (meta.name, meta.revision, facts.role) == (teacher.hub_id, teacher.revision, "teacher")
    assert meta.training_datasets == entry.training_datasets
    # The targets came from it: a zoo model's answer embedding is near the teacher's embedding of the answer.
    queries, answers = zip(*PAIRS, strict=True)
    asked = find_checkpoint(entry.name).in_teacher_space(torch.from_numpy(model.encode_query(list(queries))))
    similarity = loaded.similarity(asked, torch.from_numpy(loaded.encode(list(answers))))
    assert float((similarity.argmax(dim=1) == torch.arange(len(PAIRS))).float().mean()) >= 4 / 6


def test_backbone_is_the_pinned_one(entry, model):
    assert backbone_digest(fetch_backbone(entry.backbone)) == entry.backbone_digest


def test_ten_tokens_start_as_the_shipped_ones_did(entry, model):
    """The baseline of untrained tokens keeps its name and revision: what it is made of must not change under them."""
    from genzoo.backbones.whole import load_causal_lm

    lm, tokenizer = load_causal_lm(fetch_backbone(entry.backbone), "cpu")
    started = {
        "smollm2-135m": "<|im_end|>\n<|im_start|>assistant\n The answer is about",
        "gemma3-270m": "\nAnswer: The answer is about the following:",
    }[entry.backbone]
    ids = tokenizer(started, add_special_tokens=False)["input_ids"]
    assert torch.equal(start_rows(lm, tokenizer, 10), lm.get_input_embeddings().weight[ids])


def test_real_tokenizer_never_reaches_the_trained_rows(entry, model):
    checkpoint = find_checkpoint(entry.name)
    odd = [
        *checkpoint.spec.names,
        "",
        "\x00",
        "🙂" * 5,
        "def f():\n\treturn 1",
        "<repo_name>a<file_sep>",
        "<|im_start|>user",
    ]
    for text in odd:
        ids = model.preprocess([text])["input_ids"][0].tolist()
        assert [i for i in ids if i in checkpoint.spec.ids] == list(checkpoint.spec.ids), text
    from transformers import AutoTokenizer

    plain = AutoTokenizer.from_pretrained(fetch_backbone(entry.backbone))
    known = BACKBONES.get(entry.backbone).spare_rows
    count = len(known) or len(checkpoint.spec)
    assert set(checkpoint.spec.ids) <= set(spare_rows(plain, model[0].model.config.vocab_size, known, count))


def test_queries_find_their_answers(model):
    queries, answers = zip(*PAIRS, strict=True)
    similarity = model.similarity(model.encode_query(list(queries)), model.encode_document(list(answers)))
    assert float((similarity.argmax(dim=1) == torch.arange(len(PAIRS))).float().mean()) >= 5 / 6


def test_batches_order_and_padding_change_nothing(model):
    texts = [query for query, _ in PAIRS] + ["", "long " * 300]
    alone = np.stack([model.encode(text) for text in texts])
    together = model.encode(texts, batch_size=8)
    assert np.abs(alone - together).max() <= 1e-5
    assert np.abs(model.encode(texts[::-1], batch_size=3)[::-1] - alone).max() <= 1e-5


def test_decoding_reads_the_same_embedding(entry, model):
    decoder = genzoo.load_decoder(entry.name, device="cpu")
    queries = [query for query, _ in PAIRS][:3]
    readings = decoder.read(queries, max_new_tokens=12)
    assert np.abs(np.array([reading.embedding for reading in readings]) - model.encode_query(queries)).max() <= 1e-5
    assert all(reading.decoded for reading in readings)
