"""A static site over a results folder: a page of benchmarks, one for each benchmark and one for each model."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from genzoo.errors import ZooError
from genzoo.files import write_files
from genzoo.leaderboards.columns import BoardColumn
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import MISSING
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.safety import MAIN_UTILITY
from genzoo.reports.chapters.cells import (
    MODEL,
    SCORE,
    TASK,
    block,
    change_style,
    count_cell,
    count_words,
    metric_cell,
    whole_cell,
)
from genzoo.reports.chapters.failures import failures_sections, searched
from genzoo.reports.chapters.provenance import caveats_section, provenance_section
from genzoo.reports.chapters.safety import interval_in_words, operating_table, safety_cell
from genzoo.reports.chapters.searches import evidence_section
from genzoo.reports.plots import task_sign
from genzoo.reports.render.document import Block, Prose, Report, Section, TableBlock
from genzoo.reports.render.pages import render_html
from genzoo.reports.render.table import Cell, Column, Table, name_column, number_cell, text_cell, text_column
from genzoo.reports.report import checked_folder, footer, score_sections, subtitle, summarise
from genzoo.text import safe_names

_EVERYTHING = "Every task"
_MANY = 9  # rows, from where on a table has a search field
_MAIN_SAFETY = f"safety at {MAIN_UTILITY * 100:.0f}\u00a0% utility"
_HOME = ("All benchmarks", "index.html")


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
    site = _Site(store, boards, pages, homes)
    files = {"index.html": render_html(_index(site, title))}
    files |= {page: render_html(_benchmark_page(site, name)) for name, page in pages.items()}
    files |= {page: render_html(_model_page(site, key)) for key, page in homes.items()}
    return write_files(folder, files)


class _Site(NamedTuple):
    """The results, a board for each benchmark, and the file of each benchmark and model."""

    store: ResultStore
    boards: Mapping[str, Leaderboard]
    pages: Mapping[str, str]
    homes: Mapping[ModelKey, str]


def _boards(store: ResultStore) -> dict[str, Leaderboard]:
    """A board for each benchmark that has a result, and one over every task where that is something else."""
    boards: dict[str, Leaderboard] = {}
    for name in store.benchmarks:
        with contextlib.suppress(ZooError):  # nobody ran it
            boards[name] = Leaderboard.from_store(store, name)
    whole = Leaderboard.from_store(store)
    if all(set(board.tasks) != set(whole.tasks) for board in boards.values()):
        boards[_EVERYTHING] = whole
    return boards


def _index(site: _Site, title: str) -> Report:
    store, boards, homes = site.store, site.boards, site.homes
    highest = "Highest Mean (task) of a model with a score on every task that counts"
    safest = {name: _safest(board, homes) for name, board in boards.items()}
    benchmarks = Table.of("Benchmarks", boards.items(), [
        (name_column("Benchmark"), lambda item: text_cell(item[0], href=site.pages[item[0]])),
        (Column("Tasks", None, 0), lambda item: whole_cell(item[1].total)),
        (Column("Models", None, 0), lambda item: whole_cell(len(item[1].rows))),
        (Column("Highest mean", True, 1, highest), lambda item: _highest(item[1])),
        (name_column("Best model"), lambda item: _names(_leaders(item[1]), homes)),
        (Column(f"Highest {_MAIN_SAFETY}", True, 1, "On the first safety task that has a harmless twin"),
         lambda item: safest[item[0]][0]),
        (name_column("Safest model"), lambda item: safest[item[0]][1]),
    ])  # fmt: skip
    models = Table.of("Models", store.models.items(), [
        (MODEL, lambda item: text_cell(store.labels[item[0]], href=homes[item[0]],
                                       note="reported" if item[1].is_reported else item[1].role)),
        (name_column("Teacher"), lambda item: text_cell(item[1].teacher or "")),
        (Column("Parameters", None, 0), lambda item: count_cell(item[1].n_parameters)),
        (Column("Benchmarks", None, 0),
         lambda item: whole_cell(sum(board.row(item[0]) is not None for board in boards.values()))),
    ])  # fmt: skip
    sections = (
        Section("benchmarks", "Benchmarks", (block(benchmarks, _MANY),)),
        Section("models", "Models", (block(models, _MANY),)),
    )
    summary = (f"{count_words(len(store.models), 'model')} and {count_words(len(boards), 'benchmark')}.".capitalize(),)
    return Report(title, "", summary, sections, footer())


def _leaders(board: Leaderboard) -> list[LeaderboardRow]:
    """The models with the highest mean."""
    first = board.rows[0].mean_task
    return [row for row in board.rows if first is not None and row.mean_task == first]


def _highest(board: Leaderboard) -> Cell:
    first = board.rows[0].mean_task
    return number_cell(first, SCORE, note="without safety" if first is not None and board.safety.tasks else "")


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
    others = f"tied with {count_words(len(rows) - 1, 'other')}" if len(rows) > 1 else ""
    return text_cell(rows[0].label, href=homes[rows[0].key], note=others)


def _benchmark_page(site: _Site, name: str) -> Report:
    board, store = site.boards[name], site.store
    links = {row.label: site.homes[row.key] for row in board.rows}

    def linked(each: Block) -> Block:
        """The same table with links on the names in its first column."""
        if not isinstance(each, TableBlock):
            return each
        rows = tuple((replace(row[0], href=links.get(str(row[0].value))), *row[1:]) for row in each.table.rows)
        return replace(each, table=replace(each.table, rows=rows))

    sections = (*score_sections(board, store), caveats_section(board.caveats, store.problems))
    whole = tuple(replace(section, blocks=tuple(map(linked, section.blocks))) for section in sections)
    return Report(name, subtitle(board), summarise(board), whole, footer(), (_HOME,))


def _model_page(site: _Site, key: ModelKey) -> Report:
    store, facts = site.store, site.store.models[key]
    found = [(name, board, row) for name, board in site.boards.items() if (row := board.row(key)) is not None]
    if not found:
        return Report(store.labels[key], key.model, ("This model has no usable score.",), (), footer(), (_HOME,))
    sections = []
    for place, (name, board, row) in enumerate(found):
        tables = (operating_table(board, pair, only=row) for pair in board.safety.pairs)
        blocks = [block(_task_places(board, row), 13), *(TableBlock(table) for table in tables if table is not None)]
        sections.append(Section(f"scores-{place}", name, tuple(blocks)))
    whole = max((board for _, board, _ in found), key=lambda board: board.total)
    alone = replace(whole, rows=tuple(row for row in whole.rows if row.key == key))
    if key in store.evidence or key in store.readings:
        sections.append(evidence_section(alone, store))
    sections += failures_sections(searched(alone, store), store)
    if facts.is_reported:
        text = "These scores were reported elsewhere and not measured for this site; each cell names its source."
        sections.append(Section("provenance", "Provenance", (Prose(text),)))
    else:
        sections.append(provenance_section(alone, store.only([key])))
    parts = [key.model, f"revision {key.revision[:12]}", f"teacher {facts.teacher}" if facts.teacher else ""]
    below = " · ".join(part for part in parts if part)
    summary = tuple(_place_in_words(board, row, name) for name, board, row in found)
    links = (_HOME, *((name, site.pages[name]) for name, _, _ in found))
    return Report(store.labels[key], below, summary, tuple(sections), footer(), links)


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
    means = [other.mean_task for other in board.rows if other.mean_task is not None]
    rank = 1 + sum(other > row.mean_task for other in means)
    label = board.columns_of("mean")[0].label
    text = f"{name}: {label} {SCORE.display(row.mean_task)}, rank {rank} of {len(means)}"
    standing = board.standings.get(row.key)
    return f"{text} (95\u00a0% interval of the rank: {standing.low} to {standing.high})." if standing else f"{text}."


def _task_places(board: Leaderboard, row: LeaderboardRow) -> Table:
    """Each task: the model's score, its place among all models, and the best score."""

    def score(column: BoardColumn) -> Cell:
        note = "seen" if row.facts.has_seen(column.key) else ""
        return number_cell(row.scores.get(column.key), column.metric, note=note)

    def place(column: BoardColumn) -> Cell:
        value, values, sign = row.scores.get(column.key), board.values(column), task_sign(board, column.key)
        if value is None or not sign:  # finding nothing wins a safety task, so a place in it says nothing
            return Cell(None, MISSING, style="quiet")
        found = 1 + sum(sign * other > sign * value for other in values)
        return Cell(found, f"{found}/{len(values)}")

    def difference(column: BoardColumn) -> Cell:
        deltas, gains = (row.comparison.deltas, row.comparison.gains) if row.comparison else ({}, {})
        style = change_style(gains.get(column.key), 0.0)
        return number_cell(deltas.get(column.key), column.metric, signed=True, style=style)

    return Table.of("Task by task", board.columns_of("task"), [
        (TASK, lambda column: text_cell(column.key, note=board.tasks[column.key].type or "")),
        (text_column("Metric"), lambda column: metric_cell(column.metric)),
        (Column("Score", None, 1), score),
        (Column("Place", None, 0, "Among the models with a score; ties share the better place"), place),
        (Column("Best", None, 1, "Best score of any model"),
         lambda column: number_cell(board.best(column), column.metric)),
        (Column("Δ reference", None, 1, "Difference to the model's teacher, or to the board's reference"), difference),
    ])  # fmt: skip
