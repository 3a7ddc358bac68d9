"""The lists of tasks and benchmarks: what is in them, and that mteb is only asked once."""

import pytest

from genzoo.files import cache_root
from genzoo.tasks.sets import catalogue
from genzoo.tasks.sets.benchmarks import TASKS, own_benchmarks


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_ours_come_first_with_their_facts():
    rows = catalogue.list_tasks()
    assert {row.name for row in rows[: len(TASKS)]} == {task.metadata.name for task in TASKS}
    assert len(rows) > 500
    (row,) = catalogue.list_tasks("GenZooMiniSTS")
    assert row == ("GenZooMiniSTS", "STS", "cosine_spearman", 240, 1, "genzoo")
    (theirs,) = catalogue.list_tasks("STSBenchmark")
    assert (theirs.source, theirs.texts) == ("mteb", 2758)


def test_benchmarks_are_listed_once_each():
    rows = catalogue.list_benchmarks()
    assert [row.name for row in rows[:4]] == sorted(one.name for one in own_benchmarks())
    assert len({row.name for row in rows}) == len(rows)
    (mini,) = catalogue.list_benchmarks("GenZoo(mini*")
    assert (mini.tasks, mini.source) == (6, "genzoo")


def test_mteb_is_asked_once(monkeypatch):
    known = catalogue.list_tasks("GenZoo*")
    monkeypatch.setattr(catalogue, "_tasks", lambda: pytest.fail("asked again"))
    assert catalogue.list_tasks("GenZoo*") == known


def test_a_damaged_record_is_made_anew(monkeypatch):
    catalogue.list_tasks()
    (path,) = (cache_root() / "tasks").glob("catalogue-*.json")
    path.write_text('{"tasks": [')
    monkeypatch.setattr(catalogue, "_tasks", lambda: [["A", "STS", "cosine_spearman", 1, 1, "mteb"]])
    monkeypatch.setattr(catalogue, "_benchmarks", lambda: [])
    assert [row.name for row in catalogue.list_tasks()] == ["A"]
