"""The chapters of a report that show scores."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from genzoo.leaderboards.facets import OVER_REFUSAL, REASONING, SAFETY, tasks_of
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.store import ResultStore
from genzoo.leaderboards.studies import Study
from genzoo.reports.difference_tables import query_table, study_table
from genzoo.reports.document import Block, Drawing, Prose, Section, TableBlock
from genzoo.reports.drawings import (
    dumbbell_drawing,
    operating_drawing,
    rank_drawing,
    safety_drawing,
    size_drawing,
    study_drawings,
    task_drawing,
)
from genzoo.reports.operating_table import operating_table
from genzoo.reports.score_tables import (
    cost_table,
    leaderboard_table,
    reference_table,
    task_table,
)
from genzoo.reports.table import Column, Table, number_cell, text_cell

_MANY_ROWS = 8  # from here on a table gets a search field
_DUMBBELLS = 3
_MINI = '`genzoo evaluate -m MODEL -b "GenZoo(mini, v1)" -o RESULTS`'
# Extra numbers of a safety task that say how a main score came about, where a result has them.
_SAFETY_METRICS = ("safety_at_1", "safety_at_5", "harmful_hit_rate_at_5", "any_harmful_at_1", "any_harmful_at_5")


def leaderboard_section(board: Leaderboard, store: ResultStore) -> Section:
    """The table that most readers come for, and how to read it."""
    means = " and ".join(
        {
            "mean_task": "Mean (task) is the plain mean of the main scores",
            "mean_type": "Mean (type) is the mean of the type means",
        }[column.key]
        for column in board.columns_of("mean")
        if column.key != "borda"
    )
    how = (
        f"Sorted by Mean (task). {means}. Borda ranks the models within each task and adds up the ranks. "
        "A model without a score on every task has no mean and no rank. Scores are times 100."
    )
    table = leaderboard_table(board, store)
    is_long = len(table.rows) >= _MANY_ROWS
    blocks: tuple[Block, ...] = (TableBlock(table, is_long), Prose(how, is_quiet=True), *_present(rank_drawing(board)))
    return Section("leaderboard", "Leaderboard", blocks)


def teacher_section(board: Leaderboard, store: ResultStore) -> Section:
    """What changed from the reference to each model."""
    is_own = board.reference is None
    title = "Against the teacher" if is_own else "Against the reference"
    table = reference_table(board, title)
    if not table.rows:
        missing = sorted({row.facts.teacher for row in board.rows if row.facts.teacher})
        text = (
            f"The teacher has no results here. `genzoo evaluate -m {shlex.quote(missing[0])} ...` on the same tasks adds it."
            if missing
            else "No model here names a teacher. Name a reference to compare all models with one of them."
        )
        return Section("teacher", title, (Prose(text),))
    rows = {row.key: row for row in board.rows}
    found = [(row, rows[row.comparison.reference]) for row in board.rows if row.comparison is not None]
    shown = found[: _DUMBBELLS if is_own else 1]
    drawings = (dumbbell_drawing(a, b, board, f"dumbbell-{n}") for n, (a, b) in enumerate(shown, 1))
    blocks: list[Block] = [drawing for drawing in drawings if drawing is not None]
    about = (
        "Δ is the mean difference over the tasks that both models have; its interval is a paired bootstrap over tasks, "
        "p a sign-flip permutation test over the same tasks."
    )
    blocks += [TableBlock(table, len(table.rows) >= _MANY_ROWS), Prose(about, is_quiet=True)]
    for row, reference in shown:
        queries = query_table(store, row.key, reference.key, tuple(board.tasks))
        if queries.rows:
            blocks.append(TableBlock(queries, len(queries.rows) >= _MANY_ROWS))
    return Section("teacher", title, tuple(blocks))


_ABOUT_STUDIES = (
    "One recipe, one change at a time, each trained anew with the same seeds. An interval is over seeds: a few of them tell large "
    "effects only. The mean over tasks counts safety too, which a model that finds nothing wins. Decoded texts and nats per token are over "
    "held-out responses of the variant's own kind: echoes where the query itself stood for the answer."
)


def studies_sections(studies: Sequence[Study]) -> tuple[Section, ...]:
    """What each change of a recipe did, and how training went; no chapter without a study."""
    blocks: list[Block] = [Prose(_ABOUT_STUDIES)] if studies else []
    for place, study in enumerate(studies):
        blocks += study_drawings(study, f"study-{place}")
        blocks.append(TableBlock(study_table(study)))
    return (Section("ablations", "Ablations", tuple(blocks)),) if blocks else ()


def tasks_section(board: Leaderboard, store: ResultStore) -> Section:
    """Every task."""
    drawing = task_drawing(board)
    table = task_table(board, store, list(board.tasks), "Main score by task")
    is_long = len(table.rows) >= _MANY_ROWS
    return Section("tasks", "Task by task", (*_present(drawing), TableBlock(table, is_long)))


def safety_section(board: Leaderboard, store: ResultStore) -> Section:
    """Safety never alone: an embedding that finds nothing is perfectly safe."""
    safety, twins = tasks_of(SAFETY, board.tasks), tasks_of(OVER_REFUSAL, board.tasks)
    if not safety and not twins:
        text = f"No safety task was measured. {_MINI} measures safety and over-refusal."
        return Section("safety", "Safety beside over-refusal", (Prose(text),))
    lead = (
        "A retriever is unsafe when it serves a harmful request, and useless when it no longer serves the harmless one "
        "that looks like it. A model that retrieves nothing sensible wins the first and loses the second, so the two "
        "belong together."
    )
    missing = "" if safety and twins else f"Only {', '.join(safety or twins)} was measured: half of the picture."
    blocks: list[Block] = [Prose(lead), *_present(safety_drawing(board))]
    blocks += [Prose(missing)] if missing else []
    blocks.append(TableBlock(_safety_table(board, store, safety, twins)))
    together = operating_table(board, store)
    if together is not None:
        blocks += [*_present(operating_drawing(board, store)), TableBlock(together)]
    return Section("safety", "Safety beside over-refusal", tuple(blocks))


def reasoning_section(board: Leaderboard, store: ResultStore) -> Section:
    """Tasks whose answer is an inference away."""
    names = tasks_of(REASONING, board.tasks)
    if not names:
        text = f"No reasoning task was measured. {_MINI} measures a first one."
        return Section("reasoning", "Reasoning", (Prose(text),))
    lead = "In these tasks the right passage shares few words with the query: it has to be inferred."
    table = task_table(board, store, names, "Reasoning tasks")
    return Section("reasoning", "Reasoning", (Prose(lead), TableBlock(table)))


def cost_section(board: Leaderboard) -> Section:
    """What a score costs to run."""
    blocks: list[Block] = [*_present(size_drawing(board)), TableBlock(cost_table(board), len(board.rows) >= _MANY_ROWS)]
    if not any(row.facts.texts_per_second for row in board.rows):
        blocks.append(Prose("No speed was recorded with these results.", is_quiet=True))
    return Section("cost", "Cost", tuple(blocks))


def _safety_table(board: Leaderboard, store: ResultStore, safety: Sequence[str], twins: Sequence[str]) -> Table:
    heads, values = [Column("Model", is_text=True, is_name=True)], []
    for task in (*safety, *twins):
        main = board.tasks[task].main_score
        extra = _SAFETY_METRICS if task in safety else ()
        for name in dict.fromkeys((main, *extra)):
            column = {
                row.key: row.scores[task] if name == main else store.value(row.key, task, name) for row in board.rows
            }
            if any(value is not None for value in column.values()):
                known = metric(name)
                siblings = safety if task in safety else twins
                label = known.label if task in safety else f"Harmless twins: {known.label}"
                label += f" · {task}" if len(siblings) > 1 else ""
                heads.append(
                    Column(label, known.higher_is_better, known.digits, f"{task}: {known.label}, {known.direction}")
                )
                values.append((known, column))
    rows = tuple(
        (text_cell(row.label, style="model"), *(number_cell(column[row.key], known) for known, column in values))
        for row in board.rows
    )
    return Table("Safety and over-refusal", tuple(heads), rows)


def _present(drawing: Drawing | None) -> tuple[Drawing, ...]:
    return () if drawing is None else (drawing,)
