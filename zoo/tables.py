"""Text files of rows and cells, read strictly: no row is padded, cut or glued to the next, and every row knows its line."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import InputError

_LINE_END = re.compile(r"\r\n|\r|\n")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DIVIDERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Table:
    """A heading and the rows under it, all of the heading's length.

    Attributes:
        heading: Names of the columns, without white space around them.
        rows: Each with the line of the file on which it begins, counted from 1.
    """

    heading: list[str]
    rows: list[tuple[int, list[str]]]

    def swallowed(self, divider: str) -> list[int]:
        """Lines of the rows in which a quoted cell holds what looks like further rows, as an unclosed quote may leave it."""
        begins = re.compile(rf'"?[\w.-]*\d[\w.-]*"?{re.escape(divider)}\S')
        # as many cells as the heading has, and no space after a divider, as there is in prose
        whole = re.compile(
            rf"[^{re.escape(divider)}]+({re.escape(divider)}[^{re.escape(divider)}\s][^{re.escape(divider)}]*)+"
        )

        def looks_like_rows(cell: str) -> bool:
            parts = _LINE_END.split(cell)
            return any(map(begins.match, parts[1:])) or any(
                part.count(divider) == len(self.heading) - 1 and whole.fullmatch(part) for part in parts
            )

        return [line for line, cells in self.rows if len(cells) > 1 and any(map(looks_like_rows, cells))]


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; unpacked where its name ends with ``.gz``.

    Raises:
        InputError: For a file in another encoding (the line is named), or one that gzip cannot unpack.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no text in UTF-8: gzip cannot unpack it ({error})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start].decode("utf-8", errors="replace"))) + 1
        why = "it is in UTF-16" if data.startswith(_UTF_16) else f"line {line} holds the byte 0x{data[error.start]:02x}"
        raise InputError(f"{path} is no text in UTF-8 ({why}): save it as UTF-8") from error


def read_table(path: Path, divider: str = ",") -> Table:
    """Read a file of comma-separated values, or of others; cells are quoted as in RFC 4180.

    Empty lines are passed over. A quoted cell may hold line breaks.

    Raises:
        InputError: For a row of another length than the heading, a quote that is never closed or followed by text, each with
            its line, and for what is no text.
    """
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=divider, skipinitialspace=True, strict=True)
    heading: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if len(cells) < 2 and not "".join(cells).strip():
                continue
            if not heading:
                heading = [cell.strip() for cell in cells]
            elif len(cells) != len(heading):
                raise InputError(_wrong_length(path, begins, cells, heading, divider))
            else:
                rows.append((begins, cells))
    except csv.Error as error:
        raise InputError(_wrong_quotes(path, line, reader.line_num, error)) from error
    return Table(heading, rows)


def other_divider(heading: list[str]) -> str:
    """What a heading of a single cell seems to be divided by instead, in words; empty where nothing of the kind shows."""
    if len(heading) != 1:
        return ""
    found = [name for sign, name in _DIVIDERS.items() if sign in heading[0]]
    return (
        f"; the heading seems to be divided by {found[0]}s, .csv is read with commas and .tsv with tabs"
        if found
        else ""
    )


def _wrong_length(path: Path, line: int, cells: list[str], heading: list[str], divider: str) -> str:
    name = _DIVIDERS.get(divider, divider)
    return (
        f"{path}, line {line}: the row has {len(cells)} cell{'s' * (len(cells) != 1)}, the heading has {len(heading)} "
        f"({', '.join(heading)[:120]}): put a cell that holds a {name} or a line break in double quotes"
    )


def _wrong_quotes(path: Path, begins: int, line: int, error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return f"{path}, line {begins}: a quote is opened in this row and never closed: close it, or double it to mean itself"
    if "expected after" in str(error):
        where = f"line {line}" if line == begins else f"line {line}, in the row that begins on line {begins}"
        return (
            f"{path}, {where}: text follows a closing quote: close every quote at the end of its cell, and double a quote that "
            "belongs to the text"
        )
    return f"{path}, line {line} cannot be read as a row of cells ({error})"
