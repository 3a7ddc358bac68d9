"""What a user calls a model."""

from types import SimpleNamespace

import pytest

from genzoo.errors import UnknownNameError, ZooError
from genzoo.names import ModelName, Registry, is_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "base", "revision", "is_on_hub", "is_path"),
    [
        ("smollm2-135m", "smollm2-135m", "", False, False),
        ("org/name", "org/name", "", True, False),
        ("org/name@main", "org/name", "main", True, False),
        (f"org/name@{COMMIT}", "org/name", COMMIT, True, False),
        ("smollm2-135m@v1", "smollm2-135m", "v1", False, False),
        ("a/b/c", "a/b/c", "", False, False),
        ("./org/name", "./org/name", "", False, True),
        ("/org/name", "/org/name", "", False, True),
        ("../name", "../name", "", False, True),
        ("", "", "", False, False),
    ],
)
def test_forms(text, base, revision, is_on_hub, is_path):
    name = ModelName.parse(text)
    assert (name.text, name.base, name.revision) == (text, base, revision)
    assert (name.is_on_hub, name.is_path, name.is_folder) == (is_on_hub, is_path, False)
    assert name.commit == (revision if revision == COMMIT else "")


def test_a_folder_comes_before_every_other_meaning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("smollm2-135m", "org/name", "org/name@main", f"org/name@{COMMIT}"):
        (tmp_path / text).mkdir(parents=True)
        name = ModelName.parse(text)
        assert name == ModelName(text, text, is_folder=True)
        assert not name.is_on_hub
        assert name.commit == ""
    (tmp_path / "org" / "file").write_text("")
    assert ModelName.parse("org/file").is_on_hub


def test_commits():
    assert is_commit(COMMIT)
    for other in ("", "main", COMMIT[:-1], COMMIT + "0", COMMIT.upper(), COMMIT + "\n"):
        assert not is_commit(other)


def test_a_registry_refuses_duplicates_and_suggests():
    large, small = SimpleNamespace(key="qwen3-14b"), SimpleNamespace(key="qwen3-4b")
    rows = Registry("number", "genzoo list", "key")
    rows.register(large, small)
    assert rows.names() == ["qwen3-4b", "qwen3-14b"]
    assert list(rows) == [small, large]
    with pytest.raises(ZooError, match="two numbers are named"):
        rows.register(SimpleNamespace(key="qwen3-4b"))
    with pytest.raises(UnknownNameError, match="did you mean qwen3-4b"):
        rows.get("qwen3-4")
