"""What the command line prints: JSON, listings, and nothing that commands a terminal."""

import io
import json
import math
import re

import pytest
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genzoo import text as escaping
from genzoo.cli import console

HOSTILE = "a [red]b[/] [/x] :bug: \x1b[31mc\x1b]0;title\x07 \x9b2J d\u202ee\r\x00\ufffe"


@pytest.fixture
def screen(monkeypatch):
    """What a terminal gets to see."""
    text = io.StringIO()
    monkeypatch.setattr(console, "out", console.PlainConsole(file=text, width=200, force_terminal=True))
    return text


def commands(text):
    """What is left for the terminal to obey, once rich's own styles and cursor movements are taken out."""
    own = re.compile(r"\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r")
    return [char for char in own.sub("", text) if escaping.is_hiding(char) and char != "\n"]


def test_text_from_files_neither_styles_nor_commands_the_terminal(screen):
    table = Table("heading")
    table.add_row(HOSTILE)
    console.out.print(HOSTILE, highlight=False)
    console.out.print(table)
    console.out.print(f"[bold]{escape(HOSTILE)}[/]", markup=True, highlight=False)
    console.out.print(Text(HOSTILE))
    text = screen.getvalue()
    assert commands(text) == []
    assert text.count("[red]b[/] [/x] :bug: \ufffd[31mc\ufffd]0;title") == 4
    assert "\x1b[31m" not in text


def test_json_on_the_terminal_is_strict_and_safe(screen):
    value = {HOSTILE: [math.nan, "é ש 😀\udc80\U0001fffe"], "n": -1.5}
    console.print_json(value)
    assert commands(screen.getvalue()) == []
    assert "é ש 😀" in screen.getvalue()
    expected = {HOSTILE: [None, "é ש 😀\udc80\U0001fffe"], "n": -1.5}
    assert json.loads(screen.getvalue(), parse_constant=pytest.fail) == expected


ROWS = [
    ("qwen3-0.6b", "Qwen/Qwen3-0.6B", "apache-2.0"),
    ("smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", HOSTILE),
]
COLUMNS = ("name", "hub id", "licence")


def listed(monkeypatch, **options):
    text = io.StringIO()
    monkeypatch.setattr(console, "out", console.PlainConsole(file=text, **options))
    console.print_rows(COLUMNS, ROWS)
    return text.getvalue()


def test_a_piped_listing_is_a_line_a_row(monkeypatch):
    lines = listed(monkeypatch, width=20).splitlines()
    assert [line.split("\t")[:2] for line in lines] == [list(row[:2]) for row in ROWS]
    assert all(line.count("\t") == 2 for line in lines)


@pytest.mark.parametrize(
    ("width", "left_out"), [(200, []), (60, ["licence"]), (20, ["hub id", "licence"]), (5, ["hub id", "licence"])]
)
def test_a_narrow_terminal_leaves_out_columns_and_breaks_no_name(monkeypatch, caplog, width, left_out):
    text = re.sub(r"\x1b\[[0-9;]*m", "", listed(monkeypatch, width=width, force_terminal=True))
    lines = text.splitlines()
    assert len(lines) == 3
    assert [line.split()[0] for line in lines] == ["name", "qwen3-0.6b", "smollm2-135m"]
    for place, column in enumerate(COLUMNS[1:2], 1):
        assert (column in lines[0]) == (column not in left_out)
        assert all((row[place] in line) == (column not in left_out) for row, line in zip(ROWS, lines[1:], strict=True))
    assert [record.getMessage() for record in caplog.records] == (
        [f"no room for {', '.join(left_out)}: see the same command with --json"] if left_out else []
    )
