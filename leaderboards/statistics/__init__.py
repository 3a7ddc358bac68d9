"""Aggregates over tasks, and how sure they are."""
