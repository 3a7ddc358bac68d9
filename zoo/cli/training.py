"""Commands that make and judge a model: responses, teacher, targets, train, controls, study."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import genzoo
from genzoo.cli.console import out, print_json
from genzoo.cli.models import Device, Json, complete_models, names_in

PANEL = "Training"


RecipeName = Annotated[
    str,
    typer.Argument(
        help="Recipe: see genzoo list --recipes.", autocompletion=names_in("genzoo.recipes.recipes:RECIPES")
    ),
]
Queries = Annotated[
    Path, typer.Option("--queries", "-q", help="Query log: .txt (one a line), .jsonl, .csv, .tsv or .parquet.")
]
Column = Annotated[str | None, typer.Option(help="Column of the log that holds the queries.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of this run. Run the same command again to go on after a stop.")
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
Policy = Annotated[
    str | None,
    typer.Option(
        help="JSONL or CSV of requests to refuse or answer (text, refuse), or default: similar queries get a refusal."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value: any field of the recipe, such as losses.recon=0; may be repeated."),
]
ShardOption = Annotated[
    str, typer.Option(help="i/n: answer only this part of the log; parts may run at the same time.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Queries answered at once.")]


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Of a command's arguments those that `genzoo.train` and its stages take as they are, and what is changed in the recipe."""
    from genzoo.recipes.recipes import parse_change

    names = given.keys() & {"column", "steps", "batch", "answers", "seed", "backbone", "teacher", "policy", "device"}
    return {name: given[name] for name in names} | {"set": dict(map(parse_change, given["changes"] or []))}


def responses(
    recipe: RecipeName,
    queries: Queries,
    column: Column = None,
    output: Output = Path("output/run"),
    shard: ShardOption = "1/1",
    answers: Answers = None,
    backbone: Backbone = None,
    policy: Policy = None,
    changes: Changes = None,
    batch_size: BatchSize = 32,
    device: Device = None,
) -> None:
    """Stage 1: let the frozen LLM answer the queries of a log."""
    options = _options(locals())
    from genzoo.jobs import Shard

    made = genzoo.responses(recipe, queries, output, shard=shard, batch_size=batch_size, **options)
    path = output / Shard.parse(shard).file_name("responses", ".jsonl")
    out.print(f"{len(made)} responses in {path}")


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
    options = _options(locals())
    from genzoo.training.run import choose_recipe

    chosen = choose_recipe(recipe, options.pop("set"))
    genzoo.teacher(chosen, queries, output, **options)
    out.print(f"wrote {output} ({chosen.unsupervised.whiten} dimensions)")
    out.print(f"Next: genzoo evaluate -m {output} ...  |  genzoo train {recipe} --teacher {output} ...")


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
    policy: Policy = None,
    changes: Changes = None,
    device: Device = None,
) -> None:
    """Stage 2: let the teacher embed the responses; runs stage 1 first if needed."""
    found = genzoo.targets(recipe, queries, output, responses=made, **_options(locals()))
    out.print(f"{len(found)} targets in {output / 'targets'}")


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
    policy: Policy = None,
    changes: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the parameters, memory, tokens and time of the training, and stop.")
    ] = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """All stages: from a query log to a checkpoint. Run the same command again to go on after a stop."""
    options = _options(locals())
    if dry_run:
        rows = genzoo.plan_training(recipe, queries, **options).rows()
        print_json(dict(rows)) if json else _print_facts(rows, 20)
        return
    run = genzoo.train(recipe, queries, output, responses=made, **options)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes that train together one speaks
    folder, digest, trained = output / "checkpoint", run.checkpoint.digest(), run.checkpoint.n_parameters
    if json:
        facts = {"folder": str(folder), "digest": digest, "trained": trained}
        print_json(facts | {"controls": run.checkpoint.info.get("controls")})
        return
    out.print(f"wrote {folder} (digest {digest[:12]}, {trained:,} trained numbers)")
    out.print(
        f'Next: genzoo decode -m {folder} "..."  |  genzoo export {folder} DIR  |  genzoo evaluate -m {folder} ...'
    )


def _print_facts(rows: list[tuple[str, str]], width: int) -> None:
    for label, value in rows:
        out.print(f"[bold]{label:<{width}}[/] {escape(str(value))}", markup=True)


def controls(
    model: Annotated[
        str, typer.Argument(help="Folder that genzoo train wrote, or a zoo model.", autocompletion=complete_models)
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out",
            help="Responses, as JSONL, to queries that the model was not trained on; the run's own by default.",
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Teacher that judges decoded texts; the model's own by default.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=2, help="How many of the responses to use, from the end.")] = 200,
    seed: Annotated[int, typer.Option(help="Random seed that draws the other queries for the comparison.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Keep the figures in the checkpoint's folder.")] = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Check, on held-out queries, that a model's soft prompts are specific to the query."""
    from genzoo.training.run import teacher_of

    judge = teacher or teacher_of(model)
    found = genzoo.controls(model, held_out, n, teacher=judge, seed=seed, save=save, device=device)
    if json:
        print_json(asdict(found) | {"teacher": judge, "recon_gap": found.recon_gap})
        return
    _print_facts(found.rows(), 26)


def study(
    name: Annotated[
        str,
        typer.Argument(
            help="ablation, ablation-small, exit-layer, or a JSON file with recipe, variants, seeds and common.",
            autocompletion=names_in("genzoo.recipes.studies:STUDIES"),
        ),
    ],
    queries: Queries,
    column: Column = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the study; finished runs in it are kept.")
    ] = Path("output/study"),
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help='Also measure on a benchmark, such as "GenZoo(mini, v1)".')
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Also measure on a task; may be repeated.")
    ] = None,
    made: Made = None,
    device: Device = None,
) -> None:
    """Train every variant of a recipe with every seed, and compare them. Run the same command again to go on."""
    from genzoo.recipes.studies import RESULTS, read_results

    genzoo.study(name, queries, output, benchmark, tasks=tasks or (), column=column, responses=made, device=device)
    count = len(read_results(output / RESULTS))
    out.print(f"{count} figures in {output / RESULTS}, their means in {output / 'summary.csv'}")


COMMANDS = (responses, teacher, targets, train, controls, study)
