"""The verbs of models from Python: values in return, names and paths alike, nothing printed."""

import dataclasses
import shutil

import numpy as np
import pytest
from conftest_builders import build_backbone, build_checkpoint
from safetensors.torch import load_file, save_file

import genzoo
from genzoo.errors import BackboneError, CheckpointError, InputError, UnknownNameError
from genzoo.frames import Rows
from genzoo.models.decoding import Explanation
from genzoo.models.prompts import NO_FLOAT16

TEXTS = ["where do foxes live", "the river bank"]


@pytest.fixture(scope="module")
def folder(llama, tmp_path_factory):
    return build_checkpoint(llama).save(tmp_path_factory.mktemp("loading") / "tiny")


def test_decode_gives_a_reading_for_each_text(folder, capfd):
    found = genzoo.decode(TEXTS, folder, tokens=5)
    assert isinstance(found, Rows)
    assert [reading.text for reading in found] == TEXTS
    frame = found.to_frame()
    assert list(frame.columns) == ["text", "decoded", "lens"]
    assert list(frame["text"]) == TEXTS
    assert TEXTS[1] in found._repr_html_()
    for model in (str(folder), genzoo.load_decoder(folder)):
        (alone,) = genzoo.decode(TEXTS[0], model, tokens=5)
        assert alone.as_dict() == found[0].as_dict()
    (bare,) = genzoo.decode(TEXTS[0], folder, tokens=5, prompt=None)
    assert bare.prompt == ""
    assert bare.embedding != pytest.approx(alone.embedding, abs=1e-3)
    assert capfd.readouterr() == ("", "")


def test_explain_says_who_won(folder):
    found = genzoo.explain(TEXTS[0], TEXTS, folder, tokens=5)
    assert isinstance(found, Explanation)
    assert found.verdict == ""
    frame = found.to_frame()
    assert sorted(frame["place"]) == [1, 2]
    assert frame["similarity"].is_monotonic_decreasing
    loser = found.found[1].place
    lost = genzoo.explain(TEXTS[0], TEXTS, folder, right=loser, tokens=5)
    gap = found.found[0].similarity - found.found[1].similarity
    assert lost.verdict.startswith(f"Number {found.found[0].place} won by {gap:.3f}.")
    assert list(lost.to_frame()["should have won"]) == [False, True]
    assert f"won by {gap:.3f}" in lost._repr_html_()
    assert genzoo.explain(TEXTS[0], TEXTS, folder, right=found.found[0].place, tokens=5).verdict == "It won."
    assert lost.as_dict() == found.as_dict()


def test_describe_says_what_is_known(folder):
    facts = genzoo.describe(folder)
    assert facts["trained tokens"] == "0 thought + 4 compression"
    assert facts["held-out controls"] == "not measured"
    assert "licence" not in facts
    facts = genzoo.describe("smollm2-135m")
    assert facts["licence"] == "apache-2.0"
    assert facts["held-out controls"]["n"] == 200
    assert facts["checkpoint digest"] == genzoo.get_entry("smollm2-135m").revision


@pytest.mark.parametrize("merge", [False, True])
def test_an_exported_folder_is_the_same_model(folder, tmp_path, merge):
    made = genzoo.export(folder, tmp_path / "model", merge)
    assert made == tmp_path / "model"
    expected = genzoo.load(folder, device="cpu").encode(TEXTS)
    assert genzoo.load(str(made), device="cpu").encode(TEXTS) == pytest.approx(expected, abs=1e-5)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(CheckpointError):
        genzoo.export(folder, tmp_path / "mine", merge)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """A checkpoint on an LLM whose states exceed the largest number of float16."""
    backbone = build_backbone(tmp_path_factory.mktemp("overflowing") / "llm", tied=False)
    weights = load_file(backbone / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 1e9
    save_file(weights, backbone / "model.safetensors", metadata={"format": "pt"})
    return build_checkpoint(backbone).save(backbone.parent / "tiny")


@pytest.mark.parametrize("merge", [False, True])
def test_an_overflow_of_float16_is_refused_and_named_in_the_readme(overflowing, folder, tmp_path, merge):
    made = genzoo.export(overflowing, tmp_path / "model", merge)
    assert NO_FLOAT16 in (made / "README.md").read_text()
    for model in (overflowing, made):
        with pytest.raises(InputError, match=r"was loaded in float16\. In float16 the embeddings are NaN"):
            genzoo.load(model, dtype="float16", device="cpu")
        assert np.isfinite(genzoo.load(model, dtype="bfloat16", device="cpu").encode(TEXTS)).all()
    assert NO_FLOAT16 not in (genzoo.export(folder, tmp_path / "other", merge) / "README.md").read_text()
    assert np.isfinite(genzoo.load(tmp_path / "other", dtype="float16", device="cpu").encode(TEXTS)).all()


def test_a_model_of_the_first_layers_is_decoded_by_the_whole_llm(llama, tmp_path):
    backbone = shutil.copytree(llama, tmp_path / "llm")
    checkpoint = dataclasses.replace(build_checkpoint(backbone), exit_layer=1, info={"backbone_layers": 2})
    folder = checkpoint.save(tmp_path / "tiny")
    assert genzoo.describe(folder)["tokens read after"] == "layer 1 of 2"
    merged = genzoo.export(folder, tmp_path / "merged", True)
    said = (merged / "README.md").read_text()
    assert "read after layer 1 of 2; the layers above it are not run, and not part of this folder." in said
    loaded = genzoo.load(folder, device="cpu")
    for decoder in (genzoo.load_decoder(folder, loaded=loaded), genzoo.load_decoder(merged)):
        assert len(decoder.model.base_model.layers) == 2
        (found,) = genzoo.decode(TEXTS[0], decoder, tokens=3)
        assert list(found.embedding) == pytest.approx(loaded.encode_query(TEXTS[0]).tolist(), abs=1e-4)
    shutil.move(backbone, tmp_path / "moved")
    assert genzoo.load(merged, device="cpu").encode_query(TEXTS[0]).shape == (12,)  # it embeds by itself
    with pytest.raises(BackboneError, match="ends at layer 1 of 2, and decoding needs the whole frozen LLM"):
        genzoo.decode(TEXTS[0], merged)
    (again,) = genzoo.decode(TEXTS[0], genzoo.load_decoder(merged, backbone=str(tmp_path / "moved")), tokens=3)
    assert again.as_dict() == found.as_dict()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: genzoo.decode([]), InputError, "the list of texts is empty"),
        (lambda: genzoo.decode(["a", " "]), InputError, "a text is empty"),
        (lambda: genzoo.decode(["a", 1]), InputError, "text number 1 is a int"),
        (lambda: genzoo.decode("a", "nope"), UnknownNameError, "unknown model 'nope'"),
        (lambda: genzoo.explain("a", []), InputError, "the list of texts is empty"),
        (lambda: genzoo.explain(" ", ["b"]), InputError, "a text is empty"),
        (lambda: genzoo.explain("a", ["b"], right=2), InputError, "right is 2, but there are 1 documents"),
        (lambda: genzoo.explain("a", ["b"], right=0), InputError, "right is 0"),
        (lambda: genzoo.explain("a", ["b"], right="1"), InputError, "right is '1'"),
        (lambda: genzoo.explain(["a", "b"], ["c"]), InputError, "the query must be one string, not list"),
        (lambda: genzoo.explain("a", ["b"], tokens=0), InputError, "tokens is 0"),
        (lambda: genzoo.decode("a", tokens="5"), InputError, "tokens is '5'"),
        (lambda: genzoo.decode("a", 5), InputError, "int cannot be read back"),
        (lambda: genzoo.export("org/name", "x"), CheckpointError, "neither a folder nor a zoo model"),
        (lambda: genzoo.load("smollm2-135m", dtype="int8"), InputError, "dtype is 'int8'"),
        (lambda: genzoo.load(None), InputError, "None names no model"),
        (lambda: genzoo.load(""), InputError, "'' names no model"),
        (lambda: genzoo.describe(5), InputError, "5 names no model"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(call, kind, message, monkeypatch):
    monkeypatch.setattr("genzoo.models.loading.fetch_backbone", lambda *given: pytest.fail("fetched"))
    with pytest.raises(kind, match=message):
        call()
