"""Commands that show why: explain one search, and the static site of a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.console import busy, out
from genzoo.cli.results import ByRevision, Reported, Results
from genzoo.cli.stores import load_store


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command(rich_help_panel="Measuring")(site)


def site(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the site.")] = Path("output/site"),
    title: Annotated[str, typer.Option(help="Title of the site.")] = "Generative embeddings",
    by_revision: ByRevision = False,
    reported: Reported = False,
) -> None:
    """Write a static leaderboard site: a page per benchmark and a page per model, for any web server or none."""
    store = load_store(results, is_joined=not by_revision, is_reported=reported)
    from genzoo.reports import build_site

    with busy("drawing the site"):
        paths = build_site(store, output, title=title)
    out.print(f"wrote {len(paths)} files, begin with {output / 'index.html'}", highlight=False)
