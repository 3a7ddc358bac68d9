"""Frozen LLMs: which there are, where their weights come from, how they are opened whole, run and asked for text."""
