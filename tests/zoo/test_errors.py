"""What the operating system says becomes advice only where that advice helps."""

import errno
import os
import subprocess
import sys

import pytest
from safetensors import SafetensorError

from genzoo.errors import ZooError, system_message
from genzoo.files import replace_folder, write_text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device: free some space or choose another folder"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "Disk quota exceeded: free some space or choose another folder"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "(os error 28): free some space or choose another folder"),
        (SafetensorError("No space left on device"), "device: free some space or choose another folder"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x"), "Permission denied: change its permissions or choose another folder"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "Read-only file system: choose another folder"),
        (ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), "Connection refused: check the network and the address"),
        (TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), "timed out: check the network and the address"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x"), "No such file or directory"),
        (IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), "x"), "Is a directory"),
        (OSError("cannot load library"), "cannot load library"),
        (OSError(), "OSError"),
    ],
)  # fmt: skip
def test_advice_by_number(error, told):
    said = system_message(error)
    assert told in said
    assert ("free some space" in said) == ("free some space" in told)
    assert ("another folder" in said) == ("another folder" in told)


def test_no_other_folder_where_none_would_do():
    assert system_message(OSError(errno.ENOSPC, "full"), "") == "full: free some space"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_writers_say_what_the_disk_refused(tmp_path, number, monkeypatch):
    with pytest.raises(ZooError) as caught, replace_folder(tmp_path / "model"):
        raise OSError(number, os.strerror(number))
    assert ("free some space" in str(caught.value)) == (number == errno.ENOSPC)

    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(ZooError) as caught:
        write_text(tmp_path / "file", "text")
    assert ("free some space" in str(caught.value)) == (number == errno.ENOSPC)


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ENOENT])
def test_what_is_not_the_disk_leaves_a_writer_as_it_is(tmp_path, number):
    with pytest.raises(OSError, match=os.strerror(number)) as caught, replace_folder(tmp_path / "model"):
        raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    assert not (tmp_path / "model").exists()


MAIN = """
import sys, genzoo.cli.app as app
number = int(sys.argv[1])
def fail(): raise OSError(number, __import__("os").strerror(number))
app.app = fail
app.main()
"""


@pytest.mark.parametrize(
    ("number", "is_full"), [(errno.ECONNREFUSED, False), (errno.EMFILE, False), (errno.ENOSPC, True)]
)
def test_the_command_line_says_free_some_space_of_a_full_disk_alone(number, is_full):
    done = subprocess.run([sys.executable, "-c", MAIN, str(number)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error:")
    assert ("free some space" in done.stderr) == is_full
