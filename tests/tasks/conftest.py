"""A tiny random encoder, made in code, so that no test needs a download."""

import re

import numpy as np
import pytest
from mteb.models import ModelMeta
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from genzoo.tasks.sets.benchmarks import BUNDLED_TASKS

SHA = "0123456789abcdef0123456789abcdef01234567"


def _bundled_texts():
    """Every text of every bundled set, once per place, as (task name, file, text)."""
    for task in BUNDLED_TASKS:
        for file in task.bundled.files:
            for row in task.bundled.rows(file):
                for key in ("text", "sentence1", "sentence2"):
                    if key in row:
                        yield task.metadata.name, file, row[key]


def _words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def _tiny_encoder(seed=0, width=24):
    """Random static word vectors over the vocabulary of the bundled sets."""
    vocabulary = sorted({word for _, _, text in _bundled_texts() for word in _words(text)})
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(["[UNK]", *vocabulary])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(seed).standard_normal((len(vocabulary) + 1, width)).astype(np.float32)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")


@pytest.fixture(scope="session")
def bundled_texts():
    """Every text that ships, as (task name, file, text)."""
    return list(_bundled_texts())


@pytest.fixture(scope="session")
def words():
    """The function that splits a text into lower-case words."""
    return _words


def meta_maker():
    """Return a function that makes the card of a model; its list `loads` tells which models were loaded."""

    def make(name="test-org/tiny", revision=SHA, seed=0, encode=None):
        def loader(name, revision=None, device=None, **kwargs):
            make.loads.append(name)
            model = SentenceTransformerEncoderWrapper(_tiny_encoder(seed))
            if encode is not None:
                model.encode = encode(model.encode)
            return model

        return ModelMeta(
            loader=loader,
            name=name,
            revision=revision,
            release_date=None,
            languages=["eng-Latn"],
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=24,
            license="apache-2.0",
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["Sentence Transformers"],
            similarity_fn_name="cosine",
            use_instructions=False,
            training_datasets=set(),
        )

    make.loads = []
    return make


@pytest.fixture
def make_meta():
    return meta_maker()


@pytest.fixture(scope="session")
def new_meta_maker():
    """For fixtures that outlive a test: the function that makes another `make_meta`."""
    return meta_maker


@pytest.fixture(scope="session")
def save_encoder():
    """Writes the tiny encoder to a folder, on request with NaN for weights."""

    def save(folder, *, is_broken=False, seed=0):
        model = _tiny_encoder(seed)
        if is_broken:
            model[0].embedding.weight.data.fill_(float("nan"))
        model.save_pretrained(str(folder), create_model_card=False)
        return folder

    return save
