"""The chapters that let a reader check a report: provenance and caveats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from genzoo.leaderboards.caveats import Caveat
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import MISSING, metric
from genzoo.leaderboards.naming import short_revision
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports.chapters.cells import MODEL, TASK, block, revision_in_words, row_mark
from genzoo.reports.render.document import Block, Listing, Prose, Section, TableBlock
from genzoo.reports.render.table import Cell, Column, Table, name_column, text_cell, text_column

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
        text = f"No environment record (prompts, versions, machine) for {_some(bare, 6)}."
        blocks.append(Prose(text, is_quiet=True))
    if store.predictions:
        judged = sum(store.judgements(name) is not None for name in board.tasks)
        text = f"{store.predictions} files with per-query predictions lie under `predictions/`. "
        text += (
            f"For {judged} of {board.total} tasks `judgements/` says what is right for each query."
            if judged
            else "No judgements lie beside them, so no score per query is derived: run `genzoo evaluate` again to add them."
        )
        blocks.append(Prose(text, is_quiet=True))
    return Section("provenance", "Provenance", tuple(blocks))


def caveats_section(caveats: Sequence[Caveat], problems: Sequence[Problem]) -> Section:
    """What to know before believing the tables, and every file that could not be used."""
    blocks: list[Block] = [Prose("The data gave no reason for one.")]
    if caveats:
        blocks = [Listing(tuple((caveat.title, caveat.text) for caveat in caveats))]
    return Section("caveats", "Caveats", (*blocks, *([block(problems_table(problems), _MANY)] if problems else [])))


def problems_table(problems: Sequence[Problem]) -> Table:
    """Files, or parts of one, that could not be used."""
    heads = (name_column("File"), text_column("Why it was not used"))
    return Table("Problems", heads, tuple((text_cell(p.source), text_cell(p.reason)) for p in problems))


def _models(board: Leaderboard) -> Table:
    heads = (
        MODEL,
        text_column("Revision"),
        name_column("Backbone"),
        name_column("Teacher"),
        text_column("Run on"),
        Column("Max tokens", None, 0),
        Column("Batch", None, 0),
        text_column("Date"),
    )
    rows = []
    for row in board.rows:
        facts = row.facts
        revision = revision_in_words(row) if facts.revisions else row.key.revision
        rows.append(
            (
                text_cell(row.key.model, note=row_mark(row)),
                text_cell(short_revision(row.key.revision), description=revision, style="mono"),
                text_cell(facts.backbone or ""),
                text_cell(facts.teacher or ""),
                text_cell(", ".join(part for part in (facts.device, facts.dtype) if part)),
                _whole(facts.max_tokens),
                _whole(facts.batch_size),
                text_cell((facts.date or "")[:10], style="fixed", description=facts.date or ""),
            )
        )
    return Table("Models", heads, tuple(rows))


def _tasks(board: Leaderboard, store: ResultStore) -> Table:
    frame = store.main_scores
    heads = (
        TASK,
        text_column("Type"),
        text_column("Metric"),
        name_column("Data"),
        text_column("Data revision"),
        Column("Texts", None, 0),
        text_column("mteb"),
    )
    rows = []
    for name, facts in board.tasks.items():
        group = frame[frame["task"] == name]
        revisions, versions = (sorted(set(map(str, group[key]))) for key in ("data_revision", "mteb_version"))
        rows.append(
            (
                text_cell(name, description=facts.description),
                text_cell(facts.type or "unknown"),
                text_cell(metric(facts.main_score).label),
                text_cell(facts.dataset_path or ""),
                text_cell(_some(map(short_revision, revisions)), description=", ".join(revisions), style="mono"),
                _whole(facts.n_texts),
                text_cell(_some(versions), description=", ".join(versions), style="mono"),
            )
        )
    return Table("Tasks and data", heads, tuple(rows))


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


def _whole(value: int | None) -> Cell:
    return Cell(value, MISSING if value is None else f"{value:,}")


def _some(items: Iterable[str], most: int = 2) -> str:
    """The first items, and how many more there are."""
    shown = list(items)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
