"""Points a search task at data of the user's choice: a folder, or pinned commits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.errors import InputError
from genzoo.names import is_commit
from genzoo.tasks.own.kinds import SHAPE
from genzoo.tasks.own.layout import find_layout
from genzoo.tasks.own.search import OwnSearch, read_search
from genzoo.tasks.own.tasks import own_class

_TYPES = ("Retrieval", "Reranking")
_DIGITS = 8  # of the digest in a name
_MARK = "(own-data-"


def own_name(task: str, revision: str) -> str:
    """What a task over own data is called: never as the official one, and other data never the same.

    >>> own_name("SciFact", "0123456789abcdef")
    'SciFact(own-data-01234567)'
    """
    return f"{task}{_MARK}{revision[:_DIGITS]})"


def is_own(task: str) -> bool:
    """Whether a task is one over own data.

    >>> is_own("SciFact(own-data-01234567)"), is_own("SciFact")
    (True, False)
    """
    return _MARK in task


def prompt_metadata(task: AbsTask) -> TaskMetadata:
    """The metadata by which a model finds its prompt: over own data those of the official task."""
    official: TaskMetadata = getattr(task, "official", task.metadata)
    return official


def with_chosen_data(
    tasks: Sequence[AbsTask], choices: Sequence[str], on_note: Callable[[str], None] = warnings.warn
) -> list[AbsTask]:
    """Apply choices of the form `TASK=FOLDER` or `TASK=@COMMIT[,COMMIT]`.

    A task over a folder takes the place of the official one under a name of its own; of a task that several folders are
    given for, there are several. The folders are checked at once.

    Args:
        tasks: The tasks of a run.
        choices: As the user gives them.
        on_note: Told in a line what is incomplete in a folder.

    Raises:
        InputError: A choice for a task that is not run, that takes no folder or no commit, or a folder that cannot be
            measured.
    """
    official = {task.metadata.name: task for task in tasks}
    own: dict[str, dict[str, AbsTask]] = {}
    for choice in choices:
        name, sign, value = str(choice).partition("=")
        if not sign or not value:
            raise InputError(f"--data {choice!r}: expected TASK=FOLDER or TASK=@COMMIT")
        if name not in official:
            raise InputError(f"--data names {name}, which is not among the tasks of this run: {', '.join(official)}")
        if value.startswith("@"):
            official[name] = _pinned(official[name], value[1:].split(","))
        else:
            made = from_folder(official[name], Path(value).expanduser(), on_note=on_note)
            own.setdefault(name, {})[made.metadata.name] = made
    return [made for name, task in official.items() for made in own.get(name, {name: task}).values()]


def from_folder(
    task: AbsTask, folder: Path, *, name: str | None = None, on_note: Callable[[str], None] = warnings.warn
) -> AbsTaskRetrieval:
    """The same task over the corpus, queries and judgements of a folder; metric, type and prompts stay.

    Args:
        task: A retrieval or reranking task of texts.
        folder: With corpus, queries and judgements, as `genzoo.tasks.own.layout` finds them.
        name: What the task is called; by default a name that no other task and no other data have.
        on_note: Told in a line what is incomplete in the folder.

    Raises:
        InputError: The task takes no folder, or the folder cannot be measured.
    """
    _check_kind(task)
    is_reranking = task.metadata.type == "Reranking"
    layout = find_layout(folder, kind="Reranking" if is_reranking else None)
    if not layout.is_search:
        raise InputError(f"{folder} holds no queries and passages, which {task.metadata.name} needs: expected {SHAPE}")
    data = read_search(layout, task.eval_splits, is_reranking=is_reranking)
    if (refuse := getattr(task, "refuse_own_data", None)) is not None:
        refuse(data)
    for note in data.notes:
        on_note(note)
    return _over(task, data, name or own_name(task.metadata.name, data.revision))


def _over(task: Any, data: OwnSearch, name: str) -> AbsTaskRetrieval:
    base: Any = type(task)
    (subset,) = task.hf_subsets
    languages = task.metadata.eval_langs
    metadata = task.metadata.model_copy(
        update={
            "name": name,
            "description": f"{task.metadata.name} over own data, the folder {data.path.resolve().name}.",
            "dataset": {"path": f"local/{data.path.resolve().name}-{data.corpus_revision}", "revision": data.revision},
            "eval_splits": list(data.judgements),
            "eval_langs": {subset: languages[subset]} if isinstance(languages, dict) else languages,
        }
    )

    def _evaluate_subset(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.metadata = task.metadata  # a model looks its prompt up by the name of the task
        try:
            return base._evaluate_subset(self, *args, **kwargs)
        finally:
            self.metadata = metadata

    made = own_class(base, data, metadata, official=task.metadata, _evaluate_subset=_evaluate_subset)()
    assert isinstance(made, AbsTaskRetrieval)  # noqa: S101 - as its base is
    return made


def _check_kind(task: AbsTask) -> None:
    """Refuse tasks whose data a folder cannot hold, with the reason."""
    name, kind = task.metadata.name, task.metadata.type
    if not isinstance(task, AbsTaskRetrieval) or task.is_aggregate or kind not in _TYPES:
        why = ": its queries come with instructions, which a folder cannot hold" if "Instruction" in kind else ""
        raise InputError(
            f"{name} takes no folder, as it is a task of type {kind}{why}. --data takes one for tasks of the types "
            f"{' and '.join(_TYPES)}"
        )
    if len(task.hf_subsets) > 1:
        n = len(task.hf_subsets)
        raise InputError(f"{name} takes no folder, as it has {n} subsets: --data takes one for tasks of one subset")
    if list(task.modalities) != ["text"]:
        raise InputError(f"{name} takes no folder, as it is about {', '.join(task.modalities)}: a folder holds texts")


def _pinned(task: AbsTask, commits: list[str]) -> AbsTask:
    pinned = getattr(task, "pinned", None)
    if pinned is None:
        known = f"{task.metadata.name} is pinned by mteb at {task.metadata.revision}"
        raise InputError(f"{known}: --data takes a folder for it")
    if len(commits) != 2 or not all(map(is_commit, commits)):
        raise InputError(f"--data {task.metadata.name}=@...: expected two commits of 40 hex digits, COMMIT,COMMIT")
    made: AbsTask = pinned(*commits)
    return made
