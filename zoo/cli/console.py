"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from genzoo.display import PlainConsole
from genzoo.errors import ZooError
from genzoo.files import strict_json
from genzoo.jobs import pause
from genzoo.text import clean, is_hiding

log = logging.getLogger(__name__)


class _Results(PlainConsole):
    """Standard output; bars and spinner give way to it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does."""
        pause()
        super().print(*objects, **options)


out = _Results(soft_wrap=True)


def print_json(value: Any) -> None:
    """One strict JSON document on standard output, for machines; what would command a terminal is written as an escape."""
    text = strict_json(value, indent=1)
    text = "".join(json.dumps(char)[1:-1] if char != "\n" and is_hiding(char) else char for char in text)
    out.print(text)


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    is_json: bool = False,
    more: str = "the same command with --json",
) -> None:
    """A listing: JSON, a table on a terminal, or one line per row with tabs between the cells where it is piped.

    A cell is never broken into pieces: columns that a narrow terminal has no room for are left out, the last first.

    Args:
        columns: Names of the columns; the first one identifies a row.
        rows: A cell for each column.
        is_json: Print a list of objects.
        more: What shows the columns that were left out, as a command.
    """
    if is_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    if not out.is_terminal:
        out.file.writelines("\t".join(row) + "\n" for row in cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    count = len(columns)
    while count > 1 and sum(widths[:count]) + 2 * (count - 1) > out.width:
        count -= 1
    for place, row in enumerate([list(columns), *cells]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row[:count], widths, strict=False))
        out.print(Text(line.rstrip(), "" if place else "bold"), soft_wrap=True)
    if left_out := columns[count:]:
        log.warning("no room for %s: see %s", ", ".join(left_out), more)


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


@contextmanager
def exit_code_of_errors(code: int) -> Iterator[None]:
    """Around the work of a command whose exit code 1 is a finding: an error gets another."""
    try:
        yield
    except (ZooError, OSError) as error:
        error.exit_code = code  # type: ignore[union-attr]
        raise
