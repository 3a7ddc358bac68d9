"""Commands that measure and show results: evaluate, leaderboard, report, compare, site, submit, tasks, benchmarks."""

from __future__ import annotations

import json as json_library
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genzoo.cli.console import many_objects, out, print_json, print_rows
from genzoo.cli.models import Device, Json, complete_models
from genzoo.display import err
from genzoo.text import clean, plural

if TYPE_CHECKING:
    from genzoo.reports.measuring import Evaluation
    from genzoo.reports.results import Results as OpenResults

log = logging.getLogger(__name__)
PANEL = "Measuring"
Results = Annotated[Path, typer.Argument(help="Folder that genzoo evaluate wrote.")]
BenchmarkName = Annotated[str | None, typer.Option("--benchmark", "-b", help='Benchmark, such as "GenZoo(mini, v1)".')]
Reference = Annotated[str | None, typer.Option(help="Model to compare with; each model's own teacher by default.")]
ByRevision = Annotated[
    bool, typer.Option("--by-revision", help="Keep the revisions of a published model apart, not joined as mteb does.")
]
Reported = Annotated[
    bool, typer.Option("--reported", help="Add what the authors of upstream models report, marked as reported.")
]
Pattern = Annotated[str, typer.Argument(help='Shell pattern, such as "*Retrieval".')]
BenchmarkPattern = Annotated[str, typer.Argument(help='Shell pattern, such as "GenZoo*".')]
OWN = "Your own data"
Kind = Annotated[
    str | None,
    typer.Option(
        help="What your data are, where that is not found: retrieval, reranking, similarity, pair-classification, classification or "
        "clustering. This and the next three hold for every file and folder of your own in the command: measure those that differ one "
        "by one.",
        rich_help_panel=OWN,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME,...",
        help="Columns that are not found: query, passage, title, grade, query-id, passage-id, passages, text, label, text1, text2, "
        "score, match, split.",
        rich_help_panel=OWN,
    ),
]
Split = Annotated[str | None, typer.Option(help="Split of your data to measure; test by default.", rich_help_panel=OWN)]
Language = Annotated[
    str | None,
    typer.Option(help="Language of your data, such as deu-Latn, by which BM25 finds word stems.", rich_help_panel=OWN),
]
QueryPrefix = Annotated[
    str, typer.Option(help='What an endpoint gets before each query of a search, such as "query: ".')
]
DocumentPrefix = Annotated[str, typer.Option(help="Likewise before each document.")]
RateLimit = Annotated[float | None, typer.Option(metavar="N", help="At most N requests a minute to an endpoint.")]
_PROBLEMS = 5  # that are printed


def evaluate(
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Zoo model, teacher (minilm), baseline (smollm2-135m-mean, -echo, -hyde, -untrained, bm25, random), folder, org/name "
            "on the Hub, URL#MODEL (an OpenAI-compatible endpoint), vectors:FOLDER, or rrf:A+B (a hybrid of two).",
            autocompletion=complete_models,
        ),
    ],
    benchmark: BenchmarkName = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="Task of mteb or genzoo, see genzoo tasks, or a file or folder of your own as PATH or NAME=PATH; may be repeated.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Results folder; finished tasks in it are kept.")
    ] = Path("output/results"),
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per batch, and per request to an endpoint.")] = 32,
    device: Device = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Parallel encoding processes: one per GPU, or several on the CPU; to an endpoint the requests at a time (4 by default).",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="In which zoo models and trained folders encode: float32, bfloat16, or auto: bfloat16 on a CPU that is faster in it, if "
            "their embeddings stay the same to a cosine of .9995."
        ),
    ] = "auto",
    shard: Annotated[
        str,
        typer.Option(
            help="i/n: measure every n-th pair of model and task, beginning with the i-th; other machines measure the rest."
        ),
    ] = "1/1",
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Distribute the pairs over a Ray cluster (auto: the cluster of this machine). All its machines need access to the "
            "results folder.",
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(help='Other prompts than the model\'s own: "tasks" (one per task), "general", or a JSON file.'),
    ] = None,
    strict_prompts: Annotated[
        bool, typer.Option("--strict-prompts", help="Refuse a task that has no prompt of its own.")
    ] = False,
    query_prefix: QueryPrefix = "",
    document_prefix: DocumentPrefix = "",
    rate_limit: RateLimit = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="With --plan: what an endpoint costs per million tokens.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="TASK=FOLDER measures a retrieval or reranking task on your own folder (corpus.jsonl, queries.jsonl, qrels.jsonl or "
            "qrels/*.tsv), and keeps its results under a separate name; TASK=@COMMIT,COMMIT pins its data sets."
        ),
    ] = None,
    kind: Kind = None,
    columns: Columns = None,
    split: Split = None,
    language: Language = None,
    cache_embeddings: Annotated[
        bool,
        typer.Option(help="Keep embeddings in the results folder, so that none is lost at a stop or computed twice."),
    ] = True,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be measured, and stop.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Measure finished tasks again.")] = False,
    evidence: Annotated[
        bool,
        typer.Option(
            help="Also keep the queries and documents behind the scores, and decode some embeddings of each zoo model."
        ),
    ] = True,
) -> None:
    """Measure models on tasks of mteb and genzoo. Run the same command again to go on after a stop."""
    options = {name: given for name, given in locals().items() if name not in ("plan", "price")}
    from genzoo.reports.measuring import plan_evaluation

    ahead = plan_evaluation(**options)
    if plan or log.isEnabledFor(logging.INFO):
        _print_plan(ahead, price)
    if plan:
        return
    ahead.run()
    out.print(f"results in {output}. Next: genzoo leaderboard {output}  |  genzoo report {output} -o output/report")


def _print_plan(ahead: Evaluation, price: float | None) -> None:
    """Say how many texts and tokens lie ahead, about how long each model will take, and what an endpoint will cost at most."""
    from genzoo.jobs import as_time

    if ahead.finished:
        err.print(f"plan: nothing to measure, {ahead.finished.pairs} of {ahead.finished.pairs} results are finished")
        return
    found, grid = ahead.plan, ahead.grid
    texts = [task.texts for task in found.tasks]
    known = f"{sum(n or 0 for n in texts):,} texts" + (" and more" if None in texts else "")
    tokens = f", about {found.tokens:,} tokens" if found.tokens is not None else ""
    pairs = f"{plural(len(grid.metas), 'model')} x {plural(len(grid.tasks), 'task')}"
    err.print(f"plan: {pairs}; per model {known}{tokens}")
    for name, seconds in found.seconds.items():
        paid = f", costs {_cost(found.cost(price))} at most" if price is not None and name in found.endpoints else ""
        err.print(f"  {name}: {as_time(seconds)}{paid}")


def _cost(amount: float | None) -> str:
    return "an unknown amount" if amount is None else f"{amount:,.2f}" if amount >= 0.1 else f"{amount:.2g}"


def _opened(results: Path, by_revision: bool, reported: bool = False) -> OpenResults:
    """The folder; which files, rows and columns could not be used is said, of many the first, as the report lists them all."""
    from genzoo.reports.results import open_results

    found = open_results(results, by_revision=by_revision, reported=reported)
    for problem in found.problems[:_PROBLEMS]:
        log.warning("%s: %s", problem.source, problem.reason)
    if (more := len(found.problems) - _PROBLEMS) > 0:
        log.warning("%s more problems; genzoo report lists them all", f"{more:,}")
    return found


def _print_written(paths: list[Path]) -> None:
    for path in paths:
        out.print(f"wrote {path}")


def leaderboard(
    results: Results,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for leaderboard.md, .csv, .json and .tex.")
    ] = None,
    benchmark: BenchmarkName = None,
    reference: Reference = None,
    by_revision: ByRevision = False,
    reported: Reported = False,
    json: Json = False,
) -> None:
    """Rank the models of a results folder; print it, or write Markdown, CSV, JSON and LaTeX."""
    with many_objects():
        board = _opened(results, by_revision, reported).leaderboard(benchmark, reference=reference)
        table = board.table(is_full=json)
    if output is not None:
        for path in board.write(output):
            (err if json else out).print(f"wrote {path}")
    if json:
        print_json(json_library.loads(table.to_json()))
    elif output is None:
        out.print(table.to_markdown(), markup=False)
        for line in board.caveats:
            log.warning(line.text)


def report(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html and report.md.")] = Path(
        "output/report"
    ),
    benchmark: BenchmarkName = None,
    reference: Reference = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the report; by default it says what was measured.")
    ] = None,
    studies: Annotated[
        Path | None, typer.Option(help="Folder that genzoo study wrote; RESULTS/studies by default, if there is one.")
    ] = None,
    figures: Annotated[
        list[str] | None,
        typer.Option("--figures", help="Also write the figures for a paper, as png, svg or pdf; may be repeated."),
    ] = None,
    by_revision: ByRevision = False,
    reported: Reported = False,
) -> None:
    """Write one self-contained HTML report, and the same in Markdown."""
    with many_objects():
        paths = _opened(results, by_revision, reported).report(
            output, benchmark=benchmark, reference=reference, title=title, studies=studies, figures=figures or ()
        )
    _print_written(paths)


def compare(
    results: Results,
    model: Annotated[str, typer.Argument(help="First model, as the leaderboard names it or as it was measured.")],
    other: Annotated[str, typer.Argument(help="Second model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the comparison.")] = Path(
        "output/comparison"
    ),
    by_revision: ByRevision = False,
) -> None:
    """Compare two models task by task; for a search of your own, say which finds better and how sure that is."""
    found = _opened(results, by_revision).compare(model, other)
    if found.verdict:
        out.print(clean(found.verdict), markup=False)
    for each in found.board.caveats:
        if each.kind == "unjudged":
            log.warning(each.text)
    _print_written(found.report(output))


def site(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the site.")] = Path("output/site"),
    title: Annotated[str, typer.Option(help="Title of the site.")] = "Generative embeddings",
    by_revision: ByRevision = False,
    reported: Reported = False,
) -> None:
    """Write a static leaderboard site: a page per benchmark and a page per model, for any web server or none."""
    with many_objects():
        paths = _opened(results, by_revision, reported).site(output, title=title)
    out.print(f"wrote {len(paths)} files, begin with {output / 'index.html'}")


def submit(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the submission.")] = Path(
        "output/submission"
    ),
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Model to submit, as org/name; all models of the folder by default."),
    ] = None,
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", help="Benchmark whose missing tasks the checklist names.")
    ] = "MTEB(eng, v2)",
) -> None:
    """Write what the MTEB results repository takes, the ModelMeta for mteb, and a checklist of what is missing."""
    from genzoo.reports.results import Results as OpenResults

    for part in OpenResults(results).submit(output, models=models or (), benchmark=benchmark):
        found = f"{plural(len(part.taken), 'result')}, {plural(len(part.problems), 'problem')}"
        out.print(f"{clean(part.name)}: {found}")
    out.print(f"wrote {output}. Next: read {output / 'CHECKLIST.md'}")


def tasks_(pattern: Pattern = "*", json: Json = False) -> None:
    """List the tasks that can be measured, of mteb and of genzoo."""
    from genzoo.tasks.sets.catalogue import TaskSummary, list_tasks

    print_rows(TaskSummary._fields, list_tasks(pattern), json)


def benchmarks_(pattern: BenchmarkPattern = "*", json: Json = False) -> None:
    """List the benchmarks that can be measured, of mteb and of genzoo."""
    from genzoo.tasks.sets.catalogue import BenchmarkSummary, list_benchmarks

    print_rows(BenchmarkSummary._fields, list_benchmarks(pattern), json)


COMMANDS = (evaluate, leaderboard, report, compare, site, submit, tasks_, benchmarks_)
