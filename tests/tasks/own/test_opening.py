"""Own data among the tasks of an evaluation: named, told from tasks of mteb, and never mixed."""

import doctest
import json
from pathlib import Path

import pytest

import genzoo
from genzoo.errors import InputError
from genzoo.jobs import CHARACTERS_PER_TOKEN
from genzoo.tasks.own import opening
from genzoo.tasks.own.opening import OwnOptions, checked_name, given_path, open_data, open_given
from genzoo.tasks.request import PlannedTask, Request
from genzoo.tasks.sets.registration import is_name

TABLE = "query,passage,grade\nwhere is Rome,in Italy,1\nwhere is Paris,in France,1\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(TABLE)
    return tmp_path / "mine.csv"


def test_what_looks_like_a_path_is_one(table):
    (table.parent / "a=b").mkdir()
    asked = (
        "mine.csv",
        "./x",
        "x.csv",
        "help=mine.csv",
        "help=nowhere",
        "a=b",
        "SciFact",
        "GenZoo(mini, v1)",
        "x=",
        table,
    )
    assert {given: given_path(given) for given in asked} == {
        "mine.csv": (None, Path("mine.csv")),
        "./x": (None, Path("x")),
        "x.csv": (None, Path("x.csv")),
        "help=mine.csv": ("help", Path("mine.csv")),
        "help=nowhere": ("help", Path("nowhere")),
        "a=b": (None, Path("a=b")),
        "SciFact": None,
        "GenZoo(mini, v1)": None,
        "x=": None,
        table: (None, table),
    }


def opened(tasks, known=(), notes=None, **options):
    found = open_given(tasks, OwnOptions(**options), known.__contains__, [].append if notes is None else notes.append)
    return [task if isinstance(task, str) else task.metadata.name for task in found]


def test_paths_become_tasks_beside_others(table):
    assert opened(["SciFact", "mine.csv", "help=mine.csv", table, open_data(table, "other")], {"SciFact"}) == [
        "SciFact", "mine", "help", "other",
    ]  # fmt: skip


def test_a_known_name_is_the_task_of_that_name(table):
    (table.parent / "SciFact").mkdir()
    notes = []
    assert opened(["SciFact"], {"SciFact"}, notes) == ["SciFact"]
    assert notes == ["SciFact is taken as the task of that name; the file or folder is ./SciFact"]


@pytest.mark.parametrize(
    ("tasks", "options", "message"),
    [
        (
            ["SciFact=mine.csv"],
            {},
            "'SciFact' is the name of a known task. Give your data another: NAME=mine.csv; or measure",
        ),
        (
            ["mine.csv", "mine=other.csv"],
            {},
            "mine.csv and other.csv are both called 'mine': name one of them, NAME=other.csv",
        ),
        (["nowhere.csv"], {}, "there is no file or folder nowhere.csv"),
        (["SciFact"], {"kind": "clustering"}, "kind, columns, split and language are for files of your own"),
        (["a/b=mine.csv"], {}, "'a/b' cannot be the name of a task"),
    ],
)
def test_names_that_would_mix_are_refused(table, tasks, options, message):
    (table.parent / "other.csv").write_text(TABLE.replace("Rome", "Oslo"))
    with pytest.raises(InputError, match=message):
        opened(tasks, {"SciFact"}, **options)


@pytest.mark.parametrize("name", ["", " a", "a/b", "a\\b", ".a", "a\n", "x" * 101, "a:b", "a@b"])
def test_names_that_no_file_could_have(name):
    with pytest.raises(InputError, match="cannot be the name of a task"):
        checked_name(name)
    assert checked_name("Hilfe (v2), Küche") == "Hilfe (v2), Küche"


def test_a_request_plans_own_data(table):
    notes = []
    grid = Request(models=("random",), tasks=("mine.csv", "GenZooMiniSTS")).resolve(notes.append)
    assert [task.metadata.name for task in grid.tasks] == ["mine", "GenZooMiniSTS"]
    assert PlannedTask.of(grid.tasks[0]) == PlannedTask("mine", 4, round((8 + 9 + 13 + 14) / CHARACTERS_PER_TOKEN))
    assert grid.benchmark_name is None
    with pytest.raises(InputError, match="a benchmark chooses among its own tasks"):
        Request(models=("random",), benchmark="GenZoo(mini, v1)", tasks=("mine.csv",)).resolve()
    assert is_name("GenZooMiniSTS")
    assert is_name("GenZoo(mini, v1)")
    assert not is_name("mine.csv")


def test_paths_are_the_same_from_any_folder(table, tmp_path):
    (tmp_path / "SciFact").mkdir()
    asked = Request(
        models=("random",), tasks=("mine.csv", "help=mine.csv", "SciFact"), data=("SciFact=SciFact", "x=@a")
    )
    made = asked.portable()
    assert made.tasks == (str(table), f"help={table}", "SciFact")
    assert made.data == (f"SciFact={tmp_path / 'SciFact'}", "x=@a")


def test_own_data_are_measured_and_shown_like_any_task(table, tmp_path):
    results = genzoo.evaluate(["random", "bm25"], ["help=mine.csv", Path("mine.csv")], output="out")
    assert results.tasks == ["help", "mine"]
    board = results.leaderboard()
    assert {"help", "mine"} <= set(results.to_frame()["task"])
    assert "bm25" in board.to_markdown()
    record = json.loads(Path("out/tasks.json").read_text())["help"]
    assert record["dataset"]["path"] == "own/help"
    held = "".join(
        path.read_text(errors="replace") for path in Path("out").rglob("*") if path.is_file() and path.suffix != ".lock"
    )
    assert str(tmp_path) not in held
    assert results.compare("baseline-bm25s", "baseline-random-encoder").to_frame().shape[0] == 2


def test_what_changed_is_measured_again_and_what_did_not_is_kept(table):
    def made():
        return {path: path.stat().st_mtime_ns for path in Path("out/results").rglob("mine.json")}

    genzoo.evaluate("bm25", "mine.csv", output="out")
    first = made()
    genzoo.evaluate("bm25", "mine.csv", output="out")
    assert made() == first
    table.write_text(TABLE + "where is Oslo,in Norway,1\n")
    genzoo.evaluate("bm25", "mine.csv", output="out")
    assert made() != first
    again = genzoo.plan_evaluation("bm25", "mine.csv", output="out")
    assert again.finished is not None
    table.write_text(TABLE)
    assert genzoo.plan_evaluation("bm25", "mine.csv", output="out").finished is None


def test_doctests():
    assert doctest.testmod(opening).attempted
    assert not doctest.testmod(opening).failed
