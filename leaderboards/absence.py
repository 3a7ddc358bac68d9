"""Why no model of a results folder has a score on the tasks that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from genzoo.leaderboards.facts import TaskFacts
from genzoo.leaderboards.store import ResultStore

_SHOWN = 3


def why_no_score(store: ResultStore, names: Sequence[str]) -> str:
    """The reasons in a sentence, the one that explains most tasks first; empty where there is none to tell.

    Args:
        store: The results.
        names: The tasks of the board.
    """
    main, reasons = store.main_scores, []
    known = main[main["task"].isin(names)]
    if wrong := [reason for name in names if (reason := _other_parts(store, name))]:
        reasons.append(_some(wrong, "; "))
    values = known["value"]
    if len(known) and values.isna().all():
        reasons.append(f"the main scores of {_some(sorted(set(map(str, known['task']))))} are missing or NaN")
    impossible = [
        f"{row.value:g} on {row.task}"
        for row in known.dropna(subset=["value"]).itertuples()
        if not store.tasks.get(str(row.task), TaskFacts(str(row.task))).metric.contains(row.value)
    ]
    if impossible:
        reasons.append(f"scores lie out of the range of their metric ({_some(impossible)})")
    broken = [p for p in store.problems if PurePosixPath(p.source).stem in set(names) - set(map(str, known["task"]))]
    if broken:
        first = f"{broken[0].source} {broken[0].reason}"
        reasons.append(f"{len(broken)} of their files cannot be used ({first})")
    if not len(known):
        others = sorted({str(name) for name in main["task"]})
        reasons.append(f"the folder has results of {len(others)} other tasks: {_some(others)}")
    return "; ".join(reasons)


def _other_parts(store: ResultStore, name: str) -> str:
    """Which splits or subsets of a task have results where others are asked for, empty where none are missing."""
    facts = store.tasks.get(name, TaskFacts(name))
    rows = store.main_scores[store.main_scores["task"] == name]
    for column, wanted in (("split", facts.splits), ("subset", facts.subsets)):
        found = sorted(set(map(str, rows[column])))
        if wanted and found and not set(wanted) <= set(found):
            return f"{name} is measured on the {column} {_some(wanted)}, the results are of {_some(found)}"
    return ""


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return separator.join(names[:_SHOWN]) + more
