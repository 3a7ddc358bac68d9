"""Safety at a given utility in tables and in words: the one figure for safety and over-refusal together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genzoo.leaderboards.columns import pair_suffix, safety_key
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import Metric, metric
from genzoo.leaderboards.safety import DEPTH, LEAST_REQUESTS, MAIN_UTILITY, UTILITIES, PairFigures, SafetyAt
from genzoo.reports.render.table import Cell, Column, Table, text_cell

OUT_OF_REACH = "out of reach"
OUT_OF_REACH_MEANS = (
    "Out of reach: even without a threshold too few harmless requests are answered. That is the worst result: it counts as 0, and "
    "ranks below a model that serves all harm."
)
_MAIN = f"{MAIN_UTILITY * 100:.0f}\u00a0%"


def at_utility(utility: float) -> Metric:
    """The metric of safety at a utility."""
    return metric(f"safety_at_utility_{utility * 100:.0f}")


def interval_in_words(found: SafetyAt) -> str:
    """The interval, "" where there is none or where it is certain that the utility is out of reach."""
    if found.low is None or found.high is None or (found.point is None and found.high <= 0):
        return ""
    known = at_utility(found.utility)
    return f"{known.display(found.low)} to {known.display(found.high)}"


def safety_cell(found: SafetyAt | None, *, is_best: bool = False) -> Cell:
    """One model's safety at one utility: out of reach is shown as such and counts as 0, the worst value."""
    if found is None:
        return Cell(None, "unknown", "the folder does not hold this model's predictions of both tasks", style="quiet")
    note = interval_in_words(found)
    if found.point is None:
        text = f"without a threshold {found.reached:.0%} of the harmless requests are answered: counts as 0, the worst"
        return Cell(0.0, OUT_OF_REACH, text, style="loss", note=note)
    text = f"{found.safety:.6g} · threshold {found.point.threshold:.3f}, {found.point.utility:.0%} answered"
    shown = at_utility(found.utility).display(found.safety)
    return Cell(found.safety, shown, text, style="best" if is_best else "", note=note)


def safety_columns(board: Leaderboard, *, is_full: bool) -> Iterator[tuple[Column, list[Cell]]]:
    """What a leaderboard's table says of safety, with a cell for each of `board.shown`.

    For people each safety task, its twin, and safety at `MAIN_UTILITY`; for machines, whose table has all tasks anyway, safety
    at every utility with its interval, how many harmless requests are within reach, and the chance levels.
    """
    if not is_full:
        tasks = dict.fromkeys([*board.safety.tasks, *(each.pair.twin for each in board.safety.pairs)])
        for task in tasks:
            known, is_harm = board.tasks[task].metric, task in board.safety.tasks
            label = known.label if is_harm else f"Harmless twins: {known.label}"
            if is_harm and (by_chance := board.safety.tasks[task].value) is not None:
                label += f" (chance {known.display(by_chance)})"
            label += f" · {task}" if len(tasks) > 2 or (is_harm and len(board.safety.tasks) > 1) else ""
            values = [row.scores.get(task) for row in board.shown]
            cells = [Cell(value, known.display(value), style="quiet" * (value is None)) for value in values]
            yield Column(label, known.higher_is_better, known.digits, f"{task}: {known.direction}"), cells
    for figures in board.safety.pairs:
        if figures.requests:
            yield from _pair_columns(board, figures, is_full=is_full)
    if is_full:
        for task, chance in board.safety.tasks.items():
            cell = Cell(chance.value, "–" if chance.value is None else f"{chance.value * 100:.1f}", chance.reason)
            yield (
                Column(f"Chance level of {task}", None, 1, f"A random ranking; {chance.reason}"),
                [cell] * len(board.shown),
            )


def _pair_columns(board: Leaderboard, figures: PairFigures, *, is_full: bool) -> Iterator[tuple[Column, list[Cell]]]:
    suffix = pair_suffix(figures.pair, board.safety)
    best = {column.key: board.best(column) for column in board.columns_of("safety")}[safety_key(figures.pair)]
    for utility in UTILITIES if is_full else (MAIN_UTILITY,):
        found = [figures.at(row.key, utility) for row in board.shown]
        is_main = utility == MAIN_UTILITY
        label = at_utility(utility).label + suffix
        yield (
            Column(label, True, 1, _meaning(figures, utility)),
            [safety_cell(each, is_best=is_main and each is not None and each.safety == best) for each in found],
        )
        if is_full:
            for side in ("low", "high"):
                ends = [getattr(each, side) if each else None for each in found]
                yield Column(f"{label}, {side}", None, 1, "End of its 95\u00a0% interval"), list(map(_raw, ends))
    if is_full:
        reached = [each.reached if (each := figures.at(row.key)) else None for row in board.shown]
        about = f"Largest share of the harmless requests of {figures.pair.twin} that is answered, without a threshold"
        yield Column(f"Harmless twins within reach{suffix}", True, 1, about), list(map(_raw, reached))


def _raw(value: float | None) -> Cell:
    return Cell(value, "–" if value is None else f"{value * 100:.1f}")


def _meaning(figures: PairFigures, utility: float) -> str:
    safety, twin = figures.pair
    return (
        f"Share of the harmful requests of {safety} that find nothing while {utility:.0%} of the harmless ones of {twin} "
        "find their passage"
    )


def operating_table(board: Leaderboard, figures: PairFigures, *, only: LeaderboardRow | None = None) -> Table | None:
    """Safety at 50, 70 and 90 % utility for one pair; None where no model has the predictions.

    With `only` a single model is shown, and marked where it is the best of the board.
    """
    known = [row for row in board.rows if figures.at(row.key) is not None]
    shown = [row for row in known if only is None or row.key == only.key]
    if not shown:
        return None
    best = [
        max((points[place].safety for points in figures.models.values() if points[place].point), default=None)
        for place in range(len(UTILITIES))
    ]
    heads = [Column("Model", is_text=True, is_name=True)]
    heads += [Column(at_utility(share).label, True, 1, _meaning(figures, share)) for share in UTILITIES]
    heads.append(Column("Harmless twins within reach", True, 1, "Share that is answered without a threshold"))
    rows = []
    for row in sorted(
        shown, key=lambda row: figures.models[row.key][UTILITIES.index(MAIN_UTILITY)].order, reverse=True
    ):
        cells = [
            safety_cell(found, is_best=len(known) > 1 and found.safety == highest)
            for found, highest in zip(figures.models[row.key], best, strict=True)
        ]
        rows.append((text_cell(row.label, style="model"), *cells, _raw(figures.models[row.key][0].reached)))
    order = f", in the order of safety at {_MAIN} utility" if len(shown) > 1 else ""
    note = (
        f"{figures.pair.safety} with its harmless twin {figures.pair.twin}{order}. A request is "
        f"served when its own passage is among the first {DEPTH} and its similarity is at least the threshold, which is set "
        "as high as the wanted utility allows. Below each figure: its 95\u00a0% interval, a bootstrap over the requests of both "
        "kinds that chooses the threshold anew each time."
    )
    return Table("Safety at a given utility", tuple(heads), tuple(rows), notes=(note, *_reach_notes(figures, shown)))


def _reach_notes(figures: PairFigures, shown: Sequence[LeaderboardRow]) -> Iterator[str]:
    found = [figures.models[row.key] for row in shown]
    if any(each.point is None for points in found for each in points):
        yield OUT_OF_REACH_MEANS
    if figures.random_reach is not None and figures.random_reach < min(UTILITIES):
        yield f"A random ranking answers {figures.random_reach * 100:.1f}\u00a0% of the harmless requests: all of these are out of its reach."
    if any(each.low is None for points in found for each in points):
        yield f"With fewer than {LEAST_REQUESTS} requests of a kind there is no interval."


def chance_notes(board: Leaderboard) -> Iterator[str]:
    """A sentence on what a random ranking scores on each safety task."""
    for task, chance in board.safety.tasks.items():
        known = board.tasks[task].metric
        if chance.value is None:
            yield f"Chance level of {task}, {known.label}: {chance.reason}."
        else:
            yield f"Chance level of {task}: a random ranking has {known.label} {known.display(chance.value)} ({chance.reason})."


def unpaired_notes(board: Leaderboard) -> Iterator[str]:
    """A sentence on every safety task whose harmless twin is not on the board."""
    for task in board.safety.unpaired:
        yield f"{task} has no harmless twin on this board: its score alone is won by a model that finds nothing."


def missing_note(figures: PairFigures) -> str:
    """Why there is no safety at a given utility, and what gives it."""
    safety, twin = figures.pair
    return (
        f"Safety at a given utility is not known for {safety}: it needs the predictions and judgements of {safety} and {twin}, which "
        "`genzoo evaluate` writes."
    )


def safety_notes(board: Leaderboard) -> tuple[str, ...]:
    """What a reader of a leaderboard must know about its safety columns; nothing on a board without safety tasks."""
    if not board.safety.tasks:
        return ()
    notes = [
        "Safety is in no mean, no type mean and no Borda rank: a model that finds nothing is perfectly safe.",
        *chance_notes(board),
    ]
    for figures in board.safety.pairs:
        safety, twin = figures.pair
        if not figures.requests:
            notes.append(missing_note(figures))
            continue
        text = f"Safety at {_MAIN} utility: the share of the harmful requests of {safety} that find nothing while {_MAIN} of the "
        text += f"harmless ones of {twin} are answered, with its 95\u00a0% interval over the requests."
        if any(found.point is None for key in figures.models if (found := figures.at(key))):
            text += " Out of reach, which is worst: not even without a threshold are that many answered."
        notes.append(text)
    notes += unpaired_notes(board)
    return tuple(notes if board.has_mean else [*notes, order_without_means(board)])


def order_without_means(board: Leaderboard) -> str:
    """Why a board has no mean, and what orders its models instead."""
    is_safety = bool(board.safety.tasks) and not board.counted
    what = (
        "Every task measures safety or is the harmless twin of one that does"
        if is_safety
        else "No task can be averaged"
    )
    if board.leading_pair is None:
        return f"{what}, so there is no mean, and the models are not ranked."
    safety, twin = next(each.pair for each in board.safety.pairs if safety_key(each.pair) == board.leading_pair)
    return (
        f"{what}, so there is no mean: the models are in the order of safety at {_MAIN} utility on {safety} with {twin}. Those for "
        "which that is out of reach come after all others, and last those without predictions."
    )
