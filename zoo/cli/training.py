"""Commands that make a model: responses, teacher, targets, train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from genzoo.cli.console import Bars, err, out, print_json
from genzoo.cli.models import Device, Json
from genzoo.errors import InputError

if TYPE_CHECKING:
    from genzoo.backbones.generation import Query, Response
    from genzoo.recipes.recipes import Recipe
    from genzoo.training.pipeline import TrainingRun


PANEL = "Training"
RecipeName = Annotated[str, typer.Argument(help="Recipe: see genzoo list --recipes.")]
Queries = Annotated[
    Path, typer.Option("--queries", "-q", help="Query log: .txt (one a line), .jsonl, .csv, .tsv or .parquet.")
]
Column = Annotated[str | None, typer.Option(help="Column of the log that holds the queries.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of this run; run again to go on where it stopped.")
]
Made = Annotated[Path | None, typer.Option("--responses", help="responses.jsonl[.gz] made earlier for these queries.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Training steps, instead of the recipe's.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Examples per step, instead of the recipe's.")]
Answers = Annotated[int | None, typer.Option(min=0, help="How many queries the backbone answers; 0 for all.")]
Seed = Annotated[int | None, typer.Option(help="Random seed, instead of the recipe's.")]
Backbone = Annotated[str | None, typer.Option(help="Key, folder or org/name[@commit] of another frozen LLM.")]
Teacher = Annotated[
    str | None, typer.Option(help="Key, SentenceTransformer folder, org/name[@commit], or unsupervised.")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="field=value: any field of the recipe, as in losses.recon=0.")
]
ShardOption = Annotated[
    str, typer.Option(help="i/n: answer only this part of the log; parts may run at the same time.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Queries answered at once.")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (responses, teacher, targets, train):
        app.command(rich_help_panel=PANEL)(command)


def _recipe(name: str, changes: list[str] | None, **options: Any) -> Recipe:
    """The named recipe with everything that was changed on the command line, the Hub's names pinned to commits."""
    from genzoo.recipes.recipes import RECIPES, override, parse_change

    recipe = RECIPES.get(name)
    fields = {"steps": "optim.steps", "batch": "optim.batch", "answers": "response.limit"}
    given = {fields.get(key, key): value for key, value in options.items() if value is not None}
    return override(recipe, given | dict(map(parse_change, changes or [])))


def _pinned(recipe: Recipe) -> Recipe:
    from dataclasses import replace

    from genzoo.backbones.entries import pin_backbone
    from genzoo.teachers.teachers import pin_teacher

    return replace(recipe, backbone=pin_backbone(recipe.backbone), teacher=pin_teacher(recipe.teacher))


def read_log(queries: Path, column: str | None) -> list[Query]:
    """The queries of a log; what is doubtful about it is said on standard error."""
    from genzoo.training.queries import read_queries

    return read_queries(queries, column, print_note)


def print_note(note: str) -> None:
    """One line on standard error, in the main process only."""
    if os.environ.get("RANK", "0") == "0":
        err.print(note, highlight=False, markup=False, soft_wrap=True)


def _run(
    recipe: Recipe,
    log: list[Query],
    output: Path,
    device: str | None,
    bars: Bars,
    made: Path | None = None,
    batch_size: int = 32,
) -> TrainingRun:
    """The run that the options describe."""
    from genzoo.training.pipeline import TrainingRun
    from genzoo.training.precision import Processes

    given = given_responses(made, log[: recipe.response.limit or None])
    recipe = _pinned(recipe)
    output.mkdir(parents=True, exist_ok=True)
    processes = Processes.from_environment(device)
    run = TrainingRun(recipe, log, output, device, batch_size, bars, processes, on_note=print_note)
    with processes.main_first():
        if made and processes.is_main:
            run.take(given, made)
    return run


def given_responses(made: Path | None, asked: list[Query]) -> list[Response]:
    """The responses of an earlier run that answer these queries."""
    from genzoo.training.responses import read_responses

    if made is None:
        return []
    if not made.is_file():
        raise InputError(
            f"there is no file {made}: give the responses.jsonl of an earlier run, or leave --responses out"
        )
    wanted = {query.text for query in asked}
    by_query: dict[str, Response] = {}
    for row in read_responses(made):
        if row.query in wanted and by_query.setdefault(row.query, row).response != row.response:
            raise InputError(f"{made} answers {row.query[:60]!r} twice, and not alike: keep one of the two lines")
    given = list(by_query.values())
    if not given:
        raise InputError(
            f"{made} answers none of the {len(asked):,} queries that are asked: it belongs to another log, or --answers takes "
            "others of this one; leave --responses out to have them answered"
        )
    if len(given) < len(asked):
        err.print(
            f"{made} answers {len(given):,} of {len(asked):,} queries; the others are answered now", highlight=False
        )
    return given


def _bars() -> Bars:
    """Progress bars, in the main process only."""
    return Bars(quiet=os.environ.get("RANK", "0") != "0")


def responses(
    recipe: RecipeName,
    queries: Queries,
    column: Column = None,
    output: Output = Path("output/run"),
    shard: ShardOption = "1/1",
    answers: Answers = None,
    backbone: Backbone = None,
    changes: Changes = None,
    batch_size: BatchSize = 32,
    device: Device = None,
) -> None:
    """Stage 1: let the frozen LLM answer the queries of a log."""
    from genzoo.jobs import Shard

    part, chosen = Shard.parse(shard), _recipe(recipe, changes, answers=answers, backbone=backbone)
    log = read_log(queries, column)
    with _bars() as bars:
        made = _run(chosen, log, output, device, bars, batch_size=batch_size).responses(part)
    out.print(f"{len(made)} responses in {output / part.file_name('responses', '.jsonl')}", highlight=False)


def teacher(
    recipe: RecipeName,
    queries: Queries,
    column: Column = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the model.")] = Path("output/teacher"),
    backbone: Backbone = None,
    seed: Seed = None,
    changes: Changes = None,
    device: Device = None,
) -> None:
    """Make a teacher out of the frozen LLM itself, without labels, and write it as a SentenceTransformer folder."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.teachers.unsupervised import fit_teacher

    chosen = _pinned(_recipe(recipe, changes, backbone=backbone, seed=seed))
    log = read_log(queries, column)
    if output.exists() and not (output / "modules.json").is_file() and any(output.iterdir()):
        raise InputError(f"{output} exists and is no SentenceTransformer folder: choose another --output")
    with _bars() as bars:
        fit_teacher(
            fetch_backbone(chosen.backbone),
            [query.text for query in log],
            chosen.unsupervised,
            output,
            seed=chosen.seed,
            device=device,
            on_step=lambda stage, done, total: bars(stage, done, total),
        )
    out.print(f"wrote {output} ({chosen.unsupervised.whiten} dimensions)", highlight=False)
    out.print(
        f"Next: genzoo evaluate -m {output} ...  |  genzoo train {recipe} --teacher {output} ...", highlight=False
    )


def targets(
    recipe: RecipeName,
    queries: Queries,
    column: Column = None,
    output: Output = Path("output/run"),
    made: Made = None,
    steps: Steps = None,
    batch: Batch = None,
    answers: Answers = None,
    seed: Seed = None,
    backbone: Backbone = None,
    teacher: Teacher = None,
    changes: Changes = None,
    device: Device = None,
) -> None:
    """Stage 2: let the teacher embed the responses (after stage 1, if that is not done)."""
    options = {"steps": steps, "batch": batch, "answers": answers, "seed": seed}
    chosen = _recipe(recipe, changes, backbone=backbone, teacher=teacher, **options)
    log = read_log(queries, column)
    with _bars() as bars:
        run = _run(chosen, log, output, device, bars, made)
        run.fetch()
        count = len(run.targets([one.target for one in run.examples()]))
    out.print(f"{count} targets in {output / 'targets'}", highlight=False)


def train(
    recipe: RecipeName,
    queries: Queries,
    column: Column = None,
    output: Output = Path("output/run"),
    made: Made = None,
    steps: Steps = None,
    batch: Batch = None,
    answers: Answers = None,
    seed: Seed = None,
    backbone: Backbone = None,
    teacher: Teacher = None,
    changes: Changes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what it would take.")] = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """All stages: from a query log to a checkpoint. Run the same command again to go on after a stop."""
    options = {"steps": steps, "batch": batch, "answers": answers, "seed": seed}
    chosen = _recipe(recipe, changes, backbone=backbone, teacher=teacher, **options)
    log = read_log(queries, column)
    if dry_run:
        _print_plan(chosen, log, device, json)
        return
    with _bars() as bars:
        run = _run(chosen, log, output, device, bars, made)
        checkpoint = run.train()
    if not run.processes.is_main:
        return
    folder = output / "checkpoint"
    facts = {"folder": str(folder), "digest": checkpoint.digest(), "trained": checkpoint.n_parameters}
    if json:
        print_json(facts | {"controls": checkpoint.info.get("controls")})
        return
    out.print(
        f"wrote {folder} (digest {checkpoint.digest()[:12]}, {checkpoint.n_parameters:,} trained numbers)",
        highlight=False,
    )
    out.print(
        f'Next: genzoo decode -m {folder} "..."  |  genzoo export {folder} DIR  |  genzoo evaluate -m {folder} ...',
        highlight=False,
    )


def _print_plan(recipe: Recipe, log: list[Query], device: str | None, json: bool) -> None:
    from genzoo.jobs import measure_speed
    from genzoo.training.plan import check_what_is_here, make_plan, shape_of
    from genzoo.training.precision import answers_in_bfloat16

    check_what_is_here(recipe, len(log))
    is_bfloat16 = answers_in_bfloat16(recipe.response, shape_of(recipe.backbone), device)
    rows = make_plan(recipe, log, measure_speed(device), is_bfloat16).rows()
    if json:
        print_json(dict(rows))
        return
    for label, value in rows:
        out.print(f"[bold]{label:<20}[/] {escape(str(value))}", highlight=False, markup=True)
