"""How commands read a results folder: whose tasks a benchmark has, which revisions are one model, what authors report."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.cli.console import busy, err
from genzoo.errors import UnknownNameError, ZooError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.reading.reported import ReportedMeans, ReportedScore


# Figures of the paper by what they are called in `genzoo list --upstream`: the type of task that they are the mean of.
# The reference ranks AdvBench-IR by dot product, so its figure is that of our task of that name.
_BENCHMARK = "MTEB(eng, v2)"
_TYPES = {
    f"{_BENCHMARK}, retrieval": "Retrieval", f"{_BENCHMARK}, reranking": "Reranking",
    f"{_BENCHMARK}, clustering": "Clustering", f"{_BENCHMARK}, pair classification": "PairClassification",
    f"{_BENCHMARK}, classification": "Classification", f"{_BENCHMARK}, STS": "STS",
    f"{_BENCHMARK}, summarization": "Summarization",
}  # fmt: skip
_MEAN = f"{_BENCHMARK}, mean of 41 tasks"
_HARM, _HARM_TASK = "AdvBench-IR, harmful hits in the top 5", "AdvBenchIRDotRetrieval"


def load_store(
    results: Path, benchmark: str | None = None, *, is_joined: bool = True, is_reported: bool = False
) -> ResultStore:
    """Read a results folder.

    Args:
        results: The folder, or a CSV file.
        benchmark: Where the folder does not know it, as one of other people's, mteb says what is in it.
        is_joined: Whether the revisions of a published model become one row, as on mteb's boards.
        is_reported: Whether to add what the authors of upstream models report about its tasks.
    """
    from genzoo.leaderboards import Listing

    listing = Listing(results)
    from genzoo.leaderboards import ResultStore, join_revisions  # pandas and scipy, while the folder is listed
    from genzoo.leaderboards.reading.revisions import has_rivals

    with tempfile.TemporaryDirectory() as folder:
        store, catalogue = ResultStore.load(results, find=listing.find), None
        if benchmark is not None and benchmark not in store.benchmarks:
            catalogue = Path(folder)
            _describe(benchmark, catalogue, store)
            store = ResultStore.load(results, catalogue=catalogue, find=listing.find)
        if is_reported:
            scores = [score for score in reported_scores() if score.task in set(store.main_scores["task"])]
            if scores:
                store = ResultStore.load(results, catalogue=catalogue, reported=scores, find=listing.find)
            store = dataclasses.replace(store, claims=tuple(reported_means()))
            if not scores and _BENCHMARK not in store.benchmarks:
                err.print(f"note: reported figures are about {_BENCHMARK} and {_HARM_TASK}, which are not here")
    _print_problems(store)
    if is_joined:
        store = join_revisions(store, _registered() if has_rivals(store) else None)
    return store


def _print_problems(store: ResultStore, shown: int = 5) -> None:
    """Say which files, rows and columns could not be used; of many the first, as the report lists them all."""
    for problem in store.problems[:shown]:
        err.print(f"note: {problem.source}: {problem.reason}", markup=False, highlight=False)
    if more := len(store.problems) - shown if len(store.problems) > shown else 0:
        err.print(f"note: {more:,} more problems; genzoo report lists them all", markup=False, highlight=False)


def _describe(benchmark: str, folder: Path, store: ResultStore) -> None:
    """Write what mteb knows of a benchmark's tasks."""
    with busy(f"asking mteb what {benchmark} holds"):
        from genzoo.tasks.records import record_benchmark, record_tasks
        from genzoo.tasks.sets.registration import register, resolve_tasks

        register()
        try:
            tasks, _ = resolve_tasks(benchmark, [])
        except UnknownNameError as error:
            raise UnknownNameError(
                f"{error}. {store.root} itself holds {', '.join(store.benchmarks) or 'none'}"
            ) from error
        record_tasks(folder, tasks, {})
        record_benchmark(folder, benchmark, tasks)


def _registered() -> Mapping[str, str | None]:
    """The revision that mteb's registry names for each model; kept in the cache, as importing mteb takes seconds."""
    from genzoo.files import cache_root, write_text

    path = cache_root() / "leaderboards" / f"registered-{importlib.metadata.version('mteb')}.json"
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
    with busy("asking mteb which revisions are registered"):
        from genzoo.tasks.sets.registration import registered_revisions

        found = registered_revisions()
    with contextlib.suppress(ZooError):  # the record saves time, no more
        write_text(path, json.dumps(found, indent=0, sort_keys=True) + "\n")
    return found


def reported_scores() -> list[ReportedScore]:
    """What the authors of upstream models report about single tasks, turned to our metric."""
    from genzoo.leaderboards.reading.reported import ReportedScore
    from genzoo.models.entries import PAPER, UPSTREAM

    return [
        ReportedScore(model.hub_id, _HARM_TASK, round(1 - model.reported[_HARM][0] / 100, 6), PAPER)
        for model in UPSTREAM
        if _HARM in model.reported
    ]


def reported_means() -> list[ReportedMeans]:
    """What they report about the benchmark as a whole."""
    from genzoo.leaderboards.reading.reported import ReportedMeans
    from genzoo.models.entries import PAPER, UPSTREAM

    means = []
    for model in UPSTREAM:
        figures = {name: value / 100 for name, (value, _) in model.reported.items()}
        types = {_TYPES[name]: value for name, value in figures.items() if name in _TYPES}
        if types or _MEAN in figures:
            means.append(ReportedMeans(model.hub_id, _BENCHMARK, PAPER, figures.get(_MEAN), types))
    return means
