"""The benchmarks of the package, as mteb objects."""

from mteb.benchmarks.benchmark import Benchmark

from genzoo.tasks.mini import GenZooMiniIntentClassification, GenZooMiniRetrieval, GenZooMiniSTS
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.reasoning import GenZooMiniReasoningRetrieval
from genzoo.tasks.safety import GenZooMiniOverRefusalRetrieval, GenZooMiniSafetyRetrieval
from genzoo.tasks.task_fields import CITATION, PAPER

TASKS = (
    GenZooMiniRetrieval,
    GenZooMiniReasoningRetrieval,
    GenZooMiniSafetyRetrieval,
    GenZooMiniOverRefusalRetrieval,
    GenZooMiniSTS,
    GenZooMiniIntentClassification,
)

with kept_random_state():
    GENZOO_MINI = Benchmark(
        name="GenZoo(mini, v1)",
        aliases=("genzoo-mini",),
        tasks=[task() for task in TASKS],
        description="Six small tasks that need no network: retrieval, reasoning, safety and its over-refusal twin, "
        "similarity, classification. For a first look at a model; too small to rank close ones.",
        reference=PAPER,
        citation=CITATION,
    )

BENCHMARKS = (GENZOO_MINI,)
