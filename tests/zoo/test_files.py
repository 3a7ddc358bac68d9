"""Folders are written whole or not at all."""

import subprocess
import sys

import pytest

from genzoo.errors import ZooError
from genzoo.files import replace_folder

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
