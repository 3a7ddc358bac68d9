"""Lengths in tokens against what the loaded models really read."""

import numpy as np
import pytest
from conftest_builders import SENTENCES, build_checkpoint

from genzoo.tasks.checking import lengths
from genzoo.tasks.checking.lengths import count_tokens
from genzoo.tasks.checking.readers import Reader, find_readers

WORDS = " ".join(SENTENCES).split()
TEXTS = [" ".join(np.random.default_rng(n).choice(WORDS, n)) for n in range(1, 60)] + ["", "<|im_end|> x", "日本語 🙂"]


def _read(model, texts, prompt):
    """Tokens that a loaded SentenceTransformer reads of each text, and those it would read without a limit."""
    module = model[0]
    cut = [int(module.preprocess([text], prompt=prompt)["attention_mask"].sum()) for text in texts]
    module.max_seq_length = 100_000
    whole = [int(module.preprocess([text], prompt=prompt)["attention_mask"].sum()) for text in texts]
    return np.array(cut), np.array(whole)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, llama):
    return build_checkpoint(llama).save(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def exported(tmp_path_factory, checkpoint):
    import genzoo

    folder = tmp_path_factory.mktemp("model") / "exported"
    genzoo.export(str(checkpoint), folder, True)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tiny_teacher):
    from genzoo.backbones.whole import open_sentence_transformer

    model = open_sentence_transformer(tiny_teacher, device="cpu")
    model[0].max_seq_length = 40
    model.save_pretrained(str(folder := tmp_path_factory.mktemp("model") / "encoder"), create_model_card=False)
    return folder


@pytest.mark.parametrize("kind", ["checkpoint", "exported", "encoder"])
@pytest.mark.parametrize("side", ["query", "document"])
def test_cut_texts_are_those_that_the_model_cuts(kind, side, request):
    import genzoo
    from genzoo.backbones.whole import open_sentence_transformer

    folder = str(request.getfixturevalue(kind))
    model = open_sentence_transformer(folder, device="cpu") if kind == "encoder" else genzoo.load(folder, device="cpu")
    cut, whole = _read(model, TEXTS, model.prompts.get(side) or "")
    (reader,) = find_readers([folder])
    (found,) = count_tokens([reader], TEXTS, "passages", side)
    assert 3 < found.n_cut < len(TEXTS) - 3
    assert found.n_cut == (whole > cut).sum()
    around = len(reader.open().encode(reader.prompt(side)).ids) + reader.n_added
    assert found.longest == whole.max() - around
    assert found.median == np.median(whole - around)
    assert found.room == cut.max() - around
    assert found.cut_tokens == pytest.approx((whole - cut).sum() / (whole - around).sum())
    assert not found.is_estimated


def test_a_sample_stands_for_many_texts(monkeypatch, tiny_teacher):
    texts = [TEXTS[place % 59] for place in range(3000)]
    reader = Reader("m", tiny_teacher / "tokenizer.json", 30)
    (whole,) = count_tokens([reader], texts, "passages", "document")
    monkeypatch.setattr(lengths, "SAMPLE", 1000)
    (part,) = count_tokens([reader], texts, "passages", "document")
    assert part.is_estimated
    assert part.n_counted == 1000
    assert part.n_texts == 3000
    assert part.cut_share == pytest.approx(whole.cut_share, abs=0.05)
    assert part.cut_tokens == pytest.approx(whole.cut_tokens, abs=0.05)
    assert count_tokens([reader], texts, "passages", "document") == [part]


def test_the_longest_texts_are_counted_beside_the_sample(monkeypatch, tiny_teacher):
    monkeypatch.setattr(lengths, "SAMPLE", 20)
    texts = [TEXTS[3]] * 2000
    texts[777] = texts[1234] = TEXTS[50]
    (found,) = count_tokens([Reader("m", tiny_teacher / "tokenizer.json", 30)], texts, "passages", "document")
    assert (found.n_cut, found.n_counted, found.cut_tokens) == (2, 20, 0)
    assert found.longest > 30 > found.percentile_95


def test_models_that_read_every_text_have_no_lengths():
    assert count_tokens(find_readers(["bm25", "random"]), ["a", "b"], "passages", "document") == []
    assert count_tokens([Reader("m", None, None)], [], "passages", "document") == []
