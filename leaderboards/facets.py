"""Which tasks measure safety, its price in over-refusal, and reasoning."""

from __future__ import annotations

import re
from collections.abc import Iterable

SAFETY, OVER_REFUSAL, REASONING = "safety", "over-refusal", "reasoning"

# mteb has no task type or subtype for these (types are a closed list), so the name decides; the first match wins.
_PATTERNS = (
    (OVER_REFUSAL, re.compile(r"OverRefusal|XSTest", re.IGNORECASE)),
    (SAFETY, re.compile(r"Safety|AdvBench|HarmBench|Harmful", re.IGNORECASE)),
    (
        REASONING,
        re.compile(
            r"Reasoning|^Bright|^ARCChallenge|^AlphaNLI|^HellaSwag|^WinoGrande|^PIQA|^SIQA|^Quail|^SpartQA"
            r"|^TempReason|^RARb|^GSM8K|^HumanEval|^QASC",
            re.IGNORECASE,
        ),
    ),
)


def facet(task: str) -> str | None:
    """The facet of a task, None for the plain ones.

    >>> facet("GenZooMiniOverRefusalRetrieval")
    'over-refusal'
    >>> facet("STSBenchmark") is None
    True
    """
    return next((name for name, pattern in _PATTERNS if pattern.search(task)), None)


def tasks_of(name: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks of one facet, in the given order."""
    return tuple(task for task in tasks if facet(task) == name)
