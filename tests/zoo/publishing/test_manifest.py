"""The list of a bundle's files, and data sets by the names that the `datasets` library gives them."""

import json
from pathlib import Path

import pytest

from genzoo.errors import ZooError
from genzoo.publishing.manifest import DataSet, Manifest, PackedModel, arrow_folders, check_dataset, dataset_folder

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def folder(tmp_path):
    file = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / COMMIT / "config.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    return tmp_path


def test_a_manifest_is_read_back_as_it_was_written(folder):
    made = Manifest.of_folder(folder, [PackedModel("acme/tiny", COMMIT)], ["tiny-1"], [])
    made.save(folder)
    assert Manifest.load(folder) == made
    made.check(folder)
    content = json.loads((folder / "manifest.json").read_text())
    assert list(content) == ["format", "models", "caches", "datasets", "files"]
    (facts,) = content["files"].values()
    assert (facts["size"], facts["sha256"][:8]) == (2, "44136fa3")  # sha256 of {}


def test_the_first_file_that_changed_is_named(folder):
    made = Manifest.of_folder(folder, [], [], [])
    (path,) = made.files
    (folder / path).write_text("[]")
    with pytest.raises(ZooError, match=f"{path} is not what was packed"):
        made.check(folder)


def test_data_sets_are_found_under_the_name_that_the_library_gives_them(tmp_path, monkeypatch):
    """`datasets` writes CamelCase names in snake case."""
    from datasets import Dataset, DatasetDict, load_dataset

    DatasetDict({"test": Dataset.from_dict({"a": [1]})})  # the library is there
    (tmp_path / "acme" / "CamelCase-Data").mkdir(parents=True)
    (tmp_path / "acme" / "CamelCase-Data" / "test.jsonl").write_text('{"a": 1}\n')
    monkeypatch.chdir(tmp_path)
    loaded = load_dataset("acme/CamelCase-Data", split="test", cache_dir=str(tmp_path / "cache"))
    name = Path(loaded.cache_files[0]["filename"]).relative_to(tmp_path / "cache").parts[0]
    assert dataset_folder("acme/CamelCase-Data").partition("___")[2] == name.rpartition("___")[2]


def test_offline_the_library_would_return_another_commit(tmp_path):
    data = DataSet("acme/words", COMMIT)
    assert "is not in" in check_dataset(data, tmp_path)[0]
    mine = tmp_path / "acme___words" / "default" / "0.0.0" / COMMIT
    mine.mkdir(parents=True)
    assert arrow_folders(tmp_path, data) == [mine]
    assert check_dataset(data, tmp_path) == []
    rival = mine.with_name(OTHER)
    rival.mkdir()
    (warning,) = check_dataset(data, tmp_path)
    assert str(rival) in warning
