"""Opens a user's file or folder as a data set that can be looked at, checked and measured."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import InputError
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.labelled import OwnLabelled, read_labelled
from genzoo.tasks.own.layout import find_layout
from genzoo.tasks.own.records import Note, stem_of, suffix_of
from genzoo.tasks.own.search import Judgements, OwnSearch, read_search

if TYPE_CHECKING:
    import pyarrow as pa
    from mteb.abstasks import AbsTask

_NAME = re.compile(r"\w[\w .,()+-]{0,99}")


@dataclass(frozen=True)
class OwnOptions:
    """How own data are read, where that is not found by itself.

    Attributes:
        kind: A key of `genzoo.tasks.own.kinds.KINDS`, or mteb's type.
        columns: ``ROLE=NAME`` each, see `genzoo.tasks.own.columns.ROLES`.
        split: The split to measure.
        language: Of the texts, as mteb writes it, such as ``deu-Latn``; several with commas.
    """

    kind: str | None = None
    columns: tuple[str, ...] = ()
    split: str | None = None
    language: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the user said anything."""
        return self != OwnOptions()


@dataclass(frozen=True)
class OwnData:
    """A user's data set, checked.

    Attributes:
        name: What the task is called.
        path: The file or folder.
        kind: Mteb's type: Retrieval, Reranking, STS, PairClassification, Classification or Clustering.
        data: What was read: `OwnSearch` or `OwnLabelled`.
        revision: Digest of the files and of how they are read, 40 hex digits.
        splits: The splits that are measured.
        notes: What is incomplete and yet can be measured.
        languages: As mteb writes them.
    """

    name: str
    path: Path
    kind: str
    data: OwnSearch | OwnLabelled = field(repr=False)
    revision: str
    splits: tuple[str, ...]
    notes: tuple[Note, ...]
    languages: tuple[str, ...]

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The texts in Arrow: ``corpus`` (id, title, text) and ``queries`` (id, text) of a search, else those of each split."""
        if isinstance(self.data, OwnSearch):
            return {"corpus": self.data.passages, "queries": self.data.questions}
        return self.data.tables

    @property
    def judgements(self) -> Mapping[str, Judgements]:
        """Split -> query -> document -> grade of a search as its files say; empty for other kinds."""
        return self.data.judged if isinstance(self.data, OwnSearch) else {}

    def as_task(self) -> AbsTask:
        """The task that mteb measures; `genzoo.evaluate` takes it."""
        from genzoo.tasks.own.tasks import task_over

        return task_over(self.data, self.name, self.kind, self.languages)


def open_data(
    path: Path | str,
    name: str | None = None,
    *,
    kind: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | Sequence[str] = (),
    split: str | None = None,
    language: str | None = None,
) -> OwnData:
    """Open a file or folder of your own as a data set: find out what it is, read it and check it.

    Args:
        path: A folder with corpus, queries and judgements (BEIR, JSONL, CSV, TSV, Parquet, TREC), a table of queries, passages and
            grades, or a table, or one for each split, of labelled pairs or texts (CSV, TSV, JSONL, Parquet).
        name: What the task is called; the folder's or file's name if None.
        kind: retrieval, reranking, similarity, pair-classification, classification or clustering; found if None.
        columns: Names of columns that are not found: role to name, such as ``{"query": "frage"}``. The roles are in
            `genzoo.tasks.own.columns.ROLES`.
        split: The split to measure: ``test``, or else the only one, if None.
        language: Of the texts, such as ``deu-Latn`` (several with commas): BM25 takes its stemmer by it. English if None.

    Returns:
        The data set: its texts, notes and revision, and `as_task` for `genzoo.evaluate`.

    Raises:
        InputError: Nothing that can be measured is there, a row is wrong, or it is not clear what is meant; the message says where
            and how to tell.
    """
    path = Path(path).expanduser()
    layout = find_layout(path, kind=kind, columns=Columns.parse(columns), split=split)
    read = {name: dict(table.columns) for name, table in layout.tables.items()}
    extra = [layout.kind, read, split, language]
    data = read_search(layout, (split or "test",), extra=extra) if layout.is_search else read_labelled(layout, extra)
    name = checked_name(name) if name is not None else name_of(path)
    languages = languages_of(language)
    return OwnData(name, path, layout.kind, data, data.revision, data.splits, data.notes, languages)


def languages_of(given: str | None) -> tuple[str, ...]:
    """The languages that a user names, with commas between them; English if None.

    >>> languages_of("deu-Latn, eng-Latn"), languages_of(None)
    (('deu-Latn', 'eng-Latn'), ('eng-Latn',))
    """
    return tuple(given.replace(" ", "").split(",")) if given else ("eng-Latn",)


def name_of(path: Path) -> str:
    """What a task over a path is called: as the folder, or as the file without its ends.

    >>> name_of(Path("/data/help desk/")), name_of(Path("/data/pairs.test.csv.gz"))
    ('help desk', 'pairs.test')
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link is called by its own name
    name = stem_of(whole) if suffix_of(whole) and not whole.is_dir() else whole.name
    return re.sub(r"[^\w .,()+-]+", "-", name).strip(" .-") or "own"


def checked_name(name: str) -> str:
    """The name of a task as a user gives it.

    Raises:
        InputError: It could not be the name of a file on every system.
    """
    if not _NAME.fullmatch(name) or name != name.strip():
        raise InputError(
            f"{name!r} cannot be the name of a task: take letters, digits, spaces and . , ( ) + - _, at most 100"
        )
    return name


def given_path(given: Any) -> tuple[str | None, Path] | None:
    """The name and the path of what is given as a task, where it looks like own data; None for the name of a task.

    Args:
        given: A path, ``NAME=PATH``, or a string that may be either a path or the name of a task.
    """
    if isinstance(given, Path):
        return None, given
    if not isinstance(given, str):
        return None
    path, (name, sign, place) = Path(given).expanduser(), given.partition("=")
    if path.exists() or not sign:
        is_path = path.exists() or os.sep in given or bool(suffix_of(path)) or given.startswith((".", "~"))
        return (None, path) if is_path else None
    return (name.strip(), Path(place).expanduser()) if place else None


def open_given(
    tasks: Sequence[Any], options: OwnOptions, is_known: Callable[[str], bool], on_note: Callable[[str], None]
) -> list[Any]:
    """What is given as tasks, with a task in the place of every path and of every `OwnData`.

    Args:
        tasks: As `genzoo.evaluate` takes them.
        options: How own data are read.
        is_known: Whether a task or benchmark has a name.
        on_note: Told what is incomplete in the data.

    Raises:
        InputError: A path that holds nothing measurable, a name that another task has, or options without own data.
    """
    made, opened = list[Any](), dict[str, OwnData]()
    for given in tasks:
        named = given_path(given)
        if isinstance(given, str) and named is not None and named[0] is None and is_known(given):
            if named[1].exists():
                on_note(f"{given} is taken as the task of that name; the file or folder is ./{given}")
            named = None
        if named is None and not isinstance(given, OwnData):
            made.append(given)
            continue
        own = given if named is None else open_data(named[1], named[0], **vars(options))
        made += [own.as_task()] if _is_new(own, opened, is_known) else []
    if options.is_given and not any(given_path(given) for given in tasks):
        raise InputError(
            "kind, columns, split and language are for files of your own that are tasks (-t PATH), and none is given"
        )
    for own in opened.values():
        for note in own.notes:
            on_note(note)
    return made


def _is_new(own: OwnData, opened: dict[str, OwnData], is_known: Callable[[str], bool]) -> bool:
    """Whether data are not there already; an error where their name is another task's."""
    if is_known(own.name):
        raise InputError(
            f"{own.path}: {own.name!r} is the name of a known task. Give your data another: NAME={own.path}; or measure that task "
            f"on them: -t {own.name} --data {own.name}={own.path}"
        )
    other = opened.setdefault(own.name, own)
    if other.revision != own.revision:
        raise InputError(f"{other.path} and {own.path} are both called {own.name!r}: name one of them, NAME={own.path}")
    return other is own
