"""What the command line says where nobody watches a terminal."""

import io
import json
import math
import re

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genzoo import text as escaping
from genzoo.cli import console


def test_without_a_terminal_each_stage_ends_in_a_line(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=text, width=40))
    with console.Bars() as bars:
        for done in range(4):
            bars("targets", done, 3)
        for done in range(3):
            bars("training", done, 2, "a remark that is longer than the console is wide")
    first, second = text.getvalue().splitlines()
    assert first.startswith("targets 3/3 after ")
    assert second.startswith("training 2/2 after ")
    assert second.endswith("a remark that is longer than the console is wide")


def test_a_line_every_half_minute(monkeypatch):
    text, clock = io.StringIO(), iter(range(0, 10_000, 10))
    monkeypatch.setattr(console, "err", Console(file=text))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.Bars() as bars:
        for done in range(30):
            bars("training", done, 30)
    lines = text.getvalue().splitlines()
    assert 3 < len(lines) < 30
    assert lines[-1].startswith("training 29/30")


def test_quiet_says_nothing(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=text))
    with console.Bars(quiet=True) as bars:
        bars("training", 1, 1)
    assert text.getvalue() == ""


HOSTILE = "a [red]b[/] [/x] :bug: \x1b[31mc\x1b]0;title\x07 \x9b2J d\u202ee\r\x00\ufffe"


@pytest.fixture
def screen(monkeypatch):
    """What a terminal gets to see."""
    text = io.StringIO()
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, console.PlainConsole(file=text, width=200, force_terminal=True))
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
    console.err.print(Text(HOSTILE))
    text = screen.getvalue()
    assert commands(text) == []
    assert text.count("[red]b[/] [/x] :bug: \ufffd[31mc\ufffd]0;title") == 4
    assert "\x1b[31m" not in text


def test_spinners_and_bars_show_names_as_they_are(screen):
    with console.busy(f"packing {HOSTILE}") as status:
        status.update(f"checking {HOSTILE}")
    with console.Bars() as bars:
        bars("evaluating", 1, 2, HOSTILE)
        bars.progress.refresh()
    assert commands(screen.getvalue()) == []
    assert "[red]b[/] [/x]" in screen.getvalue()


def test_json_on_the_terminal_is_strict_and_safe(screen):
    value = {HOSTILE: [math.nan, "é ש 😀\udc80\U0001fffe"], "n": -1.5}
    console.print_json(value)
    assert commands(screen.getvalue()) == []
    assert "é ש 😀" in screen.getvalue()
    expected = {HOSTILE: [None, "é ש 😀\udc80\U0001fffe"], "n": -1.5}
    assert json.loads(screen.getvalue(), parse_constant=pytest.fail) == expected
