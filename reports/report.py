"""A report over a results folder: one self-contained HTML file, Markdown, and the leaderboard as data."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from genzoo.errors import InputError
from genzoo.files import write_files
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.reading.studies import StudyResults, read_studies
from genzoo.reports.chapters.cells import count_words, join_names
from genzoo.reports.chapters.failures import failures_in_words, failures_sections, searched
from genzoo.reports.chapters.judging import judging_sections, rivals, verdicts_in_words
from genzoo.reports.chapters.leaderboard import board_in_words, leaderboard_section, leaderboard_table
from genzoo.reports.chapters.provenance import caveats_section, provenance_section
from genzoo.reports.chapters.reference import reference_section, references_in_words
from genzoo.reports.chapters.safety import safety_in_words, safety_section
from genzoo.reports.chapters.searches import evidence_section
from genzoo.reports.chapters.studies import studies_sections
from genzoo.reports.chapters.tasks import cost_section, reasoning_section, tasks_section
from genzoo.reports.render.document import Prose, Report, Section
from genzoo.reports.render.pages import FIGURE_FORMATS, render_figures, render_html, render_markdown

PAGE_FORMATS = ("html", "md")
TABLE_FORMATS = ("csv", "json", "tex")
_WRITTEN = "Written by genzoo"  # how a page is known again


def build_report(
    store: ResultStore,
    output_dir: Path | str,
    *,
    title: str | None = None,
    benchmark: str | None = None,
    reference: str | None = None,
    formats: Iterable[str] = PAGE_FORMATS,
    studies: Path | str | None = None,
    figures: Iterable[str] = (),
    name: str = "report",
) -> list[Path]:
    """Write `report.html` and `report.md` (with its figures), and return every file written.

    Args:
        store: The results.
        output_dir: Is made if it is not there. Either all files in it are replaced, or none; files of other names stay, and a
            page that genzoo did not write is refused.
        title: Title of the report; by default it names the search where all tasks are of own data.
        benchmark: Restricts the report to its tasks; None means every task of the store.
        reference: Compares all models with this one; None means each with its own teacher.
        formats: Of "html", "md" and, for the leaderboard alone, "csv", "json", "tex".
        studies: Folder that `genzoo study` wrote; by default `studies/` in the results folder, if it is there.
        figures: Of "png", "svg" and "pdf": each figure also as a file, for one and for two columns of a paper.
        name: Of the pages, without its ending.
    """
    drawn = checked_formats(figures, FIGURE_FORMATS)
    wanted = checked_formats(formats, (*PAGE_FORMATS, *TABLE_FORMATS))
    pages = [each for each in wanted if each in PAGE_FORMATS]
    folder = checked_folder(output_dir, [f"{name}.{each}" for each in pages])
    board = Leaderboard.from_store(store, benchmark, reference)
    problems: list[Problem] = []
    found = read_studies(Path(studies) if studies is not None else store.root / "studies", problems)
    if studies is not None and not found:
        raise InputError(f"{studies} holds no study: give a folder that `genzoo study` wrote, with a results.csv")
    store = dataclasses.replace(store, problems=(*store.problems, *problems))
    report = _report(board, store, title or default_title(board), found)
    files: dict[str, str | bytes] = {**_report_files(report, name, pages)}
    files |= {f"figures/{each}": content for each, content in render_figures(report, drawn).items()}
    files |= _leaderboard_files(board, store, [each for each in wanted if each in TABLE_FORMATS])
    return write_files(folder, files)


def write_leaderboard(
    board: Leaderboard,
    output_dir: Path | str,
    *,
    store: ResultStore | None = None,
    formats: Iterable[str] = ("md", "csv", "json", "tex"),
) -> list[Path]:
    """Write `leaderboard.md`, `.csv`, `.json`, `.tex`: with all tasks and raw values where machines read it."""
    wanted = checked_formats(formats, ("md", *TABLE_FORMATS))
    return write_files(checked_folder(output_dir), _leaderboard_files(board, store, wanted))


def _leaderboard_files(board: Leaderboard, store: ResultStore | None, formats: Iterable[str]) -> dict[str, str]:
    files = {}
    for name in formats:
        table = leaderboard_table(board, store, is_full=name in {"csv", "json"})
        exporters = {"md": table.to_markdown, "csv": table.to_csv, "json": table.to_json, "tex": table.to_latex}
        files[f"leaderboard.{name}"] = exporters[name]()
    return files


def write_report(report: Report, output_dir: Path | str, name: str, formats: Iterable[str]) -> list[Path]:
    """Write a report as `<name>.html` and `<name>.md` with `<name>-figures/`: all files or none."""
    wanted = checked_formats(formats, PAGE_FORMATS)
    folder = checked_folder(output_dir, [f"{name}.{each}" for each in wanted])
    return write_files(folder, _report_files(report, name, wanted))


def _report_files(report: Report, name: str, formats: Iterable[str]) -> Mapping[str, str]:
    files: dict[str, str] = {}
    for each in formats:
        if each == "html":
            files[f"{name}.html"] = render_html(report)
        else:
            text, figures = render_markdown(report, f"{name}-figures")
            files |= {f"{name}.md": text, **figures}
    return files


def checked_formats(formats: Iterable[str], allowed: tuple[str, ...]) -> list[str]:
    """The formats without repeats; raises `InputError` for one that is not allowed."""
    wanted = list(dict.fromkeys([formats] if isinstance(formats, str) else formats))
    unknown = [name for name in wanted if name not in allowed]
    if unknown:
        raise InputError(f"unknown format {', '.join(map(repr, unknown))}; allowed are {', '.join(allowed)}")
    return wanted


def checked_folder(output_dir: Path | str, pages: Iterable[str] = ()) -> Path:
    """The folder to write to; raises `InputError` where it is a file, or holds somebody else's page of one of these names."""
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write to {folder}: it is a file, a folder is needed; choose another with -o")
    for path in (folder / name for name in pages):
        if path.is_file() and _WRITTEN.encode() not in path.read_bytes():
            raise InputError(
                f"{path} was not written by genzoo and stays: choose another folder with -o, or move it away"
            )
    return folder


def measured_on(board: Leaderboard) -> str:
    """The span of dates on which the results were made, "" if none is recorded."""
    dates = sorted({row.facts.date[:10] for row in board.rows if row.facts.date})
    if not dates:
        return ""
    return f"measured {dates[0]}" if len(dates) == 1 else f"measured {dates[0]} to {dates[-1]}"


def default_title(board: Leaderboard) -> str:
    """What the report is about."""
    if not board.is_own:
        return "Generative embeddings report"
    return f"Search on {join_names(list(board.current))}: {count_words(len(board.rows), 'model')}"


def summarise(board: Leaderboard, verdicts: Iterable[str] = ()) -> tuple[str, ...]:
    """Paragraphs: what the queries of own searches decide, who leads, what the models gained over their references, what safety costs."""
    references = () if board.own_task is not None else references_in_words(board)
    return (*verdicts, board_in_words(board), *references, *safety_in_words(board))


def subtitle(board: Leaderboard, *parts: str) -> str:
    """Any parts, how much was measured, and when."""
    counts = f"{count_words(len(board.rows), 'model')}, {count_words(board.total, 'task')}"
    text = " · ".join(part for part in (*parts, counts, measured_on(board)) if part)
    return text[:1].upper() + text[1:]


def score_sections(board: Leaderboard, store: ResultStore) -> tuple[Section, ...]:
    """The chapters on scores and their cost, as reports and the pages of a site have them; on own data those with something to show."""
    chapters = (leaderboard_section, reference_section, tasks_section, safety_section, reasoning_section)
    sections = (*(chapter(board, store) for chapter in chapters), cost_section(board))
    if board.is_own:
        sections = tuple(each for each in sections if not all(isinstance(part, Prose) for part in each.blocks))
    return sections if board.own_task is None else tuple(each for each in sections if each.identity != "tasks")


def _report(board: Leaderboard, store: ResultStore, title: str, studies: Sequence[StudyResults] = ()) -> Report:
    compared, wrong = rivals(board, store), searched(board, store)
    judging, failures = judging_sections(board, store, compared), failures_sections(wrong, store)
    scores = score_sections(board, store)
    if board.is_own:
        scores = (*scores[:1], *judging, *failures, *scores[1:])
    else:
        scores = (*scores, *failures, *judging, evidence_section(board, store))
    sections = (
        *scores,
        *studies_sections(studies),
        provenance_section(board, store),
        caveats_section(board.caveats, store.problems),
    )
    words = summarise(board, verdicts_in_words(store, compared) if board.is_own else ())
    words += tuple(failures_in_words(wrong)) if board.is_own else ()
    return Report(title, subtitle(board, board.benchmark or ""), words, sections, footer())


def footer() -> str:
    """Who wrote the page and when."""
    return f"{_WRITTEN} on {dt.datetime.now(dt.UTC):%Y-%m-%d}."
