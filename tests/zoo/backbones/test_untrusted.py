"""A model folder from elsewhere runs no code and reads no pickle."""

import json
import shutil
import struct

import pytest
import torch
from conftest_builders import build_checkpoint
from safetensors.torch import load_file

import genzoo
from genzoo.backbones.untrusted import check_model_folder
from genzoo.errors import CheckpointError
from genzoo.models.exported import export


@pytest.fixture(scope="module")
def tiny(qwen3, tmp_path_factory):
    """A checkpoint folder of a few kilobytes."""
    return build_checkpoint(qwen3, n_compression=2, dim=2).save(tmp_path_factory.mktemp("fuzz") / "c")


@pytest.fixture
def exported(qwen3, tmp_path):
    return export(build_checkpoint(qwen3), qwen3, tmp_path / "exported", "merged", name="tiny")


def modules(folder, **changes):
    path = folder / "modules.json"
    content = json.loads(path.read_text())
    content[1] |= changes
    path.write_text(json.dumps(content))


def _foreign(folder):
    modules(folder, type="evil.Module")
    (folder / "evil.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('ran').touch()\nclass Module: pass\n"
    )


def _pickled(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_foreign, "no part of sentence-transformers"),
        (lambda f: modules(f, type=["x"]), "no part of sentence-transformers"),
        (lambda f: modules(f, path="../../etc"), "outside of the folder"),
        (lambda f: modules(f, path="/etc"), "outside of the folder"),
        (lambda f: (f / "modules.json").write_text("{}"), "expected a list: this is not a SentenceTransformer"),
        (lambda f: (f / "modules.json").write_text("["), "not a SentenceTransformer"),
        (_pickled, "is a pickle"),
        (lambda f: (f / "1_CNN" / "x.json").symlink_to("/etc/passwd"), "leads out of the folder"),
        (lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 40)), "cannot be loaded"),
        (lambda f: config_json(f, auto_map={"AutoModel": "evil.Model"}), "auto_map"),
        (lambda f: (f / "1_CNN" / "model.safetensors").unlink(), "cannot be loaded"),
    ],
)
def test_hostile_model_folder_is_refused(exported, spoil, told):
    spoil(exported)
    with pytest.raises(CheckpointError, match=told):
        genzoo.load(str(exported), device="cpu")
    assert not (exported / "ran").exists()


def config_json(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("is_shared", [False, True], ids=["own", "shared by all repositories"])
def test_links_inside_the_hubs_own_cache_are_let_through(exported, tmp_path, is_shared):
    snapshot = tmp_path / "models--o--n" / "snapshots" / ("a" * 40)
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "models--o--n" / "blobs").mkdir()
    shutil.copytree(exported, snapshot)
    blob = tmp_path / "models--o--n" / "blobs" / "x"
    shutil.move(snapshot / "config.json", blob)
    (snapshot / "config.json").symlink_to(blob)
    if is_shared:
        shared = tmp_path / "blobs" / "ab" / "abcd"
        shared.parent.mkdir(parents=True)
        shutil.move(blob, shared)
        blob.symlink_to(shared)
    check_model_folder(snapshot)
    blob.unlink()
    blob.symlink_to(exported / "config.json")
    with pytest.raises(CheckpointError, match="leads out of the folder"):
        check_model_folder(snapshot)
