"""Markdown, LaTeX, CSV, JSON and HTML are compared as text with files that were looked at."""

from pathlib import Path

import pytest
from golden_files import check_golden

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.leaderboard import leaderboard_table
from genzoo.reports.chapters.reference import reference_table
from genzoo.reports.comparison import comparison_table
from genzoo.reports.render.document import Listing, Prose, Report, SearchCard, Searches, SearchRow, Section, TableBlock
from genzoo.reports.render.pages import render_html, render_markdown
from genzoo.reports.render.table import Cell, Column, Table, text_cell

GOLDEN = Path(__file__).parent / "golden"
FORMATS = {"md": "to_markdown", "tex": "to_latex", "csv": "to_csv", "json": "to_json", "html": "to_html"}


@pytest.fixture
def board(full_tree):
    return Leaderboard.from_store(ResultStore.load(full_tree.root))


@pytest.mark.parametrize("suffix", FORMATS)
def test_leaderboard(board, suffix):
    check_golden(GOLDEN / f"leaderboard.{suffix}", getattr(leaderboard_table(board), FORMATS[suffix])())


@pytest.mark.parametrize("suffix", ["md", "tex"])
def test_comparison(board, suffix):
    row = next(row for row in board.rows if row.comparison)
    reference = board.row(row.comparison.reference)
    text = getattr(comparison_table(board, row.comparison, row, reference), FORMATS[suffix])()
    check_golden(GOLDEN / f"comparison.{suffix}", text + getattr(reference_table(board), FORMATS[suffix])())


def hostile():
    names = [
        "<script>alert(1)</script>",
        r"100%_$\frac{a}{b}$ & #1 ~^{}",
        "x" * 200,
        "🦜 עברית",
        "a\u202eb",
        "=cmd|calc",
        "[x](y)",
        "`a--b` | https://example.org",
        "- 1",
        "1. ```",
        "\uff1d1+1\x1b[31m\ufffe",
    ]
    rows = tuple((text_cell(name), Cell(0.5, "50.0", style="best strong")) for name in names)
    return Table("<Hostile> & %", (Column("Model", is_text=True, is_name=True), Column("Score ↑_$", True, 1)), rows)


@pytest.mark.parametrize("suffix", FORMATS)
def test_hostile_names(suffix):
    check_golden(GOLDEN / f"hostile.{suffix}", getattr(hostile(), FORMATS[suffix])())


def page():
    """A page of every kind of block but figures, whose coordinates belong to matplotlib."""
    row = SearchRow(
        "m<1>", "Found, at rank 2", "the `wrong` one", (("Query", "a *reading*"),), "Similarity 0.500.", False
    )
    card = SearchCard("Task_1", "Where & when?", "The passage that should be found", "the right | one", (row,))
    blocks = (
        Prose("A `sentence` & more."),
        Prose("Quiet.", is_quiet=True),
        Listing((("Title", "Text."),)),
        TableBlock(hostile(), True),
    )
    sections = (Section("one", "First", blocks), Section("two", "Second", (Searches((card, card), shown=1),)))
    return Report("A <title>", "Below it", ("In short.",), sections, "The end.", (("Home", "index.html"),))


def test_page():
    check_golden(GOLDEN / "page.html", render_html(page()))


def test_markdown_report():
    text, figures = render_markdown(page(), "figures")
    assert figures == {}
    check_golden(GOLDEN / "page.md", text)
