"""The columns of a user's tables: what each is for, the names under which it is found, and how another name is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from genzoo.errors import InputError
from genzoo.tables import QUERY_COLUMNS, plain_name

_IDS = {
    "query-id": ("query-id", "qid", "queryid", "topic", "topic-id", "question-id"),
    "passage-id": (
        *("corpus-id", "passage-id", "document-id", "doc-id", "docid", "pid", "docno", "corpusid", "documentid"),
    ),
}
_KNOWN: Mapping[str, tuple[str, ...]] = {
    **_IDS,
    "query": QUERY_COLUMNS,
    "passage": ("passage", "document", "doc", "answer", "context", "passage-text", "document-text", "text"),
    "title": ("title", "heading"),
    "grade": ("grade", "score", "relevance", "rel", "label", "judgement", "judgment", "relevant"),
    "passages": ("corpus-ids", "passage-ids", "candidates", "doc-ids"),
    "text": ("text", "sentence", "sentences", "utterance", "content"),
    "label": ("label", "labels", "class", "category", "intent", "cluster", "topic"),
    "text1": ("sentence1", "text1", "sentence-1", "text-1", "sent1", "question1"),
    "text2": ("sentence2", "text2", "sentence-2", "text-2", "sent2", "question2"),
    "score": ("score", "similarity", "similarity-score"),
    "match": ("label", "labels", "is-duplicate", "duplicate", "match", "paraphrase"),
    "split": ("split",),
}
_PART: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("corpus", "passage-id"): ("id", *_IDS["passage-id"]),
    ("corpus", "passage"): ("text", "passage", "body", "contents", "content", "document", "answer"),
    ("queries", "query-id"): ("id", *_IDS["query-id"]),
    ("queries", "query"): ("text", "query", "question", "title"),
}
"""Names in files whose own name says what they hold: there an ``id`` or a ``text`` can only be of one kind."""
ROLES = tuple(_KNOWN)
"""What a column can be for; `--columns ROLE=NAME` names it."""


def _parts(text: str) -> list[str]:
    """Several ``ROLE=NAME`` with commas between them; a comma of a name stays.

    >>> _parts("query=frage,passage=text"), _parts("query=Frage, kurz")
    (['query=frage', 'passage=text'], ['query=Frage, kurz'])
    """
    parts = text.split(",")
    return parts if all("=" in part for part in parts) else [text]


def is_known(name: str) -> bool:
    """Whether a cell is the name of a column that is found without being told."""
    return any(plain_name(name) in names for names in (*_KNOWN.values(), *_PART.values()))


@dataclass(frozen=True)
class Columns:
    """The names that the user gave to columns, and which of them were found in a file so far.

    Attributes:
        named: Role -> names; of several the first one that a table has is taken.
        used: Roles whose column was found under a name that was given.
    """

    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def parse(cls, given: Mapping[str, str | Sequence[str]] | Sequence[str] | str) -> Columns:
        """From ``ROLE=NAME`` (several with commas), or from a mapping of roles to names.

        Raises:
            InputError: For a role that there is not.
        """
        if isinstance(given, Mapping):
            pairs = [(role, name) for role, own in given.items() for name in ([own] if isinstance(own, str) else own)]
        else:
            texts = [given] if isinstance(given, str) else given
            parts = [part.partition("=") for text in texts for part in _parts(str(text))]
            if wrong := next((role for role, sign, name in parts if not sign or not name.strip()), None):
                raise InputError(f"--columns {wrong!r}: expected ROLE=NAME, where ROLE is one of {', '.join(ROLES)}")
            pairs = [(role.strip(), name.strip()) for role, _, name in parts]
        named: dict[str, tuple[str, ...]] = {}
        for role, name in pairs:
            if role not in ROLES:
                raise InputError(f"--columns: there is no column for {role!r}; the roles are {', '.join(ROLES)}")
            named[role] = (*named.get(role, ()), name)
        return cls(named)

    def find(self, role: str, columns: Collection[str], part: str = "") -> str | None:
        """The column of a role in one table, None where there is none.

        Args:
            role: What the column is for.
            columns: Those of the table.
            part: ``corpus`` or ``queries``, where the name of the file says so.
        """
        for name in self.named.get(role, ()):
            if name in columns:
                self.used.add(role)
                return name
        taken = {name for own, names in self.named.items() if own != role for name in names}
        by_name = {plain_name(name): name for name in reversed(list(columns)) if name not in taken}
        known = _PART.get((part, role), _KNOWN[role])
        return next((by_name[name] for name in known if name in by_name), None)

    def need(self, role: str, columns: Collection[str], where: object, part: str = "") -> str:
        """The column of a role.

        Raises:
            InputError: There is none; the message says which there are and how to name it.
        """
        found = self.find(role, columns, part)
        if found is None:
            known = ", ".join(_PART.get((part, role), _KNOWN[role])[:4])
            raise InputError(
                f"{where} has no column for the {role} (such as {known}); it has {', '.join(columns) or 'none'}. "
                f"Name it: --columns {role}=NAME"
            )
        return found

    def check_used(self, where: object) -> None:
        """Refuse names that no table had."""
        if unused := [role for role in self.named if role not in self.used]:
            role = unused[0]
            raise InputError(
                f"--columns {role}={self.named[role][0]}: no table of {where} that needs it has such a column"
            )
