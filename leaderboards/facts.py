"""What is known about models and tasks besides their scores, and which tasks measure safety, over-refusal and reasoning."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from genzoo.leaderboards.metrics import Metric, metric

# The revision under which mteb's results repository keeps what was parsed from model cards.
EXTERNAL = "external"
# The name of a main score whose metric nothing tells.
UNNAMED = "main_score"
# How `tasks.json` names the data set of a task over a user's own files, and of an official task over them.
_OWN = ("own/", "local/")


class ModelKey(NamedTuple):
    """One row of every table: two revisions of one model are two keys."""

    model: str
    revision: str

    @property
    def folder(self) -> str:
        """The folder that mteb gives its results, below that of all models.

        >>> ModelKey("org/my model", "r1").folder
        'org__my_model/r1'
        """
        return f"{self.model.replace('/', '__').replace(' ', '_')}/{self.revision}"


class Share(NamedTuple):
    """What one revision gives to a joined row: the tasks on which its score counts, of those that it holds."""

    revision: str
    used: int
    held: int

    @property
    def is_reported(self) -> bool:
        """Whether its scores come from a model card and not from a run."""
        return self.revision.split("+", 1)[0] == EXTERNAL


@dataclass(frozen=True)
class ModelFacts:
    """What the environment record and mteb's `model_meta.json` say about one model and revision.

    Attributes:
        role: "zoo", "teacher", "baseline" or "other".
        training_datasets: mteb names of what it was trained on; None is unknown, which is not the same as clean.
        is_reported: Whether its scores were written down by somebody and not measured: a CSV file, or mteb's `external`.
        revisions: What each revision gives to a row that joins several, empty for any other row.

    Other unknown numbers are None, unknown mappings empty.
    """

    key: ModelKey
    role: str = "other"
    teacher: str | None = None
    backbone: str | None = None
    n_parameters: int | None = None
    n_trained_parameters: int | None = None
    embed_dim: int | None = None
    max_tokens: int | None = None
    batch_size: int | None = None
    texts_per_second: float | None = None
    device: str | None = None
    dtype: str | None = None
    date: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    has_environment: bool = False
    training_datasets: frozenset[str] | None = None
    is_reported: bool = False
    revisions: tuple[Share, ...] = ()

    def has_seen(self, task: str) -> bool | None:
        """Whether the model was trained on a task's data set; None where its training data are unknown."""
        return None if self.training_datasets is None else task in self.training_datasets

    def seen_of(self, tasks: Collection[str]) -> list[str]:
        """Those of some tasks that the model states to have been trained on, in their order."""
        own = self.training_datasets or frozenset()
        return [] if own.isdisjoint(tasks) else [name for name in tasks if name in own]


@dataclass(frozen=True)
class TaskFacts:
    """What `tasks.json` says about one task; a task of a foreign tree has only its name.

    `splits` and `subsets` are optional: where given they define the task's score, as a benchmark of mteb does. `earlier_of` is the
    task whose data were those of this one before they changed.
    """

    name: str
    type: str | None = None
    main_score: str = UNNAMED
    description: str = ""
    dataset_path: str | None = None
    dataset_revision: str | None = None
    prompt: str = ""
    languages: tuple[str, ...] = ()
    n_texts: int | None = None
    splits: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    earlier_of: str | None = None

    @property
    def metric(self) -> Metric:
        """The metric of the main score."""
        return metric(self.main_score)

    @property
    def is_own(self) -> bool:
        """Whether its data are a user's own files."""
        return (self.dataset_path or "").startswith(_OWN)


def current_tasks(tasks: Mapping[str, TaskFacts]) -> dict[str, TaskFacts]:
    """The tasks without earlier contents of data, where the content of today is among them."""
    return {name: facts for name, facts in tasks.items() if facts.earlier_of not in tasks}


def all_own(tasks: Mapping[str, TaskFacts]) -> bool:
    """Whether all tasks are of a user's own data."""
    return all(facts.is_own for facts in tasks.values())


class Decoded(NamedTuple):
    """One text, what its embedding decodes to, and the logit-lens tokens of each trained token."""

    text: str
    prompt: str
    decoded: str
    logit_lens: tuple[tuple[str, ...], ...]


class Problem(NamedTuple):
    """A file, or part of one, that could not be used, and why."""

    source: str
    reason: str


SAFETY, OVER_REFUSAL, REASONING = "safety", "over-refusal", "reasoning"
# The version of the rule above, named with every exported mean. Version 1 averaged safety with everything else.
RULE = "genzoo means, version 2: safety tasks are in no mean, no type mean and no Borda rank"

# mteb has no task type or subtype for these (types are a closed list), so names decide what no metric tells.
_OVER_REFUSAL = re.compile(r"OverRefusal|XSTest", re.IGNORECASE)
_SAFETY = re.compile(r"Safety|AdvBench|HarmBench|Harmful", re.IGNORECASE)
_REASONING = re.compile(
    r"Reasoning|^Bright|^ARCChallenge|^AlphaNLI|^HellaSwag|^WinoGrande|^PIQA|^SIQA|^Quail|^SpartQA"
    r"|^TempReason|^RARb|^GSM8K|^HumanEval|^QASC",
    re.IGNORECASE,
)
# For a folder that does not say what data its tasks read: a twin is named like its safety task, but for this one.
_TWINS = {"GenZooSafetyRetrieval": "OverRefusalRetrieval"}


class SafetyPair(NamedTuple):
    """A safety task and its harmless twin, by name: both search the same corpus."""

    safety: str
    twin: str


def facet(task: TaskFacts) -> str | None:
    """The facet of a task, None for the plain ones.

    >>> facet(TaskFacts("Requests", main_score="safety_at_5")), facet(TaskFacts("FoodSafety", main_score="ndcg_at_10"))
    ('safety', None)
    >>> facet(TaskFacts("GenZooMiniOverRefusalRetrieval"))
    'over-refusal'
    """
    if task.metric.is_safety:
        return SAFETY
    if _OVER_REFUSAL.search(task.name):
        return OVER_REFUSAL
    if is_safety_by_name(task):
        return SAFETY
    return REASONING if _REASONING.search(task.name) else None


def is_safety_by_name(task: TaskFacts) -> bool:
    """Whether only its name says that a task measures safety."""
    return task.main_score == UNNAMED and bool(_SAFETY.search(task.name)) and not _OVER_REFUSAL.search(task.name)


def tasks_of(name: str, tasks: Mapping[str, TaskFacts]) -> tuple[str, ...]:
    """The tasks of one facet, in the given order; over-refusal includes every task that is the twin of a safety task."""
    twins = {pair.twin for pair in safety_pairs(tasks)} if name == OVER_REFUSAL else set()
    return tuple(task for task, facts in tasks.items() if facet(facts) == name or task in twins)


def safety_pairs(tasks: Mapping[str, TaskFacts]) -> tuple[SafetyPair, ...]:
    """Each safety task with its twin: the task over the same data that does not measure safety.

    Where several do not, those that are named after over-refusal; where there is none such, nothing tells which is meant. Where
    it is not known what data a task reads, names decide: AcmeSafetyRetrieval goes with AcmeOverRefusalRetrieval.
    """
    found = []
    for safety in tasks_of(SAFETY, tasks):
        near = [name for name, facts in tasks.items() if facet(facts) != SAFETY and _share_data(tasks[safety], facts)]
        named = [name for name in near if facet(tasks[name]) == OVER_REFUSAL]
        twins = named or (near if len(near) == 1 else [])
        found += [SafetyPair(safety, twin) for twin in twins]
    return tuple(found)


def _share_data(safety: TaskFacts, other: TaskFacts) -> bool:
    if safety.dataset_path is None or other.dataset_path is None:
        return _TWINS.get(safety.name, safety.name.replace("Safety", "OverRefusal")) == other.name
    return safety.dataset_path == other.dataset_path and safety.type == other.type


def counted_tasks(names: Iterable[str], tasks: Mapping[str, TaskFacts]) -> list[str]:
    """The current tasks that may count towards a mean or a rank: all but safety, and none where only the twins of safety remain."""
    chosen = current_tasks({name: tasks[name] for name in names})
    counted = [name for name, facts in chosen.items() if facet(facts) != SAFETY]
    twins = {pair.twin for pair in safety_pairs(chosen)}
    return counted if set(counted) - twins else []
