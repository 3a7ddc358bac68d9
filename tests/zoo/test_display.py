"""What a person sees while work goes on: on a terminal, in a log file, and nothing unless asked for."""

import io
import logging
import re
import threading

import pytest
from rich.console import Console

from genzoo import display
from genzoo.display import Bars, PlainConsole, progress
from genzoo.jobs import job, report, reporting_to
from genzoo.text import is_hiding

HOSTILE = "a [red]b[/] [/x] :bug: \x1b[31mc\x1b]0;title\x07 \x9b2J d\u202ee\r\x00\ufffe"
log = logging.getLogger("genzoo.some.module")


@pytest.fixture
def logged(monkeypatch):
    """What a log file gets."""
    text = io.StringIO()
    monkeypatch.setattr(display, "err", PlainConsole(file=text, width=40))
    return text


@pytest.fixture
def screen(monkeypatch):
    """What a terminal gets."""
    text = io.StringIO()
    monkeypatch.setattr(display, "err", PlainConsole(file=text, width=200, force_terminal=True))
    return text


def test_without_a_terminal_each_stage_ends_in_a_line(logged):
    with progress(), job("loading"):
        for done in range(4):
            report("targets", done, 3)
        for done in range(3):
            report("training", done, 2, "a remark that is longer than the console is wide")
    first, second = logged.getvalue().splitlines()
    assert first.startswith("targets 3/3 after ")
    assert second.startswith("training 2/2 after ")
    assert second.endswith("a remark that is longer than the console is wide")


def test_a_line_every_half_minute(monkeypatch):
    text, clock = io.StringIO(), iter(range(0, 10_000, 10))
    monkeypatch.setattr(display, "err", Console(file=text))
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    with progress(), job():
        for done in range(30):
            report("training", done, 30)
    lines = text.getvalue().splitlines()
    assert 3 < len(lines) < 30
    assert lines[-1].startswith("training 29/30")


def work():
    with job("loading the model"):
        report("training", 1, 2)
        log.warning("a note on %s", "the log")
        log.debug("a detail")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.ERROR, []),
        (logging.INFO, ["training 1/2", "note: a note on the log"]),
        (logging.DEBUG, ["loading the model", "training 1/2", "note: a note on the log", "a detail"]),
    ],
)
def test_levels(logged, level, shown):
    with progress(level=level):
        work()
    for line in ("loading the model", "training 1/2", "note: a note on the log", "a detail"):
        assert (line in logged.getvalue()) == (line in shown)


def test_nothing_is_shown_unless_asked_for(logged, capfd, monkeypatch):
    work()
    with progress():
        pass
    work()
    progress(True)
    progress(False)
    work()
    monkeypatch.setenv("RANK", "1")  # of several processes the first one speaks
    with progress():
        work()
    assert logged.getvalue() == ""
    assert capfd.readouterr() == ("", "")
    assert [type(handler) for handler in logging.getLogger("genzoo").handlers] == [logging.NullHandler]


def test_what_is_shown_goes_away_with_the_outermost_job(screen, monkeypatch):
    bars = Bars()
    with reporting_to(bars, bars.end):
        report("training", 1, 2)
        assert bars.progress is None  # outside of a job nobody would take it away
        with pytest.raises(KeyboardInterrupt), job():
            with job():
                report("training", 1, 2)
            assert bars.progress is not None
            raise KeyboardInterrupt
        assert bars.progress is None
    report("training", 2, 2)
    assert bars.progress is None


def test_names_are_shown_as_they_are(screen):
    with progress(), job(f"packing {HOSTILE}"):
        log.info("checking %s", HOSTILE)
        report("evaluating", 1, 2, HOSTILE)
        log.warning(HOSTILE)
    own = re.compile(r"\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r")
    left = own.sub("", screen.getvalue())
    assert [char for char in left if is_hiding(char) and char != "\n"] == []
    assert "[red]b[/] [/x]" in left
    assert "note: a [red]b" in left


def test_a_block_goes_back_to_what_was_shown_before():
    logger = logging.getLogger("genzoo")
    before = logger.level, list(logger.handlers)
    with progress(level=logging.DEBUG):
        with progress():
            assert logger.level == logging.INFO
        assert logger.level == logging.DEBUG
    assert (logger.level, list(logger.handlers)) == before


def test_threads_that_switch_it_on_leave_one_handler():
    logger = logging.getLogger("genzoo")
    before = list(logger.handlers)
    threads = [threading.Thread(target=lambda: [progress() for _ in range(100)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(logger.handlers) == len(before) + 1
    progress(False)
    assert logger.handlers == before
