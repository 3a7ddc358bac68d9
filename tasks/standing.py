"""Whether a result that lies in the folder may be reused, and how the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mteb.results import TaskResult


@dataclass(frozen=True)
class Standing:
    """What became of a result that may lie in the folder already.

    Attributes:
        result: The result if it can stand, else None.
        outdated: Why one that lies there has to be measured again.
        drift: What has changed since it was measured without making it wrong.
    """

    result: TaskResult | None = None
    outdated: str = ""
    drift: str = ""


@dataclass
class StandingNotes:
    r"""The standings of one model's results, in few lines.

    >>> notes = StandingNotes("org/model")
    >>> notes.see("STS12", Standing(outdated="the model's prompts changed"))
    >>> notes.see("STS14", Standing(drift="mteb 2.26.0 -> 2.27.1"))
    >>> print(*notes.lines(), sep="\n")
    org/model: measured again, as the model's prompts changed: STS12
    org/model: kept, but measured otherwise (mteb 2.26.0 -> 2.27.1): STS14. --overwrite measures them again
    """

    model: str
    _outdated: dict[str, list[str]] = field(default_factory=dict)
    _drifted: dict[str, list[str]] = field(default_factory=dict)

    def see(self, task: str, standing: Standing) -> None:
        """Note the standing of one task."""
        if standing.outdated:
            self._outdated.setdefault(standing.outdated, []).append(task)
        if standing.drift:
            self._drifted.setdefault(standing.drift, []).append(task)

    def lines(self) -> Iterator[str]:
        """A line for each reason."""
        for reason, tasks in self._outdated.items():
            yield f"{self.model}: measured again, as {reason}: {_some(tasks)}"
        for drift, tasks in self._drifted.items():
            yield f"{self.model}: kept, but measured otherwise ({drift}): {_some(tasks)}. --overwrite measures them again"


def _some(tasks: list[str], most: int = 5) -> str:
    return ", ".join(tasks[:most]) + (f" and {len(tasks) - most} more" if tasks[most:] else "")
