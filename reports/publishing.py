"""The verbs of publishing that need tasks or results as well: publish with the card's scores, and a bundle with data sets."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.errors import InputError, ZooError
from genzoo.jobs import job
from genzoo.names import ModelName, is_commit
from genzoo.text import described

if TYPE_CHECKING:
    from genzoo.publishing.manifest import DataSet
    from genzoo.publishing.plan import PublishPlan
    from genzoo.publishing.publish import Published
    from genzoo.publishing.scores import CardScores

log = logging.getLogger(__name__)


@job()
def publish(
    model: str | Path,
    repo: str,
    *,
    dry_run: bool = False,
    merge: bool = False,
    private: bool = False,
    tag: str | None = None,
    overwrite: bool = False,
    results: str | Path | None = None,
    licence: str = "",
    training_data: str = "",
    base_model: str = "",
    card: str | Path | None = None,
    review: Callable[[PublishPlan], None] = lambda plan: None,
) -> PublishPlan | Published:
    """Publish a model on the Hub that ``HF_ENDPOINT`` names: one commit, read back, then tagged.

    Only allow-listed files are uploaded. The token is the Hub client's own (``hf auth login`` or ``HF_TOKEN``).

    Args:
        model: Zoo model, checkpoint folder or exported folder.
        repo: Where to: ``org/name``.
        dry_run: Return the plan, its problems included, and send nothing.
        merge: Publish the self-contained form, the frozen LLM included.
        private: Keep the repository private.
        tag: Name for the commit, such as ``v1``.
        overwrite: Replace another model in the repository.
        results: Results folder of `genzoo.evaluate`, for the card's scores.
        licence: The backbone's licence, where genzoo does not know the backbone.
        training_data: What the model was trained on, with licences, where genzoo does not know it.
        base_model: Hub id of the backbone, where the checkpoint names a folder.
        card: Also write the model card to this file.
        review: Called with the plan before anything is sent; what it raises stops the publication.

    Returns:
        What is on the Hub now; the plan with ``dry_run``.

    Raises:
        PublishError: When a problem must be solved first, or the Hub refuses. The message says what the repository holds.
        InputError: For a name, tag or results folder that cannot be used.
    """
    from genzoo import hub
    from genzoo.files import write_bytes
    from genzoo.publishing import plan
    from genzoo.publishing import publish as publisher

    api = hub.connect()
    options = plan.PublishOptions(
        merge=merge, is_private=private, tag=tag, overwrite=overwrite, licence=licence, training_data=training_data,
        base_model=base_model, scores=_scores(results, str(model)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="genzoo-publish-") as staging:
        log.info("assembling the files")
        planned = plan.build_plan(str(model), repo, Path(staging), options)
        if card:
            write_bytes(
                Path(card), next(file.source for file in planned.files if file.path == "README.md").read_bytes()
            )
        review(planned)
        if dry_run:
            return planned
        return publisher.publish(planned, api)


def _scores(results: str | Path | None, name: str) -> CardScores:
    from genzoo.publishing.scores import CardScores

    if results is None:
        return CardScores()
    from genzoo.models.entries import get_entry
    from genzoo.models.loading import find_checkpoint
    from genzoo.reports.card_scores import read_card_scores

    shown = Path(name).resolve().name if ModelName.parse(name).is_folder else get_entry(name).hub_id
    return read_card_scores(Path(results), shown, find_checkpoint(name).digest())


@job("packing")
def bundle(
    models: str | Sequence[str], output: str | Path, tasks: Sequence[str] = (), *, benchmark: str | None = None
) -> Path:
    """Pack models, frozen LLMs and data sets at their pinned revisions, for a network without a Hub.

    Args:
        models: Zoo models, backbones and teachers by name, and ``org/name@<40-hex commit>`` on the Hub.
        output: Folder of the bundle; an earlier bundle in it is replaced, any other content is an error.
        tasks: Also pack the data sets of these tasks; files and folders of your own as ``PATH`` or ``NAME=PATH``.
        benchmark: Also pack the data sets of its tasks.

    Returns:
        The folder, which `genzoo.unbundle` takes on the other machine.

    Raises:
        InputError: For a name without a full commit, or a folder that holds something else.
        ZooError: When a model or data set cannot be fetched.
    """
    from genzoo.publishing.bundle import pack

    names = [models] if isinstance(models, str) else list(models)
    own, others = _own_data(tasks)
    pack(names, _load_datasets(benchmark, others), Path(output), own)
    return Path(output)


def _own_data(tasks: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Name -> path of the user's own data among some tasks, and the other tasks."""
    if not tasks:
        return {}, []
    from genzoo.tasks.own.opening import given_path, name_of
    from genzoo.tasks.sets.registration import is_name

    own, others = dict[str, Path](), list[str]()
    for given in tasks:
        found = None if is_name(given) else given_path(given)
        if found is None:
            others.append(given)
            continue
        name, path = found[0] or name_of(found[1]), found[1]
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
        if own.setdefault(name, path) != path:
            raise InputError(f"{own[name]} and {path} are both called {name!r}: name one of them, NAME={path}")
    return own, others


def _load_datasets(benchmark: str | None, tasks: Sequence[str]) -> list[DataSet]:
    """Load every data set once: offline, only what `datasets` has prepared can be read."""
    if not benchmark and not tasks:
        return []
    from genzoo.publishing.manifest import DataSet
    from genzoo.tasks.sets.registration import resolve_tasks

    needed = []
    for task in resolve_tasks(benchmark, list(tasks))[0]:
        path, revision = task.metadata.dataset.get("path", ""), task.metadata.dataset.get("revision", "")
        if path.startswith("genzoo/"):
            continue  # ships with genzoo
        if not is_commit(revision) or "/" not in path:
            raise InputError(
                f"{task.metadata.name} names no commit of its data set ({path or 'none'} at {revision or 'none'}), so it cannot be "
                "packed: leave it out by naming the other tasks with -t"
            )
        log.info("loading %s", path)
        try:
            task.load_data()
        except Exception as error:
            raise ZooError(
                f"the data set {path} of {task.metadata.name} cannot be loaded ({described(error)}): make the "
                "bundle where the Hub can be reached"
            ) from error
        task.unload_data()
        needed.append(DataSet(path, revision))
    return list(dict.fromkeys(needed))
