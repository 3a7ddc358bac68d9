"""A bundle is what was packed, or it is refused; and what the libraries keep silent about is said."""

import json
import shutil

import pytest
from conftest_builders import build_checkpoint

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.models.exported import export
from genzoo.publishing.bundle import pack, unbundle
from genzoo.publishing.manifest import DataSet, Manifest, PackedModel, check_dataset
from genzoo.tasks.own.opening import open_data

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def packed(qwen3, tmp_path_factory):
    """A bundle as the Hub's cache layout has it, made by hand from a tiny model and a data set's Arrow folder."""
    root = tmp_path_factory.mktemp("bundle") / "b"
    snapshot = root / "hub" / "models--acme--tiny" / "snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    export(build_checkpoint(qwen3), qwen3, snapshot, "merged", name="tiny")
    (root / "hub" / "models--acme--tiny" / "refs").mkdir()
    (root / "hub" / "models--acme--tiny" / "refs" / "main").write_text(COMMIT)
    arrow = root / "datasets" / "acme___words" / "default" / "0.0.0" / COMMIT
    arrow.mkdir(parents=True)
    (arrow / "words-test.arrow").write_bytes(b"arrow")
    shutil.copytree(qwen3, root / "genzoo" / "tiny-1-abc")
    models, data = [PackedModel("acme/tiny", COMMIT)], [DataSet("acme/words", COMMIT)]
    Manifest.of_folder(root, models, ["tiny-1-abc"], data).save(root)
    return root


@pytest.fixture
def copy(packed, tmp_path):
    return shutil.copytree(packed, tmp_path / "b")


def go(folder, tmp_path):
    return unbundle(folder, hf_home=tmp_path / "hf", genzoo_cache=tmp_path / "gz")


def test_everything_lands_in_its_cache(packed, tmp_path):
    done = go(packed, tmp_path)
    assert done.models == (("acme/tiny", COMMIT),)
    assert done.datasets == (("acme/words", COMMIT),)
    assert done.warnings == ()
    home = tmp_path / "hf" / "hub" / "models--acme--tiny"
    assert (home / "refs" / "main").read_text() == COMMIT
    assert (home / "snapshots" / COMMIT / "modules.json").is_file()
    assert (tmp_path / "gz" / "tiny-1-abc" / "config.json").is_file()
    again = go(packed, tmp_path)
    assert again == done


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def manifest(folder, change):
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def _escape(name):
    return lambda f: manifest(f, lambda c: c["files"].update({name: {"size": 1, "sha256": "0"}}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda f: flip(f / "hub/models--acme--tiny/snapshots" / COMMIT / "model.safetensors"),
            "is not what was packed",
        ),
        (lambda f: (f / "genzoo/tiny-1-abc/config.json").unlink(), "lacks 1 files"),
        (lambda f: (f / "genzoo/tiny-1-abc/extra.py").write_text("x"), "were not packed"),
        (lambda f: (f / "genzoo/link").symlink_to("/etc/passwd"), "holds links"),
        (_escape("../../evil"), "no place inside a bundle"),
        (_escape("/etc/evil"), "no place inside a bundle"),
        (_escape("hub/../../evil"), "no place inside a bundle"),
        (_escape("elsewhere/evil"), "no place inside a bundle"),
        (_escape("hub/evil"), "no place inside a bundle"),
        (_escape("hub"), "no place inside a bundle"),
        (_escape("hub/models--acme--tiny/blobs/evil"), "no place inside a bundle"),
        (_escape("hub/models--acme--tiny/refs/../../evil"), "no place inside a bundle"),
        (_escape("hub/./evil/refs/main"), "no place inside a bundle"),
        (_escape("datasets/acme___words/default"), "no place inside a bundle"),
        (_escape("genzoo/evil"), "no place inside a bundle"),
        (_escape("genzoo/x/\0"), "no place inside a bundle"),
        (lambda f: manifest(f, lambda c: c["models"][0].update(hub_id="../../x")), "no commit of a repository"),
        (lambda f: manifest(f, lambda c: c["models"][0].update(revision="../../x")), "no commit of a repository"),
        (lambda f: manifest(f, lambda c: c["datasets"][0].update(revision="main")), "no commit of a repository"),
        (lambda f: manifest(f, lambda c: c["models"][0].update(revision=OTHER)), "but no file of it"),
        (lambda f: (f / "manifest.json").write_text("{"), "not a bundle"),
        (lambda f: manifest(f, lambda c: c.update(format=9)), "this genzoo reads 1"),
        (lambda f: manifest(f, lambda c: c.update(files=[])), "is damaged"),
    ],
)
def test_a_spoilt_bundle_copies_nothing(copy, tmp_path, spoil, told):
    spoil(copy)
    with pytest.raises(ZooError, match=told):
        go(copy, tmp_path)
    assert not (tmp_path / "hf").exists()
    assert not (tmp_path / "gz").exists()


def test_what_was_here_of_the_same_commit_is_kept(packed, tmp_path):
    """Offline it could not be fetched again; a link to a blob stays one."""
    home = tmp_path / "hf" / "hub" / "models--acme--tiny"
    (home / "snapshots" / COMMIT / "onnx").mkdir(parents=True)
    (home / "blobs").mkdir()
    (home / "blobs" / "b").write_text("an export")
    (home / "snapshots" / COMMIT / "onnx" / "model.onnx").symlink_to("../../../blobs/b")
    (home / "snapshots" / COMMIT / "config.json").write_text("damaged")
    go(packed, tmp_path)
    assert (home / "snapshots" / COMMIT / "onnx" / "model.onnx").read_text() == "an export"
    assert json.loads((home / "snapshots" / COMMIT / "config.json").read_text())["model_type"] == "qwen3"


def test_another_commit_keeps_its_place(packed, tmp_path):
    main = tmp_path / "hf" / "hub" / "models--acme--tiny" / "refs" / "main"
    main.parent.mkdir(parents=True)
    main.write_text(OTHER)
    (warning,) = go(packed, tmp_path).warnings
    assert OTHER[:12] in warning
    assert main.read_text() == OTHER


def test_a_rival_of_a_data_set_is_named(packed, tmp_path):
    """Offline, `datasets` returns whichever commit it finds."""
    rival = tmp_path / "hf" / "datasets" / "acme___words" / "default" / "0.0.0" / OTHER
    rival.mkdir(parents=True)
    (warning,) = go(packed, tmp_path).warnings
    assert str(rival) in warning
    assert "silently" in warning
    (missing,) = check_dataset(DataSet("acme/none", COMMIT), tmp_path / "hf" / "datasets")
    assert "is not in" in missing


def test_what_cannot_be_packed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("genzoo.publishing.bundle.datasets_cache", lambda: tmp_path / "none")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for names, data, error, told in (
        ([], [], InputError, "nothing to pack"),
        (["smolm2"], [], UnknownNameError, "did you mean"),
        (["acme/tiny"], [], InputError, "40-hex commit"),
        ([], [DataSet("acme/words", COMMIT)], ZooError, "load it once with a network"),
    ):
        with pytest.raises(error, match=told):
            pack(names, data, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="is not a bundle"):
        pack(["minilm"], [], tmp_path / "mine")
    with pytest.raises(InputError, match="is not a bundle"):
        unbundle(tmp_path / "mine")


def test_own_data_travel_with_their_revision(tmp_path):
    (tmp_path / "help desk").mkdir()
    for place in (tmp_path / "help desk" / "x.csv", tmp_path / "y.csv"):
        place.write_text("query,passage,grade\nwhere is Rome,in Italy,1\n")
    (tmp_path / "help desk" / ".lock").touch()
    own = {"help desk": tmp_path / "help desk", "y": tmp_path / "y.csv"}
    pack([], [], tmp_path / "bundle", own)
    done = go(tmp_path / "bundle", tmp_path)
    assert [name.rpartition("-")[0] for name in done.caches] == ["own-data-help-desk", "own-data-y"]
    for name, path in zip(done.caches, own.values(), strict=True):
        assert open_data(tmp_path / "gz" / name).revision == open_data(path).revision
    assert not list((tmp_path / "gz").rglob(".lock"))
