"""The verbs of training: from a query log to a model, each stage by itself, the plan, and the held-out controls."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from genzoo.backbones.generation import Query, Response
from genzoo.errors import InputError
from genzoo.frames import Rows
from genzoo.jobs import Processes, Shard, job, measure_speed
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED, Recipe, override
from genzoo.training.queries import read_queries
from genzoo.training.responses import HELD_OUT, REFUSALS, read_all_responses, read_responses

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from genzoo.models.checkpoint import TokenCheckpoint
    from genzoo.training.controls import Controls
    from genzoo.training.pipeline import TrainingRun
    from genzoo.training.plan import TrainingPlan

log = logging.getLogger(__name__)
Queries = str | Path | Sequence[str]
"""A query log: a file (.txt, .jsonl, .csv, .tsv or .parquet), or the queries themselves."""


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        folder: Its output folder, as `genzoo.load` and `genzoo.evaluate` take it.
        checkpoint: What was trained.
    """

    folder: Path
    checkpoint: TokenCheckpoint

    @property
    def controls(self) -> Controls | None:
        """Held-out figures; None where fewer than two queries were held out."""
        from genzoo.training.controls import recorded_controls

        return recorded_controls(self.checkpoint)

    def load(self, *, device: str | None = None) -> SentenceTransformer:
        """The model as a SentenceTransformer."""
        from genzoo.models.loading import load

        return load(self.folder, device=device)

    def export(self, folder: str | Path, merge: bool = False) -> Path:
        """Write a folder that ``SentenceTransformer(folder)`` loads without genzoo (`genzoo.export`)."""
        from genzoo.models.loading import export

        return export(self.folder, folder, merge)


class RecipeOptions(TypedDict, total=False):
    """How a log is read and what is changed in a recipe; `train` says what each means."""

    column: str | None
    steps: int | None
    batch: int | None
    answers: int | None
    seed: int | None
    backbone: str | None
    teacher: str | None
    policy: str | Path | None
    set: Mapping[str, Any] | None


@job()
def train(
    recipe: str | Recipe,
    queries: Queries,
    output: str | Path = "output/run",
    *,
    responses: str | Path | None = None,
    device: str | None = None,
    column: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    answers: int | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    teacher: str | None = None,
    policy: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> Run:
    """Train a model on a query log: responses, targets, training, checkpoint, held-out controls.

    Every stage keeps its files in the output folder. After a stop the same call goes on there.

    Args:
        recipe: Name of a recipe (``genzoo list --recipes``), or a `Recipe`.
        queries: Query log: a file (.txt, .jsonl, .csv, .tsv or .parquet), or the queries themselves.
        output: Folder of this run.
        responses: ``responses.jsonl[.gz]`` made earlier for these queries.
        device: Where to compute; the best available by default.
        column: Column of the log that holds the queries, if it has none of the usual names.
        steps: Training steps, instead of the recipe's.
        batch: Examples per step, instead of the recipe's.
        answers: How many queries the backbone answers; 0 for all.
        seed: Random seed, instead of the recipe's.
        backbone: Key, folder or ``org/name[@commit]`` of another frozen LLM.
        teacher: Key, SentenceTransformer folder, ``org/name[@commit]``, or ``unsupervised``.
        policy: File of requests that are to be refused or answered (text, refuse), or ``default``: the LLM learns from them which
            queries of the log get a refusal as their response.
        set: Dotted field of the recipe -> value, as ``{"losses.recon": 0}``.

    Raises:
        InputError: For a log, recipe or field that cannot be used.
        TrainingError: When training cannot start or go on.
    """
    run = _prepare(
        recipe, queries, output, device, responses,
        column=column, steps=steps, batch=batch, answers=answers, seed=seed, backbone=backbone, teacher=teacher,
        policy=policy, set=set,
    )  # fmt: skip
    return Run(run.output, run.train())


def plan_training(
    recipe: str | Recipe, queries: Queries, *, device: str | None = None, **options: Unpack[RecipeOptions]
) -> TrainingPlan:
    """The parameters, memory, tokens and time that `train` would need with the same arguments. Nothing is fetched or written.

    Raises:
        InputError: For a log, recipe or field that cannot be used.
    """
    from genzoo.training.plan import answers_in_bfloat16, backbone_row, check_what_is_here, make_plan

    chosen, asked = _read(recipe, queries, options)
    check_what_is_here(chosen, len(asked))
    is_bfloat16 = answers_in_bfloat16(chosen.response, backbone_row(chosen.backbone), device)
    return make_plan(chosen, asked, measure_speed(device), is_bfloat16)


@job()
def responses(
    recipe: str | Recipe,
    queries: Queries,
    output: str | Path = "output/run",
    *,
    shard: str = "1/1",
    batch_size: int = 32,
    device: str | None = None,
    **options: Unpack[RecipeOptions],
) -> Rows[Response]:
    """Stage 1 of `train`: the frozen LLM answers the queries of a log. Arguments that are not listed are those of `train`.

    Args:
        recipe: Name of a recipe, or a `Recipe`.
        queries: Query log: a file, or the queries themselves.
        output: Folder of the run.
        shard: ``i/n``: answer only this part of the log; parts may run at the same time.
        batch_size: Queries answered at once.
        device: Where to compute; the best available by default.
        options: See `train`.

    Returns:
        The responses of this shard that are not empty.
    """
    part = Shard.parse(shard)
    return Rows(_prepare(recipe, queries, output, device, batch_size=batch_size, **options).responses(part))


@job()
def teacher(
    recipe: str | Recipe,
    queries: Queries,
    output: str | Path = "output/teacher",
    *,
    device: str | None = None,
    **options: Unpack[RecipeOptions],
) -> Path:
    """Make a teacher out of the frozen LLM itself, without labels, and write it as a SentenceTransformer folder.

    Args:
        recipe: Name of a recipe, or a `Recipe`; its ``unsupervised`` fields say how.
        queries: Query log: a file, or the queries themselves.
        output: Folder of the teacher; an earlier teacher in it is replaced, any other content is an error.
        device: Where to compute; the best available by default.
        options: See `train`.

    Returns:
        The folder.
    """
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.teachers.unsupervised import fit_teacher

    (chosen, rows), folder = _read(recipe, queries, options), Path(output)
    if folder.exists() and not (folder / "modules.json").is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and is not a SentenceTransformer folder: choose another --output")
    chosen = _pinned(chosen)
    where, texts = fetch_backbone(chosen.backbone), [row.text for row in rows]
    fit_teacher(where, texts, chosen.unsupervised, folder, seed=chosen.seed, device=device)
    return folder


@job()
def targets(
    recipe: str | Recipe,
    queries: Queries,
    output: str | Path = "output/run",
    *,
    responses: str | Path | None = None,
    device: str | None = None,
    **options: Unpack[RecipeOptions],
) -> dict[str, Tensor]:
    """Stage 2 of `train`, with the same arguments: the teacher embeds the responses; stage 1 runs first if needed.

    Returns:
        Target text -> ``(D,)`` embedding; empty where the recipe's alignment loss is off.
    """
    run = _prepare(recipe, queries, output, device, responses, **options)
    run.fetch()
    return run.targets([one.target for one in run.examples()])


@job()
def controls(
    model: str | Path,
    held_out: str | Path | None = None,
    n: int = 200,
    *,
    teacher: str | None = None,
    seed: int = 0,
    save: bool = False,
    device: str | None = None,
) -> Controls:
    """Check, on held-out queries, that a model's soft prompts are specific to the query.

    Args:
        model: Folder of a run (`train`), or a zoo model.
        held_out: Responses as JSONL to queries that the model was not trained on; the run's own by default.
        n: Number of responses to use, from the end.
        teacher: Teacher that judges decoded texts; by default the one that the model was trained with.
        seed: Random seed that draws the other queries for the comparison.
        save: Keep the figures in the checkpoint's folder.
        device: Where to compute; the best available by default.

    Raises:
        InputError: Where fewer than two responses are held out, or the model's teacher is not recorded.
    """
    from genzoo.models.loading import find_checkpoint
    from genzoo.training.controls import measure_on

    checkpoint, folder = find_checkpoint(model), Path(model)
    if save and not folder.is_dir():
        raise InputError(f"--save needs a folder that genzoo train wrote, {model} is a name")
    rows = _held_out(Path(held_out or folder / HELD_OUT), n)
    if held_out is not None:
        _note_trained_on(rows, folder, Path(held_out))
    found = measure_on(checkpoint, rows, teacher or teacher_of(model), seed=seed, device=device)
    if save:
        inner = folder / "checkpoint"
        info = checkpoint.info | {"controls": asdict(found)}
        replace(checkpoint, info=info).save(inner if inner.is_dir() else folder)
    return found


def choose_recipe(recipe: str | Recipe, changes: Mapping[str, Any] | None = None, **options: Any) -> Recipe:
    """A recipe by name, with fields changed.

    Args:
        recipe: Its name, or the recipe itself.
        changes: Dotted field -> value; these come before the options.
        options: ``steps``, ``batch``, ``answers``, ``policy``, or a field of the recipe; None leaves the recipe's own.
    """
    if not isinstance(recipe, str | Recipe):
        raise InputError(
            f"{recipe!r:.60} is no recipe: give the name of one (genzoo list --recipes), or a genzoo.Recipe"
        )
    if not isinstance(changes, Mapping | None):
        raise InputError(f"set is {changes!r:.60}: give a dict of fields and values, as {{'losses.recon': 0}}")
    short = {"steps": "optim.steps", "batch": "optim.batch", "answers": "response.limit", "policy": "policy.examples"}
    given = {short.get(key, key): value for key, value in options.items() if value is not None}
    if isinstance(source := given.get("policy.examples"), Path):
        given["policy.examples"] = str(source)
    return override(RECIPES.get(recipe) if isinstance(recipe, str) else recipe, given | dict(changes or {}))


def read_log(queries: Queries, column: str | None = None) -> list[Query]:
    """The queries of a log, or of a list: stripped, without empty and repeated ones; what is doubtful about a file is noted."""
    if isinstance(queries, str | Path):
        return read_queries(Path(queries), column)
    if not isinstance(queries, Iterable):
        raise InputError(f"queries are {queries!r:.60}: give a list of texts, or the path of a query log")
    kept: dict[str, Query] = {}
    for place, text in enumerate(queries):
        if not isinstance(text, str):
            raise InputError(f"query number {place} is a {type(text).__name__}, not a string: {text!r:.60}")
        if text := text.strip():
            kept.setdefault(text, Query(f"q{place:06d}", text))
    if not kept:
        raise InputError("the list of queries is empty: give at least one text, or the path of a query log")
    return list(kept.values())


def _pinned(recipe: Recipe) -> Recipe:
    """The recipe with the Hub's names pinned to commits."""
    from genzoo.backbones.sources import pin_name

    return replace(recipe, backbone=pin_name(recipe.backbone), teacher=pin_name(recipe.teacher))


def _read(recipe: str | Recipe, queries: Queries, options: RecipeOptions) -> tuple[Recipe, list[Query]]:
    """The recipe with its changes, and the log."""
    changes: dict[str, Any] = {**options}
    column = changes.pop("column", None)
    return choose_recipe(recipe, changes.pop("set", None), **changes), read_log(queries, column)


def _prepare(
    recipe: str | Recipe,
    queries: Queries,
    output: str | Path,
    device: str | None,
    made: str | Path | None = None,
    batch_size: int = 32,
    **options: Unpack[RecipeOptions],
) -> TrainingRun:
    """The run that the arguments describe, with the responses that were made earlier."""
    from genzoo.training.pipeline import TrainingRun

    chosen, asked = _read(recipe, queries, options)
    given = given_responses(made, asked[: chosen.response.limit or None])
    chosen = _pinned(chosen)
    Path(output).mkdir(parents=True, exist_ok=True)
    processes = Processes.from_environment(device)
    run = TrainingRun(chosen, asked, Path(output), device, batch_size, processes)
    with processes.main_first():
        if made and processes.is_main:
            run.take(given, Path(made))
    return run


def given_responses(made: str | Path | None, asked: Sequence[Query]) -> list[Response]:
    """The responses of an earlier run that answer these queries; none without a file."""
    if made is None:
        return []
    path = Path(made)
    if not path.is_file():
        raise InputError(
            f"there is no file {path}: give the responses.jsonl of an earlier run, or leave --responses out"
        )
    wanted = {query.text for query in asked}
    by_query: dict[str, Response] = {}
    for row in read_responses(path):
        if row.query in wanted and by_query.setdefault(row.query, row).response != row.response:
            raise InputError(
                f"{path} answers {row.query[:60]!r} twice, with different responses: keep one of the two lines"
            )
    if not by_query:
        raise InputError(
            f"{path} answers none of the {len(asked):,} queries: it belongs to another log, or --answers selects other queries; "
            "leave --responses out to have them answered"
        )
    if len(by_query) < len(asked):
        log.warning(f"{path} answers {len(by_query):,} of {len(asked):,} queries; the others are answered now")
    return list(by_query.values())


def _held_out(path: Path, n: int) -> list[Response]:
    answered = [row for row in read_responses(path) if row.response]
    # each is compared with the others, so that none may be answered twice
    rows = list({row.query: row for row in reversed(answered)}.values())[::-1]
    if repeated := len(answered) - len(rows):
        log.warning("%s answers %s of its queries again: the last response to each counts", path, f"{repeated:,}")
    rows = rows[-n:]
    if len(rows) < 2:
        raise InputError(
            f"{path} {'holds fewer than two responses' if path.is_file() else 'does not exist'}: give --held-out, a file such "
            "as genzoo responses writes, of queries that the model was not trained on"
        )
    return rows


def _note_trained_on(rows: list[Response], run: Path, path: Path) -> None:
    """Note where responses given as held out are some that the run was trained on."""
    kept = {row.query for row in read_responses(run / HELD_OUT)}
    if kept and (
        trained := {row.query for row in rows}
        & ({*read_all_responses(run), *read_all_responses(run / REFUSALS)} - kept)
    ):
        log.warning(
            "%s: the model was trained on %s of these %s queries, so the figures prove less than those of %s",
            path, f"{len(trained):,}", f"{len(rows):,}", run / HELD_OUT,
        )  # fmt: skip


def teacher_of(model: str | Path) -> str:
    """The teacher that the zoo's row or the checkpoint's recipe names; an unsupervised one is in the run's folder."""
    from genzoo.models.entries import get_entry
    from genzoo.models.loading import find_checkpoint

    folder = Path(model)
    if not folder.is_dir():
        return get_entry(str(model)).teacher
    recipe = find_checkpoint(model).info.get("recipe")
    if not (isinstance(recipe, dict) and "teacher" in recipe):
        raise InputError("the checkpoint does not name its teacher: give --teacher")
    if recipe["teacher"] != UNSUPERVISED:
        return str(recipe["teacher"])
    found = sorted(path.parent for path in folder.glob("teacher/*/modules.json"))
    if len(found) != 1:
        raise InputError(
            f"{folder / 'teacher'} holds {len(found)} teachers, not one: give --teacher, the folder of the unsupervised teacher"
        )
    return str(found[0])
