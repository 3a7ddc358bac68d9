"""Small everyday tasks: retrieval, similarity and classification."""

from genzoo.tasks.mini.genzoo_mini_intent_classification import GenZooMiniIntentClassification
from genzoo.tasks.mini.genzoo_mini_retrieval import GenZooMiniRetrieval
from genzoo.tasks.mini.genzoo_mini_sts import GenZooMiniSTS

__all__ = ["GenZooMiniIntentClassification", "GenZooMiniRetrieval", "GenZooMiniSTS"]
