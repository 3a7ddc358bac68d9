"""Random states: the caller's are kept, and every measurement of a task starts from the task's seed.

mteb 2.26 reseeds `random`, numpy and torch whenever a task object is made. Its clustering and multilabel tasks draw documents from generators
that live as long as the task object, and a benchmark hands out the same objects every time: without `seeded`, a second model
is scored on other documents than the first.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

LOADING_SEED = 42
"""For whatever a model draws while it is loaded."""
_LEVELS = 3  # of a data set in memory: subset, split, and part of a search (corpus, queries, relevance)


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put the global random states of `random`, numpy and torch (with its GPUs) back when the block ends."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the state mteb sets
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


@contextmanager
def making_tasks() -> Iterator[None]:
    """`kept_random_state` around code that makes task objects; seeding GPUs for each would note a stack trace every time."""
    seed_gpus = torch.cuda.manual_seed_all
    torch.cuda.manual_seed_all = lambda seed: None
    try:
        with kept_random_state():
            yield
    finally:
        torch.cuda.manual_seed_all = seed_gpus


def seed_global_state(seed: int) -> None:
    """Seed the global generators of `random`, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that mteb and scikit-learn draw from
    torch.manual_seed(seed)


def draws_at_random(task: AbsTask) -> bool:
    """Whether mteb scores a task, or a part of an aggregate, on documents that the task object's generators choose."""
    from mteb.abstasks import (
        AbsTaskClustering,
        AbsTaskMultilabelClassification,
    )  # its import seeds the global generators too

    return any(isinstance(part, AbsTaskClustering | AbsTaskMultilabelClassification) for part in parts_of(task))


def parts_of(task: AbsTask) -> list[AbsTask]:
    """The tasks that an aggregate is made of, else the task itself."""
    if not task.is_aggregate:
        return [task]
    return [part for inner in task.metadata.tasks for part in parts_of(inner)]  # type: ignore[attr-defined]


def seeded(task: AbsTask) -> AbsTask:
    """A copy of a task for one measurement: what is set on it, or drawn from it, reaches no other measurement.

    Each subset of each split starts from the task's seed, so that its score does not depend on which subsets were measured
    before. For the first one mteb does the same in a fresh process; the others get what mteb gives when it measures them alone.

    Args:
        task: Any task of mteb or ours; it is left as it is. Data that it has loaded are shared, but not their containers.
    """
    made = copy.copy(task)
    if task.is_aggregate:
        tasks = [seeded(part) for part in task.metadata.tasks]  # type: ignore[attr-defined]
        made.metadata = task.metadata.model_copy(update={"tasks": tasks})
        made.tasks = tasks  # type: ignore[attr-defined]
        made.taskname_to_task = {part.metadata.name: part for part in tasks}  # type: ignore[attr-defined]
        return made
    made.dataset = _own_containers(task.dataset, _LEVELS)
    evaluate_subset = made._evaluate_subset

    def from_the_seed(*args: Any, **options: Any) -> Any:
        _reset(made)
        classifier = getattr(made, "evaluator_model", None)  # scikit-learn's; fitting changes it
        if classifier is None:
            return evaluate_subset(*args, **options)
        try:
            made.evaluator_model = copy.deepcopy(classifier)  # type: ignore[attr-defined]
            return evaluate_subset(*args, **options)
        finally:
            made.evaluator_model = classifier  # type: ignore[attr-defined]

    made._evaluate_subset = from_the_seed  # type: ignore[method-assign]
    _reset(made)
    return made


def _reset(task: AbsTask) -> None:
    """Seed the global generators, and give the task new ones for those that it or its class carries."""
    seed_global_state(task.seed)
    carried = {name: value for kind in reversed(type(task).__mro__) for name, value in vars(kind).items()} | vars(task)
    for name, value in carried.items():
        if (fresh := _fresh(value, task.seed)) is not None:
            setattr(task, name, fresh)


def _fresh(value: object, seed: int) -> object | None:
    """A generator of the same kind at the start of its sequence; None for anything else."""
    if isinstance(value, random.Random):
        return type(value)(seed)
    if isinstance(value, np.random.Generator):
        return np.random.Generator(type(value.bit_generator)(seed))
    if isinstance(value, np.random.RandomState):
        return np.random.RandomState(seed)
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).manual_seed(seed)
    return None


def _own_containers(data: Any, levels: int) -> Any:
    """A copy of nested dictionaries, down to so many levels, over the same tables."""
    if not levels or not isinstance(data, dict):
        return data
    made = copy.copy(data)
    for name, value in data.items():
        made[name] = _own_containers(value, levels - 1)
    return made
