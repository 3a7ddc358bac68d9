"""Freed memory is kept, where the C library can."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from genzoo.cli.app import keep_freed_memory
import numpy as np
if sys.argv[1] == "kept":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    for _ in range(20):
        np.ones(48 << 20, dtype=np.uint8)
work()
before = faults()
work()
print(faults() - before)
"""


def _faults(how):
    return int(subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_the_next_array_takes_the_memory_of_the_last():
    assert _faults("kept") * 20 < _faults("default")


def test_another_c_library_is_left_alone(monkeypatch):
    from genzoo.cli import app

    monkeypatch.setattr(app.ctypes, "CDLL", lambda name: object())
    assert app.keep_freed_memory() is False
