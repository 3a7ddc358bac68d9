"""The chapter that most readers come for: the leaderboard, its order and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from genzoo.leaderboards.facts import RULE
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.standing import Standing
from genzoo.reports.chapters.cells import (
    MODEL,
    SCORE,
    block,
    count_words,
    delta_cell,
    heading,
    interval_text,
    join_names,
    model_cell,
    score_cell,
    whole_cell,
)
from genzoo.reports.chapters.safety import order_without_means, safety_columns, safety_notes
from genzoo.reports.render.document import Block, Drawing, Prose, Section
from genzoo.reports.render.table import Cell, Column, Table, text_cell, text_column

_RANKS = (
    "Rank interval: the ranks by Mean (task) that are consistent with the tests between all pairs of models. With 95\u00a0% confidence "
    "every interval contains its model’s rank over all tasks of this kind. A model marked “tied for first” cannot be distinguished "
    "from the leader."
)
_STRICTER = (
    "A model can be significantly below the leader in Δ and still be tied for first: ranks are based on tests between all pairs of "
    "models, which are corrected for more comparisons than the tests against one reference."
)
_Columns = list[tuple[Column, list[Cell]]]  # each with a cell for each of `board.shown`


def leaderboard_section(board: Leaderboard, store: ResultStore) -> Section:
    """The table, how to read it, and the intervals of the ranks."""
    from genzoo.reports import plots  # brings in matplotlib, which the table alone does not need

    how = Prose(f"{_order_in_words(board)} Scores are multiplied by 100.", is_quiet=True)
    blocks: list[Block] = [block(leaderboard_table(board, store)), how]
    if len(ranked := plots.ranked_rows(board)) > 2:
        blocks.append(_rank_drawing(board, ranked))
    return Section("leaderboard", "Leaderboard", tuple(blocks))


def leaderboard_table(board: Leaderboard, store: ResultStore | None = None, *, is_full: bool = False) -> Table:
    """Models in rows: means, Borda, difference to the reference, coverage, safety, types; with `is_full` also tasks.

    Args:
        board: The leaderboard.
        store: Gives the files behind task scores as provenance; without it cells have none.
        is_full: Whether every task gets a column, as CSV and JSON want it.
    """
    if board.own_task is not None and not is_full:
        return _own_table(board, store, board.own_task)
    rows = board.shown

    def scores(kind: str, **options: bool) -> _Columns:
        return [
            (heading(column), [score_cell(board, row, column, store, **options) for row in rows])
            for column in board.columns_of(kind)
        ]

    types = [
        (Column(column.label, True, 1, f"Mean over the tasks of type {column.key}"), cells)
        for column, (_, cells) in zip(board.columns_of("type"), scores("type", is_shaded=True), strict=True)
    ]
    columns: _Columns = [
        (MODEL, [model_cell(row) for row in rows]),
        *scores("mean"),
        *_difference_column(board),
        *_rank_columns(board, is_full=is_full),
        (Column("Tasks", None, 0, "Tasks with a score"), [_coverage_cell(row, board.total) for row in rows]),
        *_seen_column(board),
        *safety_columns(board, is_full=is_full),
        *types,
    ]
    if is_full:
        columns += scores("task")
        facts = {"Name": [row.key.model for row in rows], "Revision": [row.key.revision for row in rows]}
        facts |= {"Role": [row.facts.role for row in rows], "Rule": [RULE] * len(rows)}
        columns += [(text_column(label), [text_cell(value) for value in values]) for label, values in facts.items()]
    ranks = _RANKS if board.standings else board.undecided
    notes = (ranks, _STRICTER if _is_tied_and_below(board) else "", *safety_notes(board))
    heads, cells = zip(*columns, strict=True)
    return Table("Leaderboard", heads, tuple(zip(*cells, strict=True)), notes=tuple(filter(None, notes)), rule=RULE)


def _own_table(board: Leaderboard, store: ResultStore | None, task: str) -> Table:
    """The models on the one search of own data: the score, the difference to a reference, and scores on earlier content; means and ranks would repeat it."""
    scores: _Columns = []
    for column in sorted(board.columns_of("task"), key=lambda each: each.key != task):
        known, label = column.metric, column.metric.label
        about = f"{column.key}: {label}, {known.direction}"
        head = Column(label if column.key == task else column.key, known.higher_is_better, known.digits, about)
        scores.append((head, [score_cell(board, row, column, store) for row in board.rows]))
    columns: _Columns = [
        (MODEL, [model_cell(row) for row in board.rows]),
        *scores[:1],
        *_difference_column(board),
        *scores[1:],
    ]
    heads, cells = zip(*columns, strict=True)
    return Table(task, heads, tuple(zip(*cells, strict=True)), notes=tuple(filter(None, [board.undecided])), rule=RULE)


def _difference_column(board: Leaderboard) -> _Columns:
    if not any(row.comparison for row in board.rows):
        return []
    against = "teacher" if board.reference is None else "reference"
    label = f"Δ {against}{' without safety' * bool(board.safety.tasks)}"
    about = f"Mean difference to the {against} over the tasks, with its 95\u00a0% interval"
    return [(Column(label, True, 1, about), [_difference_cell(row, board) for row in board.shown])]


def _difference_cell(row: LeaderboardRow, board: Leaderboard) -> Cell:
    found = row.comparison
    if found is None or found.delta is None:
        return Cell(None, MISSING, "no reference with a score", style="quiet")
    n_shared, n = sum(name in found.deltas for name in board.counted), len(board.counted)
    if n_shared < n:
        shared = f"{n_shared} of {n} tasks are shared: {SCORE.display(found.delta, signed=True)}"
        return Cell(None, MISSING, shared, style="quiet", note=f"{n_shared}/{n} shared")
    return delta_cell(found, note=interval_text(found))


def _rank_columns(board: Leaderboard, *, is_full: bool) -> _Columns:
    """One column for people; rank, both ends and the verdict apart for machines; none where the tasks cannot decide."""
    if not board.standings:
        return []
    found = [board.standings.get(row.key) for row in board.shown]
    is_shared = sum(each.tied_for_first for each in board.standings.values()) > 1
    if not is_full:
        head = text_column("Rank interval", "Ranks that are consistent with the tests, at 95\u00a0% confidence")
        return [(head, [_rank_cell(each, is_shared=is_shared) for each in found])]
    heads = {
        "rank": Column("Rank", False, 0, "By Mean (task); equal means share the better rank"),
        "low": Column(
            "Rank interval, low", None, 0, "Best rank that is consistent with the tests, at 95\u00a0% confidence"
        ),
        "high": Column("Rank interval, high", None, 0, "Worst rank that is consistent with them"),
    }
    tied = ["" if each is None else "yes" if is_shared and each.tied_for_first else "no" for each in found]
    return [
        *((head, [whole_cell(each and getattr(each, name)) for each in found]) for name, head in heads.items()),
        (
            text_column("Tied for first", "Whether it cannot be distinguished from the leader"),
            list(map(text_cell, tied)),
        ),
    ]


def _rank_cell(found: Standing | None, *, is_shared: bool) -> Cell:
    if found is None:
        return Cell(None, MISSING, "no mean, so no rank", style="quiet")
    shown = str(found.low) if found.low == found.high else f"{found.low} to {found.high}"
    is_tied = found.tied_for_first and is_shared
    return Cell(found.rank, shown, f"rank {found.rank}", style="fixed", note="tied for first" if is_tied else "")


def _coverage_cell(row: LeaderboardRow, total: int) -> Cell:
    return Cell(row.covered, f"{row.covered}/{total}", style="" if row.covered == total else "loss")


def _seen_column(board: Leaderboard) -> _Columns:
    """How many tasks each model was trained on; none where no model states any and all state their training data."""
    cells = []
    for row in board.shown:
        seen = row.facts.seen_of(board.tasks)
        if row.facts.training_datasets is None:
            about = "its training data are not stated: unknown is not the same as clean"
            cells.append(Cell(None, "unknown", about, style="quiet"))
        else:
            cells.append(Cell(len(seen), str(len(seen)), ", ".join(seen) or "none of them", style="loss" * bool(seen)))
    if all(cell.value == 0 for cell in cells):
        return []
    return [(Column("Seen", None, 0, "Tasks on whose data the model was trained, as its authors state"), cells)]


def _is_tied_and_below(board: Leaderboard) -> bool:
    """Whether a model that is tied for first is significantly below another such model."""
    first = {key for key, each in board.standings.items() if each.tied_for_first}
    found = [row.comparison for row in board.rows if row.comparison is not None and row.key in first]
    return any(each.is_significant and (each.delta or 0) < 0 and each.reference in first for each in found)


def _order_in_words(board: Leaderboard) -> str:
    """What the leaderboard is sorted by, and what its means are made of."""
    if board.own_task is not None:
        return f"Models are sorted by {board.tasks[board.own_task].metric.label} on {board.own_task}."
    if not board.has_mean:
        return order_without_means(board)
    what = {"mean_task": "the plain mean of the main scores", "mean_type": "the mean of the type means"}
    means = " and ".join(f"{each.label} is {what[each.key]}" for each in board.columns_of("mean") if each.key in what)
    text = f"Models are sorted by {board.columns_of('mean')[0].label}. {means}. "
    text += "The Borda rank ranks the models within each task and adds up the ranks. "
    if board.safety.tasks:
        text += f"“Without safety” leaves out {board.total - len(board.counted)} of the {board.total} tasks, which a model that finds nothing would win. "
    return f"{text}A model that lacks a score on one of the tasks that count has no mean and no rank."


def _rank_drawing(board: Leaderboard, ranked: Sequence[LeaderboardRow]) -> Drawing:
    standings = [board.standings[row.key] for row in ranked]
    listed = "; ".join(f"{row.label}: {each.low} to {each.high}" for row, each in zip(ranked, standings, strict=True))
    caption = (
        "Dot: rank by Mean (task). Bar: the ranks that are consistent with the tests between all pairs of models; in at least 95 of 100 "
        "leaderboards every bar contains its model’s rank over all tasks of the same kind. Models in the leader’s colour cannot be "
        "distinguished from it."
    )
    if len(ranked) < len(board.standings):
        caption += f" The first {len(ranked)} of {len(board.standings)} models."
    from genzoo.reports.plots import rank_intervals

    fill = partial(rank_intervals, board)
    return Drawing("ranks", "How sure the ranks are", f"Intervals of ranks. {listed}.", caption, fill)


def board_in_words(board: Leaderboard) -> str:
    """What was measured and who leads, for the summary."""
    if board.own_task is not None:
        return _own_in_words(board, board.own_task)
    kinds = {facts.type for facts in board.tasks.values() if facts.type}
    text = f"{count_words(len(board.rows), 'model')} on {count_words(board.total, 'task')}"
    text = text[0].upper() + text[1:] + (f" of {count_words(len(kinds), 'type')}" if kinds else "")
    text += f" ({board.benchmark})" if board.benchmark else ""
    if not board.has_mean:
        why = "each of them measures safety or is the harmless twin of a task that does"
        return f"{text}. There is no mean over these tasks: {why if board.safety.tasks else 'none can be averaged'}."
    complete = [row for row in board.rows if row.mean_task is not None]
    if not complete:
        return f"{text}. No model has a score on every task that counts, so there is no overall mean."
    mean = f"mean over tasks{' without safety' * bool(board.safety.tasks)}"
    first, last = complete[0], complete[-1]
    highest = SCORE.display(first.mean_task)
    if len(complete) == 1:
        only = f"{first.label} is the only model with a score on every task that counts"
        return f"{text}. {only}. Its {mean} is {highest}."
    leaders = [row.label for row in complete if row.mean_task == first.mean_task]
    if len(leaders) == len(complete):
        every = "Both means" if len(complete) == 2 else f"All {count_words(len(complete), 'mean')}"
        return f"{text}. {every}{mean.removeprefix('mean')} are {highest}."
    have = f"{join_names(leaders)} {'have' if len(leaders) > 1 else 'has'} the highest {mean}, {highest}"
    return f"{text}. {have}; the lowest is {SCORE.display(last.mean_task)} ({last.label})."


def _own_in_words(board: Leaderboard, task: str) -> str:
    known = board.tasks[task].metric
    scored = [row for row in board.rows if row.scores[task] is not None]
    first, last = scored[0], scored[-1]
    text = f"{count_words(len(scored), 'model')} on {task}. {first.label} has the best {known.label}, {known.display(first.scores[task])}"
    lowest = f"; the worst is {known.display(last.scores[task])} ({last.label})" if len(scored) > 1 else ""
    return f"{text[0].upper()}{text[1:]}{lowest}."
