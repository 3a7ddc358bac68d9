"""Commands on a query log without labels: pool passages for judging, and merge what judges said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.console import out, print_json
from genzoo.cli.measuring import OWN, Columns, DocumentPrefix, Language, QueryPrefix, RateLimit
from genzoo.cli.models import Device, Json, complete_models
from genzoo.display import err
from genzoo.text import clean

log = logging.getLogger(__name__)
PANEL = OWN


def pool(
    queries: Annotated[Path, typer.Option("--queries", "-q", help="Query log: .txt, .jsonl, .csv, .tsv or .parquet.")],
    corpus: Annotated[
        Path,
        typer.Option("--corpus", "-c", help="Folder of .txt and .md files, or a .jsonl, .csv, .tsv or .parquet file."),
    ],
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Embedder whose first passages go into the pool, as for genzoo evaluate; give two or more.",
            autocompletion=complete_models,
        ),
    ],
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            "-k",
            help="Passages of each model for each query: 10 by default, or as many as the pool has that is added to.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pool; a pool of the same texts is added to.")
    ] = Path("pool"),
    n_queries: Annotated[
        int | None,
        typer.Option(
            "--number",
            "-n",
            help="Queries to judge, drawn at random from the log; all of them by default. More than a pool has are added to it.",
        ),
    ] = None,
    most_disagreed: Annotated[
        int,
        typer.Option(
            help="How many of these are instead the queries on which the models disagree most. Less work shows where the models "
            "differ, but mean differences over such queries are larger than over the log."
        ),
    ] = 0,
    reopen: Annotated[
        bool,
        typer.Option(
            "--reopen",
            help="Add passages to queries that are judged to the end, too; these count again only once the new passages are judged.",
        ),
    ] = False,
    columns: Columns = None,
    language: Language = None,
    split: Annotated[
        str, typer.Option(help="How text files are cut: headings (Markdown at its headings), files, or paragraphs.")
    ] = "headings",
    seed: Annotated[int, typer.Option(help="Of the draw and of the order.")] = 0,
    results: Annotated[
        Path, typer.Option(help="Results folder of later evaluations: it keeps the embeddings for them.")
    ] = Path("output/results"),
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per batch.")] = 32,
    device: Device = None,
    query_prefix: QueryPrefix = "",
    document_prefix: DocumentPrefix = "",
    rate_limit: RateLimit = None,
) -> None:
    """Pool the first passages of several embedders, in blind order, on one page for judging by keyboard."""
    options = dict(locals())
    from genzoo.tasks.judging.pool import pool as make_pool

    made = make_pool(**options | {"columns": columns or ()})
    if made.added:
        out.print(f"added: {made.added}")
    out.print(f"to judge: {made.work}")
    if made.selection.effect:
        log.warning(made.selection.effect)
    out.print(
        f"wrote {made.folder}. Next: open {made.page} in a browser, judge, and put the export into {made.folder}/judgements"
    )


def judgements(
    folder: Annotated[Path, typer.Argument(help="Folder that genzoo pool wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV file for the grades of each judge, passage by passage.")
    ] = None,
    json: Json = False,
) -> None:
    """Merge what the judges of a pool said, and say how far they agree."""
    from genzoo.leaderboards.judging.pools import judgements as merge
    from genzoo.leaderboards.judging.pools import next_step

    found = merge(folder)
    for note in found.judging.notes:
        log.warning(note)
    if output is not None:
        from genzoo.files import write_text

        write_text(output, found.to_frame().to_csv(index=False))
        (err if json else out).print(f"wrote {output}")
    if json:
        print_json(found.as_row())
        return
    for name, fact in found.facts:
        out.print(clean(f"{name}: {fact}"), markup=False)
    out.print(clean(f"Next: {next_step(found)}"), markup=False)


COMMANDS = (pool, judgements)
