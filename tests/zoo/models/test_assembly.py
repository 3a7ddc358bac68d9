import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest_builders import build_checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.tokenizer import plain_ids
from genzoo.errors import BackboneError, CheckpointError
from genzoo.models.assembly import assemble
from genzoo.models.exported import export
from genzoo.models.prompts import all_prompts

TEXTS = [
    "where do polar bears live",
    "",
    "the quick brown fox " * 40,
    "café 東京 🙂",
    " two  spaces ",
    "<|im_start|> <|gen_0|>",
]


def formula(checkpoint, backbone, texts):
    """The method's own words: last states of the appended tokens, two linear maps, mean."""
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    ids = plain_ids(tokenizer, texts, checkpoint.max_tokens - len(checkpoint.spec))
    vectors = []
    for row in ids:
        prefix = model.get_input_embeddings()(torch.tensor(row, dtype=torch.long))
        states = model.base_model(inputs_embeds=torch.cat([prefix, checkpoint.rows])[None]).last_hidden_state[0]
        h = states[-checkpoint.spec.n_compression :]
        p = h @ checkpoint.recon_weight.T + checkpoint.recon_bias
        vectors.append((p @ checkpoint.align_weight.T + checkpoint.align_bias).mean(dim=0))
    vectors = torch.stack(vectors).detach()
    return (torch.nn.functional.normalize(vectors) if checkpoint.unit_length else vectors).numpy()


@pytest.mark.parametrize(("n_thought", "unit_length"), [(0, True), (3, True), (0, False)])
def test_equals_the_formula(backbone, n_thought, unit_length):
    checkpoint = replace(build_checkpoint(backbone, n_thought=n_thought), unit_length=unit_length)
    model = assemble(checkpoint, backbone, device="cpu")
    assert np.abs(model.encode(TEXTS) - formula(checkpoint, backbone, TEXTS)).max() < 1e-5


def test_does_not_depend_on_batch_order_or_padding_side(backbone):
    model = assemble(build_checkpoint(backbone), backbone, device="cpu")
    alone = np.stack([model.encode(text) for text in TEXTS])
    for size in (1, 2, 6):
        assert np.abs(model.encode(TEXTS, batch_size=size) - alone).max() < 1e-5
    assert np.abs(model.encode(TEXTS[::-1])[::-1] - alone).max() < 1e-5
    model.tokenizer.padding_side = "left"
    assert np.abs(model.encode(TEXTS) - alone).max() < 1e-5


def test_long_text_keeps_all_trained_tokens(backbone):
    checkpoint = build_checkpoint(backbone)
    model = assemble(checkpoint, backbone, device="cpu")
    ids = model.preprocess(["fox " * 5000])["input_ids"][0].tolist()
    assert len(ids) == checkpoint.max_tokens
    assert tuple(ids[-len(checkpoint.spec) :]) == checkpoint.spec.ids


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80) | st.sampled_from(["<|gen_0|>", "<|im_end|>", "<|begin_of_text|>", "a<|gen_1|>b"]))
def test_no_text_can_reach_a_trained_row(llama, text):
    checkpoint = build_checkpoint(llama)
    tokenizer = _tokenizer(llama, checkpoint)
    ids = tokenizer(text)["input_ids"]
    assert [i for i in ids if i in checkpoint.spec.ids] == list(checkpoint.spec.ids)


_CACHE = {}


def _tokenizer(backbone, checkpoint):
    if backbone not in _CACHE:
        _CACHE[backbone] = assemble(checkpoint, backbone, device="cpu").tokenizer
    return _CACHE[backbone]


@pytest.mark.parametrize("form", ["merged", "adapter"])
def test_exported_folder_loads_without_genzoo(backbone, form, tmp_path):
    checkpoint = build_checkpoint(backbone)
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


def test_reexport_and_resave_change_nothing(llama, tmp_path):
    checkpoint = build_checkpoint(llama)
    folder = export(checkpoint, llama, tmp_path / "model", "adapter", name="tiny")
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    export(checkpoint, llama, tmp_path / "model", "merged", name="tiny")
    merged = SentenceTransformer(str(folder), device="cpu")
    assert np.array_equal(merged.encode(TEXTS), expected)
    merged.save_pretrained(str(tmp_path / "again"))
    assert np.array_equal(SentenceTransformer(str(tmp_path / "again"), device="cpu").encode(TEXTS), expected)
    assert not list(tmp_path.glob(".model*"))


def test_prompts_ride_along(llama):
    model = assemble(build_checkpoint(llama), llama, device="cpu")
    prompts = all_prompts()
    text = "where do foxes live"
    assert np.allclose(model.encode_query(text), model.encode(prompts["query"] + text), atol=1e-6)
    assert np.allclose(model.encode_document(text), model.encode(prompts["document"] + text), atol=1e-6)
    assert not np.allclose(model.encode_query(text), model.encode(text), atol=1e-3)
    assert all(prompt.endswith(" ") and not prompt.endswith("  ") for prompt in prompts.values())


def test_no_spare_row_means_the_whole_form_only(full_llama, tmp_path):
    checkpoint = build_checkpoint(full_llama)
    with pytest.raises(BackboneError, match=r"no spare embedding row.*--merge"):
        export(checkpoint, full_llama, tmp_path / "small", "adapter", name="tiny")
    assert not list(tmp_path.iterdir())
    folder = export(checkpoint, full_llama, tmp_path / "whole", "merged", name="tiny")
    model = SentenceTransformer(str(folder), device="cpu")
    assert np.abs(model.encode(TEXTS) - formula(checkpoint, full_llama, TEXTS)).max() < 1e-5


def test_wrong_backbone(llama, qwen3, tmp_path, caplog):
    checkpoint = build_checkpoint(llama)
    assemble(checkpoint, qwen3, device="cpu")
    assert "not the one these tokens were trained on" in caplog.text


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


def test_half_precision_is_close(llama):
    checkpoint = build_checkpoint(llama)
    full = assemble(checkpoint, llama, device="cpu").encode(TEXTS, convert_to_tensor=True)
    half = assemble(checkpoint, llama, device="cpu", dtype=torch.bfloat16).encode(TEXTS, convert_to_tensor=True).float()
    assert torch.cosine_similarity(full, half).min() > 0.99
