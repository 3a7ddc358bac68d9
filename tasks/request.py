"""What is to be measured, as a user names it (models, tasks, prompts, data), and what that will cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark
from mteb.models import ModelMeta

from genzoo.errors import InputError
from genzoo.jobs import CHARACTERS_PER_TOKEN, measure_speed
from genzoo.models.prompts import GENERAL, prompt_set
from genzoo.tasks.embedders.address import EXAMPLE
from genzoo.tasks.embedders.cards import Lineage
from genzoo.tasks.embedders.endpoint import EndpointOptions
from genzoo.tasks.embedders.hybrids import parts_of_hybrid, refuse_other_than_searches
from genzoo.tasks.embedders.known_endpoints import is_endpoint
from genzoo.tasks.embedders.mteb_models import lineage_of, resolve_model
from genzoo.tasks.embedders.other_prompts import check_strict, with_prompts
from genzoo.tasks.embedders.ready_models import describe_model
from genzoo.tasks.own.choices import prompt_metadata, with_chosen_data
from genzoo.tasks.own.opening import OwnOptions, given_path, open_given
from genzoo.tasks.random_state import making_tasks
from genzoo.tasks.records import labels, model_key
from genzoo.tasks.sets.bundled import BundledRetrieval, BundledSplits
from genzoo.tasks.sets.registration import benchmarks_among, is_name, register_tasks, resolve_tasks

EFFICIENCY = 0.6
"""Share of the matrix product's speed that encoding reaches; measured for SmolLM2-135M on a CPU."""


@dataclass(frozen=True)
class PlannedTask:
    """One task of a plan.

    Attributes:
        texts: How many are encoded, a pair counted twice; None where neither mteb nor the task says.
        tokens: Estimated from their characters; None where those are not known.
    """

    name: str
    texts: int | None
    tokens: int | None

    @classmethod
    def of(cls, task: AbsTask) -> PlannedTask:
        """Count the texts and characters of a task's evaluation splits and languages."""
        if (own := getattr(task, "own_data", None)) is not None:
            texts, characters = own.n_texts, own.n_characters
        elif isinstance(task, BundledRetrieval | BundledSplits):
            rows = [row for file in task.bundled.files for row in task.bundled.rows(file)]
            found = [row[key] for row in rows for key in ("text", "sentence1", "sentence2") if key in row]
            texts, characters = len(found), sum(map(len, found))
        else:
            parts = list(_statistics(task))
            texts = sum(int(part.get("num_samples", 0)) * (2 if "unique_pairs" in part else 1) for part in parts)
            characters = sum(map(_characters, parts))
        return cls(task.metadata.name, texts or None, round(characters / CHARACTERS_PER_TOKEN) if characters else None)


def _statistics(task: AbsTask) -> Iterator[Mapping[str, Any]]:
    """Mteb's statistics of each split, or of each language of it where they are told apart."""
    stats: Any = task.metadata.descriptive_stats or {}
    for split in task.eval_splits:
        found = stats.get(split, {})
        per_subset = found.get("hf_subset_descriptive_stats")
        yield from (per_subset[subset] for subset in task.hf_subsets if subset in per_subset) if per_subset else [found]


def _characters(stats: Mapping[str, Any]) -> int:
    if stats.get("number_of_characters"):
        return int(stats["number_of_characters"])
    return sum(int(part.get("total_text_length", 0)) for part in stats.values() if isinstance(part, Mapping))


@dataclass(frozen=True)
class EvaluationPlan:
    """What it costs to measure models on tasks.

    Attributes:
        tasks: The tasks, each counted once.
        seconds: Model (see `genzoo.tasks.records.labels`) -> estimated time for all of them, None where it is not known.
        endpoints: Those of the models that ask an endpoint.
    """

    tasks: tuple[PlannedTask, ...]
    seconds: Mapping[str, float | None]
    endpoints: frozenset[str] = frozenset()

    @property
    def tokens(self) -> int | None:
        """Of all tasks together, for one model; None if it is not known for one of them."""
        known = [task.tokens for task in self.tasks]
        return None if None in known else sum(tokens or 0 for tokens in known)

    def cost(self, price: float) -> float | None:
        """What all tasks cost with one model at a price per million tokens; less if some are finished or embeddings are kept."""
        return None if self.tokens is None else self.tokens * price / 1e6


def _resolve(given: Any, endpoints: EndpointOptions, results: Path | None) -> tuple[ModelMeta, Lineage]:
    """The card and the facts of a model by name, as an object, or as a pair of both."""
    if isinstance(given, str):
        return resolve_model(given, endpoints, results)
    name, model = given if isinstance(given, tuple) else (None, given)
    if isinstance(model, str | Path):
        raise InputError(
            f"{name!r} cannot name {str(model)!r}, which has a name already: give it without a name of your own"
        )
    meta = describe_model(model, name)
    return meta, lineage_of(str(meta.name))


@dataclass(frozen=True)
class Grid:
    """Models and tasks, ready for `evaluate`.

    Attributes:
        metas: The models, under the prompts that were asked for.
        tasks: The tasks.
        benchmark_name: Set when the tasks are a whole benchmark.
        facts: Name and revision of a model -> what the environment record says of it.
        benchmarks: Name of each benchmark that is among several benchmarks and tasks -> its tasks.
    """

    metas: list[ModelMeta]
    tasks: list[AbsTask]
    benchmark_name: str | None
    facts: Mapping[tuple[str, str], Mapping[str, Any]]
    benchmarks: Mapping[str, list[AbsTask]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Pairs of model and task."""
        return len(self.metas) * len(self.tasks)

    def plan(self, speed: float | None = None) -> EvaluationPlan:
        """Count texts and tokens, and estimate the time of each model whose size is known.

        Args:
            speed: Floating point operations per second; measured with a matrix product if None.
        """
        named, sizes = labels(self.metas), {model_key(meta): _computing_parameters(meta) for meta in self.metas}
        endpoints = frozenset(
            named[model_key(meta)] for meta in self.metas if any(map(is_endpoint, (meta, *parts_of_hybrid(meta))))
        )
        plan = EvaluationPlan(tuple(map(PlannedTask.of, self.tasks)), dict.fromkeys(named.values()), endpoints)
        if plan.tokens is None or not any(sizes.values()):
            return plan
        rate = (speed or measure_speed()) * EFFICIENCY
        seconds = {named[key]: 2 * size * plan.tokens / rate if size else None for key, size in sizes.items()}
        return replace(plan, seconds=seconds)


def _computing_parameters(meta: ModelMeta) -> int:
    """Parameters that every token passes through: all but the embedding matrix; 0 where their number is not known."""
    embedding = meta.n_embedding_parameters if isinstance(meta.n_embedding_parameters, int) else 0
    return meta.n_parameters - embedding if meta.n_parameters else 0


def _absolute(given: str) -> str:
    """A path, or ``NAME=PATH``, from the root; anything else as it is."""
    found = given_path(given)
    if found is None or not found[1].exists():
        return given
    name, path = found
    return f"{name}={path.absolute()}" if name else str(path.absolute())


@dataclass(frozen=True)
class Request:
    """Models and tasks by name, or as the objects that the caller holds.

    Attributes:
        models: Names as `genzoo.tasks.embedders.mteb_models.resolve_model` takes them, objects as `describe_model` takes them, or pairs of a
            name and an object.
        benchmark: Name of a benchmark, or a benchmark of mteb.
        tasks: Tasks by name or as objects: among those of the benchmark where one is given, else tasks, benchmarks, and paths of
            own data (``PATH`` or ``NAME=PATH``).
        data: ``TASK=FOLDER`` or ``TASK=@COMMIT``; a benchmark of which a task reads a folder is not that benchmark any more.
        prompts: ``tasks``, ``general`` or a JSON file; the models' own if None.
        strict_prompts: Whether a task without a prompt of its own is refused.
        kind: How own data are read, see `genzoo.tasks.own.opening.OwnOptions`; so are `columns`, `split` and `language`.
        query_prefix: What endpoints get before each query of a search.
        document_prefix: Likewise before each document.
        rate_limit: Most requests a minute to an endpoint.
    """

    models: tuple[Any, ...]
    benchmark: str | Benchmark | None = None
    tasks: tuple[Any, ...] = ()
    data: tuple[str, ...] = ()
    prompts: str | None = None
    strict_prompts: bool = False
    kind: str | None = None
    columns: tuple[str, ...] = ()
    split: str | None = None
    language: str | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    rate_limit: float | None = None

    def resolve(self, on_note: Callable[[str], None] = lambda _: None, results: Path | None = None) -> Grid:
        """Find the models and the tasks; the same grid, in the same order, on every machine.

        Args:
            on_note: Told what is incomplete in the data.
            results: The results folder, which knows the models of endpoints by earlier runs.

        Raises:
            UnknownNameError: For a name that nothing here or on the Hub has.
            InputError: For prompts or data that do not fit.
        """
        register_tasks()
        given = self._opened(on_note)
        tasks, benchmark_name = resolve_tasks(self.benchmark, given)
        official = [task.metadata.name for task in tasks]
        with making_tasks():
            tasks = with_chosen_data(tasks, list(self.data), on_note)
        if [task.metadata.name for task in tasks] != official:
            benchmark_name = None
        endpoints = self._endpoint_options()
        resolved = [_resolve(given, endpoints, results) for given in self.distinct_models]
        metas = self._prompted([meta for meta, _ in resolved], tasks)
        refuse_other_than_searches(metas, tasks)
        facts = {model_key(meta): asdict(known) for meta, (_, known) in zip(metas, resolved, strict=True)}
        names = {task.metadata.name for task in tasks}
        whole = {found.name: list(found.tasks) for found in benchmarks_among(() if self.benchmark else given)}
        whole = {name: own for name, own in whole.items() if {task.metadata.name for task in own} <= names}
        return Grid(metas, tasks, benchmark_name, facts, whole)

    def portable(self) -> Request:
        """The same for a process with another working directory: folders of models and paths of own data from the root."""
        with making_tasks():
            tasks = tuple(
                _absolute(given) if isinstance(given, str) and not is_name(given) else given for given in self.tasks
            )
        data = tuple(f"{task}={_absolute(path)}" for task, _, path in (each.partition("=") for each in self.data))
        models = tuple(
            _absolute(given) if isinstance(given, str) and Path(given).is_dir() else given for given in self.models
        )
        return replace(self, models=models, tasks=tasks, data=data)

    def _opened(self, on_note: Callable[[str], None]) -> list[Any]:
        """The tasks that were asked for, own data opened."""
        options = OwnOptions(self.kind, self.columns, self.split, self.language)
        with making_tasks():
            tasks = open_given(self.tasks, options, is_name, on_note)
        if self.benchmark and any(isinstance(task, AbsTask) and hasattr(task, "own_data") for task in tasks):
            raise InputError("a benchmark chooses among its own tasks: name it beside your data, -t BENCHMARK -t PATH")
        return tasks

    def _endpoint_options(self) -> EndpointOptions:
        options = EndpointOptions(self.query_prefix, self.document_prefix, self.rate_limit)
        if options.prompts and self.prompts is not None:
            raise InputError(
                "prompts and the prefixes of endpoints both say what comes before a text: give one of them"
            )
        names = [given for given in self.models if isinstance(given, str)]
        if options != EndpointOptions() and not any("://" in name for name in names):
            raise InputError(
                f"query_prefix, document_prefix and rate_limit are for endpoints, such as {EXAMPLE}: other models bring prompts of "
                "their own, or get them with --prompts"
            )
        return options

    @property
    def distinct_models(self) -> list[Any]:
        """The models, each once."""
        return [given for place, given in enumerate(self.models) if given not in self.models[:place]]

    @property
    def has_objects(self) -> bool:
        """Whether a model or a task is given as an object, which no other machine can look up."""
        return any(not isinstance(given, str) for given in (*self.models, *self.tasks, self.benchmark or ""))

    def _prompted(self, metas: list[ModelMeta], tasks: list[AbsTask]) -> list[ModelMeta]:
        """The models under the prompts that were asked for."""
        chosen = prompt_set(self.prompts or GENERAL)
        if self.strict_prompts:
            check_strict(chosen, [prompt_metadata(task).name for task in tasks])
        if self.prompts is None:
            return metas
        return [with_prompts(meta, chosen, Path(self.prompts).stem) for meta in metas]
