"""`genzoo convert` on the reference's own checkpoints, and what it refuses."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from conftest_builders import build_backbone
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from genzoo.errors import CheckpointError, InputError
from genzoo.models.convert import REFERENCE_PROMPTS, convert, read_reference
from genzoo.models.loading import find_checkpoint

LITERAL = 6
CASES = {"tiny-llama": 2e-5, "tiny-qwen2": 2e-5, "tiny-qwen3": 2e-5, "tiny-qwen3-bf16": 2e-2}
ENCODE = """
import json, sys
sys.modules["genzoo"] = None
import torch
from sentence_transformers import SentenceTransformer
made = []
for folder, texts, dtype in json.loads(sys.argv[1]):
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": getattr(torch, dtype)})
    batch = model.encode(texts, convert_to_tensor=True).float().tolist()
    single = [model.encode(text, convert_to_tensor=True).float().tolist() for text in texts]
    model.max_seq_length = 32
    made.append([batch, single, model.encode(texts, convert_to_tensor=True).float().tolist()])
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def golden(shared):
    return shared / "golden"


def test_converted_folders_equal_the_reference_without_genzoo(golden, tmp_path):
    asked = []
    for case in CASES:
        texts = json.loads((golden / case / "golden.json").read_text())["texts"]
        made = convert(str(golden / case / "checkpoint"), tmp_path / case, backbone=str(golden / case / "backbone"))
        assert made.form == ("merged" if case == "tiny-llama" else "adapter")
        assert made.dtype == ("bfloat16" if case.endswith("bf16") else "float32")
        assert {p.suffix for p in (tmp_path / case).rglob("*") if p.is_file()} <= {".json", ".safetensors", ".md"}
        asked.append((str(tmp_path / case), texts, made.dtype))
    command = [sys.executable, "-c", ENCODE, json.dumps(asked)]  # one process: importing torch is what takes the time
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for (case, bound), answers in zip(CASES.items(), json.loads(done.stdout.splitlines()[-1]), strict=True):
        vectors = np.load(golden / case / "golden.npz")
        for got, name in zip(answers, ("batch", "single", "max32"), strict=True):
            wanted = vectors[f"embeddings_{name}"]
            lengths = np.linalg.norm(wanted, axis=1, keepdims=True)  # the reference does not normalise
            gaps = np.abs(np.array(got) * lengths - wanted).max(axis=1)
            assert np.delete(gaps, LITERAL).max() <= bound, (case, name)


def test_converted_folder_is_a_zoo_model_too(golden, tmp_path):
    convert(
        str(golden / "tiny-qwen3" / "checkpoint"), tmp_path / "ours", backbone=str(golden / "tiny-qwen3" / "backbone")
    )
    read = find_checkpoint(str(tmp_path / "ours"))
    straight = read_reference(golden / "tiny-qwen3" / "checkpoint", golden / "tiny-qwen3" / "backbone")
    assert read.digest() == straight.digest()
    model = SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    assert {name: model.prompts[name] for name in REFERENCE_PROMPTS} == REFERENCE_PROMPTS


def test_size_is_that_of_the_trained_numbers(golden, tmp_path):
    """The source holds the whole embedding matrix, ours only what was trained."""
    checkpoint = read_reference(golden / "tiny-qwen3" / "checkpoint", golden / "tiny-qwen3" / "backbone")
    checkpoint.save(tmp_path / "c")
    assert (tmp_path / "c" / "tokens.safetensors").stat().st_size < checkpoint.n_parameters * 4 + 1000


@pytest.fixture
def source(golden, tmp_path):
    """A copy of a reference checkpoint that may be spoilt, and its backbone."""
    copy = shutil.copytree(golden / "tiny-qwen3" / "checkpoint", tmp_path / "source")
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy, golden / "tiny-qwen3" / "backbone"


def spoil(path, **changes):
    facts = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(facts))


def test_adapter_without_the_embedding_matrix(source):
    folder, backbone = source
    with_matrix = read_reference(folder, backbone)
    path = folder / "encoder" / "adapter_model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if k.endswith("trainable_tokens_delta")}, path)
    assert torch.equal(read_reference(folder, backbone).rows, with_matrix.rows)


def test_rows_follow_the_order_of_the_input(source):
    folder, backbone = source
    before = read_reference(folder, backbone).rows
    tokens = json.loads((folder / "encoder" / "config.json").read_text())["special_tokens"]
    spoil(folder / "encoder" / "config.json", special_tokens=tokens[::-1])
    assert torch.equal(read_reference(folder, backbone).rows, before.flip(0))


def test_thought_tokens(source):
    folder, backbone = source
    spoil(folder / "encoder_decoder_config.json", encoding_mode="last_4_tokens")
    spec = read_reference(folder, backbone).spec
    assert (spec.n_thought, spec.n_compression) == (6, 4)


class Payload:
    """Unpickling this would create the file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def projection(path, **changes):
    facts = torch.load(path, weights_only=True)
    facts["config"] |= changes.pop("config", {})
    facts["state_dict"] |= changes
    torch.save(facts, path)


def _huge(path):
    """A tensor that claims 10^12 numbers of a storage of four bytes."""
    facts = torch.load(path, weights_only=True)
    facts["state_dict"]["projection.bias"] = torch.zeros(1).as_strided((1_000_000, 1_000_000), (0, 0))
    torch.save(facts, path)


def _zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * 50_000_000)


def _swap_token(folder):
    spoil(folder / "encoder" / "config.json", special_tokens=[1, 2])


def _mixed(folder):
    """The same tokens by their looks: once as numbers, once as text."""
    tokens = json.loads((folder / "encoder" / "config.json").read_text())["special_tokens"]
    spoil(folder / "encoder" / "config.json", special_tokens=list(map(str, tokens)))
    spoil(folder / "encoder" / "adapter_config.json", token_indices=tokens)


def _doubling():
    """Merge keys: 40 lines that stand for a million million entries."""
    return "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


def _flat_matrix(folder):
    path = folder / "encoder" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("base_layer.weight"))
    save_file(tensors | {name: torch.tensor(1.0)}, path)


def _pad_matrix(folder):
    path = folder / "encoder" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("base_layer.weight"))
    save_file(tensors | {name: tensors[name] * 1.5}, path)


def _shape(folder):
    path = folder / "encoder" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("delta"))
    save_file(tensors | {name: tensors[name][:, :-1].contiguous()}, path)


def _header(folder):
    path = folder / "encoder" / "adapter_model.safetensors"
    path.write_bytes((1 << 40).to_bytes(8, "little") + path.read_bytes()[8:])


RECON, ALIGN = "reconstruction_mlp", "alignment_mlp"
HOSTILE = {
    "saved decoder": (
        lambda f: spoil(f / "encoder_decoder_config.json", save_decoder=True),
        "trained decoder of its own",
    ),
    "projection per token": (lambda f: projection(f / ALIGN, config={"size": 10}), "projection per token"),
    "nonlinear projection": (
        lambda f: projection(f / RECON, config={"pooling_mode": "mlp"}),
        "expected one linear layer",
    ),
    "wrong shape": (lambda f: projection(f / RECON, **{"projection.weight": torch.zeros(3, 3)}), "expected (64, 64)"),
    "NaN": (lambda f: projection(f / ALIGN, **{"projection.bias": torch.full((48,), float("nan"))}), "holds NaN"),
    "tensor of 4 TB": (lambda f: _huge(f / ALIGN), "in 4 bytes"),
    "pickle that runs code": (lambda f: torch.save(Payload(f / "ran"), f / ALIGN), "nothing was run"),
    "old pickle": (lambda f: torch.save({}, f / ALIGN, _use_new_zipfile_serialization=False), "no file of torch.save"),
    "zip bomb": (lambda f: _zip_bomb(f / RECON), "more than its own length"),
    "no projection": (lambda f: (f / RECON).unlink(), "is missing"),
    "rows of another width": (_shape, "expected (64, 63)|has shape|expected"),
    "header of 1 TB": (_header, "cut off or no safetensors file"),
    "other tokens": (_swap_token, "must name the same tokens"),
    "other backbone": (_pad_matrix, "is not the backbone of this checkpoint"),
    "mode": (lambda f: spoil(f / "encoder_decoder_config.json", encoding_mode="mean"), "expected last_<n>_tokens"),
    "too many pooled": (
        lambda f: spoil(f / "encoder_decoder_config.json", encoding_mode="last_99_tokens"),
        "but holds 10",
    ),
    "yaml bomb": (lambda f: (f / "run_config.yml").write_text("a: " + "[" * 60_000), "not readable YAML"),
    "deep json": (lambda f: (f / "encoder" / "config.json").write_text("[" * 100_000), "no llm2vec-gen checkpoint"),
    "yaml that doubles": (lambda f: (f / "run_config.yml").write_text(_doubling()), "not readable YAML"),
    "weights that are no tensors": (
        lambda f: projection(f / ALIGN, **{"projection.weight": 3, "projection.bias": 4}),
        "holds a int for a weight",
    ),
    "state that is a tensor": (
        lambda f: torch.save({"config": {}, "state_dict": torch.zeros(3)}, f / ALIGN),
        "ALIGN|alignment_mlp",
    ),
    "tokens of mixed kinds": (_mixed, "must name the same tokens"),
    "endless number of tokens": (
        lambda f: spoil(f / "encoder_decoder_config.json", encoding_mode=f"last_{'9' * 5000}_tokens"),
        "expected last_<n>_tokens",
    ),
    "matrix without dimensions": (_flat_matrix, "cut off or no safetensors file|expected (n, H)"),
    "link out": (lambda f: ((f / ALIGN).unlink(), (f / ALIGN).symlink_to("/etc/passwd")), "leads out of the folder"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_refused_with_the_reason(source, tmp_path, kind):
    folder, backbone = source
    spoilt, told = HOSTILE[kind]
    spoilt(folder)
    with pytest.raises(CheckpointError) as caught:
        convert(str(folder), tmp_path / "out", backbone=str(backbone))
    assert any(part in str(caught.value) for part in told.split("|"))
    assert not (folder / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_backbone_of_another_width(source, tmp_path):
    other = build_backbone(tmp_path / "other", "qwen3", bos=False, tied=True)
    with pytest.raises(CheckpointError, match="is not the backbone of this checkpoint"):
        convert(str(source[0]), tmp_path / "out", backbone=str(other))


def test_a_hub_id_needs_its_commit_and_a_checkpoint_its_backbone(source, tmp_path):
    with pytest.raises(InputError, match="40-hex commit"):
        convert("McGill-NLP/LLM2Vec-Gen-Qwen3-06B", tmp_path / "out")
    with pytest.raises(InputError, match="give it with --backbone"):
        convert(str(source[0]), tmp_path / "out")
    with pytest.raises(CheckpointError, match="there is no folder"):
        convert("./nowhere", tmp_path / "out")


def test_fuzzed_reference_never_crashes(source):
    """Bytes of every file are changed at random: refused with our error, or read (no checksum guards a weight there)."""
    folder, _ = source
    rng, read, refused = np.random.default_rng(0), 0, 0
    from genzoo.models.reference_format import read_mode, read_projection, read_rows, read_run_config

    readers = {
        folder / "encoder_decoder_config.json": lambda: read_mode(folder),
        folder / "encoder" / "config.json": lambda: read_rows(folder),
        folder / "encoder" / "adapter_config.json": lambda: read_rows(folder),
        folder / "encoder" / "adapter_model.safetensors": lambda: read_rows(folder),
        folder / "run_config.yml": lambda: read_run_config(folder),
        folder / RECON: lambda: read_projection(folder / RECON),
        folder / ALIGN: lambda: read_projection(folder / ALIGN),
    }
    for path, reader in readers.items():
        data = path.read_bytes()
        for _ in range(60 if path.suffix == ".yml" else 200):
            spoilt = bytearray(data)
            # Half of the changes fall on the first kilobytes, where the structure is.
            spoilt[rng.integers(0, len(data) if rng.random() < 0.5 else min(len(data), 3000))] = rng.integers(0, 256)
            path.write_bytes(bytes(spoilt))
            try:
                reader()
                read += 1
            except CheckpointError:
                refused += 1
        path.write_bytes(data)
    assert read + refused == 1260
    assert refused > 100


def write_reference(folder, backbone, dim=384):
    """A checkpoint in the reference's layout with random numbers, as its `save_pretrained` leaves it behind."""
    from transformers import AutoConfig, AutoTokenizer

    config, tokenizer = AutoConfig.from_pretrained(backbone), AutoTokenizer.from_pretrained(backbone)
    hidden, tokens = config.hidden_size, list(range(len(tokenizer), len(tokenizer) + 10))
    torch.manual_seed(0)
    (folder / "encoder").mkdir(parents=True)
    table = load_file(backbone / "model.safetensors")["model.embed_tokens.weight"].float()
    matrix = torch.cat([table[: len(tokenizer)], torch.zeros(10, hidden)])
    prefix = "base_model.model.embed_tokens."
    delta = torch.randn(10, hidden) * 0.1
    save_file(
        {f"{prefix}trainable_tokens_delta": delta, f"{prefix}base_layer.weight": matrix},
        folder / "encoder" / "adapter_model.safetensors",
    )
    (folder / "encoder" / "adapter_config.json").write_text(
        json.dumps({"peft_type": "TRAINABLE_TOKENS", "token_indices": tokens, "base_model_name_or_path": str(backbone)})
    )
    (folder / "encoder" / "config.json").write_text(json.dumps({"special_tokens": tokens, "dtype": "float32"}))
    (folder / "encoder_decoder_config.json").write_text(
        json.dumps({"encoding_mode": "last_10_tokens", "save_decoder": False})
    )
    for name, width in ((RECON, hidden), (ALIGN, dim)):
        state = {"projection.weight": torch.randn(width, hidden) * 0.05, "projection.bias": torch.zeros(width)}
        torch.save({"state_dict": state, "config": {"size": 1, "pooling_mode": "linear"}}, folder / name)
    return folder


@pytest.mark.slow
def test_smollm2_becomes_twenty_times_smaller(tmp_path):
    from genzoo.backbones.entries import BACKBONES, fetch_backbone
    from genzoo.errors import BackboneError

    try:
        backbone = fetch_backbone("smollm2-135m")
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")
    source = write_reference(tmp_path / "source", backbone)
    made = convert(str(source), tmp_path / "ours", backbone="smollm2-135m")
    assert made.form == "adapter"
    assert made.ids == BACKBONES.get("smollm2-135m").spare_rows[:10]
    assert made.source_bytes > 115_000_000
    assert made.source_bytes / made.bytes >= 20  # the whole folder, tokenizer included
    weights = sum(path.stat().st_size for path in (tmp_path / "ours").rglob("*.safetensors"))
    assert weights < 2_500_000
