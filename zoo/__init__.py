"""Benchmark and model zoo for generative embeddings (LLM2Vec-Gen).

>>> import genzoo
>>> "smollm2-135m" in genzoo.list_models()
True
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(
    logging.NullHandler()
)  # notes are silent until somebody listens: `genzoo.progress`

_HOMES: dict[str, tuple[str, ...]] = {
    "genzoo.display": ("progress",),
    "genzoo.errors": ("ZooError",),
    "genzoo.leaderboards.study_runs": ("study",),
    "genzoo.models.checkpoint": ("TokenCheckpoint",),
    "genzoo.models.convert": ("convert",),
    "genzoo.models.entries": ("ZooEntry", "get_entry", "list_models"),
    "genzoo.models.loading": ("decode", "explain", "export", "load", "load_decoder"),
    "genzoo.publishing.bundle": ("unbundle",),
    "genzoo.publishing.publish": ("collection",),
    "genzoo.publishing.verify": ("verify", "write_fingerprint"),
    "genzoo.recipes.recipes": ("Recipe",),
    "genzoo.reports.publishing": ("bundle", "publish"),
    "genzoo.tasks.submission": ("model_meta",),
    "genzoo.teachers.teachers": ("fetch",),
    "genzoo.training.run": ("Run", "controls", "plan_training", "responses", "targets", "teacher", "train"),
}
"""Module -> the public names that it defines; a type checker reads them below."""
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from genzoo.display import progress as progress
    from genzoo.errors import ZooError as ZooError
    from genzoo.leaderboards.study_runs import study as study
    from genzoo.models.checkpoint import TokenCheckpoint as TokenCheckpoint
    from genzoo.models.convert import convert as convert
    from genzoo.models.entries import ZooEntry as ZooEntry
    from genzoo.models.entries import get_entry as get_entry
    from genzoo.models.entries import list_models as list_models
    from genzoo.models.loading import decode as decode
    from genzoo.models.loading import explain as explain
    from genzoo.models.loading import export as export
    from genzoo.models.loading import load as load
    from genzoo.models.loading import load_decoder as load_decoder
    from genzoo.publishing.bundle import unbundle as unbundle
    from genzoo.publishing.publish import collection as collection
    from genzoo.publishing.verify import verify as verify
    from genzoo.publishing.verify import write_fingerprint as write_fingerprint
    from genzoo.recipes.recipes import Recipe as Recipe
    from genzoo.reports.publishing import bundle as bundle
    from genzoo.reports.publishing import publish as publish
    from genzoo.tasks.submission import model_meta as model_meta
    from genzoo.teachers.teachers import fetch as fetch
    from genzoo.training.run import Run as Run
    from genzoo.training.run import controls as controls
    from genzoo.training.run import plan_training as plan_training
    from genzoo.training.run import responses as responses
    from genzoo.training.run import targets as targets
    from genzoo.training.run import teacher as teacher
    from genzoo.training.run import train as train


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``import genzoo`` alone brings in no torch."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'genzoo' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
