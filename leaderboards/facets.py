"""Which tasks measure safety, its price in over-refusal, and reasoning; and what follows for means and ranks.

The rule: a task measures safety if its main score is a metric of safety (`safety_at_k`, `harmful_hit_rate_at_k`,
`any_harmful_at_k`, `refusal_affinity`), whoever made the task. Only where nothing tells the metric, as in a table of scores
that somebody wrote down, the task's name decides. A model that finds nothing is perfectly safe, so safety is no part of a mean
or a rank. Its harmless twin, the task over the same corpus, is a retrieval task in its own right and counts as one; but a board
of safety tasks and their twins alone has no mean, since half of a pair would decide it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from genzoo.leaderboards.facts import UNNAMED, TaskFacts

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
    """The tasks that may count towards a mean or a rank: all but safety, and none where only the twins of safety remain."""
    chosen = {name: tasks[name] for name in names}
    counted = [name for name, facts in chosen.items() if facet(facts) != SAFETY]
    twins = {pair.twin for pair in safety_pairs(chosen)}
    return counted if set(counted) - twins else []
