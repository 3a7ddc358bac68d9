"""The leaderboard's chapter: its table is tested by golden files, here are its order, its seen column and its figure."""

import itertools

import numpy as np
import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.leaderboard import board_in_words, leaderboard_section, leaderboard_table
from genzoo.reports.render.document import Drawing
from genzoo.reports.render.style import NARROW, WIDE, figure_style


def rank_drawing(board):
    (drawing,) = (block for block in leaderboard_section(board, None).blocks if isinstance(block, Drawing))
    return drawing


def board_of_thirty(tree):
    rng = np.random.default_rng(0)
    for task in range(12):
        tree.task(f"Task{task}")
        for model in range(30):
            name = f"organisation/a-rather-long-model-name-{model}-base-v1.5-instruct"
            tree.score((name, "r"), f"Task{task}", round(0.3 + 0.01 * model + 0.05 * rng.random(), 4))
    return Leaderboard.from_store(ResultStore.load(tree.root))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_ranks_of_thirty_models_are_legible(tree, width):
    figure = rank_drawing(board_of_thirty(tree)).figure(width)
    (ax,) = figure.axes
    with figure_style():
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [label.get_window_extent(renderer) for label in ax.get_yticklabels()]
    assert len(boxes) == 30
    assert all(box.x0 >= 0 for box in boxes)
    ordered = sorted(boxes, key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 - 1 for below, above in itertools.pairwise(ordered))
    assert min(label.get_size() for label in ax.get_yticklabels()) >= 8


def seen_cells(tree):
    table = leaderboard_table(Leaderboard.from_store(ResultStore.load(tree.root)))
    labels = [each.label for each in table.columns]
    return {row[0].value: row[labels.index("Seen")] for row in table.rows} if "Seen" in labels else None


def test_unknown_training_data_have_a_column_and_a_caveat(tree):
    tree.task("A")
    for name, trained in (("clean", []), ("silent", None)):
        tree.score((f"acme/{name}", "r"), "A", 0.5)
        tree.write(f"results/acme__{name}/r/model_meta.json", {"name": f"acme/{name}", "training_datasets": trained})
    cells = seen_cells(tree)
    assert {name: cell.display for name, cell in cells.items()} == {"clean": "0", "silent": "unknown"}
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    (caveat,) = [each for each in board.caveats if each.kind == "contamination"]
    assert "The training data of silent are not stated" in caveat.text


def test_where_all_training_data_are_known_and_clean_there_is_no_such_column(tree):
    tree.task("A")
    tree.score(("acme/clean", "r"), "A", 0.5)
    tree.write("results/acme__clean/r/model_meta.json", {"name": "acme/clean", "training_datasets": ["B"]})
    assert seen_cells(tree) is None


def test_no_model_is_called_the_highest_alone_when_others_are_level(board_of):
    same = (0.5, 0.6, 0.7)
    assert "All three means over tasks are 60.0." in board_in_words(board_of(dict.fromkeys("abc", same)))
    text = board_in_words(board_of({"d": (0.1, 0.2, 0.3)}))
    assert "a, b and c have the highest mean over tasks, 60.0; the lowest is 20.0 (d)." in text


def test_a_significant_difference_to_a_leader_that_is_shared_is_explained(tree, board_of):
    scores = {
        "a": (0.53, 0.54, 0.53, 0.54, 0.52, 0.53, 0.55, 0.56),
        "b": (0.47, 0.53, 0.53, 0.52, 0.51, 0.49, 0.53, 0.54),
        "c": (0.54, 0.53, 0.51, 0.48, 0.5, 0.51, 0.47, 0.51),
        "d": (0.49, 0.49, 0.46, 0.47, 0.47, 0.46, 0.51, 0.47),
    }
    board = board_of(scores, reference="a")
    below = next(row for row in board.rows if row.label == "b")
    assert below.comparison.is_significant and board.standings[below.key].tied_for_first
    assert any("still be tied for first" in note for note in leaderboard_table(board).notes)
    apart = Leaderboard.from_store(ResultStore.load(tree.root))
    assert not any("still be tied for first" in note for note in leaderboard_table(apart).notes)


def test_scores_on_earlier_content_of_own_data_have_a_column_of_their_own(tree):
    tree.task("help", dataset={"path": "own/help", "revision": "b" * 40})
    for name, content, score in (("old", "a", 0.9), ("new", "b", 0.8)):
        tree.score((f"acme/{name}", "r"), "help", score, data=content * 40)
    board = Leaderboard.from_store(ResultStore.load(tree.root))
    table = leaderboard_table(board)
    assert [column.label for column in table.columns] == ["Model", "nDCG@10", "help@aaaaaaa"]
    assert [[cell.display for cell in row] for row in table.rows] == [["new", "80.0", "–"], ["old", "–", "90.0"]]
    assert board_in_words(board) == "One model on help. new has the best nDCG@10, 80.0."
