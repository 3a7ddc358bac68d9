"""Text files of rows, read strictly: CSV, TSV and JSONL. No row is padded, cut or glued to the next, and every row knows its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from genzoo.errors import InputError

_LINE_END = re.compile(r"\r\n|\r|\n")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_KEY = re.compile(r'"\s*:')  # what follows each field's name, and perhaps stands in a text too
DIVIDERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
"""What may stand between the cells of a table, and what it is called."""


QUERY_COLUMNS = (
    *(
        "query",
        "question",
        "search",
        "search-query",
        "query-text",
        "search-term",
        "search-terms",
        "search-text",
        "search-phrase",
    ),
    *("query-string", "keywords"),
)
"""Names of a column of queries, as `plain_name` gives them."""


def plain_name(name: str) -> str:
    """A column's name without what is a matter of taste.

    >>> plain_name("_id"), plain_name("Query_ID"), plain_name("Passage Text")
    ('id', 'query-id', 'passage-text')
    """
    return name.casefold().replace("_", "-").replace(" ", "-").strip("-")


@dataclass(frozen=True)
class CsvTable:
    """A heading and the rows under it, all of the heading's length.

    Attributes:
        heading: Names of the columns, without white space around them.
        rows: Each with the line of the file on which it begins, counted from 1.
        divider: What stands between the cells.
    """

    heading: list[str]
    rows: list[tuple[int, list[str]]]
    divider: str = ","

    @property
    def swallowed(self) -> list[int]:
        """Lines of the rows in which a quoted cell holds what looks like further rows, as an unclosed quote may leave it."""
        sign = re.escape(self.divider)
        begins = re.compile(rf'"?[\w.-]*\d[\w.-]*"?{sign}\S')
        # as many cells as the heading has, and no space after a divider, as there is in prose
        whole = re.compile(rf"[^{sign}]+({sign}[^{sign}\s][^{sign}]*)+")

        def looks_like_rows(cell: str) -> bool:
            parts = _LINE_END.split(cell)
            return any(map(begins.match, parts[1:])) or any(
                part.count(self.divider) == len(self.heading) - 1 and whole.fullmatch(part) for part in parts
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
        raise InputError(f"{path} is not UTF-8 text: gzip cannot unpack it ({error})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start].decode("utf-8", errors="replace"))) + 1
        why = "it is in UTF-16" if data.startswith(_UTF_16) else f"line {line} holds the byte 0x{data[error.start]:02x}"
        raise InputError(f"{path} is not UTF-8 text ({why}): save it as UTF-8") from error


def divider_of(heading: str, usual: str = ",") -> str:
    r"""What stands between the cells of a heading: the usual sign, or where it has none of these, another one that it has.

    Spreadsheets write semicolons where the comma is the decimal point.

    >>> divider_of("id;query"), divider_of("id,query", "\\t"), divider_of("query"), divider_of("id,a;b")
    (';', ',', ',', ',')
    """
    found = usual if usual in heading else max(DIVIDERS, key=heading.count)
    return found if found in heading else usual


def read_table(path: Path, usual: str = ",") -> CsvTable:
    """Read a file of comma-separated values, or of others; cells are quoted as in RFC 4180.

    Empty lines are passed over. A quoted cell may hold line breaks.

    Args:
        path: The file.
        usual: The divider, unless the heading has another one (`divider_of`).

    Raises:
        InputError: For a row of another length than the heading, a quote that is never closed or followed by text, each with
            its line, and for what is no text.
    """
    text = read_text(path)
    divider = divider_of(_LINE_END.split(text.lstrip(), maxsplit=1)[0], usual)
    cells = _cells(path, io.StringIO(text, newline=""), divider)
    return CsvTable(next(cells, (1, []))[1], list(cells), divider)


def table_rows(path: Path, usual: str = ",") -> Iterator[Row]:
    """The rows of such a file one after the other, so that a large one is never held whole; the same errors are raised."""
    cells = _cells(path, (line for _, line in text_lines(path)), divider_of(heading_line(path), usual))
    line, heading = next(cells, (1, []))
    if twice := next((name for name in heading if name and heading.count(name) > 1), None):
        raise InputError(f"{path}, line {line}: two columns are named {twice!r}: rename one of them")
    for line, row in cells:
        yield Row(path, line, dict(zip(heading, row, strict=True)))


def heading_line(path: Path) -> str:
    """The first line of a file that is not blank, without white space around it; empty where there is none."""
    return next((line.strip() for _, line in text_lines(path) if line.strip()), "")


def _cells(path: Path, lines: Iterable[str], divider: str) -> Iterator[tuple[int, list[str]]]:
    """The heading and then each row, with the line on which it begins."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(lines, delimiter=divider, skipinitialspace=True, strict=True)
    heading: list[str] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if len(cells) < 2 and not "".join(cells).strip():
                continue
            if not heading:
                heading = [cell.strip() for cell in cells]
                cells = heading
            elif len(cells) != len(heading):
                raise InputError(_wrong_length(path, begins, cells, heading, divider))
            yield begins, cells
    except csv.Error as error:
        raise InputError(_wrong_quotes(path, line, reader.line_num, error)) from error


def _wrong_length(path: Path, line: int, cells: list[str], heading: list[str], divider: str) -> str:
    name = DIVIDERS.get(divider, divider)
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
    if "new-line character" in str(error):
        return f"{path}, line {line}: a line ends with a carriage return alone: save the file with ordinary line ends"
    return f"{path}, line {line} cannot be read as a row of cells ({error})"


LARGEST_GRADE = 1_000_000
"""trec_eval counts documents by grade in a list as long as the largest grade."""


_FEW = 3  # lines that an error lists


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file.

    Attributes:
        path: The file.
        line: Its line, from 1.
        cells: Field to value.
    """

    path: Path
    line: int
    cells: Mapping[str, Any]

    def error(self, problem: str) -> InputError:
        """The error that names this row."""
        return InputError(f"{self.path}, line {self.line}: {problem}")

    def value(self, *names: str) -> Any:
        """The first of these fields that the row has."""
        for name in names:
            if name in self.cells:
                return self.cells[name]
        raise self.error(f"the field {names[0]!r} is missing; the row has {', '.join(map(repr, self.cells)) or 'none'}")

    def name(self, *names: str) -> str:
        """An id, as a string: 7 and "7" are the same id."""
        return self.as_name(self.value(*names), names[0])

    def as_name(self, value: Any, field: str) -> str:
        """A value of this row as an id."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
        if not is_number and not (isinstance(value, str) and value.strip()):
            raise self.error(f"{field!r} is {_shown(value)}: an id is a string or a whole number, and not empty")
        return str(value)

    def text(self, name: str, *, is_optional: bool = False) -> str:
        """A text; null and a missing field are empty texts where the field is optional."""
        value = self.cells.get(name, "") if is_optional else self.value(name)
        if is_optional and value is None:
            return ""
        if not isinstance(value, str):
            raise self.error(f"{name!r} is {_shown(value)}: a text is expected")
        return value

    def grade(self, name: str) -> int:
        """A grade of relevance: a whole number, which 2.0 and "2" are too."""
        value = number = self.value(name)
        if isinstance(value, str | Decimal):
            try:
                number = float(value)
            except ValueError:
                number = None
        if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
            raise self.error(f"{name!r} is {_shown(value)}: a whole number is expected, such as 0, 1 or 2")
        if not -LARGEST_GRADE <= number <= LARGEST_GRADE:
            raise self.error(
                f"{name!r} is {_shown(value)}: a grade lies between {-LARGEST_GRADE:,} and {LARGEST_GRADE:,}"
            )
        if number != int(number):
            raise self.error(
                f"{name!r} is {_shown(value)}: grades of relevance are whole numbers (2.0 counts as 2). Round the grades, or "
                "turn them into 0 and 1 at a threshold of your choice"
            )
        return int(number)


def read_rows(path: Path) -> Iterator[Row]:
    """The records of a `.jsonl` file, or of one compressed as `.gz`; blank lines are skipped.

    Raises:
        InputError: The file cannot be read, or a line is not a record.
    """
    for number, content in json_lines(path):
        if not isinstance(content, dict):
            raise InputError(
                f"{path}, line {number}: no JSON object but {_shown(content)}: each line holds one object, such as "
                '{"_id": "1", "text": "..."}'
            )
        yield Row(path, number, content)


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line that is not blank, with its number from 1.

    Raises:
        InputError: The file cannot be read, a line is no JSON, or an object names a field twice.
    """
    for number, line in text_lines(path):
        if not line.strip():
            continue
        try:
            content = from_json(line)
        except ValueError as error:
            reason = str(error).partition(" at line ")[0]
            is_array = number == 1 and line.lstrip()[0] == "["
            hint = "; the file looks like one JSON array: write each object on a line of its own" if is_array else ""
            raise InputError(f"{path}, line {number}: no JSON object ({reason}){hint}") from error
        # Only a line with more of these than fields can name one twice: the slower reader looks.
        if isinstance(content, dict) and len(_KEY.findall(line)) > len(content):
            pairs = json.loads(line, object_pairs_hook=list)
            if len(pairs) > len(content):
                names = [name for name, _ in pairs]
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError(f"{path}, line {number} names the field {twice!r} twice: leave one of them out")
        yield number, content


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, unpacked where its name ends with ``.gz``.

    Raises:
        InputError: The file cannot be read, or is not in UTF-8; the line is named.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read after line {number} ({error}): write the file anew") from error


def line_numbers(numbers: Sequence[int]) -> str:
    """Line numbers in words, the first few of them.

    >>> line_numbers([1, 3, 8]), line_numbers([4]), line_numbers([1, 2, 3, 4, 5])
    ('lines 1, 3 and 8', 'line 4', 'lines 1, 2, 3 and 2 more')
    """
    shown = [str(number) for number in numbers[:_FEW]]
    if len(numbers) > _FEW:
        return f"lines {', '.join(shown)} and {len(numbers) - _FEW} more"
    return f"lines {', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else f"line {shown[0]}"


class Names:
    """The ids of a file, each of which must stand there once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: dict[str, int] = {}
        self._again: dict[str, list[int]] = {}

    def add(self, row: Row, column: str | None = None) -> str:
        """The id of a row, in a column of this name, by default ``_id`` or ``id``."""
        name = row.name(column) if column else row.name("_id", "id")
        first = self._first.setdefault(name, row.line)
        if first != row.line:
            self._again.setdefault(name, [first]).append(row.line)
        return name

    def check(self, shape: str) -> None:
        """Refuse a file without rows, for which `shape` tells what is expected, and repeated ids."""
        if not self._first:
            raise InputError(f"{self._path} holds no rows: expected {shape}")
        if self._again:
            name, lines = next(iter(self._again.items()))
            also = f"; {len(self._again) - 1} more ids are repeated" if len(self._again) > 1 else ""
            raise InputError(
                f"{self._path}: the id {name!r} stands on {line_numbers(lines)}{also}. Each row needs an id of its own"
            )


def _shown(value: Any) -> str:
    """A value as JSON shows it, cut to one short line."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
