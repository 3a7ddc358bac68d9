"""What a person sees while work goes on: bars, a spinner and notes, on standard error or in a notebook."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from genzoo.jobs import as_time, is_running, reporting_to
from genzoo.text import for_terminal


class PlainConsole(Console):
    """A console that shows text as it is: no markup, no emoji codes, no coloured numbers, and no character that commands the terminal.

    A line that is styled says `markup=True` and escapes what it is given.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, as rich asks for it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=for_terminal(segment.text))


err = PlainConsole(stderr=True)
EVERY_SECONDS = 30
"""Between the lines that take the bars' place where nobody watches a terminal, as in a log file."""


class _TimeLeft(TimeRemainingColumn):
    """The time left, unless the remark says it, as that of a stage whose steps are not all alike."""

    def render(self, task: Task) -> Text:
        return Text() if str(task.fields.get("remark", "")).endswith(" left") else super().render(task)


class _Stages(Progress):
    """A bar for each stage, and a spinner with what is going on."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        self.line, self._spinner = "", Spinner("dots")
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterator[RenderableType]:
        """What is shown, as rich asks for it."""
        if self.line:
            self._spinner.update(text=Text(self.line))
            yield self._spinner
        if self.tasks:
            yield self.make_tasks_table(self.tasks)


def _is_watched() -> bool:
    """Whether bars can be drawn: on a terminal, or in a notebook that has what rich draws them with.

    A notebook without ipywidgets shows lines instead; ``pip install 'genzoo[notebook]'`` brings bars.
    """
    return err.is_terminal or (err.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


class Bars:
    """Draws how far a job is, from the first report until `end`.

    Where standard error is no terminal, a line every half minute and one at the end of each stage say the same.
    """

    def __init__(self) -> None:
        self.progress: _Stages | None = None
        self._tasks: dict[str, Any] = {}
        self._line = ""
        self._began = self._told = time.monotonic()

    def _shown(self) -> _Stages:
        if self.progress is None:
            self._began = self._told = time.monotonic()
            self.progress = _Stages(
                TextColumn("{task.description:<12}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                _TimeLeft(),
                TextColumn("{task.fields[remark]}", markup=False),
                console=err,
                disable=not _is_watched(),
            )
            self.progress.start()
        return self.progress

    def status(self, line: str) -> None:
        """Say what is going on, under no stage."""
        if is_running():
            self._shown().line = line

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Show how far a stage of a job is."""
        if not is_running():
            return
        shown = self._shown()
        shown.line = ""
        if stage not in self._tasks:
            self._tell()  # how the stage before ended
            # What an earlier run had finished is no measure of this run's speed.
            self._tasks[stage] = shown.add_task(stage, total=total, completed=done, remark=remark)
        shown.update(self._tasks[stage], completed=done, total=total, remark=remark)
        if shown.disable:
            now = time.monotonic()
            self._line = f"{stage} {done}/{total} after {as_time(now - self._began)} {remark}".rstrip()
            if now - self._told >= EVERY_SECONDS:
                self._tell()

    def _tell(self) -> None:
        if self._line:
            err.print(self._line, soft_wrap=True)
        self._line, self._told = "", time.monotonic()

    def end(self) -> None:
        """Take spinner and bars away: the job is done."""
        if self.progress is not None:
            self.progress.line = ""
            self.progress.stop()
        self._tell()
        self.progress, self._tasks = None, {}


class Notes(logging.Handler):
    """Shows genzoo's messages: what is going on beside a spinner, notes on a line of their own.

    Args:
        bars: Shows the spinner.
        level: Messages of a lower level are not shown; with ``DEBUG`` every message is a line.
    """

    def __init__(self, bars: Bars, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._bars = bars

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message."""
        line = record.getMessage()
        if record.levelno < logging.WARNING and self.level > logging.DEBUG:
            self._bars.status(line)
        elif record.levelno < logging.WARNING:
            err.print(f"{record.name}: {line}", soft_wrap=True)
        else:
            err.print(f"note: {line}", soft_wrap=True)


class progress:
    """Show progress bars and messages of long work, in a terminal or a notebook: from now on, or within a ``with`` block.

    Args:
        on: False goes back to silence.
        level: Lowest level of the messages that are shown, as in `logging`; DEBUG shows each message on its own line.

    >>> with progress():
    ...     pass
    >>> _ = progress(False)
    """

    _now: ExitStack | None = None
    _level: int | None = None
    _lock = threading.Lock()

    def __init__(self, on: bool = True, level: int = logging.INFO) -> None:
        with progress._lock:
            self._before = progress._level
            if progress._now is not None:
                progress._now.close()
            progress._now = progress._level = None
            # Of several processes that train together one speaks.
            if on and os.environ.get("RANK", "0") == "0":
                progress._now, progress._level = _switch_on(level), level

    def __enter__(self) -> progress:
        return self

    def __exit__(self, *_: object) -> None:
        progress(self._before is not None, self._before or logging.INFO)


def _switch_on(level: int) -> ExitStack:
    """Everything that has to be undone to be silent again."""
    bars, logger, stack = Bars(), logging.getLogger("genzoo"), ExitStack()
    notes, before = Notes(bars, level), logger.level
    if level < logging.ERROR:
        stack.enter_context(reporting_to(bars, bars.end))
    logger.addHandler(notes)
    logger.setLevel(min(level, logging.WARNING))  # the handler is silent, not the notes that a later run repeats
    stack.callback(logger.setLevel, before)
    stack.callback(logger.removeHandler, notes)
    stack.callback(bars.end)
    return stack
