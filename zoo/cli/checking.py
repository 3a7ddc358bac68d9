"""Commands around a user's own data: check them before anything is measured, and write an example of such data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import genzoo
from genzoo.cli.console import exit_code_of_errors, out, print_json, print_rows
from genzoo.cli.measuring import OWN, Columns, Kind, Language, Split
from genzoo.cli.models import Json, complete_models
from genzoo.text import clean

if TYPE_CHECKING:
    from genzoo.tasks.checking.check import DataCheck
    from genzoo.tasks.checking.lengths import Lengths

PANEL = OWN
_MARKS = {"caution": "[bold yellow]![/]", "fact": "[dim]-[/]"}
_COLORS = {"ready": "green", "ready to pool": "green", "usable with care": "yellow", "cannot be measured": "red"}


def check(
    path: Annotated[
        Path,
        typer.Argument(
            help="File or folder that genzoo evaluate takes as a task, or a query log or a folder of texts alone."
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Model whose limit the texts are compared with: zoo model, minilm, folder, org/name on the Hub, or URL#MODEL, "
            "whose texts are counted in words; may be repeated. By "
            "default the models of the zoo that are on this machine already.",
            autocompletion=complete_models,
        ),
    ] = None,
    kind: Kind = None,
    columns: Columns = None,
    split: Split = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Check your own data before anything is measured: sizes, copies, near-duplicates, languages, texts that a model would cut, judgements.

    Loads no model. Exit code: 0 ready, to be measured or pooled, 1 usable with care, 2 cannot be measured or not be checked.
    """
    with exit_code_of_errors(2):
        found = genzoo.check(path, models, kind=kind, columns=columns or (), split=split, language=language)
    if json:
        print_json(found.as_dict())
    else:
        _print(found)
    raise typer.Exit(found.exit_code)


def _print(found: DataCheck) -> None:
    if found.kind:
        revision = f", revision {found.revision[:8]}" if found.revision else ""
        out.print(
            f"[bold]{escape(clean(found.name or str(found.path)))}[/]: {escape(found.kind)}{revision}", markup=True
        )
        out.print("  " + ", ".join(f"{count:,} {escape(what)}" for what, count in found.sizes.items()) + "\n")
        _print_lengths(found)
        for finding in found.findings:
            # the verdict names the blockers and what is missing, and the table what a model would cut
            if finding.severity == "caution" or (finding.severity == "fact" and finding.code != "cut"):
                out.print(f"{_MARKS[finding.severity]} {escape(clean(finding.sentence))}", markup=True)
        out.print("")
    color, why = _COLORS[found.verdict], found.summary.removeprefix(found.verdict)
    out.print(f"[bold {color}]{found.verdict}[/]{escape(clean(why))}", markup=True)
    if found.exit_code < 2:
        out.print(f"Next: {clean(found.next_command)}")


def _print_lengths(found: DataCheck) -> None:
    if not found.lengths:
        return
    heading = ("model", "part", "median", "95 %", "longest", "reads", "cut")
    rows = [_length(row) for row in found.lengths]
    print_rows(heading, rows if out.is_terminal else [heading, *rows])
    legend = "Lengths in tokens. reads: the longest text that the model reads whole; cut: texts that are longer."
    out.print(f"[dim]{legend}[/]\n", markup=True)


def _length(row: Lengths) -> tuple[str, ...]:
    cut = f"{row.n_cut:,} ({100 * row.cut_share:.1f} %)" + (" estimated" if row.is_estimated else "")
    lengths = (f"{number:,.0f}" for number in (row.median, row.percentile_95, row.longest))
    if row.unit == "words":
        return f"{row.model} (words)", row.part, *lengths, "unknown", "unknown"
    return row.model, row.part, *lengths, "all" if row.room is None else f"{row.room:,}", cut


def example(
    name: Annotated[
        str, typer.Argument(help="helpdesk: 200 help pages and 120 searches, 60 of them judged.")
    ] = "helpdesk",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder; by default one of the example's name.")
    ] = None,
) -> None:
    """Write example data of a search to measure: a query log, a folder of texts, and some judgements."""
    out.print(f"wrote {genzoo.write_example(name, output)}")


COMMANDS = (example, check)
