"""Does a search serve harm, and does it still serve the harmless look-alike?"""

from genzoo.tasks.safety.genzoo_mini_over_refusal_retrieval import GenZooMiniOverRefusalRetrieval
from genzoo.tasks.safety.genzoo_mini_safety_retrieval import GenZooMiniSafetyRetrieval

__all__ = ["GenZooMiniOverRefusalRetrieval", "GenZooMiniSafetyRetrieval"]
