"""The chapters of a report that show scores."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from genzoo.leaderboards.facts import OVER_REFUSAL, REASONING, tasks_of
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.reading.studies import Study
from genzoo.reports.chapters.difference_tables import query_table, study_table
from genzoo.reports.chapters.drawings import (
    dumbbell_drawing,
    operating_drawing,
    rank_drawing,
    safety_drawing,
    size_drawing,
    study_drawings,
    task_drawing,
)
from genzoo.reports.chapters.operating_table import chance_notes, missing_note, operating_table, order_without_means
from genzoo.reports.chapters.score_tables import cost_table, leaderboard_table, reference_table, task_table
from genzoo.reports.render.document import Block, Drawing, Prose, Section, TableBlock
from genzoo.reports.render.table import Column, Table, number_cell, text_cell

_MANY_ROWS = 8  # from here on a table gets a search field
_DUMBBELLS = 3
_MINI = '`genzoo evaluate -m MODEL -b "GenZoo(mini, v1)" -o RESULTS`'
# Extra numbers of a safety task that say how a main score came about, where a result has them.
_SAFETY_METRICS = ("safety_at_1", "safety_at_5", "harmful_hit_rate_at_5", "any_harmful_at_1", "any_harmful_at_5")


def leaderboard_section(board: Leaderboard, store: ResultStore) -> Section:
    """The table that most readers come for, and how to read it."""
    table = leaderboard_table(board, store)
    is_long = len(table.rows) >= _MANY_ROWS
    how = Prose(f"{_order_in_words(board)} Scores are times 100.", is_quiet=True)
    return Section("leaderboard", "Leaderboard", (TableBlock(table, is_long), how, *_present(rank_drawing(board))))


def _order_in_words(board: Leaderboard) -> str:
    """What the leaderboard is sorted by, and what its means are made of."""
    if not board.has_mean:
        return order_without_means(board)
    what = {"mean_task": "the plain mean of the main scores", "mean_type": "the mean of the type means"}
    means = " and ".join(f"{each.label} is {what[each.key]}" for each in board.columns_of("mean") if each.key in what)
    text = f"Sorted by {board.columns_of('mean')[0].label}. {means}. "
    text += "Borda ranks the models within each task and adds up the ranks. "
    if board.safety.tasks:
        text += f"Without safety: over {len(board.counted)} of the {board.total} tasks, since finding nothing wins the others. "
    return f"{text}A model without a score on every task that counts has no mean and no rank."


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
        f"Δ is the mean difference over the tasks that both models have{_but_safety(board)}; its interval and its p-value "
        "are those of Student’s t over these tasks. Where the queries or pairs of most tasks are known, the test also counts how far "
        "each score moves with them."
    )
    blocks += [TableBlock(table, len(table.rows) >= _MANY_ROWS), Prose(about, is_quiet=True)]
    for row, reference in shown:
        queries = query_table(store, row.key, reference.key, tuple(board.tasks))
        if queries.rows:
            blocks.append(TableBlock(queries, len(queries.rows) >= _MANY_ROWS))
    return Section("teacher", title, tuple(blocks))


_ABOUT_STUDIES = (
    "One recipe, one change at a time, each trained anew with the same seeds. Intervals are over seeds, and a few seeds can only show "
    "large effects. Safety is in no mean. Decoded texts and nats per token are measured on held-out responses of the variant’s own "
    "kind, so variants that change the responses are not compared in them."
)


def studies_sections(studies: Sequence[Study]) -> tuple[Section, ...]:
    """What each change of a recipe did, and how training went; no chapter without a study."""
    blocks: list[Block] = [Prose(_ABOUT_STUDIES)] if studies else []
    for place, study in enumerate(studies):
        blocks += study_drawings(study, f"study-{place}")
        blocks.append(TableBlock(study_table(study)))
    return (Section("ablations", "Ablations", tuple(blocks)),) if blocks else ()


def _but_safety(board: Leaderboard) -> str:
    return ", safety left out" if board.safety.tasks else ""


def tasks_section(board: Leaderboard, store: ResultStore) -> Section:
    """Every task."""
    drawing = task_drawing(board)
    table = task_table(board, store, list(board.tasks), "Main score by task")
    is_long = len(table.rows) >= _MANY_ROWS
    return Section("tasks", "Task by task", (*_present(drawing), TableBlock(table, is_long)))


def safety_section(board: Leaderboard, store: ResultStore) -> Section:
    """Safety never alone: an embedding that finds nothing is perfectly safe."""
    safety, twins = tuple(board.safety.tasks), tasks_of(OVER_REFUSAL, board.tasks)
    if not safety and not twins:
        text = f"No safety task was measured. {_MINI} measures safety and over-refusal."
        return Section("safety", "Safety beside over-refusal", (Prose(text),))
    lead = (
        "A retriever is unsafe when it serves a harmful request, and useless when it no longer serves the harmless one "
        "that looks like it. A model that retrieves nothing sensible wins the first and loses the second, so the two "
        "belong together: safety at a given utility asks how many harmful requests find nothing while a set share of the "
        "harmless ones is still answered. Safety is in no mean and no rank."
    )
    blocks: list[Block] = [Prose(lead)]
    lonely = [name for name in twins if all(each.pair.twin != name for each in board.safety.pairs)]
    for name in (*board.safety.unpaired, *lonely):
        other = "harmless twin" if name in safety else "safety task"
        blocks.append(Prose(f"{name} was measured without a {other} over the same corpus: half of the picture."))
    for place, pair in enumerate(board.safety.pairs):
        mark = f"-{place + 1}" if place else ""
        blocks += _present(safety_drawing(board, pair, f"safety{mark}"))
    blocks.append(TableBlock(_safety_table(board, store, safety, twins)))
    for place, pair in enumerate(board.safety.pairs):
        together = operating_table(board, pair)
        if together is None:
            blocks.append(Prose(missing_note(pair), is_quiet=True))
            continue
        mark = f"-{place + 1}" if place else ""
        blocks += [*_present(operating_drawing(board, pair, f"operating{mark}")), TableBlock(together)]
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
    return Table("Safety and over-refusal", tuple(heads), rows, notes=tuple(chance_notes(board)))


def _present(drawing: Drawing | None) -> tuple[Drawing, ...]:
    return () if drawing is None else (drawing,)
