"""Checks a user's own data before anything is measured: what is in it, what would bend the scores, and a verdict."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.duplicates import Texts
from genzoo.errors import InputError
from genzoo.frames import Rows, facts_to_html
from genzoo.jobs import job
from genzoo.tasks.checking.findings import CAUTION_FROM, EXIT_CODES, DataFinding, Verdict, counted, in_words, judge
from genzoo.tasks.checking.labelled import Split, labelled_findings
from genzoo.tasks.checking.languages import Languages, find_languages
from genzoo.tasks.checking.lengths import Lengths, count_tokens
from genzoo.tasks.checking.readers import Reader, find_readers
from genzoo.tasks.checking.searches import SearchSet, search_findings
from genzoo.tasks.checking.texts import ArrowTexts, empty_finding, language_findings
from genzoo.tasks.checking.unjudged import open_unjudged
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.opening import OwnData, given_path, open_data
from genzoo.text import plural

if TYPE_CHECKING:
    import pandas as pd

_COUNTED_HERE = {"empty-documents", "missing-queries", "missing-documents", "unjudged-queries"}
"""Notes of the reader that findings of this room say in more detail."""


@dataclass(frozen=True)
class DataCheck:
    """What was found in a user's data.

    Attributes:
        path: The file or folder.
        name: What the task is called; empty where it cannot be measured.
        kind: mteb's type of the task, ``query log``, ``corpus``, ``search to be judged``, or empty where nothing could be read.
        revision: Digest of the data, 40 hex digits; empty where it cannot be measured.
        sizes: How many passages, queries, judgements or rows there are.
        lengths: A row for each model and part.
        languages: A row for each part.
        findings: Blockers first, then cautions, then what is missing, then facts.
        next_command: The command that comes next, where there is one.
    """

    path: Path
    name: str = ""
    kind: str = ""
    revision: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    lengths: Rows[Lengths] = field(default_factory=Rows)
    languages: Rows[Languages] = field(default_factory=Rows)
    findings: Rows[DataFinding] = field(default_factory=Rows)
    next_command: str = ""

    @property
    def verdict(self) -> Verdict:
        """``ready``, ``ready to pool``, ``usable with care`` or ``cannot be measured``."""
        return judge(self.findings)[0]

    @property
    def exit_code(self) -> int:
        """0 for both kinds of ready, 1 or 2: what ``genzoo check`` ends with."""
        return EXIT_CODES[self.verdict]

    @property
    def summary(self) -> str:
        """The verdict with its reasons, as a sentence."""
        return in_words(*judge(self.findings))

    def to_frame(self) -> pd.DataFrame:
        """The findings as a DataFrame, a row for each; `lengths` and `languages` have a `to_frame` of their own."""
        return self.findings.to_frame()

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        judged = {"verdict": self.verdict, "exit_code": self.exit_code, "summary": self.summary}
        rows = {name: [row.as_row() for row in getattr(self, name)] for name in ("lengths", "languages", "findings")}
        return vars(self) | {"path": str(self.path), "sizes": dict(self.sizes)} | judged | rows

    def _repr_html_(self) -> str:
        facts = [("data", f"{self.name or self.path} ({self.kind or 'unknown'})"), ("verdict", self.summary)]
        facts += [(what, f"{count:,}") for what, count in self.sizes.items()]
        facts += [(finding.severity, finding.sentence) for finding in self.findings]
        lengths = self.lengths._repr_html_() if self.lengths else ""
        return facts_to_html(facts) + lengths


@job()
def check(
    path: Path | str,
    models: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    kind: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | Sequence[str] = (),
    split: str | None = None,
    language: str | None = None,
) -> DataCheck:
    """Check your own data before anything is measured; no model is loaded.

    What is looked at: sizes and judgements, repeated and nearly repeated texts, copies of relevant passages that nobody judged, queries that
    occur in a passage word for word, languages, and how many texts each model would cut. A million passages of 40 words take two
    and a half minutes of one core and 0.8 GB. From which shares on a finding is a caution: `genzoo.tasks.checking.findings.CAUTION_FROM`.

    Args:
        path: What `genzoo.evaluate` takes as a task of your own (a path, or ``NAME=PATH``), or a query log or a folder of texts alone.
        models: Whose tokens are counted: models of the zoo, folders, or ``org/name`` on the Hub; of an endpoint words are. By default those of the zoo that are on
            this machine already; texts that only such a model would cut are then a fact and no caution.
        name: What the task is called.
        kind: As in `genzoo.tasks.own.opening.open_data`.
        columns: The same.
        split: The same.
        language: The same.

    Raises:
        InputError: There is no such file or folder, or an option is wrong. What is wrong with the data is a finding.
        ZooError: A model that is not there.
    """
    own_name, path = given_path(str(path)) or (None, Path(path))
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    readers = find_readers([models] if isinstance(models, str) else models)
    named = Columns.parse(columns)
    try:
        data = open_data(path, name or own_name, kind=kind, columns=columns, split=split, language=language)
    except InputError as error:
        return _no_task(path, error, named, readers, models is not None)
    parts, sizes, own = _searched(data) if data.judgements else _labelled(data)
    found = _about(parts, readers, models is not None, own, _notes(data))
    following = f"genzoo evaluate -m MODEL -t {shlex.quote(str(path))}"
    return DataCheck(path, data.name, data.kind, data.revision, sizes, next_command=following, **found)


def _no_task(path: Path, error: InputError, columns: Columns, readers: Sequence[Reader], are_named: bool) -> DataCheck:
    """What is at a path that is no task, for the reason of `error`: a query log, a corpus, both, or nothing that can be read."""
    try:
        there = open_unjudged(path, columns)
    except InputError as problem:
        there, error = None, problem
    if there is None:
        return DataCheck(path, findings=Rows([DataFinding("unreadable", "data", str(error), "blocker")]))
    sizes = {what: len(texts) for what, texts, _ in there.parts}
    about = _about(there.parts, readers, are_named, there.findings())
    return DataCheck(path, "", there.kind, "", sizes, next_command=there.next_command, **about)


_Part = tuple[str, Texts, str]
"""What texts are called, the texts, and the key of the prompt that models read them under."""


def _searched(data: OwnData) -> tuple[list[_Part], dict[str, int], Iterator[DataFinding]]:
    corpus, queries = data.tables["corpus"], data.tables["queries"]
    passages, asked = ArrowTexts(corpus["title"], corpus["text"]), ArrowTexts(queries["text"])
    candidates = getattr(data.data, "candidates", None)
    found = SearchSet(
        ArrowTexts(corpus["id"])[:], passages, ArrowTexts(queries["id"])[:], asked, data.judgements, candidates
    )
    sizes = {"passages": len(passages), "queries": len(asked), "judgements": len(found.table)}

    def findings() -> Iterator[DataFinding]:
        yield from search_findings(found)
        yield from empty_finding(passages, "passages", found.passage)

    return [("passages", passages, "document"), ("queries", asked, "query")], sizes, findings()


def _labelled(data: OwnData) -> tuple[list[_Part], dict[str, int], Iterator[DataFinding]]:
    splits = {
        name: Split(tuple(map(ArrowTexts, table.columns[:-1])), table.column(table.num_columns - 1).to_pylist())
        for name, table in data.tables.items()
    }
    texts = [text for name in data.splits for column in splits[name].texts for text in column[:]]
    sizes = {f"rows in {name}": len(split.labels) for name, split in splits.items()}
    return [("texts", texts, data.kind)], sizes, labelled_findings(data.kind, splits, data.splits)


def _notes(data: OwnData) -> Iterator[DataFinding]:
    """What the reader of the files noted and no other finding says."""
    for note in data.notes:
        if note.code not in _COUNTED_HERE:
            is_caution = note.affected and note.affected >= CAUTION_FROM.get(note.code, 2.0) * max(1, note.total)
            said = str(note).removeprefix(f"{data.path}: ")
            yield DataFinding(note.code, "data", said, "caution" if is_caution else "fact", note.affected, note.total)


def _about(
    parts: Sequence[tuple[str, Texts, str]], readers: Sequence[Reader], are_named: bool, *found: Iterator[DataFinding]
) -> dict[str, Rows[Any]]:
    """Lengths, languages and findings of some texts."""
    findings = [finding for own in found for finding in own]
    lengths = [row for what, texts, side in parts for row in count_tokens(readers, texts, what, side)]
    languages = [find_languages(texts, what) for what, texts, _ in parts]
    findings += [finding for row in lengths for finding in _cut(row, are_named)]
    findings += [_without_tokens(reader) for reader in readers if reader.unit == "words"]
    findings += [finding for row in languages for finding in language_findings(row)]
    order = ("blocker", "caution", "missing", "fact")
    findings.sort(key=lambda finding: order.index(finding.severity))
    return {"lengths": Rows(lengths), "languages": Rows(languages), "findings": Rows(findings)}


def _without_tokens(reader: Reader) -> DataFinding:
    said = f"lengths for {reader.model} are in words: no server says how it cuts texts into tokens, nor which it would cut off"
    return DataFinding("no-tokenizer", "data", said)


def _cut(row: Lengths, is_named: bool) -> Iterator[DataFinding]:
    """A finding on texts that a model would not read to the end."""
    if row.n_cut and row.room is not None:
        unread = f"{100 * row.cut_tokens:.1f} % of all tokens are not read"
        estimated = f" (estimated from {row.n_counted:,})" if row.is_estimated else ""
        said = f"{row.part} are longer than the {plural(row.room, 'token')} that {row.model} reads{estimated}: {unread}"
        made = counted("cut", row.part, row.n_cut, row.n_texts, said)
        yield made if is_named else DataFinding(made.code, made.part, made.text, "fact", made.count, made.total)
