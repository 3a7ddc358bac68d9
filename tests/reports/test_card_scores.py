"""What a model card shows of a results folder: the scores of the report with their intervals, and nothing made up."""

import json

import numpy as np
import pytest
from results_tree import STUDENT, TEACHER, full_tree

from genzoo.errors import InputError
from genzoo.leaderboards import ResultStore
from genzoo.leaderboards.comparison import compare_queries
from genzoo.leaderboards.statistics.resampling import items_interval
from genzoo.reports.card_scores import read_card_scores


def judged(root):
    """The student finds two of three documents first and the third second, the teacher always second."""
    tree = full_tree(root)
    task, places = "GenZooMiniReasoningRetrieval", range(30)
    tree.judge(task, {f"q{i}": f"d{i}" for i in places}, {f"d{i}": f"passage {i}" for i in range(31)})
    best = {f"q{i}": {f"d{i}": 0.5, f"d{i + 1}": 0.9 if i % 3 == 0 else 0.1} for i in places}
    tree.predict(STUDENT, task, best)
    tree.predict(TEACHER, task, {f"q{i}": {f"d{i}": 0.5, f"d{i + 1}": 0.9} for i in places})
    tree.score(STUDENT, task, (20 + 10 * SECOND) / 30)
    tree.score(TEACHER, task, SECOND)
    path = tree.score(STUDENT, "Banking77Classification", 0.645)
    draws = [{"accuracy": 0.60 + 0.01 * place} for place in range(10)]
    content = json.loads(path.read_text())
    content["scores"]["test"][0]["scores_per_experiment"] = draws
    path.write_text(json.dumps(content))
    return task


SECOND = 1 / np.log2(3)


def test_intervals_are_those_of_the_report(tmp_path):
    task = judged(tmp_path / "r")
    scores = {row.task: row for row in read_card_scores(tmp_path / "r", STUDENT[0]).rows}
    store = ResultStore.load(tmp_path / "r")
    key, teacher = store.find(STUDENT[0]), store.find(TEACHER[0])
    own = np.array([outcome.score for outcome in store.outcomes(key, task).values()])
    straight = items_interval([own], (0.0, 1.0))
    assert scores[task].interval == f"[{straight.low * 100:.1f}, {straight.high * 100:.1f}]"
    assert straight.low < scores[task].value / 100 < straight.high
    assert scores[task].over == "30 queries"
    (found,) = compare_queries(store, key, teacher, (task,))
    low, high = (f"{end * 100:+.1f}" for end in (found.interval.low, found.interval.high))
    assert scores[task].difference == f"{found.interval.estimate * 100:+.1f} [{low}, {high}]"
    assert found.interval.low > 0
    assert scores["Banking77Classification"].over == "10 draws of training examples"
    ends = [float(end) for end in scores["Banking77Classification"].interval.strip("[]").split(", ")]
    assert 60.0 <= ends[0] < 64.5 < ends[1] <= 69.0
    for name in ("STSBenchmark", "SciFact"):  # no scores per query in this folder: nothing is made up
        assert (scores[name].interval, scores[name].difference) == ("", "")


def card_row(tree, task, rows, score, **facts):
    """The card's row of a task whose result file has these entries by split and subset."""
    tree.task(task, **facts)
    path = tree.score(STUDENT, task, *[entry.get("main_score", score) for entry in rows])
    content = json.loads(path.read_text())
    for place, entry in enumerate(rows):
        content["scores"]["test"][place].pop("scores_per_experiment")
        content["scores"]["test"][place] |= entry
    path.write_text(json.dumps(content))
    return next(row for row in read_card_scores(tree.root, STUDENT[0]).rows if row.task == task)


def ends_of(row):
    return [float(end) for end in row.interval.strip("[]").split(", ")]


def test_levels_of_a_clustering_are_drawn_apart(tree):
    levels = {f"Level {place}": [middle + 0.01 * (step % 3 - 1) for step in range(9)]
              for place, middle in enumerate((0.3, 0.6))}  # fmt: skip
    found = card_row(tree, "C", [{"v_measures": levels}], 0.45, kind="Clustering", main="v_measure")
    low, high = ends_of(found)
    assert 44.0 < low < 45.0 < high < 46.0
    assert found.over == "18 draws of texts"


def test_subsets_of_a_classification_are_drawn_apart(tree):
    subsets = [[0.30, 0.31, 0.29, 0.30, 0.31, 0.29], [0.7, 0.72, 0.68, 0.7, 0.71, 0.69]]
    entries = [
        {"main_score": float(np.mean(draws)), "scores_per_experiment": [{"accuracy": draw} for draw in draws]}
        for draws in subsets
    ]
    found = card_row(tree, "A", entries, 0.5, kind="Classification", main="accuracy")
    low, high = ends_of(found)
    assert 48.5 < low < 50.0 < high < 51.5
    assert found.over == "12 draws of training examples"
    entries[1].pop("scores_per_experiment")
    assert card_row(tree, "A", entries, 0.5, kind="Classification", main="accuracy").interval == ""


def test_draws_that_are_all_alike_are_no_certainty(tree):
    entry = {"scores_per_experiment": [{"accuracy": 1.0}] * 10}
    assert card_row(tree, "A", [entry], 1.0, kind="Classification", main="accuracy").interval == ""


def test_draws_that_do_not_give_the_stated_score_are_not_used(tmp_path):
    judged(tmp_path / "r")
    (path,) = (tmp_path / "r" / "results").glob("*LLM2Vec-Gen/*/Banking77Classification.json")
    path.write_text(path.read_text().replace("0.645", "0.8"))
    scores = {row.task: row for row in read_card_scores(tmp_path / "r", STUDENT[0]).rows}
    assert scores["Banking77Classification"].interval == ""


def test_scores_of_another_revision_are_refused(tmp_path):
    full_tree(tmp_path / "r")
    assert read_card_scores(tmp_path / "r", STUDENT[0], STUDENT[1]).rows
    with pytest.raises(InputError, match="at revision aaaaaaaaaaaa, but the revision to be published is eeeeee"):
        read_card_scores(tmp_path / "r", STUDENT[0], "e" * 40)


def test_scores_are_shown_as_in_tables(full_tree):
    scores = read_card_scores(full_tree.root, STUDENT[0])
    rows = {row.task: row for row in scores.rows}
    row = rows["STSBenchmark"]
    assert (row.metric, row.shown, row.teacher, row.value) == (
        "Spearman (cosine) ↑",
        "74.2",
        "82.0",
        pytest.approx(74.2),
    )
    assert (row.dataset, row.dataset_revision, row.date) == ("genzoo/STSBenchmark", "v1", "2026-05-01")
    assert scores.teacher == TEACHER[0]
    assert scores.summary.startswith("Mean difference to its teacher over 8 tasks, without safety tasks: −8.5 points")
    assert scores.conditions == "Measured in float32 on cpu (torch 2.13.0, mteb 2.26.24)."


def test_a_model_without_a_teacher_or_a_record_has_scores_alone(full_tree, builder):
    scores = read_card_scores(full_tree.root, builder.OTHER[0])
    assert len(scores.rows) == 9
    assert (scores.teacher, scores.summary, scores.conditions, scores.readings) == ("", "", "", ())
    assert {row.teacher for row in scores.rows} == {"–"}


def test_own_data_are_cited_as_no_data_set_of_the_hub(tree, builder):
    tree.task("help", dataset={"path": "own/help", "revision": "a" * 40})
    tree.task("SciFact", dataset={"path": "mteb/scifact", "revision": "a" * 40})
    tree.model(*builder.STUDENT, role="zoo")
    for task in ("help", "SciFact"):
        tree.score(builder.STUDENT, task, 0.5, data="a" * 40)
    rows = read_card_scores(tree.root, builder.STUDENT[0], builder.STUDENT[1]).rows
    assert {row.task: row.dataset for row in rows} == {"help": "", "SciFact": "mteb/scifact"}
