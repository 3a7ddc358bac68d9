"""The chapters that let a reader check a report: provenance and caveats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from genzoo.leaderboards.caveats import Caveat
from genzoo.leaderboards.facts import Problem, TaskFacts
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.naming import short_revision
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports.chapters.cells import MODEL, TASK, block, count_words, revision_in_words, row_mark, whole_cell
from genzoo.reports.render.document import Block, Listing, Prose, Section, TableBlock
from genzoo.reports.render.table import Cell, Column, Table, name_column, text_cell, text_column
from genzoo.text import some

_MANY = 13  # rows, from where on a table has a search field


def provenance_section(board: Leaderboard, store: ResultStore) -> Section:
    """Which models, data, prompts, packages and machines are behind the numbers."""
    blocks: list[Block] = [TableBlock(_models(board)), TableBlock(_tasks(board, store))]
    prompts = _prompts(board)
    if n := len(prompts.rows):
        blocks.append(TableBlock(prompts, is_filterable=n >= _MANY, fold=f"Prompts ({n})"))
    settings = (_settings(board, "versions", "Package versions"), _settings(board, "machine", "Machines"))
    blocks += [TableBlock(table, fold=table.title) for table in settings if table.rows]
    if bare := [row.label for row in board.rows if not row.facts.has_environment]:
        text = f"No environment record (prompts, versions, machine) for {some(bare, 6)}."
        blocks.append(Prose(text, is_quiet=True))
    if store.predictions:
        judged = sum(store.judgements(name) is not None for name in board.tasks)
        text = f"`predictions/` holds {count_words(store.predictions, 'file')} with predictions for each query. "
        text += (
            f"`judgements/` holds the relevant documents of {judged} of {count_words(board.total, 'task')}."
            if judged and board.total > 1
            else "`judgements/` holds its relevant documents."
            if judged
            else "There are no judgements, so no score per query can be computed: run `genzoo evaluate` again to add them."
        )
        blocks.append(Prose(text, is_quiet=True))
    return Section("provenance", "Provenance", tuple(blocks))


def caveats_section(caveats: Sequence[Caveat], problems: Sequence[Problem]) -> Section:
    """What to know before believing the tables, and every file that could not be used."""
    blocks: list[Block] = [Prose("There are no caveats about these results.")]
    if caveats:
        blocks = [Listing(tuple((caveat.title, caveat.text) for caveat in caveats))]
    return Section("caveats", "Caveats", (*blocks, *([block(problems_table(problems), _MANY)] if problems else [])))


def problems_table(problems: Sequence[Problem]) -> Table:
    """Files, or parts of one, that could not be used."""
    return Table.of("Problems", problems, [
        (name_column("File"), lambda problem: text_cell(problem.source)),
        (text_column("Why it was not used"), lambda problem: text_cell(problem.reason)),
    ])  # fmt: skip


def _models(board: Leaderboard) -> Table:
    return Table.of("Models", board.rows, [
        (MODEL, lambda row: text_cell(row.key.model, note=row_mark(row))),
        (text_column("Revision"), _revision_cell),
        (name_column("Backbone"), lambda row: text_cell(row.facts.backbone or "")),
        (name_column("Teacher"), lambda row: text_cell(row.facts.teacher or "")),
        (text_column("Run on"), lambda row: text_cell(", ".join(filter(None, (row.facts.device, row.facts.dtype))))),
        (Column("Max tokens", None, 0), lambda row: whole_cell(row.facts.max_tokens)),
        (Column("Batch", None, 0), lambda row: whole_cell(row.facts.batch_size)),
        (text_column("Date"),
         lambda row: text_cell((row.facts.date or "")[:10], style="fixed", description=row.facts.date or "")),
    ])  # fmt: skip


def _revision_cell(row: LeaderboardRow) -> Cell:
    whole = revision_in_words(row) if row.facts.revisions else row.key.revision
    return text_cell(short_revision(row.key.revision), description=whole, style="mono")


def _tasks(board: Leaderboard, store: ResultStore) -> Table:
    columns = ["data_revision", "mteb_version"]
    used = {task: frame.astype(str) for task, frame in store.main_scores.groupby("task")[columns]}

    def cell(task: TaskFacts, column: str, shown: Callable[[str], str] = str) -> Cell:
        values = sorted(set(used[task.name][column])) if task.name in used else []
        return text_cell(some([*map(shown, values)], 2), description=", ".join(values), style="mono")

    return Table.of("Tasks and data", board.tasks.values(), [
        (TASK, lambda task: text_cell(task.name, description=task.description)),
        (text_column("Type"), lambda task: text_cell(task.type or "unknown")),
        (text_column("Metric"), lambda task: text_cell(task.metric.label)),
        (name_column("Data"), lambda task: text_cell(task.dataset_path or "")),
        (text_column("Data revision"), lambda task: cell(task, "data_revision", short_revision)),
        (Column("Texts", None, 0), lambda task: whole_cell(task.n_texts)),
        (text_column("mteb"), lambda task: cell(task, "mteb_version")),
    ])  # fmt: skip


def _prompts(board: Leaderboard) -> Table:
    rows = tuple(
        (text_cell(row.label), text_cell(name), text_cell(prompt, style="mono"))
        for row in board.rows
        for name, prompt in row.facts.prompts.items()
        if prompt
    )
    return Table("Prompts", (MODEL, text_column("For"), text_column("Prompt")), rows)


def _settings(board: Leaderboard, field: str, title: str) -> Table:
    """One column per setting; the models that share all values share a row."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for row in board.rows:
        if settings := getattr(row.facts, field):
            groups[tuple(sorted(settings.items()))].append(row.label)
    names = sorted({name for settings in groups for name, _ in settings})
    heads = (name_column("Models"), *(text_column(name.replace("_", " ")) for name in names))
    rows = tuple(
        (text_cell(", ".join(models)), *(text_cell(dict(settings).get(name, "")) for name in names))
        for settings, models in groups.items()
    )
    return Table(title, heads, rows)
