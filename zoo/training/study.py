"""A study's cells -> trained checkpoints -> one tidy file. Finished cells are kept; the same call goes on after a stop."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from psutil import virtual_memory

from genzoo.backbones.entries import backbone_content, backbone_digest, fetch_backbone
from genzoo.backbones.generation import Query, Response
from genzoo.errors import TrainingError
from genzoo.files import parts_digest, read_json, write_json, write_text
from genzoo.intervals import mean_interval
from genzoo.jobs import report
from genzoo.policies.policy import with_content
from genzoo.recipes.recipes import UNSUPERVISED, Recipe
from genzoo.recipes.studies import LAYERS, RESULTS, TEACHER, Study, StudyRow, read_results, run_folder
from genzoo.teachers.teachers import fetch_teacher
from genzoo.training.pipeline import TrainingRun, teacher_content
from genzoo.training.plan import check_recipe
from genzoo.training.responses import HELD_OUT, read_responses, write_responses
from genzoo.training.state import StateFolder, TextStates

log = logging.getLogger(__name__)


def settle(study: Study, queries: Sequence[Query], output: Path) -> dict[tuple[str, int], str]:
    """Fetch and check what every cell needs, and what the folder holds of it.

    Args:
        study: What to compare.
        queries: The log.
        output: Folder of the study.

    Returns:
        Cell -> digest of what it is made of, apart from its recipe.

    Raises:
        InputError: For a recipe that cannot be made of its backbone and the log.
        TrainingError: For figures or states in the folder that are damaged, or of another study, recipe, log, backbone or teacher.
    """
    rows, log = read_results(output / RESULTS), parts_digest(query.text for query in queries)
    if others := sorted({row.study for row in rows} - {study.name}):
        raise TrainingError(
            f"{output / RESULTS} holds figures of the study {', '.join(others)}, this one is {study.name}: choose another --output"
        )
    contents, made_of = dict[str, str](), dict[tuple[str, int], str]()
    for variant, seed in study.cells:
        recipe = _recipe_of(study, variant, seed)
        folder = fetch_backbone(recipe.backbone)
        if recipe.backbone not in contents:
            contents[recipe.backbone] = backbone_content(folder, backbone_digest(folder))
        if recipe.teacher != UNSUPERVISED and recipe.teacher not in contents:
            fetch_teacher(recipe.teacher)
            contents[recipe.teacher] = teacher_content(recipe.teacher)
        check_recipe(recipe, folder, len(queries), recipe.teacher == UNSUPERVISED)
        parts = (log, contents[recipe.backbone], contents.get(recipe.teacher, UNSUPERVISED))
        made_of[variant, seed] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        made = {"recipe": recipe.digest(), "backbone": contents[recipe.backbone]}
        if not any(row.cell == (variant, seed) for row in rows):
            StateFolder(run_folder(output, variant, seed) / "tokens", made).check()
    _check_rows(study, rows, output, made_of)
    return made_of


def _recipe_of(study: Study, variant: str, seed: int) -> Recipe:
    """The recipe of a cell as its training writes it down."""
    return with_content(study.recipe_of(variant, seed))


def _check_rows(study: Study, rows: Sequence[StudyRow], output: Path, made_of: Mapping[tuple[str, int], str]) -> None:
    """Refuse figures of cells that were trained otherwise; say what is kept without being known."""
    path = output / RESULTS
    digests = {cell: _recipe_of(study, *cell).digest() for cell in made_of}
    for row in rows:
        if row.recipe_digest != digests.get(row.cell, row.recipe_digest):
            raise TrainingError(
                f"{path} holds {row.cell[0]}, seed {row.seed}, of another recipe or study: choose another --output, or delete "
                "those lines"
            )
        if row.made_of and row.made_of != made_of.get(row.cell, row.made_of):
            raise TrainingError(
                f"{path} holds {row.cell[0]}, seed {row.seed}, made of another query log, backbone or teacher: choose another "
                "--output, or delete those lines and the folders of those cells"
            )
    if strangers := sorted({f"{row.cell[0]} (seed {row.seed})" for row in rows if row.cell not in made_of}):
        log.warning(
            f"{path} holds figures of cells that are not part of the study now: {', '.join(strangers)}. They are kept, behind the "
            "others; delete their lines if they should not be reported."
        )
    if unknown := {row.cell for row in rows if row.cell in made_of and not row.made_of}:
        log.warning(
            f"{path} does not say of which query log, backbone and teacher {len(unknown):,} of {len(made_of):,} cells were made: "
            "they are taken as made of this study's."
        )


Measure = Callable[[str], Mapping[str, float]]
"""Model (a run's folder, a teacher's key or folder) -> metric -> value."""
SHARE_OF_MEMORY = 4
"""Of the memory that is free, one part in so many keeps states of texts from one cell to the next."""
CONTROLS = ("recon_own", "recon_shuffled", "cosine_own", "cosine_other", "top1", "decoded")
"""Of the held-out figures (`genzoo.training.controls`), those that a study compares."""
JUDGED = ("cosine_own", "cosine_other", "top1", "decoded")
"""Those in which a teacher says how near two texts are."""


@dataclass(frozen=True)
class StudySummary:
    """A variant's mean over seeds.

    Attributes:
        variant: What was changed.
        metric: Which figure.
        n: Seeds.
        mean: Over the seeds.
        low: Lower end of the 95 % interval of that mean (Student's t); NaN for one seed.
        high: Upper end.
        difference: Mean difference to the first variant, seed by seed.
        difference_low: Lower end of its 95 % interval.
        difference_high: Upper end.
    """

    variant: str
    metric: str
    n: int
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def run_study(
    study: Study,
    queries: Sequence[Query],
    output: Path,
    *,
    measure: Measure | None = None,
    metrics: Sequence[str] = (),
    device: str | None = None,
    responses: Sequence[Response] = (),
) -> list[StudyRow]:
    """Train and measure every cell that is not finished yet, and write ``results.csv`` and ``summary.csv`` after each.

    What would stop any cell (a recipe that its backbone cannot follow, a teacher that cannot be had, figures or states of other
    recipes in the folder) is found before the first is trained.

    Answers are shared by all cells that ask alike, targets and the states of texts by all cells. Several processes may work on one
    folder: each takes the cells that no other has. A cell whose figures stand in ``results.csv`` is finished, so that file alone
    is enough to go on from.

    Args:
        study: What to compare.
        queries: The log.
        output: Folder of the study.
        measure: Measures a model further; its teacher is measured too, once.
        metrics: What ``measure`` gives; a finished cell that lacks one of them is measured again.
        device: Where to compute.
        responses: Answers made earlier, asked as the first variant asks.

    Raises:
        InputError: For a recipe that cannot be made of its backbone and the log.
        TrainingError: For files of another study, recipe, log, backbone or teacher in the folder.
    """
    cells = study.cells
    made_of = settle(study, queries, output)
    texts: dict[tuple[str, int], TextStates] = {}  # a shallow pass makes no keys and values of the layers above
    recipes = {(recipe.backbone, recipe.exit_layer) for recipe in (_recipe_of(study, *cell) for cell in cells)}
    room = virtual_memory().available // (SHARE_OF_MEMORY * len(recipes))
    made = _responses_folder(output, _recipe_of(study, *cells[0])) / "responses.jsonl"
    if responses and not made.is_file():
        write_responses(made, responses)
    for done, (variant, seed) in enumerate(cells):
        report("study", done, len(cells), f"{variant}, seed {seed}")
        recipe = _recipe_of(study, variant, seed)
        folder = run_folder(output, variant, seed)
        with _alone(folder) as is_mine:
            own = {row.metric for row in read_results(output / RESULTS) if (row.variant, row.seed) == (variant, seed)}
            if not is_mine or (own and own >= set(metrics)):  # another process has it, or it is finished
                continue
            kept = texts.setdefault((recipe.backbone, recipe.exit_layer), TextStates(room))
            run = TrainingRun(
                recipe,
                queries,
                folder,
                device,
                responses_folder=_responses_folder(output, recipe),
                targets_folder=output / "shared",
                always_judged=True,
                texts=kept,
            )
            found = _measured(study, run, variant, output, measure, metrics)
            found = [replace(row, made_of=made_of[variant, seed]) for row in found]
            _add(study, output, found)
    depths = _layers_run(study, read_results(output / RESULTS))
    if depths or not (output / "summary.csv").is_file():
        _add(study, output, depths)
    report("study", len(cells), len(cells))
    return read_results(output / RESULTS)


def _layers_run(study: Study, rows: Sequence[StudyRow]) -> list[StudyRow]:
    """How many layers embed a text, for measured cells that lack it; none in a study that compares no exit layers."""
    recipes = {cell: _recipe_of(study, *cell) for cell in study.cells}
    if not any(recipe.exit_layer for recipe in recipes.values()):
        return []
    known = {row.cell for row in rows if row.metric == LAYERS}
    measured = {row.cell: row for row in rows if row.cell in recipes and row.variant == row.cell[0]}
    return [
        replace(row, metric=LAYERS, value=recipes[cell].exit_layer or _count_layers(recipes[cell].backbone), sample="")
        for cell, row in measured.items()
        if cell not in known
    ]


def _count_layers(backbone: str) -> int:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(fetch_backbone(backbone)).get_text_config().num_hidden_layers


def _add(study: Study, output: Path, found: Sequence[StudyRow]) -> None:
    """Put a cell's figures in the place of those that it had, and write the means anew."""
    new = {(row.variant, row.seed, row.metric) for row in found}
    order = {cell: place for place, cell in enumerate(study.cells)}
    with FileLock(output / ".results.lock"):
        kept = [row for row in read_results(output / RESULTS) if (row.variant, row.seed, row.metric) not in new]
        rows = sorted([*kept, *found], key=lambda row: order.get(row.cell, len(order)))
        _write(output / RESULTS, rows, StudyRow)
        _write(output / "summary.csv", summarise(study, rows), StudySummary)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this process has the cell for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    with ExitStack() as held:
        with suppress(Timeout):
            held.enter_context(lock)
        yield lock.is_locked


def _measured(
    study: Study, run: TrainingRun, variant: str, output: Path, measure: Measure | None, metrics: Sequence[str]
) -> list[StudyRow]:
    """Train one cell; its figures and its teacher's."""
    recipe, figures, rows = run.recipe, dict[str, float](), list[StudyRow]()
    # Answers, teacher and targets: the first process makes them, the others find them.
    with FileLock(output / ".shared.lock"):
        run.targets([one.target for one in run.examples()])
    controls, digest = run.train().info.get("controls"), recipe.digest()
    if controls:
        figures |= {key: controls[key] for key in CONTROLS if controls[key] is not None}
        if None not in (controls["recon_shuffled"], controls["recon_own"]):
            figures["recon_gap"] = controls["recon_shuffled"] - controls["recon_own"]
    if measure:
        figures |= measure(str(run.output))
        rows += [
            StudyRow(study.name, TEACHER + variant, recipe.seed, metric, value, digest)
            for metric, value in _measure_teacher(run, measure, output, metrics).items()
        ]
    samples = _samples(run) if controls else {}
    rows += [
        StudyRow(study.name, variant, recipe.seed, metric, value, digest, sample=samples.get(metric, ""))
        for metric, value in figures.items()
    ]
    if not rows:
        raise TrainingError(f"{variant}, seed {recipe.seed}: nothing was measured; give more queries, or a benchmark")
    return rows


def _samples(run: TrainingRun) -> dict[str, str]:
    """For each control what it was measured on: the held-out responses, and for a judged one also the teacher."""
    held = read_responses(run.output / HELD_OUT)
    text = "\0".join(f"{row.query}\0{row.response}" for row in held)
    texts = f"{len(held)} responses {hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return {name: f"{texts}; judge {run.teacher[0]}" if name in JUDGED else texts for name in (*CONTROLS, "recon_gap")}


def _measure_teacher(run: TrainingRun, measure: Measure, output: Path, metrics: Sequence[str]) -> Mapping[str, float]:
    """The teacher of a run on the same tasks, which read the same raw texts; measured once for all cells that share it."""
    if not run.recipe.losses.align:
        return {}
    name = run.teacher[0]
    path = output / "teachers" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    kept = read_json(path, "delete it, the teacher is measured again", error=TrainingError, is_optional=True)
    if not kept or not set(metrics) <= set(kept):
        is_own = run.recipe.teacher == UNSUPERVISED
        where = str(output / "shared" / "teacher" / name) if is_own else run.recipe.teacher
        kept |= dict(measure(where))
        write_json(path, kept)
    return {name: math.nan if value is None else value for name, value in kept.items()}


def _responses_folder(output: Path, recipe: Recipe) -> Path:
    """Where the answers of all cells lie that ask alike."""
    options = recipe.response
    facts = (recipe.backbone, replace(options, system_prompt=options.system_text, limit=0))
    return output / "responses" / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def summarise(study: Study, rows: Sequence[StudyRow]) -> list[StudySummary]:
    """Mean and 95 % interval of every figure of every variant, and of its difference to the first variant, seed by seed.

    There is no difference of controls that were measured on other texts or by another teacher.
    """
    values: dict[tuple[str, str], dict[int, StudyRow]] = {}
    for row in rows:
        values.setdefault((row.variant, row.metric), {})[row.seed] = row
    first = next(iter(study.variants))
    made = []
    for (variant, metric), by_seed in values.items():
        base = values.get((TEACHER + first if variant.startswith(TEACHER) else first, metric), {})
        pairs = [(row, base[seed]) for seed, row in by_seed.items() if seed in base]
        alike = [row.value - other.value for row, other in pairs if row.sample == other.sample]
        mean = mean_interval([row.value for row in by_seed.values()])
        made.append(StudySummary(variant, metric, len(by_seed), *mean, *mean_interval(alike)))
    return made


def _write(path: Path, rows: Sequence[Any], kind: type[Any]) -> None:
    table = pd.DataFrame([astuple(row) for row in rows], columns=[one.name for one in fields(kind)], dtype=object)
    write_text(path, table.to_csv(index=False, na_rep="nan", lineterminator="\n"))
