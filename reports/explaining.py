"""Why searches of a measured task went wrong: found in a results folder, the worst of a zoo model decoded."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Sequence
from pathlib import Path

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.jobs import check_device, job
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.companions import read_evidence
from genzoo.leaderboards.reading.predictions import QueryKey
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches.explained import ExplainedSearch
from genzoo.leaderboards.searches.failures import FailedSearches, failed_searches
from genzoo.leaderboards.searches.telling import searches_of
from genzoo.leaderboards.statistics.aggregation import Part
from genzoo.models.entries import find_entry
from genzoo.text import some

log = logging.getLogger(__name__)
_NAMED = 5  # other models, in a note
WORST = 3
"""Searches of a zoo model that are decoded unless told otherwise."""


def explained(
    store: ResultStore,
    task: str,
    model: str | Path | None = None,
    *,
    query: str | None = None,
    decoded: int = WORST,
    device: str | None = None,
) -> FailedSearches:
    """The searches of a task; see `Results.searches`. The folder of `store` keeps what is read and decoded for it."""
    if not isinstance(decoded, int) or decoded < 0:
        raise InputError(f"decoded is {decoded!r}: give the number of searches to decode, 0 for none")
    check_device(device)
    _check_task(store, task)
    if store.judgements(task) is None:
        store = _with_texts(store, task)
    key, name = _model(store, task, model)
    found = failed_searches(store, key, task, query)
    worst = [search for search in found.searches[:decoded] if not search.is_decoded]
    if not worst or store.models[key].role != "zoo":
        return found
    return failed_searches(_decoded(store, key, name, task, worst, device), key, task, query)


def _check_task(store: ResultStore, task: str) -> None:
    known = store.task_names()
    if task not in known:
        near = difflib.get_close_matches(task, known, n=3, cutoff=0.4) or known
        raise UnknownNameError(f"no task {task!r} in {store.root}: it holds {', '.join(near)}")


def _with_texts(store: ResultStore, task: str) -> ResultStore:
    """The results with the queries and passages of a task, which are read from its data where the folder lacks them."""
    if not any((store.root / "predictions").glob(f"*/*/{task}_predictions.json")):
        raise InputError(
            f"{store.root} holds no predictions for {task}, so it does not say how single searches went: run `genzoo evaluate` "
            "for the task, with retrieval or reranking as its type"
        )
    with job(f"reading the data of {task}"):
        from genzoo.leaderboards.searches.evidence import write_judgements
        from genzoo.tasks.sets.registration import register_tasks, resolve_tasks

        register_tasks()
        again = f"{store.root} does not hold the queries and passages of {task}, as evaluations with --no-evidence leave them out"
        try:
            tasks, _ = resolve_tasks(None, [task])
        except UnknownNameError as error:
            raise InputError(
                f"{again}, and no task of mteb or genzoo has this name. Run the same `genzoo evaluate` again, with the data of the "
                "task and without --no-evidence: it measures nothing again"
            ) from error
        if failed := write_judgements(tasks, store.root):
            raise ZooError(f"{again}, and its data could not be read: {', '.join(failed)}")
    found = dataclasses.replace(store, kept={})
    if found.judgements(task) is None:
        raise InputError(
            f"{again}, and the data of {task} have another revision today than those of the results: measure it again with "
            "`genzoo evaluate`"
        )
    return found


def _model(store: ResultStore, task: str, model: str | Path | None) -> tuple[ModelKey, str | None]:
    """The model, and what loads it where it was given by that; by default the one with the best score on the task, baselines last."""
    if model is None:
        sign = 1 if store.tasks[task].metric.higher_is_better else -1
        scores = {key: store.value(key, task, "main_score") for key in store.models}
        named = {key: sign * score for key, score in scores.items() if score is not None and store.outcomes(key, task)}
        # A reader asks about an embedder; how a search by words alone went wrong says nothing about it.
        order = sorted(named, key=lambda key: (store.models[key].role == "baseline", -named[key]))
        best = order[0] if order else next(iter(store.models))
        if len(order) > 1:
            others = some([store.labels[key] for key in order[1:]], _NAMED)
            log.warning(
                "shown is %s, the best embedder on %s; choose another model with --model: %s",
                store.labels[best],
                task,
                others,
            )
        return best, None
    try:
        return store.find(str(model)), None
    except UnknownNameError:
        if not Path(model).is_dir() and find_entry(str(model)) is None:
            raise
        from genzoo.tasks.embedders.mteb_models import resolve_model

        meta, _ = resolve_model(str(model))
        key = ModelKey(str(meta.name), str(meta.revision))
        if key not in store.models:
            raise
        return key, str(model)


def _decoded(
    store: ResultStore,
    key: ModelKey,
    name: str | None,
    task: str,
    worst: Sequence[ExplainedSearch],
    device: str | None,
) -> ResultStore:
    """The results with what a zoo model decodes in some searches, kept in the folder; as they were where it cannot be loaded."""
    from genzoo.leaderboards.searches.evidence import keep_readings
    from genzoo.tasks.embedders.mteb_models import resolve_model

    wanted = {QueryKey(Part(*search.split), search.query) for search in worst}
    searches = [search for search in searches_of(store, [key], task) if search.query in wanted]
    label, name = store.labels[key], name or key.model
    if find_entry(name) is None and not Path(name).is_dir():
        log.warning("%s cannot be decoded, as the results do not say where it is: name its folder with --model", label)
        return store
    with job("loading the model"):
        meta, _ = resolve_model(name)
        if (str(meta.name), str(meta.revision)) != key:
            log.warning(
                "%s cannot be decoded: these results are of revision %s, the model of this name is at %s now",
                label,
                key.revision,
                meta.revision,
            )
            return store
        keep_readings(name, meta, store.root, searches, device=device, has_everyday=False)
    _, readings = read_evidence(store.root, {key: store.models[key]}, [])
    return dataclasses.replace(store, readings={**store.readings, **readings})
