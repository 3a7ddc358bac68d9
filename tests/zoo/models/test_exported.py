"""An exported folder: what stock libraries load, what older ones read in it, and what is read back."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest_builders import TEXTS, build_backbone, build_checkpoint, formula
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from torch import nn

import genzoo
from genzoo.errors import BackboneError, CheckpointError
from genzoo.files import read_json
from genzoo.models.assembly import assemble
from genzoo.models.exported import export, read_exported
from genzoo.models.prompts import all_prompts
from genzoo.publishing.verify import verify, write_fingerprint

FORMS = ("merged", "adapter")


@pytest.mark.parametrize("has_policy", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_exported_folder_loads_without_genzoo(backbone, form, has_policy, tmp_path):
    checkpoint = build_checkpoint(backbone, has_policy=has_policy)
    expected = assemble(checkpoint, backbone, device="cpu").encode_query(TEXTS)
    folder = export(checkpoint, backbone, tmp_path / "model", form, name="tiny")
    modules = json.loads((folder / "modules.json").read_text())
    assert all(module["type"].startswith("sentence_transformers.") for module in modules)
    assert not [p for p in folder.rglob("*") if p.suffix in (".py", ".bin", ".pt", ".pkl")]
    if form == "adapter":
        assert not (folder / "model.safetensors").exists()
    code = (
        "import sys, json\n"
        "sys.modules['genzoo'] = None\n"  # importing it now raises ImportError
        "from sentence_transformers import SentenceTransformer\n"
        "model = SentenceTransformer(sys.argv[1], device='cpu')\n"
        "print(json.dumps(model.encode_query(json.loads(sys.argv[2])).tolist()))\n"
        "assert model.prompts['document'] == json.loads(sys.argv[3])['document']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), json.dumps(TEXTS), json.dumps(all_prompts())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert np.abs(np.array(json.loads(done.stdout.splitlines()[-1])) - expected).max() < 1e-6


@pytest.mark.parametrize("has_policy", [False, True])
def test_reexport_and_resave_change_nothing(llama, has_policy, tmp_path):
    checkpoint = build_checkpoint(llama, has_policy=has_policy)
    folder = export(checkpoint, llama, tmp_path / "model", "adapter", name="tiny")
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    export(checkpoint, llama, tmp_path / "model", "merged", name="tiny")
    merged = SentenceTransformer(str(folder), device="cpu")
    assert np.array_equal(merged.encode(TEXTS), expected)
    merged.save_pretrained(str(tmp_path / "again"))
    assert np.array_equal(SentenceTransformer(str(tmp_path / "again"), device="cpu").encode(TEXTS), expected)
    assert not list(tmp_path.glob(".model*"))


def test_no_spare_row_means_the_whole_form_only(full_llama, tmp_path):
    checkpoint = build_checkpoint(full_llama)
    with pytest.raises(BackboneError, match=r"no spare embedding row.*--merge"):
        export(checkpoint, full_llama, tmp_path / "small", "adapter", name="tiny")
    assert not list(tmp_path.iterdir())
    folder = export(checkpoint, full_llama, tmp_path / "whole", "merged", name="tiny")
    model = SentenceTransformer(str(folder), device="cpu")
    assert np.abs(model.encode(TEXTS) - formula(checkpoint, full_llama, TEXTS)).max() < 1e-5


def test_export_never_replaces_what_is_no_model(llama, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not an exported model"):
        export(build_checkpoint(llama), llama, tmp_path / "precious", "adapter", name="tiny")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


def test_export_never_replaces_somebody_elses_model(llama, tiny_teacher, tmp_path):
    shutil.copytree(tiny_teacher, tmp_path / "mine")
    before = {path.name: path.stat().st_size for path in (tmp_path / "mine").iterdir()}
    with pytest.raises(CheckpointError, match="is not an exported model"):
        export(build_checkpoint(llama), llama, tmp_path / "mine", "adapter", name="tiny")
    assert {path.name: path.stat().st_size for path in (tmp_path / "mine").iterdir()} == before
    export(build_checkpoint(llama), llama, tmp_path / "ours", "adapter", name="tiny")
    export(build_checkpoint(llama), llama, tmp_path / "ours", "merged", name="tiny")
    assert not (tmp_path / "ours" / "adapter_config.json").exists()


@pytest.mark.parametrize("has_policy", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "nearest"), [(torch.bfloat16, 0.999), (torch.float16, 0.99999)])
def test_loads_in_half_precision(backbone, form, dtype, nearest, has_policy, tmp_path):
    checkpoint = build_checkpoint(backbone, has_policy=has_policy)
    folder = export(checkpoint, backbone, tmp_path / "model", form, name="tiny")
    for key in ("dtype", "torch_dtype"):
        model = SentenceTransformer(str(folder), device="cpu", model_kwargs={key: dtype})
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
        found = model.encode(TEXTS).astype(np.float64)
        lengths = np.linalg.norm(found, axis=1)
        # a policy's modules come after the pooling, so that their numbers are rounded too
        assert lengths == pytest.approx(1, abs=4e-3 if has_policy else 1e-3)
        assert ((found * formula(checkpoint, backbone, TEXTS)).sum(axis=1) / lengths).min() > nearest


@pytest.mark.parametrize("form", FORMS)
def test_a_policy_is_read_back(llama, form, tmp_path):
    checkpoint = build_checkpoint(llama, has_policy=True)
    folder = export(checkpoint, llama, tmp_path / "model", form, name="tiny")
    kinds = ["Transformer", "CNN", "CNN", "CNN", "Pooling", "Dense", "Dense", "Normalize"]
    modules = read_json(folder / "modules.json", "", kind=list)
    assert [module["type"].rpartition(".")[2] for module in modules] == kinds
    if form == "merged":  # is named as older libraries name it
        assert read_json(folder / "4_Pooling" / "config.json", "") == {
            "word_embedding_dimension": 13,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_max_tokens": False,
            "pooling_mode_lasttoken": True,
        }
        assert read_json(folder / "5_Dense" / "config.json", "") == {
            "in_features": 13, "out_features": 25, "bias": True, "activation_function": "torch.nn.modules.activation.ReLU"
        }  # fmt: skip
    made = read_exported(folder)
    assert made.digest() == checkpoint.digest()
    assert all(torch.equal(made.policy[name], tensor) for name, tensor in checkpoint.policy.items())
    shutil.rmtree(folder / "6_Dense")
    with pytest.raises(CheckpointError, match="not a complete export"):
        read_exported(folder)


@pytest.mark.parametrize("form", FORMS)
def test_is_named_as_older_libraries_name_it(form, tmp_path):
    """Run with the real ones by benchmarks/export_versions.py; here the names that it found them to need."""
    theta = {"rope_type": "default", "rope_theta": 5e4}
    backbone = build_backbone(tmp_path / "llama", "llama", rope_parameters=theta)
    config = read_json(backbone / "config.json", "")
    (backbone / "config.json").write_text(json.dumps(config | {"rope_theta": 5e4}))  # as files on the Hub have it
    folder = export(build_checkpoint(backbone), backbone, tmp_path / "model", form, name="tiny")
    kinds = ["Transformer", "CNN", "CNN", "WordWeights", "Pooling", "Normalize"]
    modules = read_json(folder / "modules.json", "", kind=list)
    assert [module["type"] for module in modules] == [f"sentence_transformers.models.{kind}" for kind in kinds]
    assert read_json(folder / "sentence_bert_config.json", "") == {"max_seq_length": 64, "do_lower_case": False}
    assert read_json(folder / "2_CNN" / "cnn_config.json", "") == {
        "in_word_embedding_dimension": 32, "out_channels": 12, "kernel_sizes": [1]
    }  # fmt: skip
    assert read_json(folder / "4_Pooling" / "config.json", "")["pooling_mode_mean_tokens"] is True
    assert read_json(folder / "tokenizer_config.json", "")["tokenizer_class"] == "PreTrainedTokenizerFast"
    stated = read_json(folder / "config_sentence_transformers.json", "")
    assert "__version__" not in stated  # older versions would warn
    assert stated["requirements"]["sentence-transformers"]["specifier"] == ">=3.4.1"
    assert not (folder / "config.json").exists() if form == "adapter" else (
        read_json(folder / "config.json", "")["rope_theta"] == 5e4
    )  # fmt: skip


@pytest.mark.parametrize("why", ["exit layer", "rotary base"])
def test_an_adapter_that_older_libraries_would_misread_keeps_the_new_names(llama, why, tmp_path):
    checkpoint = dataclasses.replace(build_checkpoint(llama), exit_layer=int(why == "exit layer"))
    config = read_json(llama / "config.json", "")
    backbone = shutil.copytree(llama, tmp_path / "llama")
    if why == "exit layer":
        (backbone / "config.json").write_text(json.dumps(config | {"rope_theta": 1e4}))
    folder = export(checkpoint, backbone, tmp_path / "model", "adapter", name="tiny")
    modules = read_json(folder / "modules.json", "", kind=list)
    # the place of Normalize since 6.0: older versions end there instead of running other layers
    assert modules[-1]["type"] == "sentence_transformers.base.modules.normalize.Normalize"
    needed = read_json(folder / "config_sentence_transformers.json", "")["requirements"]
    assert {name: row["specifier"] for name, row in needed.items()} == {
        "transformers": ">=5.20,<6", "sentence-transformers": ">=6.2", "peft": ">=0.21"
    }  # fmt: skip
    expected = assemble(checkpoint, backbone, device="cpu").encode(TEXTS)
    assert np.abs(SentenceTransformer(str(folder), device="cpu").encode(TEXTS) - expected).max() < 1e-6


def export_as_before(checkpoint, backbone, folder):
    """The layout until 2026-11: ``Dense`` modules of tokens, class paths of sentence-transformers 6, no normalisation."""
    model = assemble(dataclasses.replace(checkpoint, unit_length=False), backbone, device="cpu")
    transformer, recon, align, *others = model
    heads = [
        Dense(
            *reversed(conv.weight.shape[:2]),
            activation_function=nn.Identity(),
            init_weight=conv.weight[:, :, 0].clone(),
            init_bias=conv.bias.clone(),
            module_input_name="token_embeddings",
        )
        for conv in (recon.convs[0], align.convs[0])
    ]
    before = SentenceTransformer(modules=[transformer, *heads, *others], prompts=model.prompts, device="cpu")
    before.save_pretrained(str(folder), create_model_card=False)
    (folder / "genzoo.json").write_text(json.dumps(dataclasses.replace(checkpoint, unit_length=False).config()))
    return before


def test_a_folder_of_the_layout_before_is_read_and_embeds_as_it_did(qwen3, tmp_path):
    checkpoint = build_checkpoint(qwen3)
    expected = export_as_before(checkpoint, qwen3, tmp_path / "old").encode(TEXTS)
    assert (tmp_path / "old" / "2_Dense").is_dir()
    assert np.abs(genzoo.load(tmp_path / "old", device="cpu").encode(TEXTS) - expected).max() < 1e-6
    assert np.linalg.norm(expected, axis=1).max() > 1.01
    write_fingerprint(tmp_path / "old")
    assert [finding for finding in verify(tmp_path / "old") if not finding.is_equal] == []
    # Exported again it is a model of unit length, under a digest of its own.
    back = read_exported(tmp_path / "old")
    folder = export(back, qwen3, tmp_path / "new", "merged", name="tiny")
    assert back.digest() == dataclasses.replace(checkpoint, unit_length=False).digest()
    assert read_exported(folder).digest() == checkpoint.digest() != back.digest()
    unit = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert np.abs(unit - expected / np.linalg.norm(expected, axis=1, keepdims=True)).max() < 1e-6


def test_dot_product_distance_and_cosine_rank_alike(llama, tmp_path):
    folder = export(build_checkpoint(llama), llama, tmp_path / "model", "merged", name="tiny")
    found = SentenceTransformer(str(folder), device="cpu").encode([f"{text} {n}" for n in range(8) for text in TEXTS])
    dot = found @ found.T
    distance = np.linalg.norm(found[:, None] - found, axis=-1)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
    assert np.allclose(distance**2, 2 - 2 * dot, atol=1e-5)


def test_a_prompt_for_bare_texts_is_kept(llama, tmp_path):
    checkpoint = build_checkpoint(llama)
    assert assemble(checkpoint, llama, device="cpu").default_prompt_name is None
    checkpoint = dataclasses.replace(checkpoint, info={"default_prompt_name": "query"})
    folder = export(checkpoint, llama, tmp_path / "model", "merged", name="tiny")
    model = SentenceTransformer(str(folder), device="cpu")
    assert np.allclose(model.encode(TEXTS), model.encode_query(TEXTS), atol=1e-6)
    assert not np.allclose(model.encode(TEXTS), model.encode(TEXTS, prompt=""), atol=1e-3)
    with pytest.raises(CheckpointError, match=r"default_prompt_name is 'bare', which is none of its prompts"):
        assemble(dataclasses.replace(checkpoint, info={"default_prompt_name": "bare"}), llama, device="cpu")
