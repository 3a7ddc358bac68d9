"""A second load opens only what changed, says the same, and never writes into the results."""

import hashlib
import io
import json
import os

import pandas as pd
import pyarrow as pa
import pytest

from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.reading import scores


@pytest.fixture
def many(tree, builder, tmp_path, monkeypatch):
    """Two models on thirty tasks, with a record from ten files on."""
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scores, "_WORTH_KEEPING", 10)
    for place in range(30):
        for name, shift in (("a", 0.0), ("b", 0.1)):
            tree.score((f"acme/{name}", "r"), f"T{place:02}", 0.3 + 0.01 * place + shift, 0.5)
    return tree


@pytest.fixture
def opened(monkeypatch):
    """The result files that a load really reads."""
    seen, read = [], scores.read_result
    monkeypatch.setattr(scores, "read_result", lambda file, *a, **k: seen.append(file.source) or read(file, *a, **k))
    return seen


def same(a, b):
    pd.testing.assert_frame_equal(a.main_scores.astype(object), b.main_scores.astype(object))
    assert a.problems == b.problems
    assert a.models == b.models


def test_second_load_opens_nothing_and_says_the_same(many, opened):
    many.write("results/acme__a/r/Broken.json", "{")
    first = ResultStore.load(many.root)
    assert len(opened) == 61
    opened.clear()
    second = ResultStore.load(many.root)
    assert opened == []
    same(first, second)
    assert [problem.source for problem in second.problems] == ["results/acme__a/r/Broken.json"]
    same(second, ResultStore.load(many.root, is_kept=False))


def test_only_changed_new_and_lost_files_matter(many, opened):
    ResultStore.load(many.root)
    opened.clear()
    changed = many.score(("acme/a", "r"), "T05", 0.99, 0.98)
    os.utime(changed, ns=(1, 1))
    many.score(("acme/c", "r"), "T05", 0.4, 0.5)
    (many.root / "results/acme__b/r/T07.json").unlink()
    store = ResultStore.load(many.root)
    assert sorted(opened) == ["results/acme__a/r/T05.json", "results/acme__c/r/T05.json"]
    same(store, ResultStore.load(many.root, is_kept=False))
    opened.clear()
    ResultStore.load(many.root)
    assert opened == []


def test_results_folder_is_left_alone(many):
    before = sorted(path for path in many.root.rglob("*"))
    ResultStore.load(many.root)
    assert sorted(path for path in many.root.rglob("*")) == before


def kept(batch):
    """A record that was written whole and holds this."""
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, batch.schema) as file:
        file.write(batch)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def batch(record):
    return pa.ipc.open_file(record[32:]).get_batch(0)


def with_one_byte_changed(record, at):
    return record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: b"",
        lambda record: b"{",
        lambda record: record[:-100],
        *(lambda record, ninth=ninth: with_one_byte_changed(record, ninth * len(record) // 9) for ninth in range(9)),
        lambda record: record[32:],
        lambda record: kept(batch(record).drop_columns("parts")),
        lambda record: kept(pa.record_batch({"value": [0.5], "words": [[{"a": 1}]]})),
        lambda record: kept(batch(record).slice(0, 0)),
    ],
)
def test_record_that_makes_no_sense_is_ignored(many, tmp_path, damage, opened):
    first = ResultStore.load(many.root)
    (record,) = (tmp_path / "cache/leaderboards").glob("*.arrow")
    record.write_bytes(damage(record.read_bytes()))
    opened.clear()
    same(first, ResultStore.load(many.root))
    assert len(opened) == 60
    opened.clear()
    ResultStore.load(many.root)
    assert opened == []


def test_a_record_without_some_files_is_made_whole(many, tmp_path, opened):
    first = ResultStore.load(many.root)
    (record,) = (tmp_path / "cache/leaderboards").glob("*.arrow")
    record.write_bytes(kept(batch(record.read_bytes()).slice(0, 40)))
    opened.clear()
    same(first, ResultStore.load(many.root))
    assert len(opened) == 20


def test_half_a_surrogate_pair_is_shown_as_its_escape(many, opened):
    odd = json.dumps({"task_name": "T\ud800", "scores": {"test": [{"main_score": 0.5, "hf_subset": "default"}]}})
    many.write("results/acme__a/r/Odd.json", odd)
    assert "T\\ud800" in set(ResultStore.load(many.root).main_scores["task"])
    opened.clear()
    assert "T\\ud800" in set(ResultStore.load(many.root).main_scores["task"])
    assert opened == []


def test_a_file_name_that_is_no_text_is_read_and_kept(many, opened):
    content = json.dumps({"scores": {"test": [{"main_score": 0.5, "hf_subset": "default"}]}})
    many.root.joinpath("results/acme__a/r", os.fsdecode(b"T\xff.json")).write_text(content)
    assert "T\\xff" in set(ResultStore.load(many.root).main_scores["task"])
    opened.clear()
    assert "T\\xff" in set(ResultStore.load(many.root).main_scores["task"])
    assert opened == []


def test_no_place_for_the_record_is_no_error(many, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("GENZOO_CACHE", str(blocked))
    assert len(ResultStore.load(many.root).main_scores) == 120


def test_metric_named_later_is_looked_up_again(many, opened):
    row = {"safety_at_5": 0.9, "hf_subset": "default"}
    many.write("results/acme__a/r/Odd.json", {"task_name": "Odd", "scores": {"test": [row]}})
    assert ResultStore.load(many.root).main_scores.query("task == 'Odd'")["value"].isna().all()
    many.task("Odd", main="safety_at_5")
    opened.clear()
    store = ResultStore.load(many.root)
    assert opened == ["results/acme__a/r/Odd.json"]
    assert list(store.main_scores.query("task == 'Odd'")["value"]) == [0.9]


def test_many_processes_say_the_same_as_one(many, monkeypatch):
    one = ResultStore.load(many.root, is_kept=False)
    monkeypatch.setattr(scores, "_WORTH_SHARING", 10)
    monkeypatch.setattr(scores, "_SHARE", 7)
    same(one, ResultStore.load(many.root, is_kept=False))
