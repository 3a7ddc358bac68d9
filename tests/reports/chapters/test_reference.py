"""The chapter on the reference: differences over tasks and over queries, in tables and in words."""

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.reference import reference_section, reference_table, references_in_words


def test_copies_are_the_same_and_nothing_is_undecided(board_of):
    board = board_of(dict.fromkeys("ab", (0.5, 0.6, 0.7)), reference="a")
    assert next(references_in_words(board)).endswith("Their scores are the same on every one of these tasks.")
    assert "Few tasks" not in [caveat.title for caveat in board.caveats]


def test_an_interval_beside_tasks_that_cannot_decide_says_what_it_rests_on(board_of):
    text = next(references_in_words(board_of({"a": (0.5, 0.6, 0.1, 0.2, 0.3), "b": (0.7, 0.9, 0.2, 0.5, 0.4)}, "a")))
    assert "assuming normally distributed differences between tasks: +7.6 to +32.4" in text
    assert "Five tasks are too few to distinguish this from chance" in text


def test_no_comparison_rests_on_no_task(tree):
    tree.task("T", main="sparkle")
    for model in "ab":
        tree.score((f"acme/{model}", "r"), "T", 0.5)
    board = Leaderboard.from_store(ResultStore.load(tree.root), reference="a")
    assert "Few tasks" not in [caveat.title for caveat in board.caveats]


def test_the_chapter_names_the_test_that_was_made(full_tree):
    store = ResultStore.load(full_tree.root)
    section = reference_section(Leaderboard.from_store(store), store)
    (about,) = (block.text for block in section.blocks if type(block).__name__ == "Prose")
    assert "its interval and its p-value come from Student’s t over these tasks" in about
    assert "without safety tasks" in about


def test_a_figure_for_each_of_three_students_but_one_for_a_reference(tree):
    for name, shift in (("teacher", 0.0), ("a", 0.1), ("b", 0.2), ("c", 0.25), ("d", 0.3)):
        tree.model(f"acme/{name}", "r", role="zoo", teacher="acme/teacher" if shift else None)
        for place in range(3):
            tree.task(f"T{place}")
            tree.score((f"acme/{name}", "r"), f"T{place}", round(0.3 + shift + 0.01 * place * shift, 4))
    store = ResultStore.load(tree.root)

    def figures(reference):
        section = reference_section(Leaderboard.from_store(store, reference=reference), store)
        return [block.identity for block in section.blocks if type(block).__name__ == "Drawing"]

    assert figures(None) == ["dumbbell-1", "dumbbell-2", "dumbbell-3"]
    assert figures("acme/a") == ["dumbbell-1"]
    *_, last = references_in_words(Leaderboard.from_store(store))
    assert last == "One other comparison is in the tables below."


def test_the_table_counts_wins_and_marks_what_is_significant(board_of):
    better = {"a": [0.5 + 0.01 * (n % 3) for n in range(8)], "b": [0.6 + 0.01 * (n % 2) for n in range(8)]}
    (row,) = reference_table(board_of(better, reference="a")).rows
    cells = dict(zip(["model", "reference", "delta", "relative", "interval", "p", "wins", "n"], row, strict=True))
    assert (cells["model"].value, cells["reference"].value) == ("b", "a")
    assert cells["delta"].style == "gain strong"
    assert (cells["wins"].value, cells["n"].value) == ("8 / 0 / 0", 8)
    assert cells["p"].value == 2 / 2**8  # eight tasks that all say the same allow no smaller one
