"""Runs commands in this process."""

import sys

import pytest

from genzoo.cli import main


@pytest.fixture
def genzoo(monkeypatch, capsys, tmp_path):
    """Runs a command in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["genzoo", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        got = capsys.readouterr()
        return code, got.out, " ".join(got.err.split())

    return run
