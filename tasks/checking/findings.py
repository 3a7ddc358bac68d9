"""What is found in data: one finding a fact, and the verdict that follows from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["fact", "missing", "caution", "blocker"]
Verdict = Literal["ready", "ready to pool", "usable with care", "cannot be measured"]
EXIT_CODES: dict[Verdict, int] = {"ready": 0, "ready to pool": 0, "usable with care": 1, "cannot be measured": 2}
CAUTION_FROM: Mapping[str, float] = {
    "duplicates": 0.01,
    "near-duplicates": 0.1,
    "empty": 0.01,
    "cut": 0.1,
    "other-languages": 0.05,
    "unknown-queries": 0.01,
    "unknown-passages": 0.01,
    "queries-without-relevant": 0.01,
    "unreachable-queries": 0.01,
    "instructions": 0.01,
    "unjudged-twins": 0.01,
    "contradicting-grades": 0.01,
    "relevant-to-many": 0.2,
    "verbatim-queries": 0.1,
    "verbatim-unjudged": 0.05,
    "seen-in-training": 0.01,
    "contradicting-labels": 0.01,
    "unseen-labels": 0.01,
    "same-text-pairs": 0.05,
    "largest-label": 0.9,
    "single-texts": 0.2,
}
"""Code of a finding -> the share of the texts or queries affected, from which on it is a caution; below it is a fact."""
_REASONS = 3  # that a verdict in words names
_SHOWN = 3


@dataclass(frozen=True)
class DataFinding:
    """One thing that was found.

    Attributes:
        code: What it is about, such as ``near-duplicates``: stays the same when the words change.
        part: ``passages``, ``queries``, ``judgements``, ``candidates``, ``texts``, ``labels`` or ``data``.
        text: A clause without a full stop and without the examples.
        severity: ``fact``; ``missing`` for what pooling and judging add; ``caution`` where it bends what is measured; ``blocker`` where
            nothing can be measured.
        count: How many are affected, None where it is about none in particular.
        total: Of how many.
        examples: Ids, labels or pairs of them.
    """

    code: str
    part: str
    text: str
    severity: Severity = "fact"
    count: int | None = None
    total: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The clause with the first few examples."""
        return f"{self.text}{such_as(self.examples)}"

    def as_row(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self) | {"examples": list(self.examples)}


def counted(code: str, part: str, count: int, total: int, said: str, names: Sequence[str] = ()) -> DataFinding:
    """A finding on some of many, a caution where `CAUTION_FROM` says so.

    Args:
        code: As in `DataFinding`.
        part: As in `DataFinding`.
        count: How many are affected.
        total: Of how many.
        said: What they are and what is the matter; the counts are put before it.
        names: Ids or other names of those affected.

    >>> counted("empty", "passages", 1, 4, "passages are empty", ["d7"]).sentence
    "1 of 4 (25 %) passages are empty, such as 'd7'"
    """
    severity: Severity = "caution" if count >= CAUTION_FROM.get(code, 2.0) * total else "fact"
    return DataFinding(code, part, f"{share_of(count, total)} {said}", severity, count, total, tuple(names[:_SHOWN]))


def judge(findings: Sequence[DataFinding]) -> tuple[Verdict, list[DataFinding]]:
    """The verdict, and the findings that are its reasons: the blockers, or else what is missing and the cautions."""
    blockers, missing, cautions = (
        [each for each in findings if each.severity == severity] for severity in ("blocker", "missing", "caution")
    )
    if blockers:
        return "cannot be measured", blockers
    if missing:
        return "ready to pool", missing + cautions
    return ("usable with care" if cautions else "ready"), cautions


def in_words(verdict: Verdict, reasons: Sequence[DataFinding]) -> str:
    """The verdict as a sentence.

    >>> in_words("ready", [])
    'ready'
    >>> in_words("usable with care", [DataFinding("few-queries", "queries", "only 9 queries are judged", "caution")])
    'usable with care, because only 9 queries are judged'
    >>> in_words("ready to pool", [DataFinding("no-passages", "data", "queries without passages", "missing")])
    'ready to pool: queries without passages'
    """
    if not reasons:
        return verdict
    said = "; ".join(finding.text for finding in reasons[:_REASONS])
    more = len(reasons) - _REASONS
    why = ": " if verdict == "ready to pool" else ", because "
    return f"{verdict}{why}{said}" + (f"; and {more} more" if more > 0 else "")


def share_of(count: int, total: int) -> str:
    """A count among a total.

    >>> share_of(3, 1200), share_of(1, 100_000), share_of(5, 5)
    ('3 of 1,200 (0.2 %)', '1 of 100,000 (below 0.1 %)', '5 of 5 (100 %)')
    """
    share = 100 * count / total if total else 0.0
    said = "below 0.1" if 0 < share < 0.1 else f"{share:.1f}".removesuffix(".0")
    return f"{count:,} of {total:,} ({said} %)"


def such_as(names: Sequence[str]) -> str:
    """The first few names, as the end of a clause.

    >>> such_as(["a", "b"]), such_as([])
    (", such as 'a' and 'b'", '')
    """
    shown = [repr(name) for name in names[:_SHOWN]]
    if not shown:
        return ""
    return f", such as {', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else f", such as {shown[0]}"
