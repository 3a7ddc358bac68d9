"""The verb that spans the rooms: measure models on tasks, keep what single searches show, and open the results."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import FailedRunsError, InputError, ZooError
from genzoo.jobs import Shard, check_device, job, report
from genzoo.leaderboards.naming import short_name
from genzoo.reports.finished import Finished, Question, noted
from genzoo.reports.results import Results

if TYPE_CHECKING:
    from genzoo.tasks.request import EvaluationPlan, Grid, Request

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is ready to run: its models and tasks are found and its data are checked.

    Attributes:
        asked: What is to be measured: models, tasks, data and prompts, as `genzoo.evaluate` takes them, in tuples.
        output: The results folder.
        options: How models encode and what is kept, as `genzoo.evaluate` takes it.
        question: Identifies what was asked for a later run; None if objects are part of it.
        finished: The result of a run that has nothing to measure; None if something may be left to measure.
    """

    asked: Mapping[str, Any]
    output: Path
    options: Mapping[str, Any]
    question: Question | None = None
    finished: Finished | None = None

    @functools.cached_property
    def request(self) -> Request:
        """What was asked for."""
        from genzoo.tasks.request import Request

        return Request(**self.asked)

    @functools.cached_property
    def grid(self) -> Grid:
        """The models and tasks."""
        from genzoo.tasks.random_state import kept_random_state

        with job("loading mteb"), kept_random_state():
            if self.options["ray"] is not None and self.request.has_objects:
                raise InputError("other machines can only look up names: with ray, give models and tasks by name")
            _ = self.question and self.question.outside  # before any of it is read
            with noted() as self.__dict__["_notes"]:
                return self.request.resolve(log.warning, self.output)

    @functools.cached_property
    def plan(self) -> EvaluationPlan:
        """How many texts and tokens lie ahead, and about how long each model will take."""
        with job("planning"):
            return self.grid.plan()

    def run(self) -> Results:
        """Measure every model on every task; see `genzoo.evaluate`."""
        if (
            self.finished and self.question and (finished := self.question.recall())
        ):  # much may have changed since it was planned
            for note in finished.notes:
                log.warning("%s", note)
            return Results(self.output)
        with job():
            failure: ZooError | None = None
            try:
                self._measure()
            except FailedRunsError as error:
                failure = error  # what finished gets its evidence all the same
            with noted() as unkept:
                missing = self._keep_evidence() if self.options["evidence"] else None
            if failure or missing:
                raise failure or missing  # type: ignore[misc]
            if self.question and not unkept and log.isEnabledFor(logging.WARNING):  # else notes were lost
                self.question.remember(self.grid, self.__dict__["_notes"])
        return Results(self.output)

    def _measure(self) -> None:
        from genzoo.tasks.evaluation import evaluate as measure
        from genzoo.tasks.model_session import EncodeSettings
        from genzoo.tasks.ray_grid import evaluate_on_ray

        given = self.options
        cache = self.output / ".embeddings" if given["cache_embeddings"] else None
        is_whole = given["shard"] == "1/1" and given["ray"] is None  # else every machine would choose for itself
        precision = "float32" if given["precision"] == "auto" and not is_whole else given["precision"]
        settings = EncodeSettings(given["batch_size"], given["device"], given["processes"], cache, precision)
        self._record_benchmarks()
        if given["ray"] is not None:
            evaluate_on_ray(
                self.request,
                self.output,
                address=given["ray"],
                settings=settings,
                overwrite=given["overwrite"],
                on_pair=lambda done, total: report("evaluating", done, total, f"on Ray ({given['ray']})"),
                on_note=log.warning,
            )
            return
        measure(
            self.grid.metas,
            self.grid.tasks,
            self.output,
            benchmark_name=self.grid.benchmark_name,
            settings=settings,
            shard=Shard.parse(given["shard"]),
            on_progress=lambda model, task, done, total: report(
                "evaluating", done, total, f"{short_name(model)}: {task}"
            ),
            on_note=log.warning,
            overwrite=given["overwrite"],
            facts=self.grid.facts,
            on_last=lambda model: self.__dict__.update(_last=getattr(model, "model", None)),
        )

    def _record_benchmarks(self) -> None:
        """Write which tasks are of which benchmark, where several were asked for at once."""
        if self.grid.benchmark_name is not None or not self.grid.benchmarks:
            return
        from genzoo.tasks.records import record_benchmark
        from genzoo.tasks.results_folder import ResultsFolder

        with ResultsFolder(self.output).lock():
            for name, tasks in self.grid.benchmarks.items():
                record_benchmark(self.output, name, tasks)

    def _keep_evidence(self) -> ZooError | None:
        """Keep queries and documents of the tasks, and what zoo models' embeddings decode to; returns what failed, if anything did."""
        from genzoo.leaderboards.judging.figures import keep_judging
        from genzoo.leaderboards.searches.evidence import keep_readings, measured_searches, write_judgements
        from genzoo.tasks.records import model_key

        log.info("keeping the queries, documents and pairs behind the scores")
        keep_judging(self.grid.tasks, self.output)
        if failed := write_judgements(self.grid.tasks, self.output, self.grid.metas):
            log.warning("no single searches and no intervals for %s", ", ".join(failed))
        named = zip(self.request.distinct_models, self.grid.metas, strict=True)
        zoo = {name: meta for name, meta in named if self.grid.facts[model_key(meta)]["role"] == "zoo"}
        searches = measured_searches(self.output, self.grid.metas) if zoo else {}
        last, undecoded = self.__dict__.pop("_last", None), []
        for name, meta in zoo.items():
            if model_key(meta) not in searches:
                continue  # nothing of it was measured
            try:
                keep_readings(
                    name,
                    meta,
                    self.output,
                    searches[model_key(meta)],
                    device=self.options["device"],
                    overwrite=self.options["overwrite"],
                    loaded=last if meta is self.grid.metas[-1] and self.request.prompts is None else None,
                    has_everyday=any(not hasattr(task, "own_data") for task in self.grid.tasks),
                )
            except Exception as error:  # noqa: BLE001  (a model may fail in any way; the other models have their turn)
                undecoded.append(f"{meta.name} ({type(error).__name__}: {error})")
                log.warning("no decoded texts of %s", undecoded[-1])
        if not undecoded:
            return None
        return ZooError(
            f"the scores are in {self.output}, but not every embedding could be decoded: {'; '.join(undecoded)}. Run the same "
            "command again, or leave the evidence out (--no-evidence)"
        )


def plan_evaluation(models: Any, tasks: Any = None, **options: Any) -> Evaluation:
    """Find the models and tasks of an evaluation, without running it.

    Args:
        models: As `genzoo.evaluate` takes them.
        tasks: Likewise.
        options: Any other argument of `genzoo.evaluate`, with the same default. The same errors are raised.

    Returns:
        An evaluation: its `plan` says what it will cost, its `run` runs it.
    """
    bound = inspect.signature(evaluate).bind(models, tasks, **options)
    bound.apply_defaults()
    given = bound.arguments
    processes = 1 if given["processes"] is None else given["processes"]
    for name, number in (("batch_size", given["batch_size"]), ("processes", processes)):
        if not isinstance(number, int) or number < 1:
            raise InputError(f"{name} is {number!r}: it must be a whole number, 1 or more")
    if given["precision"] not in ("auto", "float32", "bfloat16"):
        raise InputError(f"precision is {given['precision']!r}: give auto, float32 or bfloat16")
    if not isinstance(given["ray"], str | None):
        raise InputError(f"ray is {given['ray']!r}: give the address of a cluster, or 'auto'")
    if given["ray"] is not None and given["shard"] != "1/1":
        raise InputError("ray and shard both distribute the work: give only one of them")
    Shard.parse(str(given["shard"]))
    if given["ray"] is None:  # else other machines compute
        check_device(given["device"])
    output, data, prompts = Path(given.pop("output")), given.pop("data") or (), given.pop("prompts")
    asked = {
        "models": _models(given.pop("models")),
        "benchmark": given.pop("benchmark"),
        "tasks": tuple(_path_as_given(one) if isinstance(one, Path) else one for one in _several(given.pop("tasks"))),
        "data": tuple(f"{task}={folder}" for task, folder in data.items())
        if isinstance(data, Mapping)
        else tuple(map(str, _several(data))),
        "prompts": None if prompts is None else str(prompts),
        "kind": given.pop("kind"),
        "columns": _named_columns(given.pop("columns")),
        "split": given.pop("split"),
        "language": given.pop("language"),
        **{name: given.pop(name) for name in ("strict_prompts", "query_prefix", "document_prefix", "rate_limit")},
    }
    question = Question.of(output, {**asked, **given, "overwrite": False})
    finished = question.recall() if question and not given["overwrite"] else None
    evaluation = Evaluation(asked, output, given, question, finished)
    if finished is None:
        _ = evaluation.grid  # whatever cannot be found is an error now, not later
    return evaluation


def evaluate(
    models: Any,
    tasks: Any = None,
    *,
    benchmark: Any = None,
    output: Path | str = "results",
    data: Sequence[str] | Mapping[str, Path | str] = (),
    kind: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
    split: str | None = None,
    language: str | None = None,
    prompts: Path | str | None = None,
    strict_prompts: bool = False,
    query_prefix: str = "",
    document_prefix: str = "",
    rate_limit: float | None = None,
    batch_size: int = 32,
    device: str | None = None,
    processes: int | None = None,
    precision: str = "auto",
    shard: str = "1/1",
    ray: str | None = None,
    cache_embeddings: bool = True,
    overwrite: bool = False,
    evidence: bool = True,
) -> Results:
    """Measure models on tasks of mteb and genzoo. Call it again to go on after a stop: finished tasks are not run again.

    Args:
        models: One or several of: a zoo model, teacher or baseline by name; a folder; ``org/name[@commit]`` on the Hub; a
            SentenceTransformer or another mteb encoder; an mteb.ModelMeta; ``URL#MODEL``, a model behind an OpenAI-compatible
            endpoint; ``vectors:FOLDER``, embeddings computed elsewhere; ``rrf:A+B``, a hybrid of two by reciprocal rank fusion.
            A mapping of names to models names objects. Results of an object go by a digest of its weights, tokenizer and prompts.
        tasks: One or several of: the name of a task or of a benchmark; a file or folder of your own, as ``PATH`` or
            ``NAME=PATH``, see `genzoo.open_data`; a task or a Benchmark of mteb. With `benchmark`: which of its tasks.
        benchmark: A benchmark, by name or as mteb's object.
        output: The results folder; finished tasks in it are kept.
        data: Task to a folder of your own (corpus.jsonl, queries.jsonl, qrels), whose results get a separate name, or to
            ``@COMMIT``, which pins its data sets.
        kind: What files of your own are, where that is not found; so are `columns`, `split` and `language` as `genzoo.open_data`
            takes them.
        columns: Role to the name of its column in them.
        split: Which of their splits to measure.
        language: Their language.
        prompts: Other prompts than the models' own: "tasks" (one per task), "general", or a JSON file.
        strict_prompts: Refuse a task that has no prompt of its own.
        query_prefix: What endpoints get before each query of a search, as their model cards ask for it.
        document_prefix: Likewise before each document.
        rate_limit: Most requests a minute to an endpoint, as many as it answers if None.
        batch_size: Texts per batch, and per request to an endpoint.
        device: Where named models are loaded, their own choice if None; a model that comes as an object stays where it is.
        processes: Parallel encoding processes: one per GPU, or several on the CPU; to an endpoint the requests at a time. One process,
            and four requests, if None.
        precision: In which zoo models and folders of `genzoo.train` encode: ``float32``; ``bfloat16``, their matrix products, on a
            CPU; or ``auto``: that of their results in the folder, else bfloat16 where the processor has instructions for it and
            the model's probe texts keep their embeddings (cosine .9995 or more), else float32. With `shard` or `ray`, ``auto`` is
            float32. All other models run as they are.
        shard: ``i/n``: measure every n-th pair of model and task, beginning with the i-th; other machines measure the rest.
        ray: Address of a Ray cluster that distributes the pairs ("auto": the cluster of this machine).
        cache_embeddings: Keep embeddings in the results folder, so that none is lost at a stop or computed twice.
        overwrite: Measure finished tasks again.
        evidence: Also keep the queries and documents behind the scores, and decode some embeddings of each zoo model.

    Returns:
        The results folder, opened.

    Raises:
        UnknownNameError: A model, task or benchmark that is not known, with the nearest names.
        InputError: Anything else that cannot be measured as given; both before anything is loaded.
        FailedRunsError: Some pairs of model and task failed, after all others are done and kept.
    """
    return plan_evaluation(**locals()).run()


def _path_as_given(path: Path) -> str:
    """A path as a task, which is never taken for the name of a task."""
    return str(path) if len(path.parts) > 1 else os.path.join(os.curdir, path)  # noqa: PTH118 - pathlib drops the dot


def _named_columns(given: Any) -> tuple[str, ...]:
    """``ROLE=NAME`` of each column."""
    if isinstance(given, Mapping):
        pairs = ((role, name) for role, names in given.items() for name in _several(names))
        return tuple(f"{role}={name}" for role, name in pairs)
    return tuple(map(str, _several(given)))


def _several(given: Any) -> tuple[Any, ...]:
    """One thing, or all things of a list, in a tuple; nothing in an empty one."""
    if given is None:
        return ()
    return (
        tuple(given)
        if isinstance(given, list | tuple | set | frozenset | Iterator | KeysView | ValuesView)
        else (given,)
    )


def _models(given: Any) -> tuple[Any, ...]:
    """Names, objects, and pairs of a name and an object."""
    if isinstance(given, Mapping):
        return tuple(given.items())
    return tuple(str(one) if isinstance(one, Path) else one for one in _several(given))
