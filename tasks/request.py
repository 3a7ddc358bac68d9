"""What is to be measured, in the words that a user gives: it fits in one message to another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mteb.abstasks import AbsTask
from mteb.models import ModelMeta

from genzoo.mteb_meta import resolve_model
from genzoo.prompts import GENERAL, prompt_set
from genzoo.tasks.catalogue import resolve_tasks
from genzoo.tasks.local_data import prompt_metadata, with_chosen_data
from genzoo.tasks.prompt_choice import check_strict, with_prompts
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.registration import register
from genzoo.tasks.run_record import model_key


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
        models: As `genzoo.mteb_meta.resolve_model` takes them.
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
