"""A study's cells -> trained checkpoints -> one tidy file. Finished cells are kept; the same call goes on after a stop."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from filelock import FileLock, Timeout
from psutil import virtual_memory

from genzoo.errors import TrainingError
from genzoo.files import strict_json, write_text
from genzoo.recipes import UNSUPERVISED, Recipe
from genzoo.studies import Study
from genzoo.training.pipeline import OnProgress, TrainingRun
from genzoo.training.queries import Query
from genzoo.training.responses import Response, write_responses
from genzoo.training.text_states import TextStates

Measure = Callable[[str], Mapping[str, float]]
"""Model (a run's folder, a teacher's key or folder) -> metric -> value."""
RESULTS, TEACHER = "results.csv", "teacher of "
SHARE_OF_MEMORY = 4
"""Of the memory that is free, one part in so many keeps states of texts from one cell to the next."""
CONTROLS = ("recon_own", "recon_shuffled", "cosine_own", "cosine_other", "top1", "decoded")
"""Of the held-out figures (`genzoo.training.controls`), those that a study compares."""


@dataclass(frozen=True)
class StudyRow:
    """One figure of one cell: a line of ``results.csv``.

    Attributes:
        study: Name of the study.
        variant: What was changed; ``teacher of <variant>`` for the teacher itself.
        seed: Of the training.
        metric: ``recon_gap`` and the other held-out controls, or a task's name with its main score.
        value: The figure.
        recipe_digest: Of the cell's recipe.
    """

    study: str
    variant: str
    seed: int
    metric: str
    value: float
    recipe_digest: str


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
    device: str | None = None,
    responses: Sequence[Response] = (),
    on_progress: OnProgress = lambda stage, done, total, remark: None,
) -> list[StudyRow]:
    """Train and measure every cell that is not finished yet, and write ``results.csv`` and ``summary.csv`` after each.

    Answers are shared by all cells that ask alike, targets and the states of texts by all cells. Several processes may work on one
    folder: each takes the cells that no other has. A cell whose figures stand in ``results.csv`` is finished, so that file alone
    is enough to go on from.

    Args:
        study: What to compare.
        queries: The log.
        output: Folder of the study.
        measure: Measures a model further; its teacher is measured too, once.
        device: Where to compute.
        responses: Answers made earlier, asked as the first variant asks.
        on_progress: Told how far each stage is; the stage ``study`` counts cells.
    """
    cells = [(variant, seed) for seed in study.seeds for variant in study.variants]
    texts: dict[str, TextStates] = {}
    made = _responses_folder(output, study.recipe_of(*cells[0])) / "responses.jsonl"
    if responses and not made.is_file():
        write_responses(made, responses)
    for done, (variant, seed) in enumerate(cells):
        on_progress("study", done, len(cells), f"{variant}, seed {seed}")
        recipe = study.recipe_of(variant, seed)
        folder = output / "runs" / f"{variant}--seed-{seed}"
        with _alone(folder) as is_mine:
            if not is_mine or _finished(study, output, variant, recipe):
                continue
            kept = texts.setdefault(recipe.backbone, TextStates(virtual_memory().available // SHARE_OF_MEMORY))
            run = _cell(recipe, queries, output, folder, device, kept, on_progress)
            found = _measured(study, run, variant, output, measure)
            with FileLock(output / ".results.lock"):
                rows = [*read_results(output / RESULTS), *found]
                rows.sort(key=lambda row: cells.index((row.variant.removeprefix(TEACHER), row.seed)))
                _write(output / RESULTS, rows, StudyRow)
                _write(output / "summary.csv", summarise(study, rows), StudySummary)
    on_progress("study", len(cells), len(cells), "")
    return read_results(output / RESULTS)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this process has the cell for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def read_results(path: Path) -> list[StudyRow]:
    """The rows of a ``results.csv``; none where there is no such file."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        return [StudyRow(**row | {"seed": int(row["seed"]), "value": float(row["value"])}) for row in table]  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise TrainingError(f"{path} is damaged ({error}): mend or delete it, its cells are measured again") from error


def _finished(study: Study, output: Path, variant: str, recipe: Recipe) -> bool:
    """Whether a cell was measured, with the same recipe."""
    rows = [row for row in read_results(output / RESULTS) if (row.variant, row.seed) == (variant, recipe.seed)]
    if any((row.study, row.recipe_digest) != (study.name, recipe.digest()) for row in rows):
        raise TrainingError(
            f"{output / RESULTS} holds {variant}, seed {recipe.seed}, of another recipe or study: choose another --output, or "
            "delete those lines"
        )
    return bool(rows)


def _cell(
    recipe: Recipe,
    queries: Sequence[Query],
    output: Path,
    folder: Path,
    device: str | None,
    texts: TextStates,
    on_progress: OnProgress,
) -> TrainingRun:
    return TrainingRun(
        recipe,
        queries,
        folder,
        device,
        on_progress=on_progress,
        responses_folder=_responses_folder(output, recipe),
        targets_folder=output / "shared",
        always_judged=True,
        texts=texts,
    )


def _measured(study: Study, run: TrainingRun, variant: str, output: Path, measure: Measure | None) -> list[StudyRow]:
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
            for metric, value in _measure_teacher(run, measure, output).items()
        ]
    rows += [StudyRow(study.name, variant, recipe.seed, metric, value, digest) for metric, value in figures.items()]
    if not rows:
        raise TrainingError(f"{variant}, seed {recipe.seed}: nothing was measured; give more queries, or a benchmark")
    return rows


def _measure_teacher(run: TrainingRun, measure: Measure, output: Path) -> Mapping[str, float]:
    """The teacher of a run on the same tasks, which read the same raw texts; measured once for all cells that share it."""
    if not run.recipe.losses.align:
        return {}
    name = run.teacher[0]
    path = output / "teachers" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    if not path.is_file():
        where = str(output / "shared" / "teacher" / name) if run.recipe.teacher == UNSUPERVISED else name
        write_text(path, strict_json(dict(measure(where)), indent=1) + "\n")
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else value for name, value in found.items()}


def _responses_folder(output: Path, recipe: Recipe) -> Path:
    """Where the answers of all cells lie that ask alike."""
    options = recipe.response
    facts = (recipe.backbone, replace(options, system_prompt=options.system_text, limit=0))
    return output / "responses" / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def summarise(study: Study, rows: Sequence[StudyRow]) -> list[StudySummary]:
    """Mean and 95 % interval of every figure of every variant, and of its difference to the first variant, seed by seed."""
    values: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        values.setdefault((row.variant, row.metric), {})[row.seed] = row.value
    first = next(iter(study.variants))
    made = []
    for (variant, metric), by_seed in values.items():
        base = values.get((TEACHER + first if variant.startswith(TEACHER) else first, metric), {})
        mean = mean_interval(list(by_seed.values()))
        difference = mean_interval([value - base[seed] for seed, value in by_seed.items() if seed in base])
        made.append(StudySummary(variant, metric, len(by_seed), *mean, *difference))
    return made


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval by Student's t; NaN where there is too little to tell.

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    from scipy.stats import t

    if len(values) < 2:
        return (values[0] if values else math.nan), math.nan, math.nan
    mean = fmean(values)
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _write(path: Path, rows: Sequence[Any], kind: type[Any]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, [one.name for one in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_text(path, text.getvalue())
