"""A finished task enters the results folder whole or not at all, whatever happens meanwhile."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mteb.results import TaskResult

from genzoo.errors import ZooError
from genzoo.tasks import evaluate, resolve_tasks, results_folder

SHA = "0123456789abcdef0123456789abcdef01234567"


FEW = ["GenZooMiniSTS", "GenZooMiniReasoningRetrieval", "GenZooMiniSafetyRetrieval"]


@pytest.fixture
def few():
    return resolve_tasks(None, FEW)[0]


def result_file(output, task, name="test-org__tiny"):
    return output / "results" / name / SHA / f"{task}.json"


def predictions_file(output, task, name="test-org__tiny"):
    return output / "predictions" / name / SHA / f"{task}_predictions.json"


def load(path):
    return json.loads(path.read_text())


def scores(output, name="test-org__tiny"):
    """All scores of a model as written, less what depends on the clock."""
    return {path.name: load(path)["scores"] for path in (output / "results" / name / SHA).glob("GenZoo*.json")}


def test_missing_predictions_are_made_up_for(make_meta, few, tmp_path):
    evaluate([make_meta()], few, tmp_path)
    path = predictions_file(tmp_path, "GenZooMiniSafetyRetrieval")
    before = load(path)
    path.unlink()
    evaluate([make_meta()], few, tmp_path)
    assert load(path) == before
    assert make_meta.loads == ["test-org/tiny"] * 2


def test_a_damaged_result_is_named_and_the_others_go_on(make_meta, few, tmp_path):
    evaluate([make_meta()], few[:1], tmp_path)
    path = result_file(tmp_path, FEW[0])
    for damage in (path.read_text()[:200], "", "[]", "{}"):
        path.write_text(damage)
        with pytest.raises(ZooError, match=r"1 of 3 runs failed") as caught:
            evaluate([make_meta()], few, tmp_path)
        assert str(path) in str(caught.value)
        assert "delete it" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert path.read_text() == damage
    assert result_file(tmp_path, FEW[2]).is_file()
    evaluate([make_meta()], few, tmp_path, overwrite=True)
    TaskResult.from_disk(path)


def test_a_folder_that_cannot_be_made(make_meta, few, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ZooError, match="cannot write to the results folder"):
            evaluate([make_meta()], few, output)
    assert make_meta.loads == []


@pytest.mark.parametrize("moment", ["result", "predictions", "record"])
def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(make_meta, few, tmp_path, monkeypatch, moment):
    evaluate([make_meta()], few[:1], tmp_path)
    kept = scores(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "somewhere"))

    if moment == "result":
        monkeypatch.setattr(TaskResult, "to_disk", full)
    elif moment == "predictions":
        monkeypatch.setattr(type(few[1]), "_save_task_predictions", full)
    else:
        monkeypatch.setattr("genzoo.files._sync", full)
    with pytest.raises(ZooError, match=r"cannot write to the results folder .*No space left on device.*are kept"):
        evaluate([make_meta()], few, tmp_path)
    assert scores(tmp_path) == kept
    assert not (tmp_path / ".staging").exists()
    changed = {path for path in tmp_path.rglob("*") if path.is_file() and before.get(path) != path.read_bytes()}
    assert {path.name for path in changed} <= {"tasks.json", f"{SHA}.json"}
    monkeypatch.undo()
    evaluate([make_meta()], few, tmp_path)
    assert len(scores(tmp_path)) == 3


def test_scratch_folders_of_killed_runs_are_swept_when_old(make_meta, few, tmp_path):
    for name, age in (("old", 2 * 24 * 3600), ("new", 60)):
        folder = tmp_path / ".staging" / name
        folder.mkdir(parents=True)
        stamp = folder.stat().st_mtime - age
        os.utime(folder, (stamp, stamp))
    results_folder.ResultsFolder(tmp_path)
    assert [path.name for path in (tmp_path / ".staging").iterdir()] == ["new"]


AT_WORK = """
import sys
from pathlib import Path
from genzoo.tasks.results_folder import ResultsFolder
with ResultsFolder(Path(sys.argv[1])).staging() as folder:
    print(folder, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_run_that_is_alive_keeps_its_scratch_folder_however_old_it_is(tmp_path, is_killed):
    command = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        folder = Path(run.stdout.readline().strip())
        if is_killed:
            run.kill()
            run.wait()
        week = folder.stat().st_mtime - 7 * 24 * 3600
        os.utime(folder, (week, week))
        results_folder.ResultsFolder(tmp_path)
        assert folder.is_dir() is not is_killed
        if not is_killed:
            run.communicate("done\n")
            assert run.returncode == 0
            assert not (tmp_path / ".staging").exists()


def test_a_scratch_folder_is_made_while_other_runs_remove_theirs(tmp_path, monkeypatch):
    """The last run to end removes the empty parent, at whatever moment."""
    folder = results_folder.ResultsFolder(tmp_path)
    make, removed = results_folder.tempfile.mkdtemp, []

    def after_removal(dir, **options):
        if len(removed) < 2:
            removed.append(dir)
            dir.rmdir()
        return make(dir=dir, **options)

    monkeypatch.setattr(results_folder.tempfile, "mkdtemp", after_removal)
    with folder.staging() as made:
        assert made.is_dir()
    assert len(removed) == 2
