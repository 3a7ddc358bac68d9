"""Digests of files, kept so that a large file that has not changed is not read again."""

import os

import pytest

from genzoo.files import sha256_of
from genzoo.tasks.own import digests
from genzoo.tasks.own.digests import combined_digest, digest_of


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """A cache of its own, files of a byte count as large, and how often one was read."""
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 1)
    read = []
    monkeypatch.setattr(digests, "sha256_of", lambda path: read.append(path) or sha256_of(path))
    return read


def old(path, text):
    path.write_text(text)
    os.utime(path, ns=(1, 1))
    return path


def test_a_file_that_has_not_changed_is_read_once(counted, tmp_path):
    path = old(tmp_path / "a", "one")
    assert digest_of(path) == digest_of(path) == sha256_of(path)
    assert len(counted) == 1
    old(path, "two")  # as long, and of the same time
    assert digest_of(path) == sha256_of(path)
    assert len(counted) == 2


def test_a_file_that_was_just_written_is_read_again(counted, tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    digest_of(path)
    digest_of(path)
    assert len(counted) == 2


def test_a_damaged_record_costs_no_more_than_time(counted, tmp_path):
    path = old(tmp_path / "a", "one")
    digest_of(path)
    (record,) = (tmp_path / "cache").rglob("digests.json")
    record.write_text("{")
    assert digest_of(path) == sha256_of(path)


def test_a_digest_depends_on_parts_files_and_how_they_are_read(tmp_path):
    one, two = old(tmp_path / "a", "one"), old(tmp_path / "b", "two")
    asked = [([("x", one)], None), ([("y", one)], None), ([("x", two)], None), ([("x", one)], ["text"]), ([("x", one), ("x", two)], None)]  # fmt: skip
    found = {combined_digest(parts, extra) for parts, extra in asked}
    assert len(found) == len(asked)
    assert {len(each) for each in found} == {40}
