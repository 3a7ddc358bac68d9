"""The same model under other prompts than its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from mteb.abstasks.task_metadata import TaskType
from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper

from genzoo.errors import InputError
from genzoo.models.prompts import has_own
from genzoo.tasks.embedders.endpoint import Endpoint
from genzoo.tasks.sets.registration import task_registry


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
    if meta.model_type == ["hybrid"] or meta.framework == ["NumPy"]:
        raise InputError(f"{meta.name} takes no prompts: leave out --prompts for it")
    revision = hashlib.sha256(json.dumps([meta.revision, sorted(prompts.items())]).encode()).hexdigest()[:40]

    def load(name: str, **options: Any) -> Any:
        model = meta.load_model(device=options.get("device"))
        if isinstance(model, Endpoint):
            model.model_prompts = dict(prompts)
            return model
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
        advice = "add them to a JSON file for --prompts, or leave out --strict-prompts"
        raise InputError(f"no prompt of their own for {', '.join(missing)}: {advice}")


def check_keys(prompts: Mapping[str, str]) -> None:
    """Refuse keys that mteb would silently drop.

    Raises:
        InputError: A key that is no task, no task type and no side of a search.
    """
    known = {*task_registry(), *get_args(TaskType), "query", "document"}
    for key in prompts:
        if key not in known and key.removesuffix("-query").removesuffix("-document") not in known:
            raise InputError(f"prompt for {key!r}: no task and no task type has that name. See: genzoo tasks")
