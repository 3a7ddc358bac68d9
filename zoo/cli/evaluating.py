"""The command that measures: evaluate."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genzoo.cli.console import Bars, busy, err, out
from genzoo.cli.models import Device
from genzoo.cli.results import PANEL, BenchmarkName

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta


def add_to(app: typer.Typer) -> None:
    """Register this group's command."""
    app.command(rich_help_panel=PANEL)(evaluate)


def evaluate(
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Zoo model, teacher (minilm), baseline (smollm2-135m-mean, -echo, -hyde, bm25, random), folder, or org/name "
            "on the Hub.",
        ),
    ],
    benchmark: BenchmarkName = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="mteb task name or one of ours; may be repeated.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Results folder; finished tasks in it are kept.")
    ] = Path("output/results"),
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per batch.")] = 32,
    device: Device = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that encode side by side: one per GPU, or on the CPU.")
    ] = 1,
    shard: Annotated[
        str,
        typer.Option(
            help="i/n: take every n-th pair of model and task, beginning at the i-th; other machines the rest."
        ),
    ] = "1/1",
    prompts: Annotated[
        str | None,
        typer.Option(help='Other prompts than the model\'s own: "tasks" (one per task), "general", or a JSON file.'),
    ] = None,
    strict_prompts: Annotated[
        bool, typer.Option("--strict-prompts", help="Refuse a task that has no prompt of its own.")
    ] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="TASK=FOLDER reads a retrieval task from JSONL files; TASK=@COMMIT,COMMIT pins its data sets."
        ),
    ] = None,
    cache_embeddings: Annotated[
        bool,
        typer.Option(help="Keep embeddings in the results folder, so that a stop loses none and none is made twice."),
    ] = True,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be run, and stop.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Measure again what is already there.")] = False,
    evidence: Annotated[
        bool, typer.Option(help="Also keep queries and documents, and read some back from each zoo model's embeddings.")
    ] = True,
) -> None:
    """Measure models on mteb tasks or ours. Run the same command again to go on after a stop."""
    from dataclasses import asdict

    with busy("loading mteb") as status:
        from genzoo.mteb_meta import resolve_model
        from genzoo.shard import Shard
        from genzoo.tasks.catalogue import resolve_tasks
        from genzoo.tasks.evaluation import evaluate as run
        from genzoo.tasks.local_data import with_chosen_data
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.registration import register

        register()
        part = Shard.parse(shard)
        chosen, benchmark_name = resolve_tasks(benchmark, list(tasks or []))
        chosen = with_chosen_data(chosen, list(data or []))
        resolved = [resolve_model(name, status.update) for name in dict.fromkeys(models)]
        metas = _prompted([meta for meta, _ in resolved], prompts, strict_prompts, chosen)
        facts = {str(meta.name): asdict(known) for meta, (_, known) in zip(metas, resolved, strict=True)}
        status.update("planning")
        _print_plan(metas, chosen)
    if plan:
        return
    with Bars() as bars:

        def on_progress(model: str, task: str, done: int, total: int) -> None:
            bars("evaluating", done, total, f"{model.rpartition('/')[2]}: {task}")

        run(
            metas,
            chosen,
            output,
            benchmark_name=benchmark_name,
            settings=EncodeSettings(
                batch_size, device, processes, output / ".embeddings" if cache_embeddings else None
            ),
            shard=part,
            on_progress=on_progress,
            on_note=lambda note: err.print(f"note: {note}", markup=False, highlight=False),
            overwrite=overwrite,
            facts=facts,
        )
    if evidence:
        from genzoo.cli.evidence import write_judgements, write_searches

        with busy("keeping the queries and documents behind the scores"):
            failed = write_judgements(chosen, output)
        if failed:
            err.print(f"note: no single searches for {', '.join(failed)}", markup=False, highlight=False)
        for name, (meta, known) in zip(dict.fromkeys(models), resolved, strict=True):
            if known.role == "zoo":
                _write_evidence(name, meta, output, device, overwrite)
                with busy(f"reading telling searches back from {meta.name}"):
                    write_searches(name, meta, output, device)
    out.print(
        f"results in {output}. Next: genzoo leaderboard {output}  |  genzoo report {output} -o output/report",
        highlight=False,
    )


def _prompted(metas: list[ModelMeta], prompts: str | None, is_strict: bool, tasks: list[AbsTask]) -> list[ModelMeta]:
    """The models under the prompts that were asked for."""
    from genzoo.prompts import GENERAL, prompt_set
    from genzoo.tasks.prompt_choice import check_strict, with_prompts

    chosen = prompt_set(prompts or GENERAL)
    if is_strict:
        check_strict(chosen, [task.metadata.name for task in tasks])
    if prompts is None:
        return metas
    return [with_prompts(meta, chosen, Path(prompts).stem) for meta in metas]


def _print_plan(metas: list[ModelMeta], tasks: list[AbsTask]) -> None:
    """Say how many texts and tokens lie ahead, and about how long each model will take."""
    from genzoo.estimates import as_time
    from genzoo.tasks.plan import make_plan

    found = make_plan(metas, tasks)
    texts = [task.texts for task in found.tasks]
    known = f"{sum(n or 0 for n in texts):,} texts" + (" and more" if None in texts else "")
    tokens = f", about {found.tokens:,} tokens" if found.tokens is not None else ""
    err.print(f"plan: {len(metas)} models x {len(tasks)} tasks; per model {known}{tokens}", highlight=False)
    for name, seconds in found.seconds.items():
        err.print(f"  {name}: {as_time(seconds)}", highlight=False)


def _write_evidence(name: str, meta: ModelMeta, output: Path, device: str | None, overwrite: bool) -> None:
    """Decode the everyday questions once per model and revision."""
    from genzoo.files import write_text
    from genzoo.loading import load_decoder
    from genzoo.probes import EVERYDAY_QUESTIONS

    path = output / "evidence" / str(meta.name).replace("/", "__") / f"{meta.revision}.json"
    if path.is_file() and not overwrite:
        return
    with busy(f"reading 20 everyday questions back from {meta.name}"):
        readings = load_decoder(name, device=device).read(EVERYDAY_QUESTIONS)
        facts = {"decoded": [reading.as_dict() for reading in readings]}
        write_text(path, json_library.dumps(facts, ensure_ascii=False, indent=1) + "\n")
