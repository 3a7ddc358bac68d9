"""Retrieval in which only an inference connects query and passage."""

from genzoo.tasks.reasoning.genzoo_mini_reasoning_retrieval import GenZooMiniReasoningRetrieval
from genzoo.tasks.reasoning.genzoo_reasoning_retrieval import GenZooReasoningRetrieval

__all__ = ["GenZooMiniReasoningRetrieval", "GenZooReasoningRetrieval"]
