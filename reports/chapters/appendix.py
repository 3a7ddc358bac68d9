"""The chapters of a report that let a reader check it: provenance and caveats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.naming import short_revision
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports.chapters.score_tables import revision_in_words, row_mark
from genzoo.reports.render.document import Block, Listing, Prose, Section, TableBlock
from genzoo.reports.render.table import Cell, Column, Table, text_cell


def provenance_section(board: Leaderboard, store: ResultStore) -> Section:
    """Which models, data, prompts, packages and machines are behind the numbers."""
    blocks: list[Block] = [TableBlock(_models(board)), TableBlock(_tasks(board, store))]
    prompts = _prompts(board)
    if prompts.rows:
        blocks.append(TableBlock(prompts, is_filterable=len(prompts.rows) > 12, fold=f"Prompts ({len(prompts.rows)})"))
    versions = _settings(board, "versions", "Package versions")
    machines = _settings(board, "machine", "Machines")
    blocks += [TableBlock(table, fold=table.title) for table in (versions, machines) if table.rows]
    bare = [row.label for row in board.rows if not row.facts.has_environment]
    if bare:
        names = ", ".join(bare[:6]) + (f" and {len(bare) - 6} more" if len(bare) > 6 else "")
        blocks.append(Prose(f"No environment record (prompts, versions, machine) for {names}.", is_quiet=True))
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


def caveats_section(board: Leaderboard, store: ResultStore) -> Section:
    """What to know before believing the tables, and every file that could not be used."""
    blocks: list[Block] = []
    if board.caveats:
        blocks.append(Listing(tuple((caveat.title, caveat.text) for caveat in board.caveats)))
    else:
        blocks.append(Prose("The data gave no reason for one."))
    if store.problems:
        blocks.append(TableBlock(problems_table(store.problems), len(store.problems) > 12))
    return Section("caveats", "Caveats", tuple(blocks))


def problems_table(problems: Sequence[Problem]) -> Table:
    """Files, or parts of one, that could not be used."""
    heads = (Column("File", is_text=True, is_name=True), Column("Why it was not used", is_text=True))
    return Table("Problems", heads, tuple((text_cell(p.source), text_cell(p.reason)) for p in problems))


def _models(board: Leaderboard) -> Table:
    heads = (
        Column("Model", is_text=True, is_name=True),
        Column("Revision", is_text=True),
        Column("Backbone", is_text=True, is_name=True),
        Column("Teacher", is_text=True, is_name=True),
        Column("Run on", is_text=True),
        Column("Max tokens", None, 0),
        Column("Batch", None, 0),
        Column("Date", is_text=True),
    )
    rows = []
    for row in board.rows:
        facts = row.facts
        revision = text_cell(
            short_revision(row.key.revision),
            description=revision_in_words(row) if row.facts.revisions else row.key.revision,
            style="mono",
        )
        run_on = text_cell(", ".join(part for part in (facts.device, facts.dtype) if part))
        rows.append(
            (
                text_cell(row.key.model, note=row_mark(row)),
                revision,
                text_cell(facts.backbone or ""),
                text_cell(facts.teacher or ""),
                run_on,
                _whole(facts.max_tokens),
                _whole(facts.batch_size),
                text_cell((facts.date or "")[:10], style="fixed", description=facts.date or ""),
            )
        )
    return Table("Models", heads, tuple(rows))


def _tasks(board: Leaderboard, store: ResultStore) -> Table:
    frame = store.main_scores
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Type", is_text=True),
        Column("Metric", is_text=True),
        Column("Data", is_text=True, is_name=True),
        Column("Data revision", is_text=True),
        Column("Texts", None, 0),
        Column("mteb", is_text=True),
    )
    rows = []
    for name, facts in board.tasks.items():
        group = frame[frame["task"] == name]
        revisions = sorted({str(revision) for revision in group["data_revision"]})
        versions = sorted({str(version) for version in group["mteb_version"]})
        rows.append(
            (
                text_cell(name, description=facts.description),
                text_cell(facts.type or "unknown"),
                text_cell(metric(facts.main_score).label),
                text_cell(facts.dataset_path or ""),
                text_cell(
                    _some([short_revision(r) for r in revisions]), description=", ".join(revisions), style="mono"
                ),
                _whole(facts.n_texts),
                text_cell(_some(versions), description=", ".join(versions), style="mono"),
            )
        )
    return Table("Tasks and data", heads, tuple(rows))


def _prompts(board: Leaderboard) -> Table:
    rows = [
        (text_cell(row.label), text_cell(name), text_cell(prompt, style="mono"))
        for row in board.rows
        for name, prompt in row.facts.prompts.items()
        if prompt
    ]
    heads = (Column("Model", is_text=True, is_name=True), Column("For", is_text=True), Column("Prompt", is_text=True))
    return Table("Prompts", heads, tuple(rows))


def _settings(board: Leaderboard, field: str, title: str) -> Table:
    """One column per setting; the models that share all values share a row."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for row in board.rows:
        if settings := getattr(row.facts, field):
            groups[tuple(sorted(settings.items()))].append(row.label)
    names = sorted({name for settings in groups for name, _ in settings})
    heads = (
        Column("Models", is_text=True, is_name=True),
        *(Column(name.replace("_", " "), is_text=True) for name in names),
    )
    rows = tuple(
        (text_cell(", ".join(models)), *(text_cell(dict(settings).get(name, "")) for name in names))
        for settings, models in groups.items()
    )
    return Table(title, heads, rows)


def _whole(value: int | None) -> Cell:
    return Cell(value, "–" if value is None else f"{value:,}")


def _some(items: list[str]) -> str:
    return ", ".join(items[:2]) + (f" and {len(items) - 2} more" if len(items) > 2 else "")
