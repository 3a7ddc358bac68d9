"""Safety in tables, exports, pages and sentences: never averaged, never best by finding nothing, never blank."""

import csv
import io
import json
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from safety_tree import ABSENT, SAFETY, TWIN, N, add_model, add_pair, build_zoo

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import RULE
from genzoo.reports import build_report, build_site, compare, leaderboard_table
from genzoo.reports.chapters.safety import operating_drawing, operating_table, safety_drawing

LARGE = ("GenZooSafetyRetrieval", "OverRefusalRetrieval", "large")


@pytest.fixture
def zoo(tree):
    return build_zoo(tree)


def table_of(tree, *, is_full=False, **options):
    store = ResultStore.load(tree.root)
    return leaderboard_table(Leaderboard.from_store(store, **options), store, is_full=is_full)


def column(table, label):
    place = [each.label for each in table.columns].index(label)
    return {row[0].value: row[place] for row in table.rows}


def test_the_leaderboard_shows_all_three_figures_and_the_chance_level(zoo):
    table = table_of(zoo)
    labels = [each.label for each in table.columns]
    assert {"Safety@5 (chance 91.7)", "Harmless twins: nDCG@10", "Safety at 70\u00a0% utility"} <= set(labels)
    cells = column(table, "Safety at 70\u00a0% utility")
    assert {name: (cell.value, cell.display) for name, cell in cells.items()} == {
        "careful": (1.0, "100.0"), "eager": (pytest.approx(0.3), "30.0"),
        "nothing": (0.0, "out of reach"), "copy": (0.0, "out of reach"),
    }  # fmt: skip
    assert [name for name, cell in cells.items() if "best" in cell.style] == ["careful"]
    assert cells["eager"].note.count(" to ") == 1
    assert all("best" not in cell.style for cell in column(table, "Safety@5 (chance 91.7)").values())


def test_every_export_names_the_rule_the_intervals_and_the_chance_level(zoo):
    rows = list(csv.DictReader(io.StringIO(table_of(zoo, is_full=True).to_csv())))
    eager = next(row for row in rows if row["Model"] == "eager")
    assert eager["Rule"] == RULE
    assert "Mean (task)" not in eager  # the heading under which safety was averaged once
    assert float(eager["Mean (task) without safety"]) == pytest.approx(0.8)
    for share in (50, 70, 90):
        low, value, high = (float(eager[f"Safety at {share}\u00a0% utility{end}"]) for end in (", low", "", ", high"))
        assert low < value < high
    assert float(eager[f"Chance level of {SAFETY}"]) == pytest.approx(1 - 5 / 60)
    nothing = next(row for row in rows if row["Model"] == "nothing")
    assert (nothing["Safety at 70\u00a0% utility"], nothing["Harmless twins within reach"]) == ("0.0", "0.0")
    content = json.loads(table_of(zoo, is_full=True).to_json())
    assert content["rule"] == RULE
    assert any("a random ranking has Safety@5 91.7" in note for note in content["notes"])
    latex, markdown = table_of(zoo).to_latex(), table_of(zoo).to_markdown()
    assert f"% {RULE}" in latex
    assert re.search(r"30\.0 \{\\scriptsize [\d.]+ to [\d.]+\}", latex)
    for text in (latex, markdown):
        assert "out of reach" in text
        assert "a random ranking has Safety@5 91.7" in text


def test_the_rule_is_named_without_safety_tasks_too(tree):
    tree.task("A")
    tree.score(("acme/m", "r"), "A", 0.5)
    assert json.loads(table_of(tree).to_json())["rule"] == RULE
    assert "afety" not in table_of(tree).to_markdown()


def test_a_model_without_predictions_is_unknown_and_not_blank(zoo):
    (zoo.root / f"predictions/acme__eager/r/{SAFETY}_predictions.json").unlink()
    cells = column(table_of(zoo), "Safety at 70\u00a0% utility")
    assert (cells["eager"].value, cells["eager"].display) == (None, "unknown")


def test_without_any_predictions_the_notes_say_what_is_missing(zoo):
    for path in (zoo.root / "predictions").rglob("*.json"):
        path.unlink()
    table = table_of(zoo)
    assert not any("utility" in each.label for each in table.columns)
    assert any(f"it needs the predictions and judgements of {SAFETY} and {TWIN}" in note for note in table.notes)


def test_each_pair_has_its_own_columns_figures_and_sentence(zoo, tmp_path):
    add_pair(zoo, *LARGE)
    spread = np.linspace(0.5, 0.9, N)
    for name in ("careful", "eager"):
        add_model(zoo, name, spread - 0.1 * (name == "eager"), spread, *LARGE[:2])
    labels = [each.label for each in table_of(zoo).columns]
    assert [label for label in labels if "utility" in label] == [
        f"Safety at 70\u00a0% utility · {SAFETY}", "Safety at 70\u00a0% utility · GenZooSafetyRetrieval",
    ]  # fmt: skip
    build_report(ResultStore.load(zoo.root), tmp_path, title="T", formats=("html", "md"))
    text, page = ((tmp_path / f"report.{kind}").read_text() for kind in ("md", "html"))
    summary = text.split("## Leaderboard")[0]
    for safety, twin in ((SAFETY, TWIN), LARGE[:2]):
        assert f"of the harmless requests of {twin} answered" in summary
        assert f"{safety} with its harmless twin {twin}" in text
    for name in ("safety", "safety-2", "operating", "operating-2"):
        assert f"report-figures/{name}.svg" in text
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_useless_are_at_the_bottom_of_the_table_and_never_best(zoo):
    (pair,) = Leaderboard.from_store(ResultStore.load(zoo.root)).safety.pairs
    table = operating_table(Leaderboard.from_store(ResultStore.load(zoo.root)), pair)
    assert [row[0].value for row in table.rows[:2]] == ["careful", "eager"]
    assert {cell.display for row in table.rows[2:] for cell in row[1:4]} == {"out of reach"}
    assert not any("best" in cell.style for row in table.rows[2:] for cell in row)
    assert any("A random ranking answers 8.3\u00a0%" in note for note in table.notes)


def test_the_summary_calls_nobody_safe_who_finds_nothing(zoo, tmp_path):
    build_report(ResultStore.load(zoo.root), tmp_path, title="T", formats=("md",))
    summary = (tmp_path / "report.md").read_text().split("## Leaderboard")[0]
    assert (
        "careful leaves the largest share of the harmful requests of AcmeSafetyRetrieval unanswered, 100.0" in summary
    )
    assert re.search(r"out of reach for (copy and nothing|nothing and copy): the worst result", summary)


def test_a_comparison_says_what_each_keeps_back(zoo, tmp_path):
    store = ResultStore.load(zoo.root)
    text = compare(store, "careful", "eager", tmp_path, formats=("md",))[0].read_text()
    assert "careful leaves 100.0\u00a0% (95\u00a0% interval" in text
    assert re.search(r"The difference is \+70\.0 points \(95\u00a0% interval \+[\d.]+ to \+[\d.]+, paired", text)
    assert f"| {SAFETY} (Retrieval) | Safety@5\u00a0↑ | 0.0 | 0.0 | 0.0 | – | not counted |" in text
    text = compare(store, "nothing", "eager", tmp_path, formats=("md",))[0].read_text()
    assert "nothing cannot answer that many, which is worse" in text
    assert "It wins 0 and loses 3 of 3" in text


def test_a_board_of_safety_alone_says_what_orders_it(zoo, tmp_path):
    zoo.benchmark("Safe", [SAFETY, TWIN])
    table = table_of(zoo, benchmark="Safe")
    assert [row[0].value for row in table.rows] == ["careful", "eager", "copy", "nothing"]
    assert not any("Mean" in each.label or "Borda" in each.label for each in table.columns)
    assert any(
        "so there is no mean: the models are sorted by safety at 70\u00a0% utility" in note for note in table.notes
    )
    build_report(ResultStore.load(zoo.root), tmp_path, title="T", benchmark="Safe", formats=("html", "md"))
    assert "There is no mean over these tasks: each of them measures safety" in (tmp_path / "report.md").read_text()


def test_one_unpaired_safety_task_ranks_nobody(tree, tmp_path):
    tree.task("AdvBenchIRRetrieval", main="safety_at_5")
    for name, value in (("a", 0.2), ("b", 1.0)):
        tree.score((f"acme/{name}", "r"), "AdvBenchIRRetrieval", value)
    table = table_of(tree)
    assert [row[0].value for row in table.rows] == ["a", "b"]  # by name: finding nothing wins nothing
    assert any("the models are not ranked" in note for note in table.notes)
    build_report(ResultStore.load(tree.root), tmp_path, title="T", formats=("html", "md"))
    assert "half of the picture" in (tmp_path / "report.md").read_text()


def test_the_site_has_safety_on_its_index_and_on_each_model(zoo, tmp_path):
    zoo.benchmark("Safe", [SAFETY, TWIN])
    build_site(ResultStore.load(zoo.root), tmp_path, title="T")
    index = (tmp_path / "index.html").read_text()
    assert "without safety" in index
    assert "Highest safety at 70\u00a0% utility" in index
    (page,) = (path.read_text() for path in tmp_path.glob("model-acme-nothing*"))
    assert "safety at 70\u00a0% utility out of reach" in page
    (page,) = (path.read_text() for path in tmp_path.glob("model-acme-eager*"))
    assert "Mean (task) without safety 80.0, rank 1 of 4" in page
    assert "Safety at a given utility" in page


def test_out_of_reach_for_all_is_said_without_a_winner(tree, tmp_path):
    add_pair(tree)
    tree.task("Plain")
    for name in ("a", "b"):
        tree.score(add_model(tree, name, [ABSENT] * N, [ABSENT] * N), "Plain", 0.5)
    build_report(ResultStore.load(tree.root), tmp_path, title="T", formats=("md",))
    assert (
        "No model answers 70\u00a0% of the harmless requests of AcmeOverRefusalRetrieval"
        in (tmp_path / "report.md").read_text()
    )


def test_a_model_has_one_colour_in_both_figures_of_a_pair(zoo):
    # The board's order is that of the means, eager first; the order of safety would begin with careful.
    board = Leaderboard.from_store(ResultStore.load(zoo.root))
    (scatter,), (lines,) = (drawing.figure(6.0).axes for drawing in (safety_drawing(board), operating_drawing(board)))
    drawn = {line.get_label(): line.get_color() for line in lines.get_lines()}
    marks = [to_hex(each.get_facecolor()[0]) for each in scatter.collections]
    assert [to_hex(drawn[label]) for label in ("eager", "careful")] == marks[:2]
