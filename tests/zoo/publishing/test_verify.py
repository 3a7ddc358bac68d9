"""`genzoo verify` says exactly what differs, and `genzoo.load` warns of another backbone."""

import dataclasses
import json
import shutil

import pytest
import torch
from conftest_builders import build_checkpoint
from safetensors.torch import load_file, save_file

import genzoo
from genzoo.backbones.entries import fetch_backbone
from genzoo.errors import BackboneError, CheckpointError, InputError
from genzoo.models.entries import ENTRIES
from genzoo.models.exported import export
from genzoo.publishing.fingerprint import Fingerprint, digest_backbone_numbers
from genzoo.publishing.verify import verify, write_fingerprint


@pytest.fixture(scope="module")
def originals(qwen3, llama, tmp_path_factory):
    """A checkpoint folder, a small and a merged export, each with its fingerprint, on a backbone of their own."""
    root = tmp_path_factory.mktemp("verify")
    backbone = shutil.copytree(qwen3, root / "backbone")
    checkpoint = build_checkpoint(backbone)
    checkpoint.save(root / "checkpoint")
    for form in ("adapter", "merged"):
        export(checkpoint, backbone, root / form, form, name="tiny")
    for name in ("checkpoint", "adapter", "merged"):
        write_fingerprint(str(root / name))
    return root


@pytest.fixture
def forms(originals, tmp_path):
    """Copies that may be spoilt; the adapter's and the checkpoint's base is the copied backbone."""
    root = shutil.copytree(originals, tmp_path / "m")
    for path in (root / "adapter" / "adapter_config.json", root / "checkpoint" / "genzoo.json"):
        path.write_text(path.read_text().replace(str(originals), str(root)))
    return root


def differing(name, **options):
    return {finding.what: finding.detail for finding in verify(str(name), **options) if not finding.is_equal}


def test_nothing_differs(originals):
    for name in ("checkpoint", "adapter", "merged"):
        findings = verify(str(originals / name))
        assert [f.what for f in findings if f.is_equal] == [
            "weights", "backbone", "tokenizer", "prompts", "dtype", "embeddings", "batches", "injection", "truncation",
        ], findings  # fmt: skip


def test_fingerprints_of_all_forms_agree(originals):
    one, two, three = (Fingerprint.load(originals / name) for name in ("checkpoint", "adapter", "merged"))
    assert (one.parts, one.backbone, one.prompts) == (two.parts, two.backbone, two.prompts)
    assert [(probe.n_ids, probe.ids) for probe in one.probes] == [(probe.n_ids, probe.ids) for probe in two.probes]
    # a checkpoint is encoded without padding, an exported folder in the stock way: equal up to rounding
    for first, second in zip(one.probes, two.probes, strict=True):
        assert first.values == pytest.approx(second.values, abs=1e-5)
    assert (one.parts, one.backbone, one.prompts) == (three.parts, three.backbone, three.prompts)


def scale(path, pick, factor=1.01):
    state = load_file(path)
    save_file(
        {name: tensor * factor if pick in name else tensor for name, tensor in state.items()}, path, {"format": "pt"}
    )


def test_a_model_that_ends_at_an_exit_layer_is_compared_with_so_many_layers(qwen3, tmp_path):
    backbone = shutil.copytree(qwen3, tmp_path / "backbone")
    checkpoint = dataclasses.replace(build_checkpoint(backbone), exit_layer=1)
    checkpoint.save(tmp_path / "checkpoint")
    for form in ("adapter", "merged"):
        export(checkpoint, backbone, tmp_path / form, form, name="tiny")
    numbers = set()
    for name in ("checkpoint", "adapter", "merged"):
        numbers.add(Fingerprint.load(write_fingerprint(str(tmp_path / name)).parent).backbone["numbers"])
        assert differing(tmp_path / name) == {}
    assert len(numbers) == 1
    assert numbers != {digest_backbone_numbers(backbone, checkpoint.spec.ids)}
    # The small form must not be read after another layer, which stock libraries would do.
    path = tmp_path / "adapter" / "sentence_bert_config.json"
    config = json.loads(path.read_text())
    del config["config_kwargs"]
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="runs 2 layers of its backbone, but its tokens were trained for layer 1"):
        genzoo.load(tmp_path / "adapter", device="cpu")


def test_changed_weights_are_named(forms):
    scale(forms / "adapter" / "2_CNN" / "model.safetensors", "bias")
    found = differing(forms / "adapter")
    assert found["weights"] == "align_bias hold other numbers than those that were recorded"
    assert "embeddings" in found


@pytest.mark.parametrize("form", ["adapter", "merged", "checkpoint"])
def test_changed_backbone_is_named(forms, form):
    scale(forms / ("merged" if form == "merged" else "backbone") / "model.safetensors", "layers.0.mlp", 1.5)
    found = differing(forms / form)
    assert set(found) == {"backbone", "embeddings"}
    assert "trained on" in found["backbone"] or "recorded are" in found["backbone"]


def test_changed_prompt_is_named(forms):
    path = forms / "adapter" / "config_sentence_transformers.json"
    config = json.loads(path.read_text())
    config["prompts"]["document"] = "passage: "
    path.write_text(json.dumps(config))
    found = differing(forms / "adapter")
    assert found["prompts"].startswith("document is 'passage: ', recorded")
    assert "weights" not in found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"default_prompt_name": "query"}, "'query' is put before every text"),
        ({"prompts": {"query": "x", "other": "y"}}, "other is 'y', recorded None"),
    ],
)
def test_an_instruction_that_was_slipped_in_is_named(forms, change, told):
    path = forms / "adapter" / "config_sentence_transformers.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | change | {"prompts": config["prompts"] | change.get("prompts", {})}))
    assert told in differing(forms / "adapter")["prompts"]


def test_changed_tokenizer_is_named(forms):
    path = forms / "adapter" / "tokenizer.json"
    tables = json.loads(path.read_text())
    tables["model"]["merges"] = tables["model"]["merges"][:-60]
    path.write_text(json.dumps(tables))
    found = differing(forms / "adapter")
    assert "tokens, recorded" in found["tokenizer"]
    assert "backbone" not in found


def test_changed_precision_is_named(forms):
    state = load_file(forms / "merged" / "model.safetensors")
    save_file(
        {name: tensor.bfloat16() for name, tensor in state.items()},
        forms / "merged" / "model.safetensors",
        {"format": "pt"},
    )
    config = json.loads((forms / "merged" / "config.json").read_text())
    (forms / "merged" / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    found = differing(forms / "merged")
    assert {"backbone", "weights"} <= set(found)
    assert found.get("dtype", "bfloat16, recorded float32") == "bfloat16, recorded float32"


def test_no_fingerprint_is_said(qwen3, tmp_path):
    folder = build_checkpoint(qwen3).save(tmp_path / "c")
    assert "verify" in differing(folder)["fingerprint"]


def test_fingerprint_of_shorter_embeddings_differs(forms):
    path = forms / "merged" / "fingerprint.json"
    content = json.loads(path.read_text())
    for probe in content["probes"]:
        probe["values"] = [0.1]
    path.write_text(json.dumps(content))
    assert "dimensions, recorded 1" in differing(forms / "merged")["embeddings"]


def test_load_warns_of_another_backbone(forms, caplog):
    genzoo.load(str(forms / "adapter"), device="cpu")
    assert not caplog.records
    scale(forms / "backbone" / "model.safetensors", "layers.0.mlp", 1.5)
    genzoo.load(str(forms / "adapter"), device="cpu")
    (record,) = caplog.records
    assert "was trained on" in record.getMessage()
    trained_on = json.loads((forms / "adapter" / "genzoo.json").read_text())["backbone_digest"]
    assert trained_on[:12] in record.getMessage()


@pytest.mark.parametrize("name", ENTRIES.names())
def test_every_model_of_the_zoo_is_what_was_recorded(name):
    try:
        fetch_backbone(ENTRIES.get(name).backbone)
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")
    assert [finding for finding in verify(name) if not finding.is_equal] == []


def test_another_backbone_is_honoured_in_every_form(forms):
    """A copy of the backbone elsewhere changes nothing; a changed one is seen in the embeddings."""
    moved = shutil.copytree(forms / "backbone", forms / "moved")
    other = shutil.copytree(forms / "backbone", forms / "other")
    scale(other / "model.safetensors", "layers.0.mlp", 1.5)
    for name in ("checkpoint", "adapter"):
        expected = genzoo.load(str(forms / name), device="cpu").encode_query(["a fox"])
        same, different = (
            genzoo.load(str(forms / name), device="cpu", backbone=str(base)).encode_query(["a fox"])
            for base in (moved, other)
        )
        assert abs(same - expected).max() < 1e-6
        assert abs(different - expected).max() > 1e-3
        assert differing(forms / name, backbone=str(moved)) == {}
        assert {"backbone", "embeddings"} <= differing(forms / name, backbone=str(other)).keys()
    shutil.rmtree(forms / "backbone")
    assert differing(forms / "adapter", backbone=str(moved)) == {}
    assert {path.name for path in forms.iterdir()} == {"checkpoint", "adapter", "merged", "moved", "other"}


def test_a_tampered_export_is_still_seen_on_another_backbone(forms):
    moved = shutil.copytree(forms / "backbone", forms / "moved")
    path = forms / "adapter" / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"default_prompt_name": "query"}))
    assert "prompts" in differing(forms / "adapter", backbone=str(moved))


def test_another_backbone_is_refused_where_it_would_change_nothing(forms, tiny_teacher):
    moved = str(forms / "backbone")
    for call in (genzoo.load, verify, write_fingerprint):
        with pytest.raises(InputError, match="holds its own weights, so the backbone"):
            call(str(forms / "merged"), backbone=moved)
    with pytest.raises(InputError, match="holds its own weights"):
        genzoo.load(str(tiny_teacher), backbone=moved)


@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16", torch.float16])
def test_precision_is_honoured_in_every_form(forms, tiny_teacher, dtype):
    wanted = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    for name in (forms / "checkpoint", forms / "adapter", forms / "merged", tiny_teacher):
        model = genzoo.load(str(name), device="cpu", dtype=dtype)
        assert {parameter.dtype for parameter in model[0].parameters()} == {wanted}
        plain = genzoo.load(str(name), device="cpu")
        assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}
        cosine = torch.nn.functional.cosine_similarity(
            *(torch.tensor(one.encode(["a fox"])).float() for one in (model, plain))
        )
        assert float(cosine) > 0.999


@pytest.mark.parametrize("dtype", ["int8", torch.int8, "big", 16])
def test_no_other_precision_is_taken(forms, dtype):
    for name in ("checkpoint", "merged"):
        with pytest.raises(InputError, match=r"dtype is .*: give float32, bfloat16 or float16"):
            genzoo.load(str(forms / name), device="cpu", dtype=dtype)
