"""A static site over a results folder: a page of benchmarks, one for each benchmark and one for each model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from genzoo.errors import ZooError
from genzoo.files import write_files
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING, format_count, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.safety import MAIN_UTILITY
from genzoo.reports.chapters.appendix import caveats_section, provenance_section
from genzoo.reports.chapters.evidence import evidence_section
from genzoo.reports.chapters.operating_table import interval_in_words, operating_table, safety_cell
from genzoo.reports.chapters.sections import (
    cost_section,
    leaderboard_section,
    reasoning_section,
    safety_section,
    tasks_section,
    teacher_section,
)
from genzoo.reports.render.document import Block, Prose, Report, Section, TableBlock
from genzoo.reports.render.pages import render_html
from genzoo.reports.render.table import Cell, Column, Table, number_cell, text_cell
from genzoo.reports.report import checked_folder, footer, measured_on
from genzoo.reports.summary import count_words, summarise
from genzoo.text import safe_names

_EVERYTHING = "Every task"
_MEAN = metric("mean_task")
_MAIN_SAFETY = f"safety at {MAIN_UTILITY * 100:.0f}\u00a0% utility"


def build_site(store: ResultStore, output_dir: Path | str, *, title: str) -> list[Path]:
    """Write `index.html`, `benchmark-*.html` and `model-*.html`, and return their paths.

    Every page is self-contained and links to the others by relative paths, so the folder can be opened from disk or put
    on any web server. Either all pages are written, or none.

    Args:
        store: The results.
        output_dir: Is made if it is not there. Pages of an earlier site are replaced; other files stay, and a page of one of
            these names that genzoo did not write is refused.
        title: Of the site.
    """
    checked_folder(output_dir, ["index.html"])
    boards = _boards(store)
    pages = {name: f"benchmark-{safe}.html" for name, safe in zip(boards, safe_names(boards), strict=True)}
    names = safe_names(f"{key.model}@{key.revision}" for key in store.models)
    homes = {key: f"model-{name}.html" for key, name in zip(store.models, names, strict=True)}
    folder = checked_folder(output_dir, [*pages.values(), *homes.values()])
    home = (("All benchmarks", "index.html"),)
    files = {"index.html": render_html(_index(store, boards, pages, homes, title))}
    for name, board in boards.items():
        files[pages[name]] = render_html(_benchmark_page(store, board, name, homes, home))
    for key, page in homes.items():
        files[page] = render_html(_model_page(store, boards, pages, homes, key, home))
    return write_files(folder, files)


def _boards(store: ResultStore) -> dict[str, Leaderboard]:
    """A board for each benchmark that has a result, and one over every task where that is something else."""
    boards: dict[str, Leaderboard] = {}
    for name in store.benchmarks:
        try:
            boards[name] = Leaderboard.from_store(store, name)
        except ZooError:
            continue  # nobody ran it
    whole = Leaderboard.from_store(store)
    if all(set(board.tasks) != set(whole.tasks) for board in boards.values()):
        boards[_EVERYTHING] = whole
    return boards


def _linked(block: TableBlock, links: Mapping[str, str]) -> TableBlock:
    """The same table with links on the names in its first column."""
    rows = tuple((dataclasses.replace(row[0], href=links.get(str(row[0].value))), *row[1:]) for row in block.table.rows)
    return dataclasses.replace(block, table=dataclasses.replace(block.table, rows=rows))


def _index(
    store: ResultStore,
    boards: Mapping[str, Leaderboard],
    pages: Mapping[str, str],
    homes: Mapping[ModelKey, str],
    title: str,
) -> Report:
    heads = (
        Column("Benchmark", is_text=True, is_name=True),
        Column("Tasks", None, 0),
        Column("Models", None, 0),
        Column("Highest mean", True, 1, "Highest Mean (task) of a model with a score on every task that counts"),
        Column("By", is_text=True, is_name=True),
        Column(f"Highest {_MAIN_SAFETY}", True, 1, "Of the models that reach it, on the first safety task with a twin"),
        Column("Safety by", is_text=True, is_name=True),
    )
    rows = []
    for name, board in boards.items():
        first = next((row for row in board.rows if row.mean_task is not None), None)
        leaders = [row for row in board.rows if first and row.mean_task == first.mean_task]
        note = "without safety" if first and board.safety.tasks else ""
        rows.append(
            (
                text_cell(name, href=pages[name]),
                Cell(board.total, str(board.total)),
                Cell(len(board.rows), str(len(board.rows))),
                number_cell(first.mean_task if first else None, _MEAN, note=note),
                _names(leaders, homes),
                *_safest(board, homes),
            )
        )
    labels = store.labels
    models = tuple(
        (
            text_cell(labels[key], href=homes[key], note="reported" if facts.is_reported else facts.role),
            text_cell(facts.teacher or ""),
            Cell(facts.n_parameters, MISSING if facts.n_parameters is None else format_count(facts.n_parameters)),
            Cell(sum(key in {row.key for row in board.rows} for board in boards.values()), _benchmarks_of(key, boards)),
        )
        for key, facts in store.models.items()
    )
    model_heads = (
        Column("Model", is_text=True, is_name=True),
        Column("Teacher", is_text=True, is_name=True),
        Column("Parameters", None, 0),
        Column("Benchmarks", None, 0),
    )
    sections = (
        Section("benchmarks", "Benchmarks", (TableBlock(Table("Benchmarks", heads, tuple(rows)), len(rows) > 8),)),
        Section("models", "Models", (TableBlock(Table("Models", model_heads, models), len(models) > 8),)),
    )
    summary = (f"{count_words(len(store.models), 'model')} and {count_words(len(boards), 'benchmark')}.".capitalize(),)
    return Report(title, "", summary, sections, footer())


def _safest(board: Leaderboard, homes: Mapping[ModelKey, str]) -> tuple[Cell, Cell]:
    """The highest safety at a given utility on the board's first safety task, and whose it is."""
    for pair in board.safety.pairs:
        found = [(each, row) for row in board.rows if (each := pair.at(row.key)) is not None]
        if found:
            best, _ = max(found, key=lambda item: item[0].order)
            level = [row for each, row in found if each.point and math.isclose(each.safety, best.safety)]
            return safety_cell(best), _names(level if best.point else [], homes)
    return Cell(None, MISSING, "no safety task with a harmless twin and predictions", style="quiet"), text_cell("")


def _names(rows: Sequence[LeaderboardRow], homes: Mapping[ModelKey, str]) -> Cell:
    """The first of some models that are level, and how many others there are."""
    if not rows:
        return text_cell("")
    others = f"level with {count_words(len(rows) - 1, 'other')}" if len(rows) > 1 else ""
    return text_cell(rows[0].label, href=homes[rows[0].key], note=others)


def _benchmarks_of(key: ModelKey, boards: Mapping[str, Leaderboard]) -> str:
    return str(sum(board.row(key) is not None for board in boards.values()))


def _benchmark_page(
    store: ResultStore,
    board: Leaderboard,
    name: str,
    homes: Mapping[ModelKey, str],
    home: tuple[tuple[str, str], ...],
) -> Report:
    links = {row.label: homes[row.key] for row in board.rows}
    sections = [
        leaderboard_section(board, store),
        teacher_section(board, store),
        tasks_section(board, store),
        safety_section(board, store),
        reasoning_section(board, store),
        cost_section(board),
        caveats_section(board, store),
    ]
    linked = tuple(
        dataclasses.replace(
            section,
            blocks=tuple(_linked(block, links) if isinstance(block, TableBlock) else block for block in section.blocks),
        )
        for section in sections
    )
    counts = f"{count_words(len(board.rows), 'model')}, {count_words(board.total, 'task')}"
    subtitle = " · ".join(part for part in (counts.capitalize(), measured_on(board)) if part)
    return Report(name, subtitle, summarise(board), linked, footer(), home)


def _model_page(
    store: ResultStore,
    boards: Mapping[str, Leaderboard],
    pages: Mapping[str, str],
    homes: Mapping[ModelKey, str],
    key: ModelKey,
    home: tuple[tuple[str, str], ...],
) -> Report:
    sections, summary = [], []
    for place, (name, board) in enumerate(boards.items()):
        row = board.row(key)
        if row is None:
            continue
        blocks: list[Block] = [TableBlock(_task_places(board, row), board.total > 12)]
        tables = (operating_table(board, pair, only=row) for pair in board.safety.pairs)
        blocks += [TableBlock(table) for table in tables if table is not None]
        sections.append(Section(f"scores-{place}", name, tuple(blocks)))
        summary.append(_place_in_words(board, row, name))
    whole = max((board for board in boards.values() if board.row(key)), key=lambda board: board.total, default=None)
    if whole is None:
        return Report(store.labels[key], key.model, ("No usable score.",), (), footer(), home)
    alone = dataclasses.replace(whole, rows=tuple(row for row in whole.rows if row.key == key))
    if key in store.evidence or key in store.readings:
        sections.append(evidence_section(alone, store))
    if store.models[key].is_reported:
        text = "These scores were written down by somebody and not measured here; the cells name their source."
        sections.append(Section("provenance", "Provenance", (Prose(text),)))
    else:
        sections.append(provenance_section(alone, store.only([key])))
    links = (*home, *((name, pages[name]) for name, board in boards.items() if board.row(key)))
    facts = store.models[key]
    teacher = facts.teacher
    parts = [key.model, f"revision {key.revision[:12]}", f"teacher {teacher}" if teacher else ""]
    subtitle = " · ".join(part for part in parts if part)
    return Report(store.labels[key], subtitle, tuple(summary), tuple(sections), footer(), links)


def _place_in_words(board: Leaderboard, row: LeaderboardRow, name: str) -> str:
    if not board.has_mean:
        found = row.safety.get(board.leading_pair or "")
        text = f"{name}: a score on {row.covered} of {count_words(board.total, 'task')}, and no mean"
        if found is None:
            return f"{text}."
        shown, interval = safety_cell(found).display, interval_in_words(found)
        return f"{text}; {_MAIN_SAFETY} {shown}" + (f" (95\u00a0% interval {interval})." if interval else ".")
    if row.mean_task is None:
        return f"{name}: a score on {row.covered} of {count_words(board.total, 'task')}, so no mean and no rank."
    ranked = [other for other in board.rows if other.mean_task is not None]
    rank = 1 + sum((other.mean_task or 0.0) > (row.mean_task or 0.0) for other in ranked)
    label = board.columns_of("mean")[0].label
    text = f"{name}: {label} {_MEAN.display(row.mean_task)}, rank {rank} of {len(ranked)}"
    standing = board.standings.get(row.key)
    return f"{text} (95\u00a0% interval of the rank: {standing.low} to {standing.high})." if standing else f"{text}."


def _task_places(board: Leaderboard, row: LeaderboardRow) -> Table:
    """Each task: the model's score, its place among all models, and the best score."""
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Metric", is_text=True),
        Column("Score", None, 1),
        Column("Place", None, 0, "Among the models with a score; ties share the better place"),
        Column("Best", None, 1, "Best score of any model"),
        Column("Δ reference", None, 1, "Difference to the model's teacher, or to the board's reference"),
    )
    rows = []
    for column in board.columns_of("task"):
        value, known, values = row.scores.get(column.key), column.metric, board.values(column)
        is_safety = column.key in board.safety.tasks  # finding nothing wins it, so a place in it says nothing
        sign = 0 if is_safety else {True: 1, False: -1, None: 0}[known.higher_is_better]
        place = None if value is None or not sign else 1 + sum(sign * other > sign * value for other in values)
        delta = row.comparison.deltas.get(column.key) if row.comparison else None
        gain = row.comparison.gains.get(column.key, 0.0) if row.comparison else 0.0
        rows.append(
            (
                text_cell(column.key, note=board.tasks[column.key].type or ""),
                text_cell(f"{known.label}\u00a0{known.arrow}".strip(), description=known.direction),
                number_cell(value, known, note="seen" if row.facts.has_seen(column.key) else ""),
                Cell(place, MISSING if place is None else f"{place}/{len(values)}", style="" if place else "quiet"),
                number_cell(board.best(column), known),
                number_cell(
                    delta, known, signed=True, style="gain" if gain > 0 else "loss" if gain < 0 else "",
                ),
            )
        )  # fmt: skip
    return Table("Task by task", heads, tuple(rows))
