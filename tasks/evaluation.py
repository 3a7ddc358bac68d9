"""Runs models on tasks through mteb, so that a run that was cut off goes on where it stopped."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mteb
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta
from mteb.results import ModelResult, TaskResult
from mteb.types import EncodeKwargs

from genzoo.backbones.precision import ROUNDED
from genzoo.compute import computing, look_again
from genzoo.errors import FailedRunsError, InputError, ZooError
from genzoo.hub import is_transport
from genzoo.jobs import WHOLE, Shard, job
from genzoo.tasks import records
from genzoo.tasks.bounded_search import with_bounded_search
from genzoo.tasks.embedders.known_endpoints import remember
from genzoo.tasks.measurement import Measurement
from genzoo.tasks.model_session import PLAIN, EncodeSettings, ModelSession
from genzoo.tasks.random_state import kept_random_state, seeded
from genzoo.tasks.results_folder import ResultsFolder, ReuseNotes, UnwritableFolderError
from genzoo.tasks.sets.registration import lean_evaluation, register_tasks
from genzoo.text import described


@contextmanager
def unconverged(tell: Callable[[int], None]) -> Iterator[None]:
    """Count scikit-learn's warnings of fits that did not converge, nine lines each, and tell how many there were, if any.

    Other warnings go where they went before.
    """
    from sklearn.exceptions import ConvergenceWarning

    count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConvergenceWarning)
        show = warnings.showwarning

        def count_or_show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            nonlocal count
            if issubclass(category, ConvergenceWarning):
                count += 1
            else:
                show(message, category, *where, **more)

        warnings.showwarning = count_or_show
        yield
    if count:
        tell(count)


Progress = Callable[[str, str, int, int], None]
_NO_REVISION = {"", "no_revision_available"}


def evaluate(
    metas: Sequence[ModelMeta],
    tasks: Iterable[AbsTask],
    output: Path,
    *,
    benchmark_name: str | None = None,
    settings: EncodeSettings = PLAIN,
    shard: Shard = WHOLE,
    on_progress: Progress | None = None,
    on_note: Callable[[str], None] = warnings.warn,
    overwrite: bool = False,
    facts: records.AllFacts | None = None,
    on_last: Callable[[Any], None] | None = None,
) -> list[ModelResult]:
    """Measure every model on every task and keep what is finished.

    A finished task is not run again, nor its model loaded for it, unless its data set has another revision, the model's files,
    its prompts or the task's instruction changed, a split, a metric or the predictions are missing, or `overwrite` is set. One that was
    measured with other versions of the packages is kept, and this is noted. A task that fails does not stop the others.

    Every pair of model and task starts from the task's seed (`genzoo.tasks.random_state`): a score does not depend on the other
    models and tasks, nor on their order.

    Args:
        metas: Models with a real name and revision.
        tasks: mteb tasks, ours or others.
        output: The results folder; its layout is mteb's `ResultCache`, with predictions and run records beside it.
        benchmark_name: Recorded in `benchmarks.json` if the tasks are a whole benchmark.
        settings: How the models encode.
        shard: The part of models x tasks that this run takes; the others are left to other runs on the same folder.
        on_progress: Called with model name, task name, tasks done and tasks in all, before and after each task.
        on_note: Called with a line on results that are measured again, or that stand but were measured otherwise.
        overwrite: Run finished tasks again.
        facts: (Name, revision) of a model, or its name alone -> role, teacher, backbone, n_trained_parameters, for the
            environment record.
        on_last: Called with the mteb model of the last model, if it had to be loaded, when its tasks are done.

    Returns:
        One result per model, in order.

    Raises:
        InputError: A model without name or revision, two models of one name and revision, or no task.
        FailedRunsError: Some tasks failed, after all others are done.
        ZooError: The results folder cannot be written.
    """
    todo = [copy.copy(task) for task in tasks]  # what a run sets on a task, such as a revision, ends with the run
    _check_input(metas, todo, settings)
    records.check_facts(facts or {})
    register_tasks()  # mteb's prompt lookup drops tasks that it does not know
    folder, total, labels = ResultsFolder(Path(output)), shard.size(len(metas) * len(todo)), records.labels(metas)
    run = _Run(folder, todo, settings, shard, on_progress, on_note, overwrite, total, labels)
    with job(), computing(settings.processes or 1), kept_random_state():
        with run.recording():
            records.record_tasks(run.folder.root, todo, {})
            if benchmark_name:
                records.record_benchmark(run.folder.root, benchmark_name, todo)
        results = [
            run.model(meta, records.facts_of(facts or {}, meta), on_last if meta is metas[-1] else None)
            for meta in metas
        ]
    if run.failures:
        raise FailedRunsError(
            f"{len(run.failures)} of {run.total} runs failed, the others are kept in {output}: "
            + "; ".join(run.failures)
        )
    return results


@dataclass
class _Run:
    """The state of one call of `evaluate`."""

    folder: ResultsFolder
    tasks: list[AbsTask]
    settings: EncodeSettings
    shard: Shard
    on_progress: Progress | None
    on_note: Callable[[str], None]
    overwrite: bool
    total: int
    labels: Mapping[tuple[str, str], str]
    seen: int = 0
    done: int = 0
    failures: list[str] = field(default_factory=list)

    def model(
        self, meta: ModelMeta, facts: Mapping[str, Any], on_done: Callable[[Any], None] | None = None
    ) -> ModelResult:
        """Run one model on all tasks; it is loaded when the first task needs it, once."""
        session = ModelSession(meta, replace(self.settings, precision=self._precision(meta)))
        found: list[TaskResult] = []
        notes = ReuseNotes(self._label(meta))
        try:
            for task in self.tasks:
                self.seen += 1
                if not self.shard.takes(self.seen - 1):
                    continue
                self._report(meta, task)
                result = self._task(session, task, facts, notes)
                if result is not None:
                    found.append(result)
                self.done += 1
                self._report(meta, task)
            if found:
                self._environment(session, facts)
            if on_done is not None and session.model is not None:
                on_done(session.model)
        finally:
            for line in session.notes():
                self.on_note(line)
            session.close()
        for line in notes.lines():
            self.on_note(line)
        return ModelResult(model_name=str(meta.name), model_revision=str(meta.revision), task_results=found)

    def _precision(self, meta: ModelMeta) -> str:
        """The one that is asked for; where the choice is genzoo's, the one of the model's results in the folder."""
        asked = self.settings.precision
        before = records.read_record(records.environment_path(self.folder.root, meta)).get("dtype")
        if asked != "auto" or not before:
            return asked
        return "bfloat16" if before == ROUNDED else "float32"

    def _task(
        self, session: ModelSession, task: AbsTask, facts: Mapping[str, Any], notes: ReuseNotes
    ) -> TaskResult | None:
        """Reuse or run one task; a failure is noted and gives None."""
        try:
            resolve_revision = getattr(task, "resolve_revision", None)
            if resolve_revision is not None:  # its data set has no revision that could be written into the task
                resolve_revision()
            if not self.overwrite:
                now = Measurement.of(task, session.prompts, session.content, session.precision)
                reuse = self.folder.reuse(session.meta, task, now)
                notes.see(task.metadata.name, reuse)
                if reuse.result is not None:
                    return reuse.result
            session.load()
            look_again()
            remember(self.folder.root, session.fingerprints)  # before any of their embeddings are kept
            with unconverged(lambda fits: self.on_note(_told_fits(self._label(session.meta), task, fits))):
                result = self._run_task(session, task)
            self._environment(session, facts)
            return result
        except UnwritableFolderError:
            raise
        except Exception as error:
            if refusal := self.folder.unwritable(error):
                raise refusal from error
            self.failures.append(f"{task.metadata.name} with {self._label(session.meta)}: {_reason(error, task)}")
            return None

    def _run_task(self, session: ModelSession, task: AbsTask) -> TaskResult:
        """Let mteb run a task in a scratch folder, then take the files in."""
        before = session.meter.texts if session.meter else 0
        measured = seeded(task)
        how: EncodeKwargs = {"batch_size": self.settings.batch_size, "show_progress_bar": False}
        with self.folder.staging() as stage, lean_evaluation():
            outcome = mteb.evaluate(
                with_bounded_search(session.model, task),
                measured,
                co2_tracker=False,
                encode_kwargs=how.copy(),
                cache=None,
                prediction_folder=stage,
                show_progress_bar=False,
            )
            if outcome.exceptions:  # mteb returns, rather than raises, what a private data set raised
                raise ZooError("; ".join(problem.exception for problem in outcome.exceptions))
            result = outcome.task_results[0]
            self.folder.take_in(
                session.meta,
                task,
                result,
                stage,
                how,
                Measurement.of(task, session.prompts, session.content, session.precision),
            )
        counts = {task.metadata.name: session.meter.texts - before} if session.meter else {}
        with self.recording():
            records.record_tasks(self.folder.root, [task], {name: n for name, n in counts.items() if n})
        return result

    def _environment(self, session: ModelSession, facts: Mapping[str, Any]) -> None:
        with self.recording():
            records.record_environment(
                self.folder.root, session.meta, session.model, session.meter, self.settings.batch_size, facts
            )

    def _report(self, meta: ModelMeta, task: AbsTask) -> None:
        if self.on_progress:
            self.on_progress(self._label(meta), task.metadata.name, self.done, self.total)

    def _label(self, meta: ModelMeta) -> str:
        return self.labels[records.model_key(meta)]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Turns a full or read-only folder into the one clear error."""
        try:
            with self.folder.lock():
                yield
        except (OSError, ZooError) as error:
            if refusal := self.folder.unwritable(error):
                raise refusal from error
            raise


def _check_input(metas: Sequence[ModelMeta], tasks: Sequence[AbsTask], settings: EncodeSettings) -> None:
    if not metas or not tasks:
        raise InputError("nothing to evaluate: give at least one model and one task. See: genzoo evaluate --help")
    for name, number in (("batch_size", settings.batch_size), ("processes", settings.processes)):
        if number is not None and number < 1:
            raise InputError(f"{name} is {number}: it must be 1 or more")
    seen: dict[tuple[str, str], str] = {}
    for meta in metas:
        if not isinstance(meta, ModelMeta):
            raise InputError(
                f"a model must come as an mteb.ModelMeta, got {type(meta).__name__}: see genzoo.tasks.embedders.mteb_models"
            )
        name, revision = meta.name or "", meta.revision or ""
        if "/" not in name or revision in _NO_REVISION:
            raise InputError(
                f"model {name!r} at {revision!r}: results are filed by org/name and revision, so both are needed"
            )
        if meta.experiment_kwargs:
            raise InputError(f"model {name} has experiment_kwargs: give such a variant its own revision")
        place = meta.model_name_as_path(), revision  # where its results lie
        if place in seen:
            who = f"two models are named {name}" if seen[place] == name else f"{seen[place]} and {name} share a folder"
            raise InputError(f"{who} at {revision}: their results would overwrite each other; give one of them")
        seen[place] = name
    names = [task.metadata.name for task in tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"tasks named twice: {', '.join(twice)}")


def _reason(error: Exception, task: AbsTask) -> str:
    """One line on why a task failed, and what to do if its data could not be reached."""
    if isinstance(error, ZooError):
        return str(error)
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    unreachable = (ConnectionError, DatasetNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled)
    if any(isinstance(link, unreachable) or is_transport(link) for link in chain):
        return (
            f"data set {task.metadata.dataset['path']} cannot be reached ({described(error)}): run once online, set "
            "HF_ENDPOINT to a mirror, or set HF_HUB_OFFLINE=1 if it is in the cache"
        )
    return described(error)


def _told_fits(model: str, task: AbsTask, fits: int) -> str:
    return (
        f"{task.metadata.name} with {model}: {fits} of mteb's classifiers were stopped before they had converged, which is how "
        "mteb scores such embeddings everywhere"
    )
