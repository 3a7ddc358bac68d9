"""Records of a user's files, one after the other: JSONL, CSV, TSV, Parquet, and the files of TREC. Every record knows its place."""

from __future__ import annotations

import functools
import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.errors import InputError
from genzoo.tables import Row, heading_line, read_rows, read_text, table_rows, text_lines
from genzoo.tasks.own.columns import is_known

TEXT_FORMATS = ("jsonl", "csv", "tsv")
TREC_FORMATS = ("txt", "trec", "xml", "sgml", "qrels")
SUFFIXES = (*(f"{kind}{packed}" for kind in (*TEXT_FORMATS, *TREC_FORMATS) for packed in ("", ".gz")), "parquet")
"""The files that can be read, by the ends of their names."""
TREC_QRELS = ("query-id", "iteration", "corpus-id", "score")
"""The columns of TREC's judgements, whose files have no heading."""
_LOOKED_AT = 1000  # records of a JSONL file whose fields count as its columns
_BATCH = 4096  # rows of a Parquet file that are Python objects at a time
_ELEMENT = re.compile(r"<(\w+)[^>]*>\s*([^<]*)")
_NUMBER = re.compile(r"^(?:Number|Topic|Description|Narrative):\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NumberedRow(Row):
    """A record of a file without lines, such as Parquet; `line` counts the records from 1."""

    def error(self, problem: str) -> InputError:
        """The error that names this record."""
        return InputError(f"{self.path}, row {self.line}: {problem}")


class Note(str):
    """What is incomplete in the data and yet can be measured, as a sentence.

    Attributes:
        code: What it is about, such as ``empty-documents``.
        affected: How many records are affected.
        total: Of how many.
    """

    code: str
    affected: int
    total: int

    def __new__(cls, text: str, code: str = "", affected: int = 0, total: int = 0) -> Note:
        """A note of this text."""
        made = super().__new__(cls, text)
        made.code, made.affected, made.total = code, affected, total
        return made

    def at(self, place: object) -> Note:
        """The same note, with the file or folder in front."""
        return Note(f"{place}: {self}", self.code, self.affected, self.total)

    def as_list(self) -> list[str | int]:
        """The arguments that make it again, for JSON."""
        return [str(self), self.code, self.affected, self.total]


def suffix_of(path: Path) -> str:
    """The format of a file by the end of its name, in lower case and without ``.gz``; empty where it cannot be read.

    >>> suffix_of(Path("a.b/corpus.JSONL.gz")), suffix_of(Path("x.parquet")), suffix_of(Path("notes.docx"))
    ('jsonl', 'parquet', '')
    """
    name = path.name.lower()
    found = next((kind for kind in SUFFIXES if name.endswith(f".{kind}")), "")
    return found.removesuffix(".gz")


def stem_of(path: Path) -> str:
    """The name of a file without the end that tells its format.

    >>> stem_of(Path("data/queries.jsonl.gz")), stem_of(Path("topics.301-450.txt"))
    ('queries', 'topics.301-450')
    """
    name = path.name
    return next((name[: -len(kind) - 1] for kind in SUFFIXES if name.lower().endswith(f".{kind}")), name)


def read_records(paths: Sequence[Path], headless: Sequence[str] = ()) -> Iterator[Row]:
    """The records of the files of one table, one after the other.

    Args:
        paths: One file, or the parts of a Parquet table.
        headless: The columns of a file of TREC without a heading, such as ``("id", "text")``.

    Raises:
        InputError: A file cannot be read, or holds what is no record; the file and the line are named.
    """
    for path in paths:
        yield from _reader(path, tuple(headless))(path)


def columns_of(paths: Sequence[Path], headless: Sequence[str] = ()) -> list[str]:
    """The columns of a table: its heading, or the fields of its first records; none where it is empty."""
    if paths and suffix_of(paths[0]) == "parquet":
        return list(_parquet(paths[0]).schema_arrow.names)
    # of JSONL any record may lack a field; a table has one heading
    first = itertools.islice(read_records(paths, headless), _LOOKED_AT if suffix_of(paths[0]) == "jsonl" else 1)
    return list(dict.fromkeys(name for row in first for name in row.cells))


def _reader(path: Path, headless: tuple[str, ...]) -> Callable[[Path], Iterable[Row]]:
    kind = suffix_of(path)
    if kind == "parquet":
        return _parquet_rows
    if kind == "jsonl":
        return read_rows
    if kind == "csv":
        return table_rows
    start = heading_line(path)
    if start.startswith("<"):
        return _tagged
    if headless and _lacks_heading(start, headless):
        return functools.partial(_bare, headless)
    return functools.partial(table_rows, usual="\t")


def _lacks_heading(line: str, columns: Sequence[str]) -> bool:
    r"""Whether the first line of a table is a record: it has as many cells as there are columns, and none of their names.

    >>> _lacks_heading("301\tpolar bears", ("id", "text")), _lacks_heading("qid\tquery", ("id", "text"))
    (True, False)
    >>> _lacks_heading("q1 0 d1 2", ("query-id", "iteration", "corpus-id", "score"))
    True
    """
    cells = _split(line, len(columns))
    return len(cells) == len(columns) and not any(map(is_known, cells))


def _split(line: str, n: int) -> list[str]:
    """The cells of a record of TREC: judgements by white space, texts by the first tab."""
    return line.split() if n > 2 else line.split("\t", n - 1)


def _bare(columns: tuple[str, ...], path: Path) -> Iterator[Row]:
    """The records of a file without a heading, as TREC and MS MARCO have them; quotes mean themselves."""
    for number, line in text_lines(path):
        if not line.strip():
            continue
        cells = _split(line.rstrip("\r\n"), len(columns))
        if len(cells) != len(columns):
            raise InputError(
                f"{path}, line {number}: the row has {len(cells)} cells, the first row has {len(columns)} "
                f"({', '.join(columns)})"
            )
        yield Row(path, number, dict(zip(columns, cells, strict=True)))


def _tagged(path: Path) -> Iterator[Row]:
    """Topics (``<top>`` or ``<topic number="1">``) and documents (``<DOC>``) of TREC; a field's name is its tag in lower case."""
    text, line, place = read_text(path), 1, 0
    for found in re.finditer(r"<(top|topic|doc)\b([^>]*)>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL):
        line, place = line + text.count("\n", place, found.start()), found.start()
        cells: dict[str, str] = {}
        if number := re.search(r"""(?:number|id)\s*=\s*["']([^"']+)""", found[2], re.IGNORECASE):
            cells["id"] = number[1].strip()
        for tag, content in _ELEMENT.findall(found[3]):
            said = _NUMBER.sub("", html.unescape(" ".join(content.split())))
            name = {"num": "id", "docno": "id"}.get(tag.lower(), tag.lower())
            if said or name not in cells:
                cells[name] = f"{cells[name]} {said}".strip() if name in cells else said
        yield Row(path, line, cells)


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is no Parquet file ({str(error).splitlines()[0]}): write the file anew") from error
    names = opened.schema_arrow.names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path}: two columns are named {twice!r}: rename one of them")
    return opened


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        for batch in _parquet(path).iter_batches(_BATCH):
            for cells in batch.to_pylist():
                number += 1
                yield NumberedRow(path, number, cells)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read after row {number} ({error}): write the file anew") from error
