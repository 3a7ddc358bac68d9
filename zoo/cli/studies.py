"""The commands that judge a training: controls, study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from genzoo.cli.console import Bars, busy, err, out, print_json
from genzoo.cli.models import Device, Json
from genzoo.cli.training import PANEL, Column, Made, Queries, given_responses, print_note, read_log
from genzoo.errors import InputError

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

    from genzoo.backbones.generation import Response
    from genzoo.models.checkpoint import TokenCheckpoint


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (controls, study):
        app.command(rich_help_panel=PANEL)(command)


def controls(
    model: Annotated[str, typer.Argument(help="Folder that genzoo train wrote, or a zoo model.")],
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out", help="Responses, as JSONL, to queries that it was not trained on; default: those of the run."
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Who judges decoded texts; default: the teacher that it was trained with.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=2, help="How many of them to take, from the end.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the other queries that each is compared with.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Keep the figures in the checkpoint's folder.")] = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Do a model's soft prompts say something about the query? Its own response against other queries', on held-out queries."""
    from genzoo.models.loading import find_checkpoint
    from genzoo.training.controls import measure_on

    checkpoint = find_checkpoint(model)
    folder = Path(model)
    if save and not folder.is_dir():
        raise InputError(f"--save needs a folder that genzoo train wrote, {model} is a name")
    rows = _held_out(held_out or folder / "held-out.jsonl", n)
    if held_out is not None:
        _note_trained_on(rows, folder, held_out)
    judge = teacher or _own_teacher(checkpoint, model)
    with Bars() as bars:
        found = measure_on(
            checkpoint, rows, judge, seed=seed, device=device, on_progress=lambda *told: bars("controls", *told)
        )
    facts = asdict(found) | {"teacher": judge}
    if save:
        inner = folder / "checkpoint"
        info = checkpoint.info | {"controls": asdict(found)}
        replace(checkpoint, info=info).save(inner if inner.is_dir() else folder)
    if json:
        print_json(facts | {"recon_gap": found.recon_gap})
        return
    for label, value in found.rows():
        out.print(f"[bold]{label:<26}[/] {escape(str(value))}", highlight=False, markup=True)


def _held_out(path: Path, n: int) -> list[Response]:
    from genzoo.training.responses import read_responses

    answered = [row for row in read_responses(path) if row.response]
    # each is compared with the others, so that none may be answered twice
    rows = list({row.query: row for row in reversed(answered)}.values())[::-1]
    if repeated := len(answered) - len(rows):
        print_note(f"{path} answers {repeated:,} of its queries again: of each, the last response counts")
    rows = rows[-n:]
    if len(rows) < 2:
        raise InputError(
            f"{path} {'holds fewer than two responses' if path.is_file() else 'does not exist'}: give --held-out, a file such "
            "as genzoo responses writes, of queries that the model was not trained on"
        )
    return rows


def _note_trained_on(rows: list[Response], run: Path, path: Path) -> None:
    """Say where responses given as held out are some that the run was trained on."""
    from genzoo.training.responses import HELD_OUT, read_all_responses, read_responses

    kept = {row.query for row in read_responses(run / HELD_OUT)}
    if kept and (trained := {row.query for row in rows} & (set(read_all_responses(run)) - kept)):
        print_note(
            f"{path}: the model was trained on {len(trained):,} of the {len(rows):,} queries that are taken, so the figures say "
            f"less than those of {run / HELD_OUT}"
        )


def _own_teacher(checkpoint: TokenCheckpoint, model: str) -> str:
    """The teacher that the zoo's row or the checkpoint's recipe names; an unsupervised one lies in the run's folder."""
    from genzoo.models.entries import get_entry
    from genzoo.recipes.recipes import UNSUPERVISED

    folder = Path(model)
    if not folder.is_dir():
        return get_entry(model).teacher
    recipe = checkpoint.info.get("recipe")
    name = str(recipe["teacher"]) if isinstance(recipe, dict) and "teacher" in recipe else None
    if name is None:
        raise InputError("the checkpoint does not say who taught it: give --teacher")
    if name != UNSUPERVISED:
        return name
    found = sorted(path.parent for path in folder.glob("teacher/*/modules.json"))
    if len(found) != 1:
        raise InputError(
            f"{folder / 'teacher'} holds {len(found)} teachers, not one: give --teacher, the folder of the unsupervised teacher"
        )
    return str(found[0])


def study(
    name: Annotated[
        str, typer.Argument(help="ablation, ablation-small, or a JSON file with recipe, variants, seeds and common.")
    ],
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
    made: Made = None,
    device: Device = None,
) -> None:
    """Train every variant of a recipe with every seed, and compare them. Run the same command again to go on."""
    from genzoo.recipes.studies import find_study
    from genzoo.training.study import RESULTS, run_study

    chosen, log = find_study(name), read_log(queries, column)
    first = chosen.recipe_of(next(iter(chosen.variants)), chosen.seeds[0])
    given = given_responses(made, log[: first.response.limit or None])
    metrics = _task_names(benchmark, list(tasks or []))
    with Bars() as bars:

        def measure(model: str) -> Mapping[str, float]:
            return _measure(model, benchmark, list(tasks or []), output / "results", device, bars)

        rows = run_study(
            chosen,
            log,
            output,
            measure=measure if metrics else None,
            metrics=metrics,
            device=device,
            responses=given,
            on_progress=bars,
            on_note=print_note,
        )
    if measured := _unfixed(output / "results"):
        err.print(
            f"note: the documents of {', '.join(measured)} may have been drawn anew for each variant. To measure them again, which "
            f"trains nothing, delete {RESULTS}, teachers and results in {output} and run the same command",
            markup=False,
            highlight=False,
        )
    out.print(
        f"{len(rows)} figures in {output / 'results.csv'}, their means in {output / 'summary.csv'}", highlight=False
    )


def _task_names(benchmark: str | None, tasks: list[str]) -> list[str]:
    """The tasks that a study is measured on; a name that is none is an error before anything is trained."""
    if not (benchmark or tasks):
        return []
    with busy("loading mteb"):
        from genzoo.tasks.sets.registration import register, resolve_tasks

        register()
        return [task.metadata.name for task in resolve_tasks(benchmark, tasks)[0]]


def _unfixed(results: Path) -> list[str]:
    """Tasks of which some variant may have been scored on other documents than the rest."""
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.caveats import unfixed_draws

    if not (results / "tasks.json").is_file():
        return []
    store = ResultStore.load(results)
    return sorted(unfixed_draws(store, store.main_scores)["task"].unique())


def _measure(
    model: str, benchmark: str | None, tasks: list[str], output: Path, device: str | None, bars: Bars
) -> Mapping[str, float]:
    """Main score of each task, through mteb."""
    with busy("loading mteb"):
        from genzoo.tasks.evaluation import evaluate
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.mteb_models import resolve_model
        from genzoo.tasks.sets.registration import register, resolve_tasks

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
        on_note=lambda note: err.print(f"note: {note}", markup=False, highlight=False),
        facts={str(meta.name): asdict(known)},
    )
    scores = {one.task_name: float(one.get_score()) for one in result.task_results}
    return scores | _safety(str(meta.name), str(meta.revision), chosen, output)


def _safety(model: str, revision: str, tasks: Sequence[AbsTask], results: Path) -> dict[str, float]:
    """Safety at each utility for every safety task that was measured with its harmless twin, named after the safety task."""
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.evidence import write_judgements
    from genzoo.leaderboards.facts import ModelKey, safety_pairs
    from genzoo.leaderboards.safety import SafetyFigures

    store, names = ResultStore.load(results), {task.metadata.name for task in tasks}
    facts = {name: one for name, one in store.tasks.items() if name in names}
    paired = {name for pair in safety_pairs(facts) for name in pair}
    if not paired:
        return {}
    write_judgements([task for task in tasks if task.metadata.name in paired], results)
    key = ModelKey(model, revision)
    figures = SafetyFigures.of(ResultStore.load(results), [key], facts)
    return {
        f"{pair.pair.safety}.safety_at_utility_{found.utility * 100:.0f}": found.safety
        for pair in figures.pairs
        for found in pair.models.get(key, ())
    }
