"""Benchmark and model zoo for generative embeddings (LLM2Vec-Gen).

>>> import genzoo
>>> "smollm2-135m" in genzoo.list_models()
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "genzoo.models.loading",
    "load_decoder": "genzoo.models.loading",
    "list_models": "genzoo.models.entries",
    "get_entry": "genzoo.models.entries",
    "ZooEntry": "genzoo.models.entries",
    "Recipe": "genzoo.recipes.recipes",
    "TokenCheckpoint": "genzoo.models.checkpoint",
    "ZooError": "genzoo.errors",
}

__all__ = [
    "Recipe",
    "TokenCheckpoint",
    "ZooEntry",
    "ZooError",
    "__version__",
    "get_entry",
    "list_models",
    "load",
    "load_decoder",
]

if TYPE_CHECKING:
    from genzoo.errors import ZooError
    from genzoo.models.checkpoint import TokenCheckpoint
    from genzoo.models.entries import ZooEntry, get_entry, list_models
    from genzoo.models.loading import load, load_decoder
    from genzoo.recipes.recipes import Recipe


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``import genzoo`` alone brings in no torch."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'genzoo' has no attribute {name!r}; it has {', '.join(_PUBLIC)}")


def __dir__() -> list[str]:
    return sorted(__all__)
