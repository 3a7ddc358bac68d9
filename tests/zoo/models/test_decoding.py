from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint

from genzoo.errors import InputError
from genzoo.models.assembly import assemble
from genzoo.models.decoding import NO_REPEAT, Decoder
from genzoo.models.loading import load, load_decoder

TEXTS = ["where do foxes live", "a library keeps books", "the quick brown fox jumps"]


@pytest.fixture(params=[False, True], ids=["plain", "policy"])
def pair(backbone, request):
    checkpoint = build_checkpoint(backbone, n_thought=2, has_policy=request.param)
    return Decoder.load(checkpoint, backbone, "cpu"), assemble(checkpoint, backbone, device="cpu")


def test_reads_the_embedding_that_the_model_gives(pair):
    decoder, model = pair
    for name, encode in (("query", model.encode_query), ("document", model.encode_document), (None, model.encode)):
        readings = decoder.read(TEXTS, prompt_name=name, max_new_tokens=2)
        assert np.abs(np.array([reading.embedding for reading in readings]) - encode(TEXTS)).max() < 1e-5


def test_batch_size_changes_nothing(pair):
    decoder, _ = pair
    together = decoder.read(TEXTS, max_new_tokens=8)
    alone = [decoder.read(text, max_new_tokens=8)[0] for text in TEXTS]
    assert [r.decoded for r in together] == [r.decoded for r in alone]
    assert [r.logit_lens for r in together] == [r.logit_lens for r in alone]


def test_cached_generation_equals_plain_greedy_decoding_without_repeats(pair):
    decoder, _ = pair
    starts = torch.randn(8, 4, 32, generator=torch.Generator().manual_seed(0)) * 0.3
    wanted, barred = zip(*(_plain_greedy(decoder, start[None], 24) for start in starts), strict=True)
    assert decoder.decode(starts, max_new_tokens=24) == list(wanted)
    assert any(barred), "some start must run into a loop, or the test shows nothing"


def _plain_greedy(decoder, inputs, length):
    """Text and how often the likeliest token was barred, without a cache: one whole pass per token."""
    ids, barred = [], 0
    for _ in range(length):
        written = {tuple(ids[at : at + NO_REPEAT]) for at in range(len(ids) - NO_REPEAT + 1)}
        order = decoder.model(inputs_embeds=inputs).logits[0, -1].argsort(descending=True).tolist()
        best = next(token for token in order if (*ids[1 - NO_REPEAT :], token) not in written)
        barred += best != order[0]
        if best == decoder.model.generation_config.eos_token_id:
            break
        ids.append(best)
        inputs = torch.cat([inputs, decoder.model.get_input_embeddings()(torch.tensor([[best]]))], dim=1)
    return decoder.tokenizer.decode(ids, skip_special_tokens=True).strip(), barred


@pytest.mark.parametrize("is_told", [False, True])
def test_what_looks_refused_is_decoded_from_the_opening_of_a_refusal(backbone, is_told):
    plain = build_checkpoint(backbone, has_policy=True)
    starts = torch.randn(8, 4, 32, generator=torch.Generator().manual_seed(0)) * 0.3
    scores = starts.mean(dim=1) @ plain.policy["weight"] + plain.policy["bias"]
    above, opening = float(scores.sort().values[5:7].mean()), "I'm sorry, but I can't help with"
    info = {"recipe": {"policy": {"examples": "default", "opening": opening}}}
    told = {"policy": {"refused_above": above}} if is_told else {}
    decoder = Decoder.load(replace(plain, info=info | told), backbone, "cpu")
    written, before = decoder.decode(starts, 8), Decoder.load(plain, backbone, "cpu").decode(starts, 8)
    assert [text.startswith(opening) for text in written] == [is_told and score > above for score in scores.tolist()]
    assert sum(text.startswith(opening) for text in written) == 2 * is_told
    for odd in ({}, {"recipe": [], "policy": 3}, {"recipe": {"policy": None}, "policy": {"refused_above": "high"}}):
        assert not replace(plain, info=odd).refuses(starts.mean(dim=1)).any()
    assert [new for new, old in zip(written, before, strict=True) if not new.startswith(opening)] == [
        old for new, old in zip(written, before, strict=True) if not new.startswith(opening)
    ]
    for place, text in enumerate(written):
        if text.startswith(opening):
            ids = decoder.tokenizer(opening, add_special_tokens=False, return_tensors="pt")["input_ids"]
            whole = torch.cat([starts[place], decoder.model.get_input_embeddings()(ids)[0]])[None]
            follows, _ = _plain_greedy(decoder, whole, 8)
            assert (
                text == opening or text[len(opening) :].split() == follows.split()[: len(text[len(opening) :].split())]
            )


def test_long_text_is_refused_or_cut(pair):
    decoder, model = pair
    with pytest.raises(InputError, match="--truncate"):
        decoder.read("fox " * 25_000)
    (reading,) = decoder.read("fox " * 25_000, truncate=True, max_new_tokens=2)
    assert np.abs(np.array(reading.embedding) - model.encode_query("fox " * 25_000)).max() < 1e-5


@pytest.mark.parametrize("bad", [[], [3], None, [b"bytes"]])
def test_bad_texts(pair, bad):
    with pytest.raises(InputError):
        pair[0].read(bad)


def test_explained_search_is_the_models_own(pair):
    decoder, model = pair
    query = "the brown foxes live where"
    found = decoder.explain(query, TEXTS[1:], max_new_tokens=4)
    similarities = model.similarity(model.encode_query([query]), model.encode_document(TEXTS[1:]))[0].tolist()
    assert [each.rank for each in found.found] == [1, 2]
    assert {each.place: each.similarity for each in found.found} == pytest.approx(
        dict(enumerate(similarities, 1)), abs=1e-5
    )
    assert found.found[0].similarity >= found.found[1].similarity
    fox = next(each for each in found.found if each.place == 2)
    assert fox.shared_text == ("brown",)
    assert fox.reading.decoded == decoder.read(TEXTS[2], prompt_name="document", max_new_tokens=4)[0].decoded
    assert "embedding" not in found.as_dict()["documents"][0]["reading"]
    with pytest.raises(InputError):
        decoder.explain(TEXTS[0], [])


def test_reading_through_another_backbone_is_said(llama, qwen3, tmp_path, caplog):
    folder = build_checkpoint(llama).save(tmp_path / "checkpoint")
    load_decoder(str(folder), device="cpu")
    assert not caplog.records
    load_decoder(str(folder), backbone=str(qwen3), device="cpu")
    assert "is not the one these tokens were trained on" in caplog.text


@pytest.mark.parametrize("kind", ["tied", "untied", "lora"])
def test_a_loaded_model_reads_as_one_that_is_loaded_for_it(tmp_path, kind, monkeypatch):
    """The weights of a model that has encoded are taken over where they are those of the whole LLM, else loaded again."""
    backbone = build_backbone(tmp_path / "backbone", "llama", tied=kind != "untied")
    checkpoint = build_checkpoint(backbone)
    checkpoint.save(tmp_path / "checkpoint")
    texts = ["where do polar bears live?", "why?"]
    expected = load_decoder(tmp_path / "checkpoint", device="cpu").read(texts)
    model = load(tmp_path / "checkpoint", device="cpu")
    model.encode(["a text before"])
    if kind == "lora":
        monkeypatch.setattr(type(checkpoint), "lora", property(lambda self: {"x": 1}), raising=False)
        assert Decoder.over(checkpoint, backbone, model) is None
        return
    if kind == "tied":
        monkeypatch.setattr(Decoder, "load", None)  # a second load would fail
    assert load_decoder(tmp_path / "checkpoint", device="cpu", loaded=model).read(texts) == expected
