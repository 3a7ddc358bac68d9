"""Folders are written whole or not at all."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genzoo import files
from genzoo.errors import CheckpointError, InputError, ZooError
from genzoo.files import (
    file_digests,
    folder_content,
    folder_digest,
    is_hidden,
    parts_digest,
    read_json,
    replace_file,
    replace_folder,
    strict_json,
    write_files,
    write_json,
    write_text,
)

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from genzoo.errors import ZooError
from genzoo.files import replace_folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with replace_folder(Path(sys.argv[1])) as new:
        save_file({"weight": torch.zeros(1000, 1000)}, new / "model.safetensors")
except ZooError as error:
    print(error)
"""


def test_a_disk_that_safetensors_cannot_write_to_is_one_error(tmp_path):
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path / "model")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "cannot write" in said
    assert "free some space" in said
    assert list(tmp_path.iterdir()) == []


def test_the_old_folder_stays_when_the_new_one_fails(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    with pytest.raises(ZooError, match="cannot write"), replace_folder(tmp_path / "model") as new:
        (new / "half").write_text("half")
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "old"]


def test_the_new_folder_takes_the_place_of_the_old(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    with replace_folder(tmp_path / "model") as new:
        (new / "new").write_text("new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "new"]


def make(folder, text):
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    return folder


def content(folder):
    """Every file below a folder, hidden ones too, with its text."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["swap", "renames"])
def way(request, monkeypatch):
    """With and without a system that swaps two folders in one step."""
    if request.param == "renames":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    return request.param


def test_the_old_folder_is_back_when_a_rename_fails(tmp_path, way, monkeypatch):
    target, rename, calls = make(tmp_path / "model", "old"), Path.rename, []

    def failing(self, other):
        calls.append(self.name)
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing)
    if way == "renames":
        with pytest.raises(ZooError, match="cannot write"), replace_folder(target) as new:
            (new / "file").write_text("new")
        assert content(tmp_path) == {"model/file": "old"}
        assert calls == ["model", "new", "old-00"]
    else:
        with replace_folder(target) as new:
            (new / "file").write_text("new")
        assert content(tmp_path) == {"model/file": "new"}
        assert calls == []


KILLED = """
import os, sys
from pathlib import Path
from genzoo import files
target, point, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if way == "renames":
    files._exchange = lambda one, other: False
steps = []
def counted(function):
    def step(*args, **kwargs):
        steps.append(function)
        if len(steps) == point:
            os._exit(9)
        found = function(*args, **kwargs)
        return found
    return step
for name in ("_exchange", "_sync"):
    setattr(files, name, counted(getattr(files, name)))
Path.rename = counted(Path.rename)
files.shutil.rmtree = counted(files.shutil.rmtree)
with files.replace_folder(target) as new:
    (new / "file").write_text("new")
"""


@pytest.mark.parametrize("point", range(1, 9))
def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path, way, point):
    target = make(tmp_path / "model", "old")
    code = subprocess.run([sys.executable, "-c", KILLED, target, str(point), way], check=False).returncode
    assert code in (0, 9)
    if way == "swap":
        assert content(target) in ({"file": "old"}, {"file": "new"})
    with pytest.raises(KeyError), replace_folder(target):  # the next run settles what was left, and fails itself
        raise KeyError
    assert content(target) in ({"file": "old"}, {"file": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_run_at_work_keeps_its_folder(tmp_path):
    with replace_folder(tmp_path / "model") as first:
        (first / "file").write_text("first")
        with replace_folder(tmp_path / "model") as second:
            (second / "file").write_text("second")
        assert content(tmp_path / "model") == {"file": "second"}
        assert first.is_dir()
    assert content(tmp_path) == {"model/file": "first"}


def test_two_that_replace_the_same_folder_at_once(tmp_path, way):
    make(tmp_path / "model", "old")

    def write(text):
        for _ in range(20):
            with replace_folder(tmp_path / "model") as new:
                (new / "file").write_text(text)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["one", "two"]))
    assert content(tmp_path) in ({"model/file": "one"}, {"model/file": "two"})


def test_what_was_read_is_no_fault_of_what_is_written(tmp_path):
    with pytest.raises(ConnectionRefusedError), replace_folder(tmp_path / "a" / "model"):
        raise ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(FileNotFoundError), replace_folder(tmp_path / "a" / "model"):
        (tmp_path / "nothing").read_text()
    assert list((tmp_path / "a").iterdir()) == []


def test_a_file_is_no_folder_to_replace(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(InputError, match="is a file"), replace_folder(tmp_path / "model"):
        pass
    assert content(tmp_path) == {"model": "mine"}


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    make(tmp_path / "disk" / "model", "old")
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "model")
    with replace_folder(tmp_path / "model") as new:
        (new / "file").write_text("new")
    assert (tmp_path / "model").is_symlink()
    assert content(tmp_path / "disk") == {"model/file": "new"}


def test_names_as_long_as_they_may_be(tmp_path):
    name = "ü" * 127
    write_text(tmp_path / name, "text")
    with replace_folder(tmp_path / name[1:]) as new:
        (new / "file").write_text("new")
    assert content(tmp_path) == {name: "text", f"{name[1:]}/file": "new"}


def test_two_that_write_one_file_at_once(tmp_path):
    """Nothing of a temporary name is a process id: two containers that share a folder may run under one."""

    def write(text):
        for _ in range(30):
            write_text(tmp_path / "file", text * 1000)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["one", "two"]))
    assert content(tmp_path) in ({"file": "one" * 1000}, {"file": "two" * 1000})


def test_a_file_that_fails_or_is_killed_leaves_the_old_one_alone(tmp_path, monkeypatch):
    write_text(tmp_path / "file", "old")
    with pytest.raises(KeyboardInterrupt), replace_file(tmp_path / "file") as new:
        new.write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"file": "old"}
    code = "import os, sys\nfrom pathlib import Path\nfrom genzoo.files import replace_file\n"
    code += "with replace_file(Path(sys.argv[1])) as new:\n    new.write_text('half')\n    os._exit(9)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "file"], check=False)
    assert len(content(tmp_path)) > 1
    with replace_file(tmp_path / "file") as new:
        new.write_text("one")
        write_text(tmp_path / "file", "two")  # removes what the killed one left, and not what is at work
    assert content(tmp_path) == {"file": "one"}
    with pytest.raises(ZooError, match="cannot write"):
        write_text(tmp_path / "file" / "below", "x")


def test_several_files_or_none(tmp_path):
    make(tmp_path / "out", "mine")
    write_files(tmp_path / "out", {"a.html": "old", "figures/b.svg": b"old"})
    (tmp_path / "out" / "c.html").mkdir()  # in the way of the last one
    with pytest.raises(ZooError, match="cannot write"):
        write_files(tmp_path / "out", {"a.html": "new", "figures/b.svg": "new", "d/e.svg": "new", "c.html": "new"})
    assert content(tmp_path / "out") == {"file": "mine", "a.html": "old", "figures/b.svg": "old"}
    assert not (tmp_path / "out" / "d").exists()
    (tmp_path / "out" / "c.html").rmdir()
    paths = write_files(tmp_path / "out", {"a.html": "new", "c.html": "new"})
    assert [path.name for path in paths] == ["a.html", "c.html"]
    assert content(tmp_path / "out") == {"file": "mine", "a.html": "new", "figures/b.svg": "old", "c.html": "new"}


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "a/../../escaped", "figures/../../out2/x"])
def test_no_file_leaves_its_folder(tmp_path, name):
    with pytest.raises(InputError, match="is not below"):
        write_files(tmp_path / "out", {"fine": "x", name: "x"})
    assert list(tmp_path.iterdir()) == []


def test_json_that_every_reader_takes():
    value = {"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": (1.5, "NaN", None, True, 3)}
    text = strict_json(value)
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": None, "b": [None, {"c": None}], "d": [1.5, "NaN", None, True, 3],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (None, {}, r"a\.json is missing: mend it"),
        (b'{"a": 1', {}, r"a\.json is not JSON \(.*\): mend it"),
        (b"\xff\xfe{\x00", {}, r"a\.json is not JSON"),
        (b"[" * 100_000, {}, r"a\.json is not JSON"),
        (b"[1]", {}, r"a\.json holds a JSON list, expected an object: mend it"),
        (b"{}", {"kind": list}, r"a\.json holds a JSON dict, expected a list: mend it"),
        (b'{"a": {"b": 1, "b": 2}}', {"has_unique_names": True}, r"names 'b' twice"),
    ],
)
def test_what_is_no_json_is_one_clear_error(tmp_path, content, options, told):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_json(path, "mend it", error=InputError, **options)


def test_json_is_read_as_it_was_written(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.json"
    assert read_json(path, "", is_optional=True) == {}
    write_json(path, {"ö": float("nan"), "b": [1]})
    assert path.read_bytes() == '{\n "ö": null,\n "b": [\n  1\n ]\n}\n'.encode()
    assert read_json(path, "") == {"ö": None, "b": [1]}
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as some editors save it
    assert read_json(path, "")["b"] == [1]
    monkeypatch.setattr(files, "JSON_LIMIT", 9)
    with pytest.raises(CheckpointError, match="at most 0 MiB are read: cut it"):
        read_json(path, "cut it")


def test_a_folders_digests_are_of_names_and_bytes(tmp_path):
    """Digests that are written down in checkpoints and runs: they must not change."""
    for name in ("config.json", "model.safetensors", "README.md", ".hidden", ".git/config.json", "sub/tokenizer.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [line.partition("\0")[0] for line in file_digests(tmp_path, lambda path: not is_hidden(path))] == [
        "README.md", "config.json", "model.safetensors", "sub/tokenizer.json",
    ]  # fmt: skip
    assert folder_digest(tmp_path) == "fe59876dbcbb20a7c65890ca9d2dac940b2eb37c"
    assert folder_digest(tmp_path, "*.safetensors") == "24f9a62b11f07a4667938c25b951db584c5e0710"
    assert folder_content(tmp_path) == "0978994615ceed16"
    assert parts_digest(("ab", "c")) == "430fb1b4ac43316e"
    assert parts_digest(("ab", "c")) != parts_digest(("a", "bc"))
    (tmp_path / "README.md").write_text("other words")
    (tmp_path / ".git" / "config.json").write_text("x")
    assert folder_content(tmp_path) == "0978994615ceed16"
    (tmp_path / "sub" / "tokenizer.json").write_text("x")
    assert folder_content(tmp_path) != "0978994615ceed16"
