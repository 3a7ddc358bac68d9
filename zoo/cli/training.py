"""Commands that make a model: responses, targets, train."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genzoo.cli.console import Bars, out
from genzoo.cli.models import Device
from genzoo.errors import InputError

if TYPE_CHECKING:
    from genzoo.training.pipeline import TrainingRun

PANEL = "Training"
RecipeName = Annotated[str, typer.Argument(help="Recipe: see genzoo list --recipes.")]
Queries = Annotated[
    Path, typer.Option("--queries", "-q", help="Query log: .txt (one a line), .jsonl, .csv or .parquet.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of this run; run again to go on where it stopped.")
]
Made = Annotated[Path | None, typer.Option("--responses", help="responses.jsonl made earlier for these queries.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Training steps, instead of the recipe's.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Examples per step, instead of the recipe's.")]
Answers = Annotated[int | None, typer.Option(min=0, help="How many queries the backbone answers; 0 for all.")]
Seed = Annotated[int | None, typer.Option(help="Random seed, instead of the recipe's.")]
Backbone = Annotated[str | None, typer.Option(help="Key, folder or org/name@commit of another frozen LLM.")]
Teacher = Annotated[str | None, typer.Option(help="Key or SentenceTransformer folder of another teacher.")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (responses, targets, train):
        app.command(rich_help_panel=PANEL)(command)


def _run(
    recipe: str,
    queries: Path,
    output: Path,
    device: str | None,
    bars: Bars,
    made: Path | None = None,
    **changes: Any,
) -> TrainingRun:
    """The run that the options describe."""
    from genzoo.recipes import RECIPES
    from genzoo.training.pipeline import TrainingRun
    from genzoo.training.queries import read_queries

    chosen = RECIPES.get(recipe)
    optim = {key: changes[key] for key in ("steps", "batch") if changes.get(key) is not None}
    plain = {key: changes[key] for key in ("seed", "backbone", "teacher") if changes.get(key) is not None}
    chosen = replace(chosen, optim=replace(chosen.optim, **optim), **plain)
    if changes.get("answers") is not None:
        chosen = replace(chosen, response=replace(chosen.response, limit=changes["answers"]))
    log = read_queries(queries)
    if made is not None and not made.is_file():
        raise InputError(
            f"there is no file {made}: give the responses.jsonl of an earlier run, or leave --responses out"
        )
    output.mkdir(parents=True, exist_ok=True)
    if made is not None and not (output / "responses.jsonl").is_file():
        shutil.copyfile(made, output / "responses.jsonl")
    return TrainingRun(chosen, log, output, device, on_progress=bars)


def responses(
    recipe: RecipeName,
    queries: Queries,
    output: Output = Path("output/run"),
    answers: Answers = None,
    backbone: Backbone = None,
    device: Device = None,
) -> None:
    """Stage 1: let the frozen LLM answer the queries of a log."""
    with Bars() as bars:
        made = _run(recipe, queries, output, device, bars, answers=answers, backbone=backbone).responses()
    out.print(f"{len(made)} responses in {output / 'responses.jsonl'}", highlight=False)


def targets(
    recipe: RecipeName,
    queries: Queries,
    output: Output = Path("output/run"),
    made: Made = None,
    steps: Steps = None,
    batch: Batch = None,
    answers: Answers = None,
    seed: Seed = None,
    backbone: Backbone = None,
    teacher: Teacher = None,
    device: Device = None,
) -> None:
    """Stage 2: let the teacher embed the responses (after stage 1, if that is not done)."""
    with Bars() as bars:
        run = _run(
            recipe,
            queries,
            output,
            device,
            bars,
            made,
            steps=steps,
            batch=batch,
            answers=answers,
            seed=seed,
            backbone=backbone,
            teacher=teacher,
        )
        count = len(run.targets([one.target for one in run.examples()]))
    out.print(f"{count} targets in {output / 'targets'}", highlight=False)


def train(
    recipe: RecipeName,
    queries: Queries,
    output: Output = Path("output/run"),
    made: Made = None,
    steps: Steps = None,
    batch: Batch = None,
    answers: Answers = None,
    seed: Seed = None,
    backbone: Backbone = None,
    teacher: Teacher = None,
    device: Device = None,
) -> None:
    """All stages: from a query log to a checkpoint. Run the same command again to go on after a stop."""
    with Bars() as bars:
        run = _run(
            recipe,
            queries,
            output,
            device,
            bars,
            made,
            steps=steps,
            batch=batch,
            answers=answers,
            seed=seed,
            backbone=backbone,
            teacher=teacher,
        )
        checkpoint = run.train()
    folder = output / "checkpoint"
    out.print(
        f"wrote {folder} (digest {checkpoint.digest()[:12]}, {checkpoint.n_parameters:,} trained numbers)",
        highlight=False,
    )
    out.print(
        f'Next: genzoo decode -m {folder} "..."  |  genzoo export {folder} DIR  |  genzoo evaluate -m {folder} ...',
        highlight=False,
    )
