"""A results folder as a Python value: boards, comparisons and pages without a shell."""

import json

import pandas as pd
import pytest
import results_tree

import genzoo
from genzoo.errors import InputError, UnknownNameError, ZooError

STUDENT, TEACHER = "SmolLM2-135M-Instruct-LLM2Vec-Gen", "all-MiniLM-L6-v2"


@pytest.fixture
def results(full_tree):
    return genzoo.open_results(full_tree.root)


def test_a_folder_without_results_is_an_error_when_it_is_opened(tmp_path):
    with pytest.raises(ZooError, match=r"is not there.*genzoo evaluate"):
        genzoo.open_results(tmp_path / "nowhere")
    with pytest.raises(ZooError, match="no usable result"):
        genzoo.open_results(tmp_path)


def test_it_says_what_it_holds(results):
    assert STUDENT in results.models
    assert results.benchmarks == ["GenZoo(mini, v1)"]
    assert len(results.tasks) == 9
    assert results.problems == ()
    frame = results.to_frame()
    assert len(frame) == 36
    assert len(results.to_frame(all_metrics=True)) > len(frame)


def test_a_board_is_a_frame_of_numbers(results):
    board = results.leaderboard("GenZoo(mini, v1)")
    frame = board.to_frame()
    assert list(frame.index) == [row.label for row in board.rows]
    assert frame.loc[STUDENT, "GenZooMiniRetrieval"] == results_tree.SCORES[results_tree.STUDENT][0]
    assert pd.api.types.is_numeric_dtype(frame["Mean (task) without safety"])
    for column in board.table(is_full=True).columns[1:]:  # also of a column without any value
        assert pd.api.types.is_numeric_dtype(frame[column.label]) != column.is_text, column.label
    assert json.loads(board.to_json())["rows"][0]["Model"] == board.rows[0].label
    assert board.to_csv().count("\n") == len(board.rows) + 1
    assert board.to_markdown().startswith("| Model |")
    assert repr(board) == "<leaderboard: GenZoo(mini, v1), 4 models, 6 tasks>"


def test_a_board_of_some_tasks(results):
    board = results.leaderboard(tasks=["STSBenchmark", "SciFact"])
    assert set(board.tasks) == {"STSBenchmark", "SciFact"}
    assert set(results.leaderboard(tasks="SciFact").tasks) == {"SciFact"}
    with pytest.raises(UnknownNameError, match=r"no task 'SciFct' .* SciFact"):
        results.leaderboard(tasks=["SciFct"])
    with pytest.raises(UnknownNameError, match="no task 'SciFact'"):
        results.leaderboard("GenZoo(mini, v1)", tasks=["SciFact"])
    with pytest.raises(UnknownNameError, match="unknown benchmark"):
        results.leaderboard("GenZoo(mini)")


def test_a_reference_is_each_models_teacher_or_one_model(results):
    assert results.leaderboard(reference="teacher").reference is None
    assert results.leaderboard(reference=TEACHER).reference == results_tree.TEACHER
    with pytest.raises(UnknownNameError, match="no model 'nobody'"):
        results.leaderboard(reference="nobody")


def test_two_models_side_by_side(results, tmp_path):
    found = results.compare(STUDENT, TEACHER)
    frame = found.to_frame()
    assert frame.loc["STSBenchmark", STUDENT] == pytest.approx(0.742)
    assert frame.loc["STSBenchmark", TEACHER] == pytest.approx(0.8203)
    assert {path.suffix for path in found.report(tmp_path)} >= {".html", ".md"}


def test_pages_go_where_they_are_asked_to(results, tmp_path):
    assert results.report(tmp_path / "one.html") == [tmp_path / "one.html"]
    assert {path.name for path in results.report(tmp_path / "both")} >= {"report.html", "report.md"}
    assert tmp_path / "site" / "index.html" in results.site(tmp_path / "site")


def test_it_shows_itself_without_script(tree):
    name = "acme/<script>alert(1)</script>"
    tree.task("<img src=x onerror=alert(1)>")
    tree.model(name, "r1", role="other")
    tree.score((name, "r1"), "<img src=x onerror=alert(1)>", 0.5)
    results = genzoo.open_results(tree.root)
    for page in (
        results._repr_html_(),
        results.leaderboard()._repr_html_(),
        results.leaderboard().table(is_full=True)._repr_html_(),
    ):
        assert "<table" in page
        assert "<script" not in page
        assert "<img" not in page


def test_submitting_leaves_what_is_reported(results, tmp_path):
    parts = results.submit(tmp_path / "submission", models=[results_tree.OTHER[0]], benchmark="GenZoo(mini, v1)")
    assert [part.name for part in parts] == [results_tree.OTHER[0]]
    assert (tmp_path / "submission" / "CHECKLIST.md").is_file()


def test_what_is_of_a_wrong_kind_is_named(results):
    for folder in (None, [], 5):
        with pytest.raises(InputError, match="give a results folder"):
            genzoo.open_results(folder)
    for tasks in ([], 5):
        with pytest.raises(InputError, match="give the name of a task"):
            results.leaderboard(tasks=tasks)
    with pytest.raises(UnknownNameError, match="no model '1'"):
        results.compare(1, 2)
