"""The command that runs a study: study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.console import Bars, busy, out
from genzoo.cli.models import Device
from genzoo.cli.training import PANEL, Column, Queries


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command(rich_help_panel=PANEL)(study)


def study(
    name: Annotated[str, typer.Argument(help="ablation, or a JSON file with recipe, variants, seeds and common.")],
    queries: Queries,
    column: Column = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the study; finished cells in it are kept.")
    ] = Path("output/study"),
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help='Also measure on it, such as "GenZoo(mini, v1)".')
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Also measure on it; may be repeated.")
    ] = None,
    device: Device = None,
) -> None:
    """Train every variant of a recipe with every seed, and compare them. Run the same command again to go on."""
    from genzoo.studies import find_study
    from genzoo.training.queries import read_queries
    from genzoo.training.study import run_study

    chosen, log = find_study(name), read_queries(queries, column)
    with Bars() as bars:

        def measure(model: str) -> Mapping[str, float]:
            return _measure(model, benchmark, list(tasks or []), output / "results", device, bars)

        rows = run_study(
            chosen, log, output, measure=measure if benchmark or tasks else None, device=device, on_progress=bars
        )
    out.print(
        f"{len(rows)} figures in {output / 'results.csv'}, their means in {output / 'summary.csv'}", highlight=False
    )


def _measure(
    model: str, benchmark: str | None, tasks: list[str], output: Path, device: str | None, bars: Bars
) -> Mapping[str, float]:
    """Main score of each task, through mteb."""
    from dataclasses import asdict

    with busy("loading mteb"):
        from genzoo.mteb_meta import resolve_model
        from genzoo.tasks.catalogue import resolve_tasks
        from genzoo.tasks.evaluation import evaluate
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.registration import register

        register()
        chosen, benchmark_name = resolve_tasks(benchmark, tasks)
        meta, known = resolve_model(model)
    (result,) = evaluate(
        [meta],
        chosen,
        output,
        benchmark_name=benchmark_name,
        settings=EncodeSettings(device=device),
        on_progress=lambda name, task, done, total: bars("evaluating", done, total, f"{name}: {task}"),
        facts={str(meta.name): asdict(known)},
    )
    return {one.task_name: float(one.get_score()) for one in result.task_results}
