"""Running a study whose variants are also measured on tasks: training, then mteb, then the figures of paired safety tasks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.frames import Rows
from genzoo.jobs import job, report

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

    from genzoo.training.run import Queries
    from genzoo.training.study import StudySummary

log = logging.getLogger(__name__)


@job()
def study(
    name: str | Path,
    queries: Queries,
    output: str | Path = "output/study",
    benchmark: str | None = None,
    *,
    tasks: Sequence[str] = (),
    column: str | None = None,
    responses: str | Path | None = None,
    device: str | None = None,
) -> Rows[StudySummary]:
    """Train every variant of a recipe with every seed, measure them, and compare them. The same call goes on after a stop.

    Args:
        name: Name of a study (``ablation``, ``ablation-small``, ``exit-layer``), or a JSON file with recipe, variants, seeds and common.
        queries: Query log: a file, or the queries themselves.
        output: Folder of the study: ``results.csv``, ``summary.csv``, a folder for each cell. Finished cells in it are kept.
        benchmark: Also measure every variant and its teacher on this benchmark.
        tasks: Also measure them on these tasks.
        column: Column of the log that holds the queries.
        responses: ``responses.jsonl[.gz]`` made earlier for these queries, asked as the first variant asks.
        device: Where to compute; the best available by default.

    Returns:
        For each variant and figure the mean over the seeds with its 95 % interval, and the difference to the first variant.

    Raises:
        InputError: For a study, log, recipe or task that cannot be used.
        TrainingError: For files of another study, recipe, log, backbone or teacher in the folder.
    """
    from genzoo.recipes.studies import RESULTS, find_study
    from genzoo.training.run import given_responses, read_log
    from genzoo.training.study import run_study, summarise

    chosen, given, folder = find_study(str(name)), read_log(queries, column), Path(output)
    first = chosen.recipe_of(next(iter(chosen.variants)), chosen.seeds[0])
    metrics = [task.metadata.name for task in _resolve(benchmark, tasks)[0]]
    rows = run_study(
        chosen,
        given,
        folder,
        measure=(lambda model: _measure(model, benchmark, tasks, folder / "results", device)) if metrics else None,
        metrics=metrics,
        device=device,
        responses=given_responses(responses, given[: first.response.limit or None]),
    )
    if unfixed := unfixed_tasks(folder / "results"):
        log.warning(
            "the documents of %s may have been drawn anew for each variant. To measure them again, which trains nothing, delete %s, "
            "teachers and results in %s and run the same command",
            ", ".join(unfixed), RESULTS, folder,
        )  # fmt: skip
    return Rows(summarise(chosen, rows))


def _resolve(benchmark: str | None, tasks: Sequence[str]) -> tuple[list[AbsTask], str | None]:
    """The tasks that a study is measured on, and the benchmark's name where they are all of it; an unknown name is an error."""
    if not (benchmark or tasks):
        return [], None
    log.info("loading mteb")
    from genzoo.tasks.sets.registration import register, resolve_tasks

    register()
    return resolve_tasks(benchmark, list(tasks))


def unfixed_tasks(results: Path) -> list[str]:
    """Tasks on which some variant may have been scored with other documents than the rest."""
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.caveats import unfixed_draws

    if not (results / "tasks.json").is_file():
        return []
    store = ResultStore.load(results)
    return sorted(unfixed_draws(store, store.main_scores)["task"].unique())


def _measure(
    model: str, benchmark: str | None, tasks: Sequence[str], output: Path, device: str | None
) -> Mapping[str, float]:
    """Main score of each task, through mteb."""
    from genzoo.tasks.embedders.mteb_models import resolve_model
    from genzoo.tasks.evaluation import evaluate
    from genzoo.tasks.model_session import EncodeSettings

    chosen, benchmark_name = _resolve(benchmark, tasks)
    meta, known = resolve_model(model)
    (result,) = evaluate(
        [meta],
        chosen,
        output,
        benchmark_name=benchmark_name,
        settings=EncodeSettings(device=device),
        on_progress=lambda name, task, done, total: report("evaluating", done, total, f"{name}: {task}"),
        on_note=log.warning,
        facts={str(meta.name): asdict(known)},
    )
    scores = {one.task_name: float(one.get_score()) for one in result.task_results}
    return scores | _safety(str(meta.name), str(meta.revision), chosen, output)


def _safety(model: str, revision: str, tasks: Sequence[AbsTask], results: Path) -> dict[str, float]:
    """Safety at each utility for every safety task that was measured with its harmless twin, named after the safety task."""
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.facts import ModelKey, safety_pairs
    from genzoo.leaderboards.safety import SafetyFigures
    from genzoo.leaderboards.searches.evidence import write_judgements

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
