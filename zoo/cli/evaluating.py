"""The command that measures: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genzoo.cli.console import Bars, busy, err, out
from genzoo.cli.models import Device
from genzoo.cli.results import PANEL, BenchmarkName
from genzoo.errors import FailedRunsError, InputError, ZooError

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from genzoo.jobs import Shard
    from genzoo.tasks.model_session import EncodeSettings
    from genzoo.tasks.request import Grid, Request


def add_to(app: typer.Typer) -> None:
    """Register this group's command."""
    app.command(rich_help_panel=PANEL)(evaluate)


def evaluate(
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Zoo model, teacher (minilm), baseline (smollm2-135m-mean, -echo, -hyde, -untrained, bm25, random), folder, or org/name "
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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Share the pairs out over a Ray cluster instead (auto: the one that this machine is of). All its machines need "
            "the results folder.",
        ),
    ] = None,
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
            help="TASK=FOLDER measures a retrieval or reranking task on a folder of yours (corpus.jsonl, queries.jsonl, qrels.jsonl or "
            "qrels/*.tsv), under a name of its own; TASK=@COMMIT,COMMIT pins its data sets."
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
    if ray is not None and shard != "1/1":
        raise InputError("--ray and --shard both share out the work: give one of them")
    with busy("loading mteb") as status:
        from genzoo.jobs import Shard
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.request import Request

        part = Shard.parse(shard)
        request = Request(tuple(models), benchmark, tuple(tasks or ()), tuple(data or ()), prompts, strict_prompts)
        grid = request.resolve(status.update, _print_note)
        settings = EncodeSettings(batch_size, device, processes, output / ".embeddings" if cache_embeddings else None)
        status.update("planning")
        _print_plan(grid)
    if plan:
        return
    failure: ZooError | None = None
    try:
        if ray is None:
            _run_here(grid, output, settings, part, overwrite)
        else:
            _run_on_ray(request, output, settings, ray, overwrite)
    except FailedRunsError as error:
        failure = error  # what finished gets its evidence all the same
    if evidence:
        missing = _keep_evidence(request, grid, output, device, overwrite)
        failure = failure or missing
    if failure is not None:
        raise failure
    out.print(
        f"results in {output}. Next: genzoo leaderboard {output}  |  genzoo report {output} -o output/report",
        highlight=False,
    )


def _print_note(note: str) -> None:
    err.print(f"note: {note}", markup=False, highlight=False)


def _run_here(grid: Grid, output: Path, settings: EncodeSettings, part: Shard, overwrite: bool) -> None:
    from genzoo.tasks.evaluation import evaluate as run

    with Bars() as bars:

        def on_progress(model: str, task: str, done: int, total: int) -> None:
            bars("evaluating", done, total, f"{model.rpartition('/')[2]}: {task}")

        run(
            grid.metas,
            grid.tasks,
            output,
            benchmark_name=grid.benchmark_name,
            settings=settings,
            shard=part,
            on_progress=on_progress,
            on_note=_print_note,
            overwrite=overwrite,
            facts=grid.facts,
        )


def _run_on_ray(request: Request, output: Path, settings: EncodeSettings, address: str, overwrite: bool) -> None:
    from genzoo.tasks.ray_grid import evaluate_on_ray

    with Bars() as bars:
        evaluate_on_ray(
            request,
            output,
            address=address,
            settings=settings,
            overwrite=overwrite,
            on_pair=lambda done, total: bars("evaluating", done, total, f"on Ray ({address})"),
            on_note=_print_note,
        )


def _print_plan(grid: Grid) -> None:
    """Say how many texts and tokens lie ahead, and about how long each model will take."""
    from genzoo.jobs import as_time
    from genzoo.tasks.plan import make_plan

    found = make_plan(grid.metas, grid.tasks)
    texts = [task.texts for task in found.tasks]
    known = f"{sum(n or 0 for n in texts):,} texts" + (" and more" if None in texts else "")
    tokens = f", about {found.tokens:,} tokens" if found.tokens is not None else ""
    err.print(f"plan: {len(grid.metas)} models x {len(grid.tasks)} tasks; per model {known}{tokens}", highlight=False)
    for name, seconds in found.seconds.items():
        err.print(f"  {name}: {as_time(seconds)}", highlight=False)


def _keep_evidence(request: Request, grid: Grid, output: Path, device: str | None, overwrite: bool) -> ZooError | None:
    """Queries and documents of the tasks, and what each zoo model's embeddings decode to; what failed, if anything did."""
    from genzoo.leaderboards.evidence import has_results, write_judgements
    from genzoo.tasks.records import model_key

    with busy("keeping the queries, documents and pairs behind the scores"):
        failed = write_judgements(grid.tasks, output)
    if failed:
        err.print(f"note: no single searches and no intervals for {', '.join(failed)}", markup=False, highlight=False)
    undecoded = []
    for name, meta in zip(dict.fromkeys(request.models), grid.metas, strict=True):
        if grid.facts[model_key(meta)]["role"] != "zoo" or not has_results(meta, output):
            continue
        try:
            _decode(name, meta, output, device, overwrite)
        except Exception as error:  # noqa: BLE001  (a model may fail in any way; the other models have their turn)
            undecoded.append(f"{meta.name} ({type(error).__name__}: {error})")
            err.print(f"note: no decoded texts of {undecoded[-1]}", markup=False, highlight=False)
    if not undecoded:
        return None
    return ZooError(
        f"the scores are in {output}, but not every embedding could be decoded: {'; '.join(undecoded)}. Run the same command "
        "again, or add --no-evidence"
    )


def _decode(name: str, meta: ModelMeta, output: Path, device: str | None, overwrite: bool) -> None:
    """Keep what a zoo model's embeddings of everyday questions and of telling searches decode to."""
    from genzoo.leaderboards.evidence import write_searches

    _write_evidence(name, meta, output, device, overwrite)
    with busy(f"reading telling searches back from {meta.name}"):
        write_searches(name, meta, output, device)


def _write_evidence(name: str, meta: ModelMeta, output: Path, device: str | None, overwrite: bool) -> None:
    """Decode the everyday questions once per model, revision and content."""
    from genzoo.files import strict_json, write_text
    from genzoo.leaderboards.evidence import EVERYDAY_QUESTIONS, read_kept
    from genzoo.models.loading import load_decoder
    from genzoo.tasks.mteb_models import model_content

    path, content = (
        output / "evidence" / str(meta.name).replace("/", "__") / f"{meta.revision}.json",
        model_content(meta),
    )
    if path.is_file() and not overwrite and read_kept(path).get("content") in (None, content):
        return
    with busy(f"reading 20 everyday questions back from {meta.name}"):
        readings = load_decoder(name, device=device).read(EVERYDAY_QUESTIONS)
        facts = {"content": content, "decoded": [reading.as_dict() for reading in readings]}
        write_text(path, strict_json(facts, indent=1) + "\n")
