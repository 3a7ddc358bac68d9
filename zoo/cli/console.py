"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from genzoo.files import strict_json
from genzoo.jobs import as_time
from genzoo.text import for_terminal, is_hiding


class PlainConsole(Console):
    """A console that shows text as it is: no markup, no emoji codes, and no character that commands the terminal.

    A line that is styled says `markup=True` and escapes what it is given.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, as rich asks for it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=for_terminal(segment.text))


out = PlainConsole(soft_wrap=True)
err = PlainConsole(stderr=True)


def print_json(value: Any) -> None:
    """One strict JSON document on standard output, for machines; what would command a terminal is written as an escape."""
    text = strict_json(value, indent=1)
    text = "".join(json.dumps(char)[1:-1] if char != "\n" and is_hiding(char) else char for char in text)
    out.print(text, highlight=False)


class Busy:
    """What a spinner says."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def update(self, line: str) -> None:
        """Say something else."""
        self._status.update(Text(line))


@contextmanager
def busy(line: str) -> Iterator[Busy]:
    """A spinner while something short goes on."""
    with err.status(Text(line)) as status:
        yield Busy(status)


@contextmanager
def many_objects() -> Iterator[None]:
    """Around work that makes hundreds of thousands of objects that all stay: searching them for cycles takes a fifth of the time.

    Nor are they searched as the program ends, which would take a quarter of a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


class _TimeLeft(TimeRemainingColumn):
    """The time left, unless the stage tells it itself, as one does whose steps are not all alike."""

    def render(self, task: Task) -> Text:
        return Text() if str(task.fields.get("remark", "")).endswith(" left") else super().render(task)


EVERY_SECONDS = 30
"""Between the lines that take the bars' place where nobody watches a terminal, as in a log file."""


class Bars:
    """A progress bar per stage, with the time left; used as a callback of long work.

    Where standard error is no terminal, a line every half minute and one at the end say the same.

    Args:
        quiet: Draw nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[remark]}", markup=False),
            console=err,
            disable=quiet or not err.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._tells_lines = not quiet and not err.is_terminal
        self._line = ""
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        self._tell()

    def _tell(self) -> None:
        if self._line:
            err.print(self._line, highlight=False, markup=False, soft_wrap=True)
        self._line, self._told = "", time.monotonic()

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Show how far a stage is."""
        if stage not in self._tasks:
            self._tell()  # how the stage before ended
            # What an earlier run had finished is no measure of this run's speed.
            self._tasks[stage] = self.progress.add_task(stage, total=total, completed=done, remark=remark)
        self.progress.update(self._tasks[stage], completed=done, total=total, remark=remark)
        if self._tells_lines:
            now = time.monotonic()
            self._line = f"{stage} {done}/{total} after {as_time(now - self._began)} {remark}".rstrip()
            if now - self._told >= EVERY_SECONDS:
                self._tell()
