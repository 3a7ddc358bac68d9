"""A results folder, ready to be ranked: what mteb knows of a benchmark, which revisions are one model, what authors report."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from genzoo.errors import UnknownNameError
from genzoo.files import made_once, write_json
from genzoo.leaderboards.reading.reported import ReportedMeans, ReportedScore
from genzoo.leaderboards.reading.result_files import read_object
from genzoo.leaderboards.reading.revisions import has_rivals, join_revisions
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.reading.tree import SIBLINGS, tree_root

log = logging.getLogger(__name__)
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


def open_store(
    root: Path | str,
    benchmark: str | None = None,
    *,
    by_revision: bool = False,
    reported: bool = False,
    is_kept: bool = True,
) -> ResultStore:
    """Read a results folder.

    Args:
        root: The folder, or a CSV file.
        benchmark: Where the folder does not know it, as one of other people's, mteb says what is in it.
        by_revision: Whether the revisions of a published model stay apart; else they become one row, as on mteb's boards.
        reported: Whether to add what the authors of upstream models report about its tasks, marked as reported.
        is_kept: Whether to remember in the user's cache what large folders hold.
    """
    load = functools.partial(ResultStore.load, root, is_kept=is_kept)
    with tempfile.TemporaryDirectory() as folder:
        store, catalogue = load(), None
        if benchmark is not None and benchmark not in store.benchmarks:
            catalogue = Path(folder)
            _describe(benchmark, catalogue, store)
            store = load(catalogue=catalogue)
        if reported:
            scores = [score for score in upstream_scores() if score.task in set(store.main_scores["task"])]
            if scores:
                store = load(catalogue=catalogue, reported=scores)
            store = dataclasses.replace(store, claims=tuple(upstream_means()))
            if not scores and _BENCHMARK not in store.benchmarks:
                log.warning(
                    "reported figures cover %s and %s, of which %s has no results", _BENCHMARK, _HARM_TASK, root
                )
    return store if by_revision else join_revisions(store, _registered() if has_rivals(store) else None)


def lay_together(folders: Sequence[Path | str], target: Path) -> None:
    """Make one results folder of several, by links: of what two of them hold, the one that is named first counts.

    Args:
        folders: Results folders.
        target: An empty folder.
    """
    for root in map(tree_root, map(Path, folders)):
        inner = root / "results"
        _lay(inner if inner.is_dir() else root, target / "results")
        for path in root.iterdir():
            if path.is_dir() and path.name in SIBLINGS:
                _lay(path, target / path.name)
        for name in ("tasks.json", "benchmarks.json"):
            earlier, own = (read_object(each / name, name, []) for each in (target, root))
            if own:
                write_json(target / name, own | earlier)


def _lay(source: Path, target: Path) -> None:
    """Link to all that a folder holds and the target does not."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        place = target / path.name
        if not os.path.lexists(place):
            place.symlink_to(path.resolve(), target_is_directory=path.is_dir())
        elif path.is_dir() and place.is_dir():
            if place.is_symlink():  # a link to the folder of an earlier one: links to what is in it take its place
                first = place.resolve()
                place.unlink()
                _lay(first, place)
            _lay(path, place)


def _describe(benchmark: str, folder: Path, store: ResultStore) -> None:
    """Write what mteb knows of a benchmark's tasks."""
    log.info("asking mteb what %s holds", benchmark)
    from genzoo.tasks.records import record_benchmark, record_tasks
    from genzoo.tasks.sets.registration import register, resolve_tasks

    register()
    try:
        tasks, _ = resolve_tasks(benchmark, [])
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}. {store.root} itself holds {', '.join(store.benchmarks) or 'none'}") from error
    record_tasks(folder, tasks, {})
    record_benchmark(folder, benchmark, tasks)


def _registered() -> Mapping[str, str | None]:
    """The revision that mteb's registry names for each model; kept in the cache, as importing mteb takes seconds."""

    def ask() -> dict[str, str | None]:
        log.info("asking mteb which revisions are registered")
        from genzoo.tasks.sets.registration import registered_revisions

        return registered_revisions()

    return made_once(f"leaderboards/registered-{importlib.metadata.version('mteb')}.json", ask)


def upstream_scores() -> list[ReportedScore]:
    """What the authors of upstream models report about single tasks, turned to our metric."""
    from genzoo.models.entries import PAPER, UPSTREAM

    return [
        ReportedScore(model.hub_id, _HARM_TASK, round(1 - model.reported[_HARM][0] / 100, 6), PAPER)
        for model in UPSTREAM
        if _HARM in model.reported
    ]


def upstream_means() -> list[ReportedMeans]:
    """What the authors of upstream models report about the benchmark as a whole."""
    from genzoo.models.entries import PAPER, UPSTREAM

    means = []
    for model in UPSTREAM:
        figures = {name: value / 100 for name, (value, _) in model.reported.items()}
        types = {_TYPES[name]: value for name, value in figures.items() if name in _TYPES}
        if types or _MEAN in figures:
            means.append(ReportedMeans(model.hub_id, _BENCHMARK, PAPER, figures.get(_MEAN), types))
    return means
