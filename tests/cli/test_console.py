"""What the command line says where nobody watches a terminal."""

import io

from rich.console import Console

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
