"""Tables of other people: what is not a score never becomes one, and costs no other row."""

import re

import pytest

from genzoo.errors import InputError, ZooError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.reading.reported_csv import read_csv


@pytest.fixture
def read(tmp_path):
    """Scores by model and task, and the problems, of a table."""

    def read(text, known=()):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        problems = []
        found = read_csv(path, path.name, problems, known)
        return {(score.model, score.task): score.value for score in found}, [problem.reason for problem in problems]

    return read


LONG = "model,task,main_score\n"


@pytest.mark.parametrize(
    ("text", "scores", "problems"),
    [
        # a decimal comma must not become a nought
        (LONG + "a,T,0,745\nb,T,0,612\nc,T,0.5\n", {("c", "T"): 0.5}, ["line 2: 4 cells", "line 3: 4 cells"]),
        (LONG + 'a,T,"0,745"\nc,T,0.5\n', {("c", "T"): 0.5}, ["line 2: .*write a decimal point"]),
        ("model,T,U\na,0.3\nb,0.4,0.2\n", {("b", "T"): 0.4, ("b", "U"): 0.2}, ["line 2: 2 cells under a heading of 3"]),
        # a quote that is not closed costs its own line
        (LONG + 'a,T,0.7\n"b,T,0.9\nc,T,0.8\n', {("a", "T"): 0.7, ("c", "T"): 0.8}, ["line 3: a quote"]),
        (LONG + '"a,T,0.7\n"b,T,0.9\nc,T,0.8\n', {("c", "T"): 0.8}, ["line 2: a quote", "line 3: a quote"]),
        (LONG + '"a,T,0.7\nb",T,0.9\nc,T,0.8\n', {("c", "T"): 0.8}, ["line 2: .*the name contains a quote or a line break"]),
        (LONG + 'a,"T"x,0.7\nc,T,0.8\n', {("c", "T"): 0.8}, ["line 2: a quote"]),
        (LONG + 'a",T,0.7\nc,T,0.8\n', {("c", "T"): 0.8}, ["line 2: .*the name contains a quote or a line break"]),
        # quotes that fit may hold commas and line ends
        ('model,task,main_score,notes\n"a",T,0.7,"one,\ntwo"\nb,T,0.8,x\n', {("a", "T"): 0.7, ("b", "T"): 0.8}, []),
        (LONG + "a,T,0.7\na,T,0.9\n", {("a", "T"): 0.7}, ["line 3: a has a score on T on line 2 already"]),
        (LONG + "a,T,nan\nb,T,inf\nc,T,-0.1\n", {("c", "T"): -0.1}, ["line 2: .*'nan'", "line 3: .*'inf'"]),
        (LONG + "a\u2028b,T,0.7\n", {("a\u2028b", "T"): 0.7}, []),
        ("\ufeffModel , Task,Score\r\n\r\na , T, 0.7\r\n", {("a", "T"): 0.7}, []),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_problems_by_line(read, text, scores, problems):
    found, reasons = read(text)
    assert found == scores
    assert len(reasons) == len(problems)
    for reason, start in zip(reasons, problems, strict=True):
        assert re.match(start, reason)


@pytest.mark.parametrize(
    ("text", "tasks", "left_out"),
    [
        ("model,S,U,Average,Rank\na,0.7,0.8,0.75,1\nb,0.6,0.9,0.75,2\n", "SU", ["Average", "Rank"]),
        ("model,S,U,Platz\na,0.7,0.8,1\nb,0.6,0.9,2\nc,0.5,0.9,2\nd,0.4,0.9,4\n", "SU", ["Platz"]),
        ("model,S,U,V,Schnitt\na,0.71,0.31,0.52,0.51\nb,0.62,0.33,0.43,0.46\n", "SUV", ["Schnitt"]),
        ("model,S,Params (M),Dim,Licence,Open\na,0.7,135,384,MIT,yes\nb,0.6,270,640,Gemma,no\n", "S", ["Params (M)", "Dim", "Licence", "Open"]),
        ("model,S,tokens seen\na,0.7,2000000\nb,0.6,11000000\n", "S", ["tokens seen"]),
        (",model,S\n0,a,0.7\n1,b,0.6\n", "S", [""]),
        # a row number, a seed and a spread must not become scores
        ("Unnamed: 0,model,S\n0,a,0.7\n1,b,0.6\n", "S", ["Unnamed: 0"]),
        ("model,Zeile,S\na,0,0.7\nb,1,0.6\nc,2,0.5\n", "S", ["Zeile"]),
        ("model,seed,S,S_std,Speed\na,1,0.7,0.01,0.9\nb,1,0.6,0.02,0.2\n", "S", ["seed", "S_std", "Speed"]),
        (LONG + "a,S,0.7\na,S (std),0.01\n", "S", ["S (std)"]),
        (
            "Rank (Borda),Model,Zero-shot,Mean (Task),Mean (TaskType),Pair Classification,STS,S\n1,a,100%,60.1,59.2,80.0,90.0,75.1\n",
            "S",
            ["Rank (Borda)", "Zero-shot", "Mean (Task)", "Mean (TaskType)", "Pair Classification", "STS"],
        ),
        (LONG + "a,S,0.7\na,Average,0.7\na,mean_by_type,0.7\na,Avg. (56 datasets),0.7\n", "S", ["Average", "mean_by_type", "Avg. (56 datasets)"]),
    ],
)  # fmt: skip
def test_columns_that_are_no_tasks_are_named_and_left_out(read, text, tasks, left_out):
    found, reasons = read(text)
    assert {task for _, task in found} == set(tasks)
    assert any(reason.startswith(", ".join(map(repr, left_out)) + ": not ") for reason in reasons)


def test_what_is_known_to_be_a_task_is_one(read):
    text = "model,S,U,V\na,0.7,0.8,0.75\nb,0.6,0.9,0.75\n"
    assert len(read(text)[0]) == 4
    assert len(read(text, known=["V"])[0]) == 6
    # chance alone makes a third task like a mean to one digit
    assert len(read("model,S,U,V\na,0.7,0.3,0.5\nb,0.6,0.4,0.5\n")[0]) == 6
    assert len(read("model,S,U\na,1,0.5\nb,0,0.5\n")[0]) == 4


@pytest.mark.parametrize(
    ("text", "scores", "problems"),
    [
        ("model,S,U\na,75.1,-33.2\nb,100,0\n", [0.751, -0.332, 1.0, 0.0], ["percent"]),
        ("model,S\na,75.1%\nb,0.4 %\n", [0.751, 0.004], ["percent"]),
        ("model,S,U\na,1,1.0\nb,0,0.5\n", [1.0, 1.0, 0.0, 0.5], []),
        # what may be either is neither
        ("model,S,U,V\na,70,33,50\nb,60,30,0.4\n", [0.7, 0.33, 0.5, 0.6, 0.3], ["percent", "line 3: .*'0.4' is at most 1"]),
        ("model,S,U,V\na,0.7,0.3,0.5\nb,0.6,0.3,40\n", [0.7, 0.3, 0.5, 0.6, 0.3], ["line 3: .*'40' is more than 1"]),
        ("model,S,U\na,70,33\nb,0.6,0.3\n", [0.6, 0.3], ["line 2: .*'70'", "line 2: .*'33'"]),
        ("model,S,U\na,70,33\nb,170,30\n", [0.7, 0.33, 0.3], ["percent", "line 3: .*'170' is more than 100 %"]),
    ],
)  # fmt: skip
def test_percent_is_recognised_and_said(read, text, scores, problems):
    found, reasons = read(text)
    assert sorted(found.values()) == pytest.approx(sorted(scores))
    assert len(reasons) == len(problems)
    for reason, part in zip(reasons, problems, strict=True):
        assert re.search(part, reason)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model;task;main_score\na;T;0,7\n", "and ';' between the cells"),
        ("model,T,T\na,0.1,0.2\n", "two columns named 'T'"),
        ('model,"task,main_score\na,T,0.5\n', "line 1: a quote in the heading is not closed"),
        (LONG + "a,T,0,745\n", r"no usable result in .*table.csv; .*line 2: 4 cells"),
    ],
)
def test_a_table_without_a_score_says_why(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises((InputError, ZooError), match=message):
        ResultStore.load(path)


def test_a_mean_column_changes_no_mean(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("model,SciFact,STSBenchmark,Average,Rank\nacme/a,0.7,0.8,0.75,1\nacme/b,0.6,0.9,0.75,2\n")
    board = Leaderboard.from_store(ResultStore.load(path))
    assert [row.mean_task for row in board.rows] == pytest.approx([0.75, 0.75])
    assert set(board.tasks) == {"SciFact", "STSBenchmark"}


def test_the_cases_of_the_reference_folder(shared):
    cases = shared / "cases" / "reported-csv"
    assert len(ResultStore.load(cases / "swallow.csv").models) == 2
    assert len(ResultStore.load(cases / "avg_rank.csv").main_scores) == 4
    with pytest.raises(ZooError, match="no usable result"):
        ResultStore.load(cases / "deccomma_unq.csv")
