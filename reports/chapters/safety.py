"""Safety, in one place: its chapter, its columns of the leaderboard, its figures and its sentences.

Safety never goes alone: an embedding that finds nothing is perfectly safe. Figures come from `genzoo.leaderboards.safety`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from genzoo.leaderboards.columns import pair_suffix, safety_key
from genzoo.leaderboards.facts import OVER_REFUSAL, SafetyPair, tasks_of
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING, Metric, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.safety import DEPTH, LEAST_REQUESTS, MAIN_UTILITY, UTILITIES, PairFigures, SafetyAt
from genzoo.reports.chapters.cells import MINI, MODEL, SCORE, crowded, join_names, span
from genzoo.reports.render.document import Block, Drawing, Prose, Section, TableBlock
from genzoo.reports.render.table import Cell, Column, Table, number_cell, text_cell

OUT_OF_REACH = "out of reach"
OUT_OF_REACH_MEANS = (
    "Out of reach: even without a threshold, too few harmless requests are answered. That is the worst result: it counts as 0 and "
    "ranks below a model that answers every harmful request."
)
_TITLE = "Safety and over-refusal"
_LEAD = (
    "A retriever is unsafe if it answers harmful requests, and useless if it no longer answers the harmless requests that resemble "
    "them. A model that finds nothing is perfectly safe and perfectly useless, so the two are reported together: safety at a given "
    "utility is the share of harmful requests that find nothing while a fixed share of the harmless requests is still answered. "
    "Safety is not part of any mean or rank."
)
_MAIN = f"{MAIN_UTILITY * 100:.0f}\u00a0%"
# Extra numbers of a safety task that say how a main score came about, where a result has them.
_METRICS = ("safety_at_1", "safety_at_5", "harmful_hit_rate_at_5", "any_harmful_at_1", "any_harmful_at_5")
_Columns = list[tuple[Column, list[Cell]]]


def safety_section(board: Leaderboard, store: ResultStore) -> Section:
    """Both main scores against each other, then safety at a given utility."""
    from genzoo.reports import plots  # brings in matplotlib, which the tables alone do not need

    twins = tasks_of(OVER_REFUSAL, board.tasks)
    if not board.safety.tasks and not twins:
        text = f"No safety task was measured. {MINI} measures safety and over-refusal."
        return Section("safety", _TITLE, (Prose(text),))
    lonely = [name for name in twins if all(each.pair.twin != name for each in board.safety.pairs)]
    blocks: list[Block] = [Prose(_LEAD)]
    for name in (*board.safety.unpaired, *lonely):
        other = "harmless twin" if name in board.safety.tasks else "safety task"
        blocks.append(
            Prose(f"{name} was measured without a {other} over the same corpus, which is half of the picture.")
        )
    pairs = board.safety.pairs
    blocks += [
        safety_drawing(board, place) for place, pair in enumerate(pairs) if len(plots.safety_points(board, pair)) > 1
    ]
    blocks.append(TableBlock(_score_table(board, store, twins)))
    for place, pair in enumerate(pairs):
        table = operating_table(board, pair)
        if table is None:
            blocks.append(Prose(missing_note(pair), is_quiet=True))
        else:
            blocks += [operating_drawing(board, place), TableBlock(table)]
    return Section("safety", _TITLE, tuple(blocks))


def _score_table(board: Leaderboard, store: ResultStore, twins: Sequence[str]) -> Table:
    """Main scores of safety tasks and twins, and the extra numbers of safety tasks."""
    columns: _Columns = []
    for task in (*board.safety.tasks, *twins):
        is_harm, main = task in board.safety.tasks, board.tasks[task].main_score
        for name in dict.fromkeys((main, *(_METRICS if is_harm else ()))):
            values = [row.scores[task] if name == main else store.value(row.key, task, name) for row in board.rows]
            if any(value is not None for value in values):
                known = metric(name)
                label = known.label if is_harm else f"Harmless twins: {known.label}"
                label += f" · {task}" if len(board.safety.tasks if is_harm else twins) > 1 else ""
                about = f"{task}: {known.label}, {known.direction}"
                head = Column(label, known.higher_is_better, known.digits, about)
                columns.append((head, [number_cell(value, known) for value in values]))
    models = [text_cell(row.label, style="model") for row in board.rows]
    rows = zip(models, *(cells for _, cells in columns), strict=True)
    heads = (MODEL, *(head for head, _ in columns))
    return Table("Safety and over-refusal", heads, tuple(rows), notes=tuple(chance_notes(board)))


def operating_table(board: Leaderboard, figures: PairFigures, *, only: LeaderboardRow | None = None) -> Table | None:
    """Safety at 50, 70 and 90 % utility for one pair; None where no model has the predictions.

    With `only` a single model is shown, and marked where it is the best of the board.
    """
    from genzoo.reports import plots  # brings in matplotlib, which the tables alone do not need

    known = plots.measured_rows(board, figures)
    shown = [row for row in known if only is None or row.key == only.key]
    if not shown:
        return None
    best = [
        max((points[place].safety for points in figures.models.values() if points[place].point), default=None)
        for place in range(len(UTILITIES))
    ]

    def cell(place: int, row: LeaderboardRow) -> Cell:
        found = figures.models[row.key][place]
        return safety_cell(found, is_best=len(known) > 1 and found.safety == best[place])

    order = f", sorted by safety at {_MAIN} utility" if len(shown) > 1 else ""
    note = (
        f"{figures.pair.safety} with its harmless twin {figures.pair.twin}{order}. A request is answered if its own passage is among "
        f"the first {DEPTH} and is at least as similar as the threshold, which is set as high as the utility allows. Below each value: "
        "its 95\u00a0% interval, from a bootstrap over the requests of both kinds in which each resample chooses its own threshold."
    )
    notes = (note, *_reach_notes(figures, shown))
    return Table.of("Safety at a given utility", shown, [
        (MODEL, lambda row: text_cell(row.label, style="model")),
        *((Column(at_utility(share).label, True, 1, _meaning(figures, share)), partial(cell, place))
          for place, share in enumerate(UTILITIES)),
        (Column("Harmless twins within reach", True, 1, "Share that is answered if there is no threshold"),
         lambda row: _share_cell(figures.models[row.key][0].reached)),
    ], notes=notes)  # fmt: skip


def _reach_notes(figures: PairFigures, shown: Sequence[LeaderboardRow]) -> Iterator[str]:
    found = [each for row in shown for each in figures.models[row.key]]
    if any(each.point is None for each in found):
        yield OUT_OF_REACH_MEANS
    if figures.random_reach is not None and figures.random_reach < min(UTILITIES):
        yield f"A random ranking answers {figures.random_reach * 100:.1f}\u00a0% of the harmless requests, so every utility of this table is out of its reach."
    if any(each.low is None for each in found):
        yield f"There is no interval with fewer than {LEAST_REQUESTS} requests of either kind."


def safety_columns(board: Leaderboard, *, is_full: bool) -> _Columns:
    """What a leaderboard's table says of safety, with a cell for each of `board.shown`.

    For people each safety task, its twin, and safety at `MAIN_UTILITY`; for machines, whose table has all tasks anyway, safety
    at every utility with its interval, how many harmless requests are within reach, and the chance levels.
    """
    columns = [] if is_full else _main_score_columns(board)
    for figures in board.safety.pairs:
        columns += _utility_columns(board, figures, is_full=is_full) if figures.requests else []
    for task, chance in board.safety.tasks.items() if is_full else ():
        head = Column(f"Chance level of {task}", None, 1, f"A random ranking; {chance.reason}")
        columns.append((head, [_share_cell(chance.value, chance.reason)] * len(board.shown)))
    return columns


def _main_score_columns(board: Leaderboard) -> _Columns:
    tasks = dict.fromkeys([*board.safety.tasks, *(each.pair.twin for each in board.safety.pairs)])
    columns = []
    for task in tasks:
        known, is_harm = board.tasks[task].metric, task in board.safety.tasks
        label = known.label if is_harm else f"Harmless twins: {known.label}"
        if is_harm and (by_chance := board.safety.tasks[task].value) is not None:
            label += f" (chance {known.display(by_chance)})"
        label += f" · {task}" if len(tasks) > 2 or (is_harm and len(board.safety.tasks) > 1) else ""
        values = [row.scores.get(task) for row in board.shown]
        cells = [Cell(value, known.display(value), style="quiet" * (value is None)) for value in values]
        columns.append((Column(label, known.higher_is_better, known.digits, f"{task}: {known.direction}"), cells))
    return columns


def _utility_columns(board: Leaderboard, figures: PairFigures, *, is_full: bool) -> _Columns:
    suffix, columns = pair_suffix(figures.pair, board.safety), _Columns()
    best = {column.key: board.best(column) for column in board.columns_of("safety")}[safety_key(figures.pair)]
    for utility in UTILITIES if is_full else (MAIN_UTILITY,):
        found = [figures.at(row.key, utility) for row in board.shown]
        label, is_main = at_utility(utility).label + suffix, utility == MAIN_UTILITY
        cells = [safety_cell(each, is_best=is_main and each is not None and each.safety == best) for each in found]
        columns.append((Column(label, True, 1, _meaning(figures, utility)), cells))
        for side in ("low", "high") if is_full else ():
            ends = [_share_cell(getattr(each, side) if each else None) for each in found]
            columns.append((Column(f"{label}, {side}", None, 1, "End of its 95\u00a0% interval"), ends))
    if is_full:
        about = f"Largest share of the harmless requests of {figures.pair.twin} that is answered, without a threshold"
        reached = [_share_cell(each.reached if (each := figures.at(row.key)) else None) for row in board.shown]
        columns.append((Column(f"Harmless twins within reach{suffix}", True, 1, about), reached))
    return columns


def at_utility(utility: float) -> Metric:
    """The metric of safety at a utility."""
    return metric(f"safety_at_utility_{utility * 100:.0f}")


def safety_cell(found: SafetyAt | None, *, is_best: bool = False) -> Cell:
    """One model's safety at one utility: out of reach is shown as such and counts as 0, the worst value."""
    if found is None:
        return Cell(None, "unknown", "the folder lacks this model's predictions of one or both tasks", style="quiet")
    note = interval_in_words(found)
    if found.point is None:
        text = f"without a threshold {found.reached:.0%} of the harmless requests are answered: counts as 0, the worst"
        return Cell(0.0, OUT_OF_REACH, text, style="loss", note=note)
    text = f"{found.safety:.6g} · threshold {found.point.threshold:.3f}, {found.point.utility:.0%} answered"
    shown = at_utility(found.utility).display(found.safety)
    return Cell(found.safety, shown, text, style="best" if is_best else "", note=note)


def interval_in_words(found: SafetyAt) -> str:
    """The interval, "" where there is none or where it is certain that the utility is out of reach."""
    if found.low is None or found.high is None or (found.point is None and found.high <= 0):
        return ""
    return span(at_utility(found.utility), found.low, found.high)


def _share_cell(value: float | None, description: str = "") -> Cell:
    return Cell(value, MISSING if value is None else f"{value * 100:.1f}", description)


def _meaning(figures: PairFigures, utility: float) -> str:
    safety, twin = figures.pair
    return (
        f"Share of the harmful requests of {safety} that find nothing while {utility:.0%} of the harmless ones of {twin} "
        "find their passage"
    )


def safety_drawing(board: Leaderboard, place: int = 0) -> Drawing:
    """Safety on harmful requests against help with their harmless twins, for one pair of the board."""
    from genzoo.reports import plots  # brings in matplotlib, which the tables alone do not need

    pair = board.safety.pairs[place]
    points, (up, across) = plots.safety_points(board, pair), (board.tasks[name].metric for name in pair.pair)
    listed = "; ".join(f"{p.label}: {up.label} {p.y * 100:.1f}, {across.label} {p.x:.1f}" for p in points)
    caption = f"{'Higher' if up.higher_is_better else 'Lower'} is safer ({up.label} on {pair.pair.safety}), further right is more "
    caption += f"helpful ({across.label} on {pair.pair.twin}). Both are multiplied by 100."
    chance = board.safety.tasks[pair.pair.safety]
    if chance.value is not None:
        caption += f" A random ranking, which helps nobody, has {up.label} {up.display(chance.value)}."
    caption += crowded(len(points))
    fill = partial(plots.safety, board, pair=place)
    return Drawing(_identity("safety", place), _TITLE, f"Scatter plot. {listed}.", caption, fill)


def operating_drawing(board: Leaderboard, place: int = 0) -> Drawing:
    """Safety of one pair of the board at every utility that a threshold of similarity can reach."""
    from genzoo.reports import plots  # brings in matplotlib, which the tables alone do not need

    pair = board.safety.pairs[place]
    measured = plots.measured_rows(board, pair)
    listed = "; ".join(f"{row.label}: {_at_utilities(pair.models[row.key])}" for row in measured)
    caption = (
        f"{pair.pair.safety} with {pair.pair.twin}. Along each line the threshold of similarity falls, from left, where nothing is "
        f"answered, to right. A request counts as answered if its own passage is among the first {DEPTH} and above the threshold. Higher "
        "is better; a line that ends early cannot reach a higher utility, which is the worst result there."
    )
    if len(measured) > plots.MOST_SERIES:
        caption += f" The first {plots.MOST_SERIES} of {len(measured)} models."
    fill = partial(plots.operating_curves, board, pair=place)
    title = "Safety at a given utility"
    return Drawing(_identity("operating", place), title, f"Line chart. {listed}.", caption, fill)


def _identity(name: str, place: int) -> str:
    return f"{name}-{place + 1}" if place else name


def _at_utilities(found: Sequence[SafetyAt]) -> str:
    return ", ".join(f"{safety_cell(each).display} at {each.utility * 100:.0f}\u00a0%" for each in found)


def safety_notes(board: Leaderboard) -> tuple[str, ...]:
    """What a reader of a leaderboard must know about its safety columns; nothing on a board without safety tasks."""
    if not board.safety.tasks:
        return ()
    notes = [
        "Safety tasks are left out of every mean, type mean and Borda rank, because a model that finds nothing is perfectly safe.",
        *chance_notes(board),
    ]
    for figures in board.safety.pairs:
        safety, twin = figures.pair
        if not figures.requests:
            notes.append(missing_note(figures))
            continue
        text = f"Safety at {_MAIN} utility: the share of the harmful requests of {safety} that find nothing while {_MAIN} of the "
        text += f"harmless requests of {twin} are answered, with its 95\u00a0% interval over the requests."
        if any(found.point is None for key in figures.models if (found := figures.at(key))):
            text += " Out of reach is the worst result: even without a threshold, fewer are answered."
        notes.append(text)
    notes += unpaired_notes(board)
    return tuple(notes if board.has_mean else [*notes, order_without_means(board)])


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
        yield f"{task} has no harmless twin on this board: a model that finds nothing would win it."


def missing_note(figures: PairFigures) -> str:
    """Why there is no safety at a given utility, and what gives it."""
    safety, twin = figures.pair
    return (
        f"Safety at a given utility is not known for {safety}: it needs the predictions and judgements of {safety} and {twin}, which "
        "`genzoo evaluate` writes."
    )


def order_without_means(board: Leaderboard) -> str:
    """Why a board has no mean, and what orders its models instead."""
    what = "No task can be averaged"
    if board.safety.tasks and not board.counted:
        what = "Every task measures safety or is the harmless twin of one that does"
    if board.leading_pair is None:
        return f"{what}, so there is no mean, and the models are not ranked."
    safety, twin = next(each.pair for each in board.safety.pairs if safety_key(each.pair) == board.leading_pair)
    return (
        f"{what}, so there is no mean: the models are sorted by safety at {_MAIN} utility on {safety} with {twin}. Models that cannot "
        "reach this utility come after all others, and models without predictions last."
    )


def safety_in_words(board: Leaderboard) -> Iterator[str]:
    """For the summary, of each pair: who answers the least harm while most of the harmless requests are still answered."""
    for pair in board.safety.pairs:
        found = {row.label: each for row in board.rows if (each := pair.at(row.key)) is not None}
        if len(found) > 1:
            yield _extremes(pair.pair, found)
        elif not found:
            yield (
                f"Which model is safer at the same utility on {pair.pair.safety} is not known: this needs the predictions for it and for "
                f"{pair.pair.twin}. Safety alone decides nothing, because a model that finds nothing is perfectly safe."
            )


def _extremes(pair: SafetyPair, found: Mapping[str, SafetyAt]) -> str:
    """The safest, the least safe, and those that cannot answer as many."""
    in_reach = {label: each for label, each in found.items() if each.point is not None}
    out = [label for label in found if label not in in_reach]
    if not in_reach:
        return f"No model answers {_MAIN} of the harmless requests of {pair.twin}, so safety on {pair.safety} at that utility is out of reach."
    ranked = sorted(in_reach, key=lambda label: in_reach[label].safety, reverse=True)
    safest, least = (
        {label: in_reach[label] for label in ranked if math.isclose(in_reach[label].safety, in_reach[end].safety)}
        for end in (ranked[0], ranked[-1])
    )
    text = f"With {_MAIN} of the harmless requests of {pair.twin} answered, {join_names([*safest])} "
    text += "leave " if len(safest) > 1 else "leaves "
    if safest == least:
        text += f"{_shares(safest)} of the harmful requests of {pair.safety} unanswered."
    else:
        text += f"the largest share of the harmful requests of {pair.safety} unanswered, {_shares(safest)}, and "
        text += f"{join_names([*least])} the smallest, {_shares(least)}."
    if out:
        text += f" Answering that many is out of reach for {join_names(out)}: the worst result, however few harmful requests they answer."
    return text


def _shares(found: Mapping[str, SafetyAt]) -> str:
    """The share that some models have in common; its interval where they have that in common too."""
    first, *others = found.values()
    if not others:
        return _share(first)
    return f"{_share(first, has_interval=len(set(map(_share, found.values()))) == 1)} each"


def _share(found: SafetyAt, *, has_interval: bool = True) -> str:
    interval = interval_in_words(found) if has_interval else ""
    text = f"{at_utility(found.utility).display(found.safety)}\u00a0%"
    return f"{text} (95\u00a0% interval {interval})" if interval else text


def safety_difference_in_words(board: Leaderboard, model: LeaderboardRow, reference: LeaderboardRow) -> Iterator[str]:
    """A sentence for each safety task with a twin: what two models leave unanswered at the same utility."""
    for pair in board.safety.pairs:
        two = [(row.label, found) for row in (model, reference) if (found := pair.at(row.key)) is not None]
        if len(two) < 2:
            continue
        parts = [
            f"{label} leaves {_share(found)}" if found.point else f"{label} cannot answer that many, which is worse"
            for label, found in two
        ]
        text = (
            f"Harmful requests of {pair.pair.safety} that stay unanswered with {_MAIN} of the harmless requests of {pair.pair.twin} "
            f"answered: {', '.join(parts)}."
        )
        gap = pair.difference(model.key, reference.key)
        if gap is not None and all(found.point for _, found in two):
            delta, low, high = gap
            shown = (
                f"{SCORE.display(delta, signed=True)} points (95\u00a0% interval {span(SCORE, low, high, signed=True)}"
            )
            text += f" The difference is {shown}, paired over the requests)."
        yield text
