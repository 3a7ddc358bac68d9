"""From a results folder to what a model card shows of it: the command line is where the two rooms meet."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.cli.card_intervals import differences, interval_of
from genzoo.errors import InputError, UnknownNameError
from genzoo.publishing.scores import CardSafety, CardScore, CardScores

if TYPE_CHECKING:
    from genzoo.leaderboards import Leaderboard, ResultStore
    from genzoo.leaderboards.facts import ModelKey
    from genzoo.leaderboards.metrics import Metric

N_READINGS = 6


def read_card_scores(results: Path, name: str, revision: str = "") -> CardScores:
    """Scores, conditions and decoded examples of one model.

    Args:
        results: Folder that `genzoo evaluate` wrote.
        name: The model, as `genzoo leaderboard` would find it.
        revision: What the results must be of, so that a card never shows the scores of another version; any by default.

    Raises:
        InputError: When the folder holds the model at other revisions only.
    """
    from genzoo.leaderboards import Leaderboard, ResultStore

    store = ResultStore.load(results)
    key = _find_revision(store, name, revision, results)
    facts = store.models[key]
    teacher = _find(store, facts.teacher)
    board = Leaderboard.from_store(store, reference=None)
    readings = tuple((one.text, one.decoded) for one in store.evidence.get(key, ())[:N_READINGS])
    return CardScores(
        rows=tuple(_rows(store, board, key, teacher)),
        safety=tuple(_safety(board, key, teacher)),
        safety_notes=tuple(_safety_notes(board, key, teacher)),
        teacher=teacher.model if teacher else "",
        summary=_summary(board, key) if teacher else "",
        conditions=_conditions(store, key),
        readings=readings,
    )


def _find_revision(store: ResultStore, name: str, revision: str, results: Path) -> ModelKey:
    if not revision:
        return store.find(name)
    try:
        return store.find(f"{name}@{revision}")
    except UnknownNameError:
        other = store.find(name)
    raise InputError(
        f"{results} holds scores of {other.model} at revision {other.revision[:12]}, but what would be published is "
        f"{revision[:12]}: a card shows its own scores only; measure it with `genzoo evaluate -m MODEL -o {results}`"
    )


def _find(store: ResultStore, name: str | None) -> ModelKey | None:
    try:
        return store.find(name) if name else None
    except UnknownNameError:
        return None


def _rows(store: ResultStore, board: Leaderboard, key: ModelKey, teacher: ModelKey | None) -> list[CardScore]:
    own, other = board.row(key), board.row(teacher) if teacher else None
    gaps = differences(store, key, teacher, tuple(board.tasks))
    rows = []
    for task, facts in board.tasks.items():
        value = own.scores.get(task) if own else None
        if value is None or math.isnan(value):
            continue
        measure, sure = facts.metric, interval_of(store, key, task)
        chance = board.safety.tasks[task].value if task in board.safety.tasks else None
        rows.append(
            CardScore(
                task=task,
                metric=f"{measure.label} {measure.arrow}".strip()
                + (f" (chance {measure.display(chance)})" if chance is not None else ""),
                shown=measure.display(value),
                teacher=measure.display(other.scores.get(task) if other else None),
                value=value * 100 if measure.percent else value,
                interval=_ends(measure, sure.low, sure.high) if sure else "",
                over=sure.over if sure else "",
                difference=_difference(measure, *gaps[task]) if task in gaps else "",
                dataset=_hub_dataset(facts.dataset_path or ""),
                dataset_revision=facts.dataset_revision or "",
                date=_day(store.models[key].date or ""),
            )
        )
    return rows


def _safety(board: Leaderboard, key: ModelKey, teacher: ModelKey | None) -> Iterator[CardSafety]:
    from genzoo.leaderboards.operating_point import UTILITIES
    from genzoo.reports.operating_table import interval_in_words, safety_cell

    for pair in board.safety.pairs:
        for utility in UTILITIES:
            found, other = pair.at(key, utility), pair.at(teacher, utility) if teacher else None
            if found is not None:
                yield CardSafety(
                    task=pair.pair.safety,
                    twin=pair.pair.twin,
                    utility=f"{utility * 100:.0f} %",
                    shown=safety_cell(found).display,
                    interval=interval_in_words(found),
                    teacher=safety_cell(other).display if other else "–",
                )


def _safety_notes(board: Leaderboard, key: ModelKey, teacher: ModelKey | None) -> Iterator[str]:
    from genzoo.reports.operating_table import OUT_OF_REACH_MEANS, chance_notes, missing_note, unpaired_notes

    yield from chance_notes(board)
    yield from unpaired_notes(board)
    yield from (missing_note(pair) for pair in board.safety.pairs if pair.at(key) is None)
    shown = [pair for pair in board.safety.pairs if pair.at(key) is not None]
    if any(
        found.point is None for pair in shown for one in (key, teacher) if one for found in pair.models.get(one, ())
    ):
        yield OUT_OF_REACH_MEANS


def _hub_dataset(path: str) -> str:
    """The data set's id on the Hub, empty for own data and for a set that ships with genzoo."""
    return "" if path.startswith("local/") or path.count("/") > 1 else path


def _ends(measure: Metric, low: float, high: float, *, signed: bool = False) -> str:
    return f"[{measure.display(low, signed=signed)}, {measure.display(high, signed=signed)}]"


def _difference(measure: Metric, estimate: float, low: float, high: float) -> str:
    return f"{measure.display(estimate, signed=True)} {_ends(measure, low, high, signed=True)}"


def _day(text: str) -> str:
    try:
        return dt.datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return ""


def _summary(board: Leaderboard, key: ModelKey) -> str:
    row = board.row(key)
    found = row.comparison if row else None
    if found is None or found.delta is None or found.interval is None:
        return ""
    delta, low, high = (
        f"{value * 100:+.1f}".replace("-", "−") for value in (found.delta, found.interval.low, found.interval.high)
    )
    but = ", safety left out" if board.safety.tasks else ""
    weak = "" if found.can_decide else " So few tasks cannot decide whether that is more than luck."
    return (
        f"Mean difference to its teacher over {found.n} tasks{but}: {delta} points, 95 % interval "
        f"[{low}, {high}] (Student's t over tasks).{weak}"
    )


def _conditions(store: ResultStore, key: ModelKey) -> str:
    facts = store.models[key]
    versions = ", ".join(
        f"{name} {facts.versions[name]}" for name in ("torch", "transformers", "mteb") if name in facts.versions
    )
    parts = [
        part
        for part in (facts.dtype, f"on {facts.device}" if facts.device else "", f"({versions})" if versions else "")
        if part
    ]
    return f"Measured in {' '.join(parts)}." if facts.dtype else ""
