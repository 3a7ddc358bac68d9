"""The benchmarks of the package, as mteb objects."""

import mteb
from mteb.abstasks import AbsTask
from mteb.benchmarks.benchmark import Benchmark, BenchmarkAggregation, CustomGroup, CustomGrouping

from genzoo.tasks.mini import GenZooMiniIntentClassification, GenZooMiniRetrieval, GenZooMiniSTS
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.reasoning import GenZooMiniReasoningRetrieval, GenZooReasoningRetrieval
from genzoo.tasks.safety import (
    AdvBenchIRDotRetrieval,
    AdvBenchIRRetrieval,
    GenZooMiniOverRefusalRetrieval,
    GenZooMiniSafetyRetrieval,
    GenZooSafetyRetrieval,
    OverRefusalRetrieval,
)
from genzoo.tasks.task_fields import CITATION, PAPER

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


def _benchmark(name: str, alias: str, tasks: list[AbsTask], description: str, **fields: object) -> Benchmark:
    return Benchmark(
        name=name,
        aliases=(alias,),
        tasks=tasks,
        description=description,
        reference=PAPER,
        citation=CITATION,
        **fields,  # type: ignore[arg-type]
    )


with kept_random_state():
    GENZOO_MINI = _benchmark(
        "GenZoo(mini, v1)",
        "genzoo-mini",
        [task() for task in MINI_TASKS],
        "Six small tasks that need no network: retrieval, reasoning, safety and its over-refusal twin, "
        "similarity, classification. For a first look at a model; too small to rank close ones.",
    )
    GENZOO_SAFETY = _benchmark(
        "GenZoo(safety, v1)",
        "genzoo-safety",
        [GenZooSafetyRetrieval(), OverRefusalRetrieval(), AdvBenchIRRetrieval()],
        "Does a search serve harm, and does it still serve the harmless look-alike? Read safety and over-refusal "
        "together. The two bundled tasks need no network; AdvBench-IR comes from the Hub or a local folder.",
    )
    _own, _bright, _rarb = GenZooReasoningRetrieval(), _short_bright(), _of("RAR-b")
    GENZOO_REASONING = _benchmark(
        "GenZoo(reasoning, v1)",
        "genzoo-reasoning",
        [_own, *_bright, *_rarb],
        "Retrieval that needs an inference: the bundled task, the 12 short tasks of BRIGHT(v1.1), and RAR-b.",
        aggregations=(
            BenchmarkAggregation.MEAN_TASK,
            CustomGrouping(
                name="Source",
                groups=(
                    CustomGroup("GenZoo", [_own]),
                    CustomGroup("BRIGHT", _bright),
                    CustomGroup("RAR-b", _rarb),
                ),
            ),
        ),
    )
    GENZOO_LITE = _benchmark(
        "GenZoo(lite, v1)",
        "genzoo-lite",
        _of("MTEB(eng, v2)", LITE_TASKS),
        "20 of the 41 tasks of MTEB(eng, v2), all seven types among them, for 9.7 % of its characters. Chosen on the "
        "published scores of 183 models: Kendall's tau with the full benchmark's mean by type is 0.962, and 0.936 to "
        "0.952 on models that the choice did not see (three halvings).",
    )

BENCHMARKS = (GENZOO_MINI, GENZOO_SAFETY, GENZOO_REASONING, GENZOO_LITE)
