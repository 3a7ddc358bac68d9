"""The chapters on tasks, reasoning and cost: what becomes a row, what is the best, what is said where nothing was measured."""

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.tasks import cost_section, reasoning_section, task_table, tasks_section
from genzoo.reports.render.document import Drawing, Prose, TableBlock
from genzoo.reports.render.style import NARROW, WIDE, figure_style


def kinds(section):
    return [type(block) for block in section.blocks]


def test_tasks_are_rows_until_there_are_many_models(tree, board_of):
    few = board_of({name: [0.1 * n, 0.5] for n, name in enumerate("abcdef", 1)})
    store = ResultStore.load(tree.root)
    table = task_table(few, store, ["T0"], "Title")
    assert [column.label for column in table.columns] == ["Task", "Metric", "f", "e", "d", "c", "b", "a"]
    assert [cell.display for cell in table.rows[0]] == [
        "T0",
        "nDCG@10\u00a0↑",
        *(f"{10 * n}.0" for n in range(6, 0, -1)),
    ]
    assert [cell.style for cell in table.rows[0][2:]] == ["best", "", "", "", "", ""]
    many = board_of({"g": [0.9, 0.5]})
    table = task_table(many, ResultStore.load(tree.root), ["T0"], "Title")
    assert [column.label for column in table.columns] == ["Model", "T0"]
    assert table.rows[0][0].value == "g"
    assert table.rows[0][1].style == "best shade-9"
    assert table.rows[0][1].provenance[0].endswith("T0.json")


def test_a_single_task_is_not_drawn(tree, board_of):
    board = board_of({"a": [0.1], "b": [0.2]})
    assert kinds(tasks_section(board, ResultStore.load(tree.root))) == [TableBlock]


def test_the_alternative_text_names_the_best_of_each_task_in_its_own_direction(tree, board_of):
    board = board_of({"a": [0.1, 0.1], "b": [0.2, 0.2]}, tasks=["Up", "Down"], Down="recon_own")
    (drawing, _) = tasks_section(board, ResultStore.load(tree.root)).blocks
    assert drawing.description == "One row per task, one mark per model. Best: Down: a 0.100; Up: b 20.0."


def test_reasoning_tasks_have_a_table_of_their_own(full_tree):
    store = ResultStore.load(full_tree.root)
    table = reasoning_section(Leaderboard.from_store(store), store).blocks[1].table
    assert [row[0].value for row in table.rows] == ["GenZooMiniReasoningRetrieval"]


def test_without_reasoning_tasks_the_chapter_says_what_measures_one(tree, board_of):
    board = board_of({"a": [0.1], "b": [0.2]})
    (block,) = reasoning_section(board, ResultStore.load(tree.root)).blocks
    assert block.text.startswith("No reasoning task was measured. `genzoo evaluate")


def test_cost_shows_what_is_known(full_tree):
    section = cost_section(Leaderboard.from_store(ResultStore.load(full_tree.root)))
    assert kinds(section) == [Drawing, TableBlock]
    rows = {row[0].value: [cell.display for cell in row[2:]] for row in section.blocks[1].table.rows}
    assert rows["SmolLM2-135M-Instruct-LLM2Vec-Gen"] == ["135M", "558k", "384", "41.2", "cpu float32"]
    assert rows["bge-lookalike-base"] == ["22.7M", "–", "384", "–", "–"]


def test_without_speed_and_size_the_chapter_says_so(board_of):
    section = cost_section(board_of({"a": [0.1], "b": [0.2]}))
    assert kinds(section) == [TableBlock, Prose]
    assert section.blocks[1].text == "No speed was recorded with these results."


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_figures_fit_their_width(full_tree, width):
    store = ResultStore.load(full_tree.root)
    board = Leaderboard.from_store(store)
    drawings = [
        block
        for block in (*tasks_section(board, store).blocks, *cost_section(board).blocks)
        if isinstance(block, Drawing)
    ]
    assert [drawing.identity for drawing in drawings] == ["tasks", "size"]
    for drawing in drawings:
        figure = drawing.figure(width)
        with figure_style():
            figure.draw_without_rendering()
        assert figure.get_figwidth() == width
        box = figure.get_tightbbox(figure.canvas.get_renderer())
        assert box.x0 >= -0.02 and box.x1 <= width + 0.02
        assert figure.axes[0].get_position().width > 0.35, drawing.identity
