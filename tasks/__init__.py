"""What is measured: tasks, benchmarks and evaluation runs (imported on first use, because mteb takes seconds)."""

from genzoo import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
