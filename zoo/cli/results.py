"""Commands on results: leaderboard, report, compare, submit."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.console import busy, err, many_objects, out, print_json
from genzoo.cli.models import Json
from genzoo.cli.stores import load_store
from genzoo.text import clean

PANEL = "Measuring"
Results = Annotated[Path, typer.Argument(help="Folder that genzoo evaluate wrote.")]
BenchmarkName = Annotated[str | None, typer.Option("--benchmark", "-b", help='Benchmark, such as "GenZoo(mini, v1)".')]
Reference = Annotated[str | None, typer.Option(help="Model to compare with; each model's own teacher by default.")]
ByRevision = Annotated[
    bool, typer.Option("--by-revision", help="Keep the revisions of a published model apart, not joined as mteb does.")
]
Reported = Annotated[
    bool, typer.Option("--reported", help="Add what the authors of upstream models report, marked as reported.")
]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (leaderboard, report, compare, submit):
        app.command(rich_help_panel=PANEL)(command)


def leaderboard(
    results: Results,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for leaderboard.md, .csv, .json and .tex.")
    ] = None,
    benchmark: BenchmarkName = None,
    reference: Reference = None,
    by_revision: ByRevision = False,
    reported: Reported = False,
    json: Json = False,
) -> None:
    """Rank the models of a results folder; print it, or write Markdown, CSV, JSON and LaTeX."""
    with many_objects():
        store = load_store(results, benchmark, is_joined=not by_revision, is_reported=reported)
        from genzoo.leaderboards import Leaderboard
        from genzoo.reports import leaderboard_table

        board = Leaderboard.from_store(store, benchmark, reference)
        table = leaderboard_table(board, store, is_full=json)
    if output is not None:
        from genzoo.reports import write_leaderboard

        for path in write_leaderboard(board, output, store=store):
            (err if json else out).print(f"wrote {path}", highlight=False)
    if json:
        print_json(json_library.loads(table.to_json()))
    elif output is None:
        out.print(table.to_markdown(), markup=False, highlight=False)
        for line in board.caveats:
            err.print(f"note: {line.text}", markup=False, highlight=False)


def report(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html and report.md.")] = Path(
        "output/report"
    ),
    benchmark: BenchmarkName = None,
    reference: Reference = None,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "Generative embeddings report",
    studies: Annotated[
        Path | None, typer.Option(help="Folder that genzoo study wrote; RESULTS/studies by default, if there is one.")
    ] = None,
    figures: Annotated[
        list[str] | None, typer.Option("--figures", help="png, svg or pdf: figures for a paper too; may be repeated.")
    ] = None,
    by_revision: ByRevision = False,
    reported: Reported = False,
) -> None:
    """Write one self-contained HTML report, and the same in Markdown."""
    store = load_store(results, benchmark, is_joined=not by_revision, is_reported=reported)
    from genzoo.reports import build_report

    with busy("drawing the report"):
        paths = build_report(
            store,
            output,
            title=title,
            benchmark=benchmark,
            reference=reference,
            studies=studies,
            figures=figures or (),
        )
    for path in paths:
        out.print(f"wrote {path}", highlight=False)


def compare(
    results: Results,
    model: Annotated[str, typer.Argument(help="First model, as the leaderboard names it.")],
    other: Annotated[str, typer.Argument(help="Second model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the comparison.")] = Path(
        "output/comparison"
    ),
    by_revision: ByRevision = False,
) -> None:
    """Compare two models task by task."""
    store = load_store(results, is_joined=not by_revision)
    from genzoo.reports import compare as build

    for path in build(store, model, other, output):
        out.print(f"wrote {path}", highlight=False)


def submit(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the submission.")] = Path(
        "output/submission"
    ),
    models: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="org/name; all models of the folder by default.")
    ] = None,
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", help="Name the tasks of this benchmark that are missing.")
    ] = "MTEB(eng, v2)",
) -> None:
    """Write what the MTEB results repository takes, the ModelMeta for mteb, and a checklist of what is missing."""
    with busy("loading mteb"):
        from genzoo.leaderboards.reading.tree import tree_root
        from genzoo.tasks.submission import write_submission

        parts = write_submission(tree_root(results), output, list(models or []), benchmark)
    for part in parts:
        out.print(
            f"{clean(part.name)}: {len(part.taken)} results, {len(part.problems)} things to mend", highlight=False
        )
    out.print(f"wrote {output}. Next: read {output / 'CHECKLIST.md'}", highlight=False)
