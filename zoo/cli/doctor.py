"""The command that says what a running client, an endpoint or an index does to a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import genzoo
from genzoo.cli.console import exit_code_of_errors, out, print_json, print_rows
from genzoo.cli.models import Json, complete_models
from genzoo.models.entries import DEFAULT
from genzoo.text import clean

if TYPE_CHECKING:
    from genzoo.tasks.doctor.diagnosis import Diagnosis

PANEL = "Models"
_MARKS = {"fault": "[bold red]x[/]", "caution": "[bold yellow]![/]", "fact": "[dim]-[/]"}
_COLORS = {"right": "green", "wrong": "red"}


def doctor(
    target: Annotated[
        str,
        typer.Argument(
            help="URL#MODEL of an OpenAI-compatible endpoint; model folder; Python object as MODULE:NAME; or stored vectors: "
            "vectors:FOLDER, chroma:FOLDER#COLLECTION, lancedb:FOLDER#TABLE."
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Model that it should be: zoo model, checkpoint folder, exported folder, or org/name@<commit>. Given again: further "
            "models that it may be, such as the revision before.",
            show_default=DEFAULT,
            autocompletion=complete_models,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say what a running client, an endpoint or an index does to a model: prompts lost, other pooling, cut texts, another revision ...

    Exit code: 0 right, 1 a fault that changes rankings, 2 could not be asked.
    """
    model, *others = models or [DEFAULT]
    sys.path.append(str(Path.cwd()))  # for a module of the user's own
    with exit_code_of_errors(2):
        found = genzoo.doctor(target, model, others=others)
    if json:
        print_json(found.as_dict())
    else:
        _print(found)
    raise typer.Exit(found.exit_code)


def _print(found: Diagnosis) -> None:
    for row in found.deviations:
        out.print(f"{_MARKS[row.severity]} {escape(clean(row.text))}", markup=True)
        if row.advice:
            out.print(f"  [dim]{escape(clean(row.advice))}[/]", markup=True)
    heading = ("side", "texts", "explained", "cosine", "cosine to right")
    rows = [
        (row.side, str(row.n_texts), str(row.explained), f"{row.cosine:.4f}", f"{row.cosine_to_right:.4f}")
        for row in found.compared
    ]
    print_rows(heading, rows if out.is_terminal else [heading, *rows])
    verdict, rest = found.verdict, found.summary.removeprefix(found.verdict)
    out.print(f"[bold {_COLORS[verdict]}]{verdict}[/]{escape(clean(rest))}", markup=True)


COMMANDS = (doctor,)
