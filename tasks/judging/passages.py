"""A corpus as people have it -> passages: a folder of text or Markdown files, JSON lines, CSV, TSV or Parquet."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from genzoo.errors import InputError
from genzoo.files import is_hidden
from genzoo.tables import read_text
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.records import columns_of, read_records, suffix_of
from genzoo.text import some

log = logging.getLogger(__name__)
Split = Literal["headings", "files", "paragraphs"]
KINDS = "a folder of .txt and .md files, or a .jsonl, .csv, .tsv or .parquet file"
PARAGRAPH_WORDS = 150
"""Paragraphs are joined up to so many words: about what a person reads at a glance and every encoder takes whole."""
LONG_WORDS = 350
"""Passages above it are counted in a note: an encoder of 512 tokens cuts them."""
_MARKDOWN = (".md", ".markdown")
_TEXT = (".txt", ".text", ".rst", *_MARKDOWN)
_RECORDS = ("jsonl", "csv", "tsv", "parquet", "trec", "xml", "sgml")
_FOUND = Columns()
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_STEP = " > "
_SHOWN = 3


class Passage(NamedTuple):
    """One passage: an id of its own, a title (empty where there is none) and the text."""

    id: str
    title: str
    text: str


def read_passages(path: Path, split: Split = "headings", columns: Columns = _FOUND) -> Iterator[Passage]:
    """The passages of a corpus, one at a time; what is left out is logged as a warning once all are read.

    Args:
        path: A folder of text files, or a file of records with a column for the passage, and perhaps for its title and its id, as
            `genzoo.tasks.own.columns` finds them. Records without an id are numbered. A folder that holds a corpus.jsonl stands
            for that file.
        split: How the files of a folder are cut. ``headings``: a Markdown file at its headings, each passage under the path of its
            headings as title; other files whole. ``files``: each file is one passage. ``paragraphs``: at headings and blank lines,
            short neighbours joined up to 150 words. Records are never cut.
        columns: Names of columns that are not found.

    Raises:
        InputError: There is no such corpus, a file is not UTF-8, a record has no text or two have one name.
    """
    if split not in get_args(Split):
        raise InputError(f"split is {split!r}: it must be one of {', '.join(get_args(Split))}")
    if path.is_dir() and not any(_whole(path, kind).is_file() for kind in ("", ".gz")):
        return _checked(path, _of_folder(path, split))
    packed = next((made for kind in ("", ".gz") if (made := _whole(path, kind)).is_file()), path)
    if not packed.is_file():
        raise InputError(f"there is no corpus {path}: give {KINDS}")
    if packed.suffix.lower() in _TEXT:
        return _checked(packed, _of_file(packed, packed.name, split))
    if suffix_of(packed) not in _RECORDS:
        raise InputError(f"{packed} is no corpus that can be read: give {KINDS}")
    return _checked(packed, _of_records(packed, columns))


def _whole(folder: Path, packed: str) -> Path:
    return folder / f"corpus.jsonl{packed}"


def _checked(path: Path, passages: Iterable[Passage]) -> Iterator[Passage]:
    """The passages that have a text, each under a name of its own."""
    seen, empty, long = set[str](), list[str](), 0
    for passage in passages:
        if not f"{passage.title}{passage.text}".strip():
            empty.append(passage.id)
            continue
        if passage.id in seen:
            raise InputError(f"{path}: two passages have the id {passage.id!r}. Each needs an id of its own")
        seen.add(passage.id)
        long += len(passage.text.split()) > LONG_WORDS
        yield passage
    if not seen:
        raise InputError(f"{path} holds no passage with a text: give {KINDS}")
    if empty:
        shown = some([repr(name) for name in empty], _SHOWN)
        log.warning(f"{path}: {len(empty):,} passages have no text ({shown}): left out")
    if long:
        log.warning(
            f"{path}: {long:,} of {len(seen):,} passages have more than {LONG_WORDS} words. They are slow to judge, and many "
            "embedders read the beginning only; --split paragraphs cuts the files of a folder into shorter ones"
        )


def _of_folder(folder: Path, split: Split) -> Iterator[Passage]:
    if not folder.is_dir():
        raise InputError(f"there is no corpus {folder}: give {KINDS}")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_hidden(path.relative_to(folder))]
    texts = [path for path in paths if path.suffix.lower() in _TEXT]
    others = sorted({path.suffix.lower() or "no ending" for path in paths} - set(_TEXT))
    if not texts:
        found = f"it holds files with {', '.join(others)}" if others else "it is empty"
        raise InputError(f"{folder} holds no text file ({found}): give {KINDS}")
    if others:
        count = len(paths) - len(texts)
        log.warning(
            f"{folder}: {count:,} files of other kinds are not read ({', '.join(others)}): save them as .txt or .md"
        )
    for path in texts:
        # TREC's files divide columns by white space, so an id has none.
        yield from _of_file(path, "_".join(path.relative_to(folder).as_posix().split()), split)


def _of_file(path: Path, name: str, split: Split) -> Iterator[Passage]:
    text = "\n".join(read_text(path).splitlines())
    is_markdown = path.suffix.lower() in _MARKDOWN
    sections = list(_sections(text)) if is_markdown and split != "files" else [("", text)]
    if split == "paragraphs":
        sections = [(title, part) for title, body in sections for part in _paragraphs(body)]
    following = [title for title, _ in sections[1:]] + [""]
    sections = [
        (title, body.strip())
        for (title, body), after in zip(sections, following, strict=True)
        if body.strip() or (title and not after.startswith(f"{title}{_STEP}"))  # a heading alone may say it all
    ]
    if not sections:
        yield Passage(name, "", "")
    for number, (title, body) in enumerate(sections, 1):
        yield Passage(f"{name}#{number}" if len(sections) > 1 else name, title, body)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The headings above each section of a Markdown text, joined, and the lines under them up to the next heading."""
    from markdown_it import MarkdownIt

    lines, path, start = text.splitlines(), list[str](), 0
    parsed = MarkdownIt("commonmark").parse(text)
    for place, token in enumerate(parsed):
        # A heading in a quotation or a list is part of the text around it.
        if token.type != "heading_open" or token.level or token.map is None:
            continue
        yield _STEP.join(filter(None, path)), "\n".join(lines[start : token.map[0]])
        depth = int(token.tag[1:])
        path = [*path[: depth - 1], *[""] * (depth - 1 - len(path)), parsed[place + 1].content.strip()]
        start = token.map[1]
    yield _STEP.join(filter(None, path)), "\n".join(lines[start:])


def _paragraphs(text: str) -> Iterator[str]:
    """Neighbouring paragraphs, joined as long as they have 150 words at most; a longer one stays whole."""
    joined: list[str] = []
    words = 0
    for paragraph in _BLANK.split(text.strip()):
        count = len(paragraph.split())
        if joined and words + count > PARAGRAPH_WORDS:
            yield "\n\n".join(joined)
            joined, words = [], 0
        joined.append(paragraph)
        words += count
    yield "\n\n".join(joined)


def _of_records(path: Path, columns: Columns) -> Iterator[Passage]:
    heading = columns_of([path])
    body = columns.need("passage", heading, path, "corpus") if heading else ""
    title, name = (columns.find(role, heading, "corpus") for role in ("title", "passage-id"))
    for number, row in enumerate(read_records([path]), 1):
        has_name = name is not None and row.cells.get(name) not in (None, "")
        yield Passage(
            row.name(str(name)) if has_name else f"p{number:06d}",
            row.text(title, is_optional=True) if title else "",
            row.text(body, is_optional=True),
        )
