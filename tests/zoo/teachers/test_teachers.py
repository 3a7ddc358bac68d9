"""The rows of teachers, and how one is had from a key, a folder or a name."""

import pytest

import genzoo
from genzoo.backbones.sources import pin_name
from genzoo.errors import BackboneError, CheckpointError, UnknownNameError
from genzoo.recipes.recipes import RECIPES
from genzoo.teachers.teachers import TEACHERS, fetch_teacher, load_teacher


def test_every_row_is_complete():
    for row in TEACHERS:
        assert bool(row.sources) != bool(row.recipe)
        assert not row.recipe or (row.whitening / "model.safetensors").is_file()
        assert not row.recipe or RECIPES.get(row.recipe).unsupervised.whiten == row.dim
        assert len(row.revision) == 40
        assert row.licence


def test_names_that_are_no_teacher(tmp_path):
    with pytest.raises(BackboneError, match=r"no modules\.json"):
        fetch_teacher(str(tmp_path))
    with pytest.raises(UnknownNameError, match=r"did you mean minilm.*org/name@commit on the Hub, or unsupervised"):
        fetch_teacher("minilmm")
    for name in ("./org/name", "a/b/c", ""):
        with pytest.raises(UnknownNameError, match="unknown teacher"):
            fetch_teacher(name)


def test_a_folder_is_taken_as_it_is(tiny_teacher):
    assert fetch_teacher(str(tiny_teacher)) == tiny_teacher
    assert load_teacher(str(tiny_teacher), "cpu").encode(["a fox"]).shape == (1, 12)


def test_a_teacher_that_tells_no_texts_apart_is_refused(tiny_teacher, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_teacher, tmp_path / "blind")
    path = folder / "2_Dense" / "model.safetensors"
    save_file({name: torch.zeros_like(tensor) for name, tensor in load_file(path).items()}, path)
    with pytest.raises(CheckpointError, match="different texts the same embedding"):
        load_teacher(str(folder), "cpu")


def test_only_a_name_on_the_hub_is_pinned(tiny_teacher, tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    for name in ("minilm", "unsupervised", str(tiny_teacher), f"org/name@{'a' * 40}"):
        assert pin_name(name) == name
    (tmp_path / "revisions.json").write_text('{"org/name": "' + "b" * 40 + '"}')
    assert pin_name("org/name") == f"org/name@{'b' * 40}"


def test_fetch_takes_one_name_or_several(llama, tiny_teacher, monkeypatch, capfd):
    assert genzoo.fetch(str(llama)) == {str(llama): llama}
    monkeypatch.setattr("genzoo.teachers.teachers.fetch_teacher", lambda name, *_: tiny_teacher)
    assert genzoo.fetch(["minilm", str(llama)]) == {"minilm": tiny_teacher, str(llama): llama}
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UnknownNameError, match="unknown backbone 'smollm'"):
        genzoo.fetch("smollm")
