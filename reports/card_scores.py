"""From a results folder to what a model card shows of it: scores, their intervals, and the difference to the teacher."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genzoo.errors import InputError, UnknownNameError
from genzoo.leaderboards.comparison import difference_interval, task_differences
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import UNIT, Metric
from genzoo.leaderboards.reading.predictions import scores_by_part
from genzoo.leaderboards.reading.result_files import SCORE_TOLERANCE, entries, read_object
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.safety import UTILITIES
from genzoo.leaderboards.statistics.pairs import pair_interval
from genzoo.leaderboards.statistics.resampling import items_interval, percentile_interval, resampled
from genzoo.publishing.scores import CardSafety, CardScore, CardScores
from genzoo.reports.chapters.cells import SCORE
from genzoo.reports.chapters.safety import (
    OUT_OF_REACH_MEANS,
    chance_notes,
    interval_in_words,
    missing_note,
    safety_cell,
    unpaired_notes,
)

N_READINGS = 6  # decoded texts on a card


def read_card_scores(results: Path, name: str, revision: str = "") -> CardScores:
    """Scores, conditions and decoded examples of one model.

    Args:
        results: Folder that `genzoo evaluate` wrote.
        name: The model, as `genzoo leaderboard` would find it.
        revision: What the results must be of, so that a card never shows the scores of another version; any by default.

    Raises:
        InputError: When the folder holds the model at other revisions only.
    """
    store = ResultStore.load(results)
    key = _find_revision(store, name, revision, results)
    teacher = _find(store, store.models[key].teacher)
    board = Leaderboard.from_store(store, reference=None)
    return CardScores(
        rows=tuple(_rows(store, board, key, teacher)),
        safety=tuple(_safety(board, key, teacher)),
        safety_notes=tuple(_safety_notes(board, key, teacher)),
        teacher=teacher.model if teacher else "",
        summary=_summary(board, key) if teacher else "",
        conditions=_conditions(store, key),
        readings=tuple((one.text, one.decoded) for one in store.evidence.get(key, ())[:N_READINGS]),
    )


def _find_revision(store: ResultStore, name: str, revision: str, results: Path) -> ModelKey:
    if not revision:
        return store.find(name)
    try:
        return store.find(f"{name}@{revision}")
    except UnknownNameError:
        other = store.find(name)
    raise InputError(
        f"{results} holds scores of {other.model} at revision {other.revision[:12]}, but the revision to be published is "
        f"{revision[:12]}: a card shows its own scores only; measure it with `genzoo evaluate -m MODEL -o {results}`"
    )


def _find(store: ResultStore, name: str | None) -> ModelKey | None:
    try:
        return store.find(name) if name else None
    except UnknownNameError:
        return None


def _rows(store: ResultStore, board: Leaderboard, key: ModelKey, teacher: ModelKey | None) -> Iterator[CardScore]:
    own, other = board.row(key), board.row(teacher) if teacher else None
    gaps = task_differences(store, key, teacher, tuple(board.tasks)) if teacher else ()
    differences = {each.task: difference_interval(store, key, teacher, each) for each in gaps if teacher}
    for task, facts in board.tasks.items():
        value = own.scores.get(task) if own else None
        if value is None or math.isnan(value):
            continue
        measure, sure, gap = facts.metric, interval_of(store, key, task), differences.get(task)
        chance = board.safety.tasks[task].value if task in board.safety.tasks else None
        label = f"{measure.label} {measure.arrow}".strip()
        yield CardScore(
            task=task,
            metric=label if chance is None else f"{label} (chance {measure.display(chance)})",
            shown=measure.display(value),
            teacher=measure.display(other.scores.get(task) if other else None),
            value=value * 100 if measure.percent else value,
            interval=_ends(measure, sure.low, sure.high) if sure else "",
            over=sure.over if sure else "",
            difference=f"{measure.display(gap.estimate, signed=True)} {_ends(measure, gap.low, gap.high, signed=True)}"
            if gap
            else "",
            dataset="" if facts.is_own else _hub_dataset(facts.dataset_path or ""),
            dataset_revision=facts.dataset_revision or "",
            date=_day(store.models[key].date or ""),
        )


def _ends(measure: Metric, low: float, high: float, *, signed: bool = False) -> str:
    return f"[{measure.display(low, signed=signed)}, {measure.display(high, signed=signed)}]"


def _hub_dataset(path: str) -> str:
    """The data set's id on the Hub, empty for a set that ships with genzoo."""
    return "" if path.count("/") > 1 else path


def _day(text: str) -> str:
    try:
        return dt.datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return ""


def _safety(board: Leaderboard, key: ModelKey, teacher: ModelKey | None) -> Iterator[CardSafety]:
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
    yield from chance_notes(board)
    yield from unpaired_notes(board)
    yield from (missing_note(pair) for pair in board.safety.pairs if pair.at(key) is None)
    shown = [pair for pair in board.safety.pairs if pair.at(key) is not None]
    figures = [found for pair in shown for one in (key, teacher) if one for found in pair.models.get(one, ())]
    if any(found.point is None for found in figures):
        yield OUT_OF_REACH_MEANS


def _summary(board: Leaderboard, key: ModelKey) -> str:
    row = board.row(key)
    found = row.comparison if row else None
    if found is None or found.delta is None or found.interval is None:
        return ""
    but = ", without safety tasks" if board.safety.tasks else ""
    weak = "" if found.can_decide else " So few tasks cannot distinguish this from chance."
    return (
        f"Mean difference to its teacher over {found.n} tasks{but}: {SCORE.display(found.delta, signed=True)} points, "
        f"95 % interval {_ends(SCORE, found.interval.low, found.interval.high, signed=True)} (Student's t over tasks).{weak}"
    )


def _conditions(store: ResultStore, key: ModelKey) -> str:
    facts, names = store.models[key], ("torch", "transformers", "mteb")
    if not facts.dtype:
        return ""
    versions = ", ".join(f"{name} {facts.versions[name]}" for name in names if name in facts.versions)
    device = f" on {facts.device}" if facts.device else ""
    return f"Measured in {facts.dtype}{device}{f' ({versions})' if versions else ''}."


class Sureness(NamedTuple):
    """The 95 % interval of one score, in the score's own unit, and what it is over, such as ``300 queries``."""

    low: float
    high: float
    over: str


def interval_of(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    """The interval of a task's main score, None where the results folder does not hold what is needed for it.

    A retrieval task's is one over its queries, that of a task on pairs one over the pairs; for a classification task mteb's
    repeated draws of training examples are resampled, for a clustering task its repeated draws of texts. Each is used only
    where it gives the main score that the folder states, over the splits and subsets of the leaderboard.
    """
    found = _over_queries(store, key, task) or _over_pairs(store, key, task) or _over_draws(store, key, task)
    stated = store.value(key, task, "main_score")
    if found is None or stated is None:
        return found
    return Sureness(min(found.low, stated), max(found.high, stated), found.over)  # they differ by rounding, if at all


def _over_queries(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    parts = scores_by_part(store.outcomes(key, task))
    if not parts:
        return None
    found = items_interval(list(map(np.array, parts)), store.tasks[task].metric.range or UNIT)
    return Sureness(found.low, found.high, f"{found.n:,} queries")


def _over_pairs(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    found = store.pairs(key, task)
    if found is None:
        return None
    interval = pair_interval(found)
    return Sureness(interval.low, interval.high, f"{interval.n:,} pairs")


class _Draws(NamedTuple):
    """What mteb drew again and again to score one split and subset."""

    score: float  # as the result file states it
    levels: list[list[float]]  # the scores of its draws; for a clustering task those of each level of its labels apart
    of_what: str  # what was drawn


def _over_draws(store: ResultStore, key: ModelKey, task: str) -> Sureness | None:
    name = store.tasks[task].main_score if task in store.tasks else ""
    sources, found = set(store.sources(key, task)[::3]), dict[tuple[str, str], _Draws]()
    for file in store.files:
        if file.key == key and file.path and file.source in sources:
            for place, draws in _read_draws(Path(file.path), name):
                found.setdefault(place, draws)
    parts = [found.get(part) for part in store.ground(task)]
    levels, weights, of_what = list[Any](), list[float](), ""
    for part in parts:
        flat = [draw for level in part.levels for draw in level] if part else []
        if part is None or len(flat) < 2 or abs(math.fsum(flat) / len(flat) - part.score) > SCORE_TOLERANCE:
            return None
        levels += [np.array(level) for level in part.levels]
        weights += [len(level) / len(flat) / len(parts) for level in part.levels]
        of_what = of_what or part.of_what
    if not any(np.ptp(level) > 0 for level in levels):
        return None  # the same in every draw: they do not tell how sure the score is
    drawn, sizes = resampled(levels, np.random.default_rng(0)), np.array([len(level) for level in levels])
    low, high = percentile_interval(drawn, sizes, weights=np.array(weights))
    return Sureness(low, high, f"{sizes.sum()} draws of {of_what}")


def _read_draws(path: Path, name: str) -> Iterator[tuple[tuple[str, str], _Draws]]:
    """The draws behind the main score of each split and subset of a result file; none where it holds none."""
    for split, subset, entry in entries(read_object(path, path.name, []), path.name, []):
        try:
            levels, of_what = _levels(entry, name)
            score = float(entry["main_score"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if all(map(math.isfinite, (score, *(draw for level in levels for draw in level)))):
            yield (split, subset), _Draws(score, levels, of_what)


def _levels(entry: dict[str, Any], name: str) -> tuple[list[list[float]], str]:
    """The scores of the draws of one split and subset, and what was drawn."""
    by_level = entry.get("v_measures" if name == "v_measure" else f"{name}_scores")
    if by_level is not None:
        return [[float(draw) for draw in level] for level in by_level.values() if level], "texts"
    return [[float(draw[name]) for draw in entry["scores_per_experiment"]]], "training examples"
