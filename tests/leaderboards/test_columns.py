"""A column says in its heading what is in it, and a board has those that its tasks allow."""

import numpy as np
import pandas as pd
import pytest
from safety_tree import SAFETY, N, add_model, add_pair, build_zoo

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.columns import board_columns, leading_pair
from genzoo.leaderboards.facts import TaskFacts
from genzoo.leaderboards.safety import SafetyFigures


@pytest.fixture
def zoo(tree):
    return build_zoo(tree)


def board_of(tree):
    return Leaderboard.from_store(ResultStore.load(tree.root))


def columns(**kinds):
    """Columns of tasks of these types."""
    tasks = {name: TaskFacts(name, kind, "ndcg_at_10") for name, kind in kinds.items()}
    return board_columns(pd.DataFrame([[0.5] * len(tasks)], columns=list(tasks)), tasks, SafetyFigures())


def test_the_mean_over_types_needs_two_types_and_the_type_of_every_task():
    assert [each.key for each in columns(A="STS", B="Retrieval")] == ["mean_task", "mean_type", "borda", "Retrieval", "STS", "A", "B"]  # fmt: skip
    assert "mean_type" not in [each.key for each in columns(A="STS", B="STS")]
    assert "mean_type" not in [each.key for each in columns(A="STS", B="Retrieval", C=None)]


def test_a_board_is_in_the_order_of_its_mean_where_it_has_one(zoo):
    assert leading_pair(columns(A="STS")) is None
    board = board_of(zoo)
    assert leading_pair(board.columns) is None
    assert leading_pair(board.columns_of("safety")) == board.columns_of("safety")[0].key


def test_a_board_without_safety_keeps_the_names_of_its_means(tree):
    tree.task("A")
    tree.score(("acme/m", "r"), "A", 0.5)
    assert [column.label for column in board_of(tree).columns_of("mean")] == ["Mean (task)", "Borda rank"]


def test_every_safety_task_has_a_column_of_its_own(zoo):
    add_pair(zoo, "GenZooSafetyRetrieval", "OverRefusalRetrieval", "large")
    zoo.task("AdvBenchIRRetrieval", main="safety_at_5", dataset={"path": "hub", "revision": "v1"})
    spread = np.linspace(0.5, 0.9, N)
    add_model(zoo, "careful", spread + 0.2, spread, "GenZooSafetyRetrieval", "OverRefusalRetrieval")
    zoo.score(("acme/careful", "r"), "AdvBenchIRRetrieval", 0.9)
    board = board_of(zoo)
    assert [column.label for column in board.columns_of("safety")] == [
        f"Safety at 70\u00a0% utility · {SAFETY}",
        "Safety at 70\u00a0% utility · GenZooSafetyRetrieval",
    ]
    careful = next(row for row in board.rows if row.label == "careful")
    assert [careful.value(column) for column in board.columns_of("safety")] == pytest.approx([1.0, 0.0])
    assert board.safety.unpaired == ("AdvBenchIRRetrieval",)
