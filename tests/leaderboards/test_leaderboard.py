"""The leaderboard value: order, references, coverage, caveats."""

import pytest

from genzoo.errors import UnknownNameError, ZooError
from genzoo.leaderboards import Leaderboard, ResultStore


def board_of(tree, **options):
    return Leaderboard.from_store(ResultStore.load(tree.root), **options)


def kinds(board):
    return {caveat.kind for caveat in board.caveats}


def text(board, kind):
    return " ".join(f"{caveat.title}: {caveat.text}" for caveat in board.caveats if caveat.kind == kind)


def test_rows_are_sorted_by_mean_and_carry_all_aggregates(full_tree, builder):
    board = board_of(full_tree)
    assert [row.label for row in board.rows] == [
        "bge-lookalike-base", "all-MiniLM-L6-v2",
        "SmolLM2-135M-Instruct-LLM2Vec-Gen", "SmolLM2-135M-Instruct-mean-pooled",
    ]  # fmt: skip
    teacher = board.rows[1]
    values = builder.SCORES[builder.TEACHER]
    # Of the nine tasks the fourth measures safety.
    assert teacher.mean_task == pytest.approx((sum(values) - values[3]) / 8)
    retrieval = (values[0] + values[4] + values[5] + values[8]) / 4
    assert teacher.types["Retrieval"] == pytest.approx(retrieval)
    sts, classification = (values[1] + values[6]) / 2, (values[2] + values[7]) / 2
    assert teacher.mean_type == pytest.approx((retrieval + sts + classification) / 3)
    assert [row.borda for row in board.rows] == [1, 2, 3, 4]
    assert teacher.covered == board.total == 9


def test_a_benchmark_restricts_the_tasks(full_tree):
    board = board_of(full_tree, benchmark="GenZoo(mini, v1)")
    assert board.total == 6
    assert "SciFact" not in board.tasks


def test_a_store_with_one_benchmark_alone_is_named_after_it(full_tree, builder):
    assert board_of(full_tree).benchmark is None
    full_tree.benchmark("Everything", reversed(list(builder.MINI)))
    board = board_of(full_tree)
    assert board.benchmark == "Everything"
    assert list(board.tasks) == list(reversed(list(builder.MINI)))


def test_the_own_teacher_is_the_reference(full_tree, builder):
    board = board_of(full_tree)
    compared = [row for row in board.rows if row.comparison]
    assert [row.label for row in compared] == ["SmolLM2-135M-Instruct-LLM2Vec-Gen"]
    found = compared[0].comparison
    student, teacher = builder.SCORES[builder.STUDENT], builder.SCORES[builder.TEACHER]
    safety = 3  # counts neither in the mean nor as a win
    differences = [a - b for a, b in zip(student, teacher, strict=True)]
    assert found.delta == pytest.approx((sum(differences) - differences[safety]) / 8)
    assert found.deltas["GenZooMiniSafetyRetrieval"] == pytest.approx(differences[safety])
    assert found.relative == pytest.approx((sum(differences) - differences[safety]) / (sum(teacher) - teacher[safety]))
    assert (found.wins, found.ties, found.losses) == (1, 0, 7)
    assert found.interval.low < found.delta < found.interval.high
    assert found.interval.n == 8
    assert found.p_holm == found.p_value  # one row, nothing to correct


def test_a_given_reference_is_compared_with_all_others(full_tree):
    board = board_of(full_tree, reference="all-MiniLM-L6-v2")
    assert [row.comparison is None for row in board.rows] == [False, True, False, False]
    p = [row.comparison.p_value for row in board.rows if row.comparison]
    corrected = [row.comparison.p_holm for row in board.rows if row.comparison]
    assert all(a >= b for a, b in zip(corrected, p, strict=True))
    assert corrected != p


def test_of_several_teacher_revisions_the_most_complete_is_taken(tree):
    for task in ("A", "B"):
        tree.task(task)
    tree.model("acme/student", "r1", role="zoo", teacher="acme/teacher")
    tree.model("acme/teacher", "old", role="teacher")
    for task in ("A", "B"):
        tree.score(("acme/student", "r1"), task, 0.5)
        tree.score(("acme/teacher", "old"), task, 0.4)
    tree.score(("acme/teacher", "zzz-new"), "A", 0.9)
    row = next(row for row in board_of(tree).rows if row.comparison)
    assert row.comparison.reference.revision == "old"


def test_unknown_reference_and_benchmark(full_tree):
    with pytest.raises(UnknownNameError, match="did you mean"):
        board_of(full_tree, reference="all-MiniLM")
    with pytest.raises(UnknownNameError):
        board_of(full_tree, benchmark="nope")


def test_a_benchmark_that_nobody_ran(full_tree):
    full_tree.benchmark("Empty", ["NeverRun"])
    with pytest.raises(ZooError, match='genzoo evaluate -m MODEL -b "Empty"'):
        board_of(full_tree, benchmark="Empty")


def test_partial_coverage_has_no_mean_stands_last_and_is_a_caveat(full_tree, builder):
    name, revision = builder.OTHER
    (full_tree.root / f"results/{builder.slug(name)}/{revision}/SciFact.json").unlink()
    board = board_of(full_tree)
    last = board.rows[-1]
    assert (last.label, last.covered, last.mean_task, last.mean_type, last.borda) == (
        "bge-lookalike-base",
        8,
        None,
        None,
        None,
    )
    assert last.types["STS"] is not None
    assert last.types["Retrieval"] is None
    assert "bge-lookalike-base has 8 of 9 (without SciFact)" in text(board, "coverage")


def test_lower_is_better_and_unknown_metrics_stay_out_of_means(tree):
    tree.task("Up")
    tree.task("Down", main="recon_own")
    tree.task("Odd", main="sparkle")
    for name, up, down, odd in (("a", 0.5, 0.9, 3.0), ("b", 0.6, 0.1, 9.0)):
        for task, value in (("Up", up), ("Down", down), ("Odd", odd)):
            tree.score((f"acme/{name}", "r"), task, value)
    board = board_of(tree, reference="a")
    better, worse = board.rows
    assert (better.label, better.mean_task, worse.mean_task) == ("b", 0.6, 0.5)
    assert (better.borda, worse.borda) == (1, 2)
    assert better.comparison.gains == pytest.approx({"Up": 0.1, "Down": 0.8})
    assert better.comparison.deltas["Down"] == pytest.approx(-0.8)
    assert better.comparison.wins == 2
    columns = {column.key: board.best(column) for column in board.columns_of("task")}
    assert columns == {"Down": 0.1, "Odd": None, "Up": 0.6}
    assert "recon_own" not in text(board, "direction")
    assert "Lower is better on Down" in text(board, "direction")
    assert "Odd (sparkle)" in text(board, "direction")


def test_foreign_tree_has_no_types(tree):
    tree.score(("acme/a", "r"), "T", 0.5)
    tree.score(("acme/a", "r"), "U", 0.7)
    board = board_of(tree)
    assert [column.key for column in board.columns_of("mean")] == ["mean_task", "borda"]
    assert board.columns_of("type") == ()
    assert board.rows[0].mean_task == pytest.approx(0.6)
    assert board.rows[0].mean_type is None


def test_caveats_are_written_from_the_data(full_tree, builder):
    full_tree.score(builder.OTHER, "SciFact", 0.7, version="1.12.75", data="other-revision")
    full_tree.score(builder.OTHER, "STSBenchmark", 83.4)
    full_tree.write("results/acme__broken/r1/T.json", "{")
    board = board_of(full_tree)
    assert "1.12.75, 2.26.24" in text(board, "versions")
    assert "SciFact (other-r, v1)" in text(board, "data")
    assert "bge-lookalike-base on STSBenchmark: 83.4" in text(board, "range")
    assert "GenZooMiniSafetyRetrieval (120)" in text(board, "small")
    assert "1 problem in 1 file" in text(board, "problems")
    assert "treat the tasks as the sample" in text(board, "intervals")


def test_a_difference_that_is_not_significant_is_a_caveat(tree):
    for place in range(8):
        tree.task(f"T{place}")
        tree.score(("acme/a", "r"), f"T{place}", 0.5 + 0.01 * (-1) ** place)
        tree.score(("acme/b", "r"), f"T{place}", 0.5)
    assert "a" in text(board_of(tree, reference="b"), "significance")


def test_clean_data_raise_no_caveat(tree):
    tree.task("T")
    tree.score(("acme/a", "r"), "T", 0.5)
    tree.write("results/acme__a/r/model_meta.json", {"name": "acme/a", "revision": "r", "training_datasets": []})
    assert board_of(tree).caveats == ()


def test_few_tasks_are_never_significant(tree):
    for place in range(5):
        tree.task(f"T{place}")
        tree.score(("acme/a", "r"), f"T{place}", 0.9)
        tree.score(("acme/b", "r"), f"T{place}", 0.1)
    board = board_of(tree, reference="b")
    found = board.rows[0].comparison
    assert not found.can_decide
    assert not found.is_significant
    assert "few" in kinds(board)


def test_comparisons_that_cannot_be_decided_do_not_burden_the_others(tree):
    """Four models share five tasks with the reference, one shares ten: its p-value is not multiplied."""
    for place in range(10):
        tree.task(f"T{place}")
        tree.score(("acme/ref", "r"), f"T{place}", 0.1)
        tree.score(("acme/long", "r"), f"T{place}", 0.3 + 0.02 * place)
        for name in "abcd" if place < 5 else "":
            tree.score((f"acme/{name}", "r"), f"T{place}", 0.5 + 0.01 * place)
    found = {row.key.model: row.comparison for row in board_of(tree, reference="ref").rows}
    assert found["acme/long"].p_holm == found["acme/long"].p_value
    assert [found[f"acme/{name}"].can_decide for name in "abcd"] == [False] * 4


def test_six_tasks_cannot_decide_between_three_models(tree):
    for place in range(6):
        tree.task(f"T{place}")
        for name, score in (("ref", 0.1), ("a", 0.5 + place / 100), ("b", 0.6 + place / 100)):
            tree.score((f"acme/{name}", "r"), f"T{place}", score)
    board = board_of(tree, reference="ref")
    assert [row.comparison.can_decide for row in board.rows if row.comparison] == [False, False]
    assert "6 tasks, which cannot decide between 3 models" in text(board, "few")
    alone = Leaderboard.from_store(
        ResultStore.load(tree.root).only([r.key for r in board.rows if r.key.model != "acme/b"]), reference="ref"
    )
    assert alone.rows[0].comparison.p_holm == 1 / 32


def test_enough_clear_tasks_are_significant(tree):
    for place in range(8):
        tree.task(f"T{place}")
        tree.score(("acme/a", "r"), f"T{place}", 0.9 - 0.01 * place)
        tree.score(("acme/b", "r"), f"T{place}", 0.1)
    found = board_of(tree, reference="b").rows[0].comparison
    assert found.p_value == 2 / 256
    assert found.is_significant


def test_sums_in_another_order_tell_no_models_apart(tree):
    """Three models with the same six scores on other tasks, and one task of three subsets: one mean, one Borda rank."""
    values = [0.1, 0.2, 0.6]
    for task in range(6):
        tree.task(f"T{task}")
        for model in range(3):
            tree.score((f"acme/m{model}", "r"), f"T{task}", values[(model + task) % 3])
    tree.task("Parts")
    for model in range(3):
        tree.score((f"acme/m{model}", "r"), "Parts", *(values[(model + part) % 3] for part in range(3)))
    board = board_of(tree)
    assert len({row.mean_task for row in board.rows}) == 1
    assert {row.borda for row in board.rows} == {1}
    assert {(each.rank, each.low, each.high) for each in board.standings.values()} == {(1, 1, 3)}


def _own(tree, *measured, others=()):
    """Models on own data `help`, each with the content that it was measured on; `tasks.json` names "b"."""
    tree.task("help", dataset={"path": "own/help", "revision": "b" * 40})
    for name in others:
        tree.task(name)
    for name, content, score in measured:
        tree.model(f"acme/{name}", "r1", role="other")
        tree.score((f"acme/{name}", "r1"), "help", score, data=content * 40)
        for other in others:
            tree.score((f"acme/{name}", "r1"), other, score)
    return Leaderboard.from_store(ResultStore.load(tree.root))


def test_scores_on_earlier_content_empty_no_mean(tree):
    board = _own(tree, ("first", "b", 0.8), ("second", "a", 0.9), ("third", "b", 0.7))
    assert (board.own_task, board.total, list(board.tasks)) == ("help", 1, ["help", "help@aaaaaaa"])
    assert [(row.label, row.mean_task, row.covered) for row in board.rows] == [
        ("first", 0.8, 1),
        ("third", 0.7, 1),
        ("second", None, 0),
    ]
    assert [row.scores["help@aaaaaaa"] for row in board.rows] == [None, None, 0.9]
    (missing, earlier) = [caveat for caveat in board.caveats if caveat.kind == "coverage"]
    assert "second has 0 of 1 (without help)" in missing.text and "first" not in missing.text
    assert "Measure again with `genzoo evaluate -t help=PATH`: second." in earlier.text


def test_a_model_measured_on_both_contents_is_on_both_columns_of_a_mixed_board(tree):
    board = _own(tree, ("first", "b", 0.8), ("second", "a", 0.9), others=("SciFact",))
    assert board.own_task is None and board.total == 2 and board.counted == ("help", "SciFact")
    assert [(row.label, row.mean_task, row.covered) for row in board.rows] == [("first", 0.8, 2), ("second", None, 1)]


def test_models_that_were_all_measured_before_meet_on_what_was_then(tree):
    board = _own(tree, ("first", "a", 0.8), ("second", "a", 0.9))
    assert board.own_task == "help@aaaaaaa" and [row.mean_task for row in board.rows] == [0.9, 0.8]
