"""The chapter on judgements: how far judges agree, what unjudged passages do to a score, and how many more queries a comparison needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.figures import (
    UnjudgedFigures,
    Verdict,
    judging_of,
    unjudged_figures,
    verdicts,
)
from genzoo.leaderboards.judging.pools import agreement_in_words
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import MISSING, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.power import LEVEL, QueriesNeeded
from genzoo.reports.chapters.cells import SCORE, TASK, block, change_style, span, whole_cell
from genzoo.reports.render.document import Block, Prose, Section
from genzoo.reports.render.table import Cell, Column, Table, name_column, number_cell, text_cell, text_column

_WHOLE = 2.0  # from -1 to 1: such an interval says nothing
_RIVALS = 5  # models that the best one of a task is compared with
_LEAD = (
    "A passage that nobody judged counts as not relevant. Judged is the share of the first passages that were judged: where it is below "
    "100, the score is a lower bound, and a model that was not part of the pool is at a disadvantage. The condensed score leaves unjudged "
    "passages out of the ranking, and bpref counts how rarely a passage that was judged not relevant stands above a relevant one; both "
    "favour models with many unjudged passages."
)
_NEEDED = (
    "Needed is the number of queries with which 80 of 100 comparisons would find the difference (p < 0.05), if the true difference is the "
    "one observed. The range takes the 95\u00a0% interval of the difference into account: its upper end is open where that includes zero."
)
_TOO_FEW = (
    "Fewer than ten queries with a relevant passage are judged completely: too few to compare models or to say how many more it takes. "
    "Judge more of the pool first."
)
_OF_THE_LOG = (
    " Where queries were chosen by disagreement, it is a number of queries that are drawn at random from the log."
)


def judging_sections(board: Leaderboard, store: ResultStore) -> tuple[Section, ...]:
    """The chapter over all models of a board; none where no task has judgements of passages that are not relevant."""
    keys = [row.key for row in board.rows]
    found = unjudged_figures(store, keys, board.tasks)
    if not found:
        return ()
    pairs = (pair for task in board.tasks for pair in _rivals([each for each in found if each.task == task]))
    compared = [each for task, model, other in pairs for each in verdicts(store, model, other, [task])]
    return _section(board, store, found, compared)


def pair_judging_sections(
    board: Leaderboard, store: ResultStore, model: ModelKey, other: ModelKey
) -> tuple[Section, ...]:
    """The same for two models."""
    found = unjudged_figures(store, [model, other], board.tasks)
    return _section(board, store, found, verdicts(store, model, other, board.tasks)) if found else ()


def _rivals(found: Sequence[UnjudgedFigures]) -> Iterator[tuple[str, ModelKey, ModelKey]]:
    """The model with the highest score of a task, with each of the next ones."""
    ranked = sorted(found, key=lambda each: -each.score)
    for other in ranked[1 : _RIVALS + 1]:
        yield other.task, ranked[0].model, other.model


def _section(
    board: Leaderboard, store: ResultStore, found: Sequence[UnjudgedFigures], compared: Sequence[Verdict]
) -> tuple[Section, ...]:
    blocks: list[Block] = [*_judges(board, store), Prose(_LEAD), block(unjudged_table(store, found))]
    if compared:
        about = _NEEDED + _OF_THE_LOG * any(each.for_log is not None for each in compared)
        blocks += [block(needed_table(store, compared)), Prose(about, is_quiet=True)]
        blocks += [Prose(text) for text in _log_in_words(store, compared)]
    elif any(judging_of(store, task) is not None for task in board.tasks):
        blocks.append(Prose(_TOO_FEW))
    return (Section("judging", "Judgements", tuple(blocks)),)


def _judges(board: Leaderboard, store: ResultStore) -> Iterator[Prose]:
    """What is known of the judges of each task, and of the choice of its queries."""
    for task in board.tasks:
        judging = judging_of(store, task)
        if judging is None:
            continue
        agreed = "One judge, or several on different passages: their agreement is not known."
        if judging.agreement is not None:
            agreed = f"{agreement_in_words(judging.agreement)}."
        yield Prose(" ".join(filter(None, (f"{task}: {agreed}", judging.effect))))


def unjudged_table(store: ResultStore, found: Sequence[UnjudgedFigures]) -> Table:
    """A row for each task and model: the main score, the judged share, and the scores that leave unjudged passages out."""
    labels = store.labels

    def figure(value: Callable[[UnjudgedFigures], float]) -> Callable[[UnjudgedFigures], Cell]:
        return lambda each: number_cell(value(each), SCORE)

    columns: list[tuple[Column, Callable[[UnjudgedFigures], Cell]]] = [
        (TASK, lambda each: text_cell(each.task)),
        (name_column("Model"), lambda each: text_cell(labels[each.model])),
        (Column("Score", True, 1, "Main score; unjudged counts as not relevant"), lambda each: number_cell(
            each.score, SCORE, note=metric(store.tasks[each.task].main_score).label)),
        (Column("Judged", None, 1, "Share of the first passages that were judged, down to the depth of the score"),
         figure(lambda each: each.judged)),
        (Column("Condensed", True, 1, "The same score without unjudged passages"), figure(lambda each: each.condensed)),
        (Column("bpref", True, 1, "Relevant above judged not relevant"), figure(lambda each: each.bpref)),
    ]  # fmt: skip
    return Table.of("Unjudged passages", found, columns)


def needed_table(store: ResultStore, compared: Sequence[Verdict]) -> Table:
    """A row for each pair of models on a judged task: are they told apart, and if not, how many queries would it take?"""
    labels = store.labels

    def of_plan(shown: Callable[[QueriesNeeded], Cell]) -> Callable[[Verdict], Cell]:
        few = "fewer than ten judged queries with a relevant passage"
        return lambda each: shown(each.needed) if each.needed is not None else Cell(None, MISSING, few, style="quiet")

    def difference(each: Verdict) -> Cell:
        return number_cell(each.estimate, SCORE, signed=True, style=change_style(each.estimate, 0.0))

    columns: list[tuple[Column, Callable[[Verdict], Cell]]] = [
        (TASK, lambda each: text_cell(each.task)),
        (name_column("First"), lambda each: text_cell(labels[each.model])),
        (name_column("Second"), lambda each: text_cell(labels[each.reference])),
        (Column("Queries", None, 0, "Judged queries with a relevant passage"), lambda each: whole_cell(each.n)),
        (Column("Δ", True, 1, "First minus second"), difference),
        (Column("p", None, 3, "Sign-flip test over the queries"),
         lambda each: Cell(each.p_value, "<0.001" if each.p_value < 0.001 else f"{each.p_value:.3f}")),
        (Column("Needed", None, 0, "Queries in all that tell the two apart in 80 of 100 comparisons"),
         of_plan(lambda plan: whole_cell(plan.needed))),
        (text_column("Range", "The same at the ends of the 95\u00a0% interval of Δ"),
         of_plan(lambda plan: text_cell(_range(plan), style="fixed"))),
        (text_column("To do"), lambda each: text_cell(to_do(each))),
    ]  # fmt: skip
    return Table.of("How many queries it takes", compared, columns)


def _range(plan: QueriesNeeded) -> str:
    if plan.low is None:
        return MISSING
    return f"{plan.low:,} to {'any number' if plan.high is None else f'{plan.high:,}'}"


def to_do(found: Verdict) -> str:
    """What is left to judge for one comparison."""
    plan = found.needed
    if plan is None:
        return "judge at least ten queries"
    if found.p_value < LEVEL:
        return "told apart"
    if plan.more is None:
        return "too small a difference for any number of queries"
    if plan.more == 0:
        return "on the edge: judge a few more queries"
    return f"judge about {plan.more:,} more, some {round(plan.more * found.per_query):,} passages"


def _log_in_words(store: ResultStore, compared: Sequence[Verdict]) -> Iterator[str]:
    """The estimate for the whole log, where queries were chosen by disagreement."""
    for each in compared:
        if (found := each.for_log) is None:
            continue
        first, second = store.labels[each.model], store.labels[each.reference]
        between = ""
        if found.high - found.low < _WHOLE:
            between = f" (95\u00a0% interval {span(SCORE, found.low, found.high, signed=True)})"
        yield (
            f"{each.task}: over the whole log, each judged query weighed by the queries that it stands for, {first} minus {second} is "
            f"{SCORE.display(found.estimate, signed=True)} points{between}."
        )
