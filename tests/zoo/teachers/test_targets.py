"""Target embeddings are kept by text and teacher, and made once."""

import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from genzoo.teachers.targets import _key, compute_targets
from genzoo.training.pipeline import teacher_content

NEVER = lambda *given: pytest.fail("answered")  # noqa: E731


@pytest.fixture
def folders(tmp_path, llama, tiny_teacher):
    """A backbone and a teacher that a test may change."""
    found = tmp_path / "backbone", tmp_path / "teacher"
    for source, folder in zip((llama, tiny_teacher), found, strict=True):
        shutil.copytree(source, folder)
    return found


def _change_weights(folder):
    path = next(folder.rglob("model.safetensors"))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    # Read whole before it is written over.
    changed = {name: (tensor + torch.rand_like(tensor)).clone() for name, tensor in load_file(path).items()}
    save_file(changed, path, metadata=metadata)


def test_targets_are_known_by_the_teachers_content(folders, tmp_path):
    teacher, texts = folders[1], ["a fox", "a library"]
    name, load = teacher_content(str(teacher)), lambda: SentenceTransformer(str(teacher), device="cpu")
    first = compute_targets(texts, load, name, tmp_path / "targets")
    (teacher / "README.md").write_text("described")
    shutil.copytree(teacher, tmp_path / "copy")
    assert teacher_content(str(teacher)) == teacher_content(str(tmp_path / "copy")) == name
    _change_weights(teacher)
    other = teacher_content(str(teacher))
    assert other != name
    assert not torch.allclose(compute_targets(texts, load, other, tmp_path / "targets")["a fox"], first["a fox"])


def test_targets_of_an_earlier_version_are_taken_where_the_teacher_gives_them_again(folders, tmp_path):
    texts = [f"text number {i}" for i in range(40)]
    model, encoded = SentenceTransformer(str(folders[1]), device="cpu"), []
    encode = model.encode

    def counted(texts, **options):
        encoded.extend(texts)
        return encode(texts, **options)

    model.encode = counted
    old = compute_targets(texts, lambda: model, "/old/path", tmp_path / "targets")
    encoded.clear()
    taken = compute_targets(texts, lambda: model, "folder-1", tmp_path / "targets", former_name="/old/path")
    assert all(torch.equal(taken[text], old[text]) for text in texts)
    assert 0 < len(encoded) <= 20
    again = compute_targets(texts, NEVER, "folder-1", tmp_path / "targets", former_name="/old/path")
    assert all(torch.equal(again[text], old[text]) for text in texts)
    # Embeddings of another model under that path are not taken.
    path = tmp_path / "other" / "targets-1.safetensors"
    path.parent.mkdir()
    keys = torch.tensor([list(_key(text, "/old/path")) for text in texts], dtype=torch.uint8)
    save_file({"keys": keys, "targets": torch.randn(len(texts), 12)}, path)
    made = compute_targets(texts, lambda: model, "folder-1", path.parent, former_name="/old/path")
    assert all(torch.allclose(made[text], old[text], atol=1e-4) for text in texts)
