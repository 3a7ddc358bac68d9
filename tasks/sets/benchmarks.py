"""The benchmarks of the package, as mteb objects."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mteb
from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark, BenchmarkAggregation, CustomGroup, CustomGrouping

from genzoo.tasks.random_state import making_tasks
from genzoo.tasks.sets.advbench_ir import AdvBenchIRDotRetrieval, AdvBenchIRRetrieval
from genzoo.tasks.sets.bundled import (
    CITATION,
    PAPER,
    GenZooMiniIntentClassification,
    GenZooMiniReasoningRetrieval,
    GenZooMiniRetrieval,
    GenZooMiniSTS,
    GenZooReasoningRetrieval,
)
from genzoo.tasks.sets.safety import (
    GenZooMiniOverRefusalRetrieval,
    GenZooMiniSafetyRetrieval,
    GenZooSafetyRetrieval,
    OverRefusalRetrieval,
)

MINI_TASKS = (
    GenZooMiniRetrieval,
    GenZooMiniReasoningRetrieval,
    GenZooMiniSafetyRetrieval,
    GenZooMiniOverRefusalRetrieval,
    GenZooMiniSTS,
    GenZooMiniIntentClassification,
)
BUNDLED_TASKS = (*MINI_TASKS, GenZooSafetyRetrieval, OverRefusalRetrieval, GenZooReasoningRetrieval)
TASKS = (*BUNDLED_TASKS, AdvBenchIRRetrieval, AdvBenchIRDotRetrieval)

LITE_TASKS = (
    "AmazonCounterfactualClassification",
    "ArXivHierarchicalClusteringP2P",
    "AskUbuntuDupQuestions",
    "BIOSSES",
    "Banking77Classification",
    "ClimateFEVERHardNegatives",
    "HotpotQAHardNegatives",
    "MassiveIntentClassification",
    "MedrxivClusteringS2S.v2",
    "SICK-R",
    "STS13",
    "STS14",
    "STS15",
    "STS17",
    "StackExchangeClustering.v2",
    "SummEvalSummarization.v2",
    "ToxicConversationsClassification",
    "TwentyNewsgroupsClustering.v2",
    "TwitterSemEval2015",
    "TwitterURLCorpus",
)


def _of(benchmark: str, names: tuple[str, ...] | None = None) -> list[AbsTask]:
    """Tasks of one of mteb's benchmarks with its choice of languages and splits; all of them if no name is given."""
    return [task for task in mteb.get_benchmark(benchmark).tasks if names is None or task.metadata.name in names]


def _short_bright() -> list[AbsTask]:
    return [task for task in _of("BRIGHT(v1.1)") if task.eval_splits == ["standard"]]


_Fields = Callable[[], dict[str, Any]]
_BENCHMARKS: dict[tuple[str, str], _Fields] = {}


def _benchmark(name: str, alias: str) -> Callable[[_Fields], _Fields]:
    """Registers a benchmark by what makes its fields; it is built when it is first asked for."""
    return lambda fields: _BENCHMARKS.setdefault((name, alias), fields)


@functools.cache
def _build(name: str, alias: str) -> Benchmark:
    with making_tasks():
        return Benchmark(name=name, aliases=(alias,), reference=PAPER, citation=CITATION, **_BENCHMARKS[name, alias]())


def own_benchmark(name: str) -> Benchmark | None:
    """The package's benchmark of this name or alias, None for any other name.

    Those with tasks of mteb's benchmarks take a second: mteb makes the tasks of all its benchmarks at once.
    """
    return next((_build(*names) for names in _BENCHMARKS if name in names), None)


def own_benchmarks() -> tuple[Benchmark, ...]:
    """All of the package's benchmarks."""
    return tuple(_build(*names) for names in _BENCHMARKS)


def _beside_safety(tasks: list[AbsTask]) -> CustomGrouping:
    """One mean over safety tasks, one over all others."""
    safety = [task for task in tasks if task.metadata.main_score.startswith("safety_at_")]
    others = [task for task in tasks if task not in safety]
    return CustomGrouping(name="Mean", groups=(CustomGroup("Without safety", others), CustomGroup("Safety", safety)))


@_benchmark("GenZoo(mini, v1)", "genzoo-mini")
def _mini() -> dict[str, Any]:
    tasks: list[AbsTask] = [task() for task in MINI_TASKS]
    return {
        "tasks": tasks,
        "description": "Six small tasks that need no network: retrieval, reasoning, safety and its over-refusal twin, "
        "similarity, classification. For a first look at a model; too small to rank close ones. Safety is in no mean: a "
        "model that finds nothing is perfectly safe.",
        # mteb's own means would average safety with everything else.
        "aggregations": (_beside_safety(tasks),),
    }


@_benchmark("GenZoo(safety, v1)", "genzoo-safety")
def _safety() -> dict[str, Any]:
    tasks: list[AbsTask] = [GenZooSafetyRetrieval(), OverRefusalRetrieval(), AdvBenchIRRetrieval()]
    return {
        "tasks": tasks,
        "description": "Does a search serve harm, and does it still serve the harmless look-alike? Read safety and over-refusal "
        "together: its board is sorted by safety at 70 % utility and has no mean. The two bundled tasks need no "
        "network; AdvBench-IR comes from the Hub or a local folder.",
        "aggregations": (_beside_safety(tasks),),
    }


@_benchmark("GenZoo(reasoning, v1)", "genzoo-reasoning")
def _reasoning() -> dict[str, Any]:
    own, bright, rarb = GenZooReasoningRetrieval(), _short_bright(), _of("RAR-b")
    return {
        "tasks": [own, *bright, *rarb],
        "description": "Retrieval that needs an inference: the bundled task, the 12 short tasks of BRIGHT(v1.1), and RAR-b.",
        "aggregations": (
            BenchmarkAggregation.MEAN_TASK,
            CustomGrouping(
                name="Source",
                groups=(
                    CustomGroup("GenZoo", [own]),
                    CustomGroup("BRIGHT", bright),
                    CustomGroup("RAR-b", rarb),
                ),
            ),
        ),
    }


@_benchmark("GenZoo(lite, v1)", "genzoo-lite")
def _lite() -> dict[str, Any]:
    return {
        "tasks": _of("MTEB(eng, v2)", LITE_TASKS),
        "description": "20 of the 41 tasks of MTEB(eng, v2), all seven types among them, for 9.7 % of its characters. Chosen on the "
        "published scores of 183 models for Kendall's tau with the full benchmark, of which it is a part, by the mean of "
        "the types: 0.962 on these models, 0.936 to 0.952 on models that the choice did not see (three halvings). By "
        "Mean (task), the order of a board, tau is 0.917; with the 21 tasks left out, by the mean of the types, 0.892; "
        "among the 20 best models, by the same, 0.850: too coarse to rank those.",
    }
