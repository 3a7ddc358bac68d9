"""Two models side by side: task by task, over all tasks, and in what their embeddings say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from genzoo.errors import InputError, ZooError
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports.chapters.appendix import caveats_section, provenance_section
from genzoo.reports.chapters.difference_tables import query_table
from genzoo.reports.chapters.drawings import dumbbell_drawing
from genzoo.reports.chapters.evidence import evidence_section
from genzoo.reports.chapters.score_tables import comparison_table
from genzoo.reports.chapters.sections import cost_section, safety_section
from genzoo.reports.render.document import Block, Prose, Report, Section, TableBlock
from genzoo.reports.report import PAGE_FORMATS, checked_formats, footer, measured_on, write_report
from genzoo.reports.summary import compare_in_words, compare_safety
from genzoo.text import safe_name

_NAME_LENGTH = 60  # of each model in the file name


def compare(
    store: ResultStore, a: str, b: str, output_dir: Path | str, *, formats: Iterable[str] = PAGE_FORMATS
) -> list[Path]:
    """Write `compare-<a>-<b>.html` and `.md`, and return every file written.

    Args:
        store: The results.
        a: The model of interest: full name, short name, or `name@revision`.
        b: What it is compared with, differences are a minus b.
        output_dir: Is made if it is not there.
        formats: Of "html" and "md".
    """
    wanted = checked_formats(formats, PAGE_FORMATS)
    first, second = store.find(a), store.find(b)
    if first == second:
        raise InputError(f"{a!r} and {b!r} are the same model: give two, or name@revision for two revisions of one")
    # A pair meets on the splits and subsets that the two share, whatever other models have.
    pair = store.only([first, second])
    board = Leaderboard.from_store(pair, reference=f"{second.model}@{second.revision}")
    row, reference = board.row(first), board.row(second)
    if row is None or reference is None or row.comparison is None or not row.comparison.deltas:
        raise ZooError(
            f"{first.model} and {second.model} share no task in {store.root}: "
            f"run `genzoo evaluate -m {shlex.quote(first.model)} -m {shlex.quote(second.model)} -b BENCHMARK -o {store.root}`"
        )
    report = _report(board, pair, row, reference)
    name = f"compare-{_file_part(row.label)}-{_file_part(reference.label)}"
    return write_report(report, Path(output_dir), name, wanted)


def _report(board: Leaderboard, store: ResultStore, row: LeaderboardRow, reference: LeaderboardRow) -> Report:
    found = row.comparison
    if found is None:
        raise InputError("a comparison needs a row with a reference")
    blocks: list[Block] = [TableBlock(comparison_table(board, found, row, reference), board.total > 12)]
    drawing = dumbbell_drawing(row, reference, board, "dumbbell", is_by_task=True)
    blocks = [drawing, *blocks] if drawing else blocks
    about = (
        "Δ is the first minus the second. A win is a difference of more than 0.05 points to the better side; intervals "
        "and tests are over tasks."
    )
    if board.safety.tasks:
        about += (
            " Safety tasks are neither won nor lost and in no mean, since a model that finds nothing is perfectly safe."
        )
    queries = query_table(store, found.model, found.reference, tuple(board.tasks))
    if queries.rows:
        blocks += [TableBlock(queries, len(queries.rows) > 12)]
    sections = (
        Section("tasks", "Task by task", (*blocks, Prose(about, is_quiet=True))),
        safety_section(board, store),
        cost_section(board),
        evidence_section(board, store),
        provenance_section(board, store),
        caveats_section(board, store),
    )
    parts = [f"{len(found.deltas)} of {board.total} tasks shared", measured_on(board)]
    subtitle = " · ".join(part for part in parts if part)
    title = f"{row.label} against {reference.label}"
    summary = (compare_in_words(found, row.label, reference.label), *compare_safety(board, row, reference))
    return Report(title, subtitle, summary, sections, footer())


def _file_part(label: str) -> str:
    """A label as a part of a file name on any system; a digest tells apart what lost characters on the way.

    >>> _file_part("bge-base-en-v1.5 @ 1f2e3d4"), _file_part("a/b<c>")
    ('bge-base-en-v1.5-1f2e3d4', 'a-b-c-4d2cdecb')
    """
    label = label.replace(" @ ", "-")  # before a revision
    is_safe = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", label) and len(label) <= _NAME_LENGTH
    return label if is_safe else safe_name(label)
