"""What can be said of any texts: empty ones, repeated ones, nearly the same ones; and texts of an Arrow table, read in slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genzoo.duplicates import NearDuplicates, Texts, near_duplicates, same_texts
from genzoo.tasks.checking.findings import DataFinding, counted
from genzoo.tasks.checking.languages import Languages
from genzoo.text import plural

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK = 10_000
_LISTED = 8  # languages that are named


class ArrowTexts:
    """Columns of an Arrow table as texts; several are joined by a space, as mteb joins title and text.

    >>> import pyarrow as pa
    >>> texts = ArrowTexts(pa.chunked_array([["A", ""]]), pa.chunked_array([["b", "c"]]))
    >>> len(texts), texts[0:2], texts[1]
    (2, ['A b', 'c'], 'c')
    """

    def __init__(self, *columns: pa.ChunkedArray) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, slice):
            place = range(len(self))[place]
            return self[place : place + 1][0]
        parts = [column[place].to_pylist() for column in self._columns]
        return parts[0] if len(parts) == 1 else [" ".join(words).strip() for words in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Repeated:
    """Which texts of a part are the same or nearly the same.

    Attributes:
        first: For each text the place of the first one that is the same apart from case and white space, (n,).
        near: Pairs of near-duplicates among the first ones.
    """

    first: np.ndarray
    near: NearDuplicates

    def partners(self, places: np.ndarray, most: int = 50) -> dict[int, list[int]]:
        """For each of these places the other texts that are the same or nearly the same, at most so many, where there are any."""
        order = np.argsort(self.first, kind="stable")
        starts = np.searchsorted(self.first[order], np.arange(len(self.first) + 1))
        neighbours: dict[int, list[int]] = {}
        wanted = set(self.first[places].tolist())
        for one, other in self.near.pairs.tolist():
            for here, there in ((one, other), (other, one)):
                if here in wanted:
                    neighbours.setdefault(here, []).append(there)
        found = {}
        for place in np.unique(places).tolist():
            leader = int(self.first[place])
            groups = [order[starts[each] : starts[each + 1]] for each in (leader, *neighbours.get(leader, ()))]
            if others := [int(each) for each in np.concatenate(groups) if each != place][:most]:
                found[place] = others
        return found


def find_repeated(texts: Texts) -> Repeated:
    """Compare the texts of a part with each other."""
    first = same_texts(texts)
    return Repeated(first, near_duplicates(texts, np.flatnonzero(first == np.arange(len(first)))))


def repeated_findings(repeated: Repeated, part: str, name_of: Callable[[int], str]) -> Iterator[DataFinding]:
    """Findings on texts that occur more than once.

    Args:
        repeated: As `find_repeated` gives it.
        part: What the texts are called.
        name_of: The id of the text at a place.
    """
    n, places = len(repeated.first), np.arange(len(repeated.first))
    again = np.flatnonzero(repeated.first != places)
    if len(again):
        names = [f"{name_of(int(repeated.first[place]))} = {name_of(int(place))}" for place in again[:3]]
        yield counted("duplicates", part, len(again), n, f"{part} repeat an earlier one", names)
    pairs = repeated.near.pairs
    if len(pairs):
        sizes = np.bincount(repeated.near.groups(n))
        names = [f"{name_of(one)} ~ {name_of(other)}" for one, other in pairs[:3].tolist()]
        groups = f"{plural(int((sizes > 1).sum()), 'group')}, the largest of {sizes.max():,}"
        yield counted(
            "near-duplicates",
            part,
            len(np.unique(pairs)),
            n,
            f"{part} share most of their words with another one ({groups})",
            names,
        )


def empty_finding(texts: Texts, part: str, name_of: Callable[[int], str]) -> Iterator[DataFinding]:
    """A finding on texts without a letter or any other sign."""
    empty = [
        start + place
        for start in range(0, len(texts), _CHUNK)
        for place, text in enumerate(texts[start : start + _CHUNK])
        if not text.strip()
    ]
    if empty:
        yield counted(
            "empty", part, len(empty), len(texts), f"{part} are empty", [name_of(place) for place in empty[:3]]
        )


def language_findings(found: Languages) -> Iterator[DataFinding]:
    """Findings on the languages of a part."""
    if not found.n_texts or found.main is None:
        return
    shown = list(found.counts.items())
    said = ", ".join(f"{code} {count:,}" for code, count in shown[:_LISTED])
    said += f" and {len(shown) - _LISTED} more languages" if len(shown) > _LISTED else ""
    undecided = f"; that of {found.n_undecided:,} cannot be told" if found.n_undecided else ""
    said = f"languages of the {found.n_texts:,} {found.part} looked at: {said}{undecided}"
    yield DataFinding("languages", found.part, said, count=found.counts[found.main], total=found.n_texts)
    foreign = [code for code in found.counts if code != "en"]
    count, told = sum(found.counts[code] for code in foreign), found.n_texts - found.n_undecided
    if count:
        said = f"{found.part} of a known language are not in English, which the models of the zoo were trained on"
        yield counted("other-languages", found.part, count, told, said, foreign)
