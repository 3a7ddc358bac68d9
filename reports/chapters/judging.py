"""The verdict on a search of own data, and the chapter on judgements: agreement, unjudged passages, and the queries that it takes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from genzoo.leaderboards.judging.figures import UnjudgedFigures, judging_of, unjudged_figures
from genzoo.leaderboards.judging.pools import agreement_in_words
from genzoo.leaderboards.judging.verdicts import Pair, Verdict, verdicts
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import MISSING, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.power import LEVEL, QueriesNeeded
from genzoo.reports.chapters.cells import SCORE, TASK, block, change_style, p_cell, span, whole_cell
from genzoo.reports.render.document import Block, Prose, Section
from genzoo.reports.render.table import Cell, Column, Table, name_column, number_cell, text_cell, text_column

_WHOLE = 2.0  # from -1 to 1: such an interval says nothing
_COMPARED = 6  # the best models of a task, of which every pair is compared
_LEAD = (
    "A passage that nobody judged counts as not relevant. Judged is the share of the first passages that were judged: where it is below "
    "100, the score is probably too low, most of all for a model that was not part of the pool. The condensed score leaves unjudged passages "
    "out of the ranking, and bpref counts how rarely a passage that was judged not relevant stands above a relevant one. Both are probably "
    "too high for models with many unjudged passages; none of the figures is a bound."
)
_NEEDED = (
    "Needed is the number of queries with which 80 of 100 comparisons would find the difference (p < 0.05), if the true difference is the "
    "one observed: a plan for the next comparison. That two models are told apart already is no contradiction, as a test can succeed "
    "with fewer. The range is wide because the true difference is uncertain: it has the numbers at both ends of the 95\u00a0% interval of the "
    "difference, and is open where that includes zero."
)
_TOO_FEW = (
    "Fewer than ten queries with a relevant passage are judged completely: too few to compare models or to say how many more it takes. "
    "Judge more of the pool first."
)
_OF_THE_LOG = (
    " Where queries were chosen by disagreement, it is a number of queries that are drawn at random from the log."
)


def rivals(board: Leaderboard, store: ResultStore) -> tuple[Verdict, ...]:
    """For each search of own data every pair of its best models, those of the best one first, corrected over all of them."""
    pairs = list[Pair]()
    for task in (name for name, facts in board.tasks.items() if facts.metric.higher_is_better):
        scored = [(row.key, score) for row in board.rows if (score := row.scores[task]) is not None]
        ranked = [key for key, _ in sorted(scored, key=lambda each: -each[1])][:_COMPARED]
        pairs += [(task, *pair) for pair in itertools.combinations(ranked, 2)]
    return verdicts(store, pairs)


def judging_sections(board: Leaderboard, store: ResultStore, compared: Sequence[Verdict]) -> tuple[Section, ...]:
    """The chapter; none where no task has judgements of passages that are not relevant.

    Args:
        board: The models; all of them have their figures.
        store: Their results.
        compared: The pairs of models whose comparison is shown.
    """
    found = unjudged_figures(store, [row.key for row in board.rows], board.tasks)
    return _section(board, store, found, compared) if found else ()


def _section(
    board: Leaderboard, store: ResultStore, found: Sequence[UnjudgedFigures], compared: Sequence[Verdict]
) -> tuple[Section, ...]:
    blocks: list[Block] = [*_judges(board, store), Prose(_LEAD), block(unjudged_table(store, found))]
    if compared:
        about = _NEEDED + _OF_THE_LOG * any(each.for_log is not None for each in compared)
        blocks += [block(needed_table(store, compared)), Prose(about, is_quiet=True)]
        blocks += [Prose(text) for text in _log_in_words(store, compared)]
    elif any(count > 1 and judging_of(store, task) for task, count in Counter(each.task for each in found).items()):
        blocks.append(Prose(_TOO_FEW))
    return (Section("judging", "Judgements", tuple(blocks)),)


def verdicts_in_words(store: ResultStore, compared: Iterable[Verdict]) -> Iterator[str]:
    """For the summary: each pair in a sentence or two, and the estimate for the log where queries were chosen by disagreement."""
    several = list(compared)
    yield from (verdict_in_words(store, each) for each in several)
    yield from _log_in_words(store, several)


def verdict_in_words(store: ResultStore, found: Verdict) -> str:
    """Which of two models finds better, by how much and how sure that is; or that this is open, and what would settle it."""
    names, low, high = (
        [store.labels[found.model], store.labels[found.reference]],
        found.interval.low,
        found.interval.high,
    )
    if found.estimate < 0:
        names, low, high = names[::-1], -high, -low
    points = f"{SCORE.display(abs(found.estimate))} points of {metric(store.tasks[found.task].main_score).label}"
    p = found.p_value if math.isnan(found.p_holm) else found.p_holm
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    how = ", corrected for several comparisons" if abs(p - found.p_value) > 1e-9 else ""
    facts = f"[{span(SCORE, low, high, signed=True)}], {shown}{how}, on {found.n:,} queries of {found.task}"
    if found.is_decided:
        return f"{names[0]} finds better than {names[1]}: {points} {facts}."
    text = f"{names[0]} and {names[1]} cannot be told apart: {points} {facts}.{_why_open(found)}"
    return f"{text} To decide: {to_do(found)}."


def _why_open(found: Verdict) -> str:
    """Why two models are not told apart although the interval leaves out zero; empty where it does not."""
    if found.interval.low <= 0 <= found.interval.high:
        return ""
    if found.p_value < LEVEL:
        return " The interval leaves out zero, but it is of this pair alone: p, corrected for all pairs, decides."
    return (
        " The interval leaves out zero, but it comes from resampling the queries and p from a permutation test: p, which is not "
        "below 0.05, decides."
    )


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


def _task_column(tasks: Iterable[str]) -> list[tuple[Column, Callable[[UnjudgedFigures | Verdict], Cell]]]:
    """The column of tasks, where there are several: of one search the chapter has the name."""
    return [(TASK, lambda each: text_cell(each.task))] if len(set(tasks)) > 1 else []


def unjudged_table(store: ResultStore, found: Sequence[UnjudgedFigures]) -> Table:
    """A row for each task and model: the main score, the judged share, and the scores that leave unjudged passages out."""
    labels = store.labels

    def figure(value: Callable[[UnjudgedFigures], float]) -> Callable[[UnjudgedFigures], Cell]:
        return lambda each: number_cell(value(each), SCORE)

    columns: list[tuple[Column, Callable[[UnjudgedFigures], Cell]]] = [
        *_task_column(each.task for each in found),
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
        return number_cell(
            each.estimate, SCORE, signed=True, style=change_style(each.estimate, 0.0, is_significant=each.is_decided)
        )

    columns: list[tuple[Column, Callable[[Verdict], Cell]]] = [
        *_task_column(each.task for each in compared),
        (name_column("First"), lambda each: text_cell(labels[each.model])),
        (name_column("Second"), lambda each: text_cell(labels[each.reference])),
        (Column("Queries", None, 0, "Judged queries with a relevant passage"), lambda each: whole_cell(each.n)),
        (Column("Δ", True, 1, "First minus second"), difference),
        (text_column("95\u00a0% interval", "Of the difference, over the queries"),
         lambda each: text_cell(span(SCORE, each.interval.low, each.interval.high, signed=True), style="fixed")),
        (Column("p (Holm)", None, 3, "Sign-flip test over the queries, corrected for the number of comparisons (Holm)"),
         lambda each: p_cell(None if math.isnan(each.p_holm) else each.p_holm, "the models differ on too few queries")),
        (Column("Needed", None, 0, "Queries in all that tell the two apart in 80 of 100 comparisons"),
         of_plan(lambda plan: whole_cell(plan.needed))),
        (text_column("Range", "The same at the ends of the 95\u00a0% interval of Δ"),
         of_plan(lambda plan: text_cell(_range(plan), style="fixed"))),
        (text_column("To do"), lambda each: text_cell(to_do(each))),
    ]  # fmt: skip
    return Table.of("How many queries it takes", compared, columns, sample="queries")


def _range(plan: QueriesNeeded) -> str:
    if plan.low is None:
        return MISSING
    return f"{plan.low:,} to {'any number' if plan.high is None else f'{plan.high:,}'}"


def to_do(found: Verdict) -> str:
    """What is left to judge for one comparison."""
    plan, judging = found.needed, found.judging
    if plan is None:
        return "judge at least ten queries"
    if found.is_decided:
        return "told apart"
    if plan.more is None:
        return "the difference is too small for any number of queries"
    if plan.more == 0:
        return "on the edge: judge a few more queries"
    if judging is None:
        return f"judge about {plan.more:,} more queries"
    text = f"judge about {plan.more:,} more queries, some {round(plan.more * judging.per_query):,} passages"
    if judging.n_log is None or plan.more <= judging.n_open:
        return text
    wanted, rest = judging.n_chosen + plan.more - judging.n_open, judging.n_log - judging.n_chosen + judging.n_open
    if wanted <= judging.n_log:
        return f"{text}; the same genzoo pool command with -n {wanted} adds them"
    text = f"it takes about {plan.more:,} more queries, and the log has {rest or 'no more'}"
    return f"{text}: {'judging these gives' if rest else 'this is'} the difference on the log itself, without a sample"


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
