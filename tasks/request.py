"""What is to be measured, in the words that a user gives: models, tasks, prompts, data. It fits in one message to another machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from mteb.abstasks import AbsTask
from mteb.abstasks.task_metadata import TaskType
from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper

from genzoo.errors import InputError
from genzoo.models.prompts import GENERAL, has_own, prompt_set
from genzoo.tasks.mteb_models import resolve_model
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.records import model_key
from genzoo.tasks.sets.local_data import prompt_metadata, with_chosen_data
from genzoo.tasks.sets.registration import register, resolve_tasks, task_registry


def with_prompts(meta: ModelMeta, prompts: Mapping[str, str], label: str) -> ModelMeta:
    """The same model under other prompts.

    Args:
        meta: The model's card.
        prompts: By mteb task name, task type, ``query`` or ``document``.
        label: What the prompts are called; it becomes part of the model's name.

    Returns:
        A card whose name ends with the label and whose revision depends on the prompts, so that results of different prompts
        never meet. Such results are for comparison: submit those under the model's own prompts.
    """
    check_keys(prompts)
    revision = hashlib.sha256(json.dumps([meta.revision, sorted(prompts.items())]).encode()).hexdigest()[:40]

    def load(name: str, **options: Any) -> Any:
        model = meta.load_model(device=options.get("device"))
        inner: Any = getattr(model, "model", None)
        if not hasattr(inner, "prompts"):
            raise InputError(f"{meta.name} takes no prompts: leave out --prompts for it")
        inner.prompts = dict(prompts)
        return SentenceTransformerEncoderWrapper(inner, model_prompts=dict(prompts))

    name = f"{meta.name}-{label}-prompts"
    return meta.model_copy(update={"name": name, "revision": revision, "loader": load, "loader_kwargs": {}})


def check_strict(prompts: Mapping[str, str], tasks: Iterable[str]) -> None:
    """Refuse a run in which a task would fall back to the prompt of its type.

    Raises:
        InputError: Names the tasks without an instruction of their own.
    """
    if missing := [task for task in tasks if not has_own(dict(prompts), task)]:
        raise InputError(
            f"no prompt of their own for {', '.join(missing)}: add them to a JSON file for --prompts, or leave out --strict-prompts"
        )


def check_keys(prompts: Mapping[str, str]) -> None:
    """Refuse keys that mteb would silently drop.

    Raises:
        InputError: A key that is no task, no task type and no side of a search.
    """
    known = {*task_registry(), *get_args(TaskType), "query", "document"}
    for key in prompts:
        if key not in known and key.removesuffix("-query").removesuffix("-document") not in known:
            raise InputError(f"prompt for {key!r}: no task and no task type has that name. See: mteb available-tasks")


@dataclass(frozen=True)
class Grid:
    """Models and tasks, ready for `evaluate`.

    Attributes:
        metas: The models, under the prompts that were asked for.
        tasks: The tasks.
        benchmark_name: Set when the tasks are a whole benchmark.
        facts: Name and revision of a model -> what the environment record says of it.
    """

    metas: list[ModelMeta]
    tasks: list[AbsTask]
    benchmark_name: str | None
    facts: Mapping[tuple[str, str], Mapping[str, Any]]

    @property
    def size(self) -> int:
        """Pairs of model and task."""
        return len(self.metas) * len(self.tasks)


@dataclass(frozen=True)
class Request:
    """Names of models and tasks.

    Attributes:
        models: As `genzoo.tasks.mteb_models.resolve_model` takes them.
        benchmark: Name of a benchmark.
        tasks: Names of further tasks.
        data: ``TASK=FOLDER`` or ``TASK=@COMMIT``; a benchmark of which a task reads a folder is not that benchmark any more.
        prompts: ``tasks``, ``general`` or a JSON file; the models' own if None.
        strict_prompts: Whether a task without a prompt of its own is refused.
    """

    models: tuple[str, ...]
    benchmark: str | None = None
    tasks: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    prompts: str | None = None
    strict_prompts: bool = False

    def resolve(
        self, status: Callable[[str], None] = lambda _: None, on_note: Callable[[str], None] = lambda _: None
    ) -> Grid:
        """Find the models and the tasks; the same grid, in the same order, on every machine.

        Args:
            status: Told what is being fetched.
            on_note: Told what is incomplete in the data.

        Raises:
            UnknownNameError: For a name that nothing here or on the Hub has.
            InputError: For prompts or data that do not fit.
        """
        register()
        tasks, benchmark_name = resolve_tasks(self.benchmark, list(self.tasks))
        official = [task.metadata.name for task in tasks]
        with kept_random_state():
            tasks = with_chosen_data(tasks, list(self.data), on_note)
        if [task.metadata.name for task in tasks] != official:
            benchmark_name = None
        resolved = [resolve_model(name, status) for name in dict.fromkeys(self.models)]
        metas = self._prompted([meta for meta, _ in resolved], tasks)
        facts = {model_key(meta): asdict(known) for meta, (_, known) in zip(metas, resolved, strict=True)}
        return Grid(metas, tasks, benchmark_name, facts)

    def _prompted(self, metas: list[ModelMeta], tasks: list[AbsTask]) -> list[ModelMeta]:
        """The models under the prompts that were asked for."""
        chosen = prompt_set(self.prompts or GENERAL)
        if self.strict_prompts:
            check_strict(chosen, [prompt_metadata(task).name for task in tasks])
        if self.prompts is None:
            return metas
        return [with_prompts(meta, chosen, Path(self.prompts).stem) for meta in metas]
