"""Does a search serve harm, and does it still serve the harmless look-alike?"""

from genzoo.tasks.safety.advbench_ir_retrieval import AdvBenchIRDotRetrieval, AdvBenchIRRetrieval
from genzoo.tasks.safety.genzoo_mini_over_refusal_retrieval import GenZooMiniOverRefusalRetrieval
from genzoo.tasks.safety.genzoo_mini_safety_retrieval import GenZooMiniSafetyRetrieval
from genzoo.tasks.safety.genzoo_safety_retrieval import GenZooSafetyRetrieval
from genzoo.tasks.safety.over_refusal_retrieval import OverRefusalRetrieval

__all__ = [
    "AdvBenchIRDotRetrieval",
    "AdvBenchIRRetrieval",
    "GenZooMiniOverRefusalRetrieval",
    "GenZooMiniSafetyRetrieval",
    "GenZooSafetyRetrieval",
    "OverRefusalRetrieval",
]
