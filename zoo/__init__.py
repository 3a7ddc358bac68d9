"""Benchmark and model zoo for generative embeddings (LLM2Vec-Gen).

>>> import genzoo
>>> "smollm2-135m" in genzoo.list_models()
True
"""

from __future__ import annotations

import difflib
import importlib
import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(
    logging.NullHandler()
)  # notes are silent until somebody listens: `genzoo.progress`

# Each public name and the module that holds it; a name is imported when it is first asked for: ``import genzoo`` brings in no torch.
# Type checkers read the same names from the block below.
_HOMES = {
    "display": ("progress",),
    "errors": ("ZooError",),
    "leaderboards.leaderboard": ("Leaderboard",),
    "leaderboards.study_runs": ("study",),
    "models.checkpoint": ("TokenCheckpoint",),
    "models.convert": ("convert",),
    "models.entries": (
        "ZooEntry",
        "get_entry",
        "list_models",
    ),
    "models.loading": (
        "decode",
        "explain",
        "export",
        "load",
        "load_decoder",
    ),
    "publishing.bundle": ("unbundle",),
    "publishing.publish": ("collection",),
    "publishing.verify": (
        "verify",
        "write_fingerprint",
    ),
    "recipes.recipes": ("Recipe",),
    "reports": ("plots",),
    "reports.measuring": (
        "Evaluation",
        "evaluate",
        "plan_evaluation",
    ),
    "reports.publishing": (
        "bundle",
        "publish",
    ),
    "reports.render.table": ("Table",),
    "reports.results": (
        "ModelComparison",
        "Results",
        "open_results",
    ),
    "tasks.sets.catalogue": (
        "list_benchmarks",
        "list_tasks",
    ),
    "tasks.submission": ("model_meta",),
    "teachers.teachers": ("fetch",),
    "training.run": (
        "Run",
        "controls",
        "plan_training",
        "responses",
        "targets",
        "teacher",
        "train",
    ),
}
_PUBLIC = {name: module for module, names in _HOMES.items() for name in names}
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from genzoo.display import progress as progress
    from genzoo.errors import ZooError as ZooError
    from genzoo.leaderboards.leaderboard import Leaderboard as Leaderboard
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
    from genzoo.reports import plots as plots
    from genzoo.reports.measuring import Evaluation as Evaluation
    from genzoo.reports.measuring import evaluate as evaluate
    from genzoo.reports.measuring import plan_evaluation as plan_evaluation
    from genzoo.reports.publishing import bundle as bundle
    from genzoo.reports.publishing import publish as publish
    from genzoo.reports.render.table import Table as Table
    from genzoo.reports.results import ModelComparison as ModelComparison
    from genzoo.reports.results import Results as Results
    from genzoo.reports.results import open_results as open_results
    from genzoo.tasks.sets.catalogue import list_benchmarks as list_benchmarks
    from genzoo.tasks.sets.catalogue import list_tasks as list_tasks
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
    return lazy(name, "genzoo", _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)


def lazy(name: str, package: str, homes: dict[str, str]) -> Any:
    """A public name of a package, imported from its home.

    Args:
        name: What was asked for.
        package: The package, as ``genzoo.reports``.
        homes: Each name and the module below the package that holds it.

    Raises:
        AttributeError: The package has no such public name; the message names the nearest ones.
    """
    if name in homes:
        module = importlib.import_module(f"{package}.{homes[name]}")
        found = getattr(module, name, None)
        return importlib.import_module(f"{module.__name__}.{name}") if found is None else found
    near = difflib.get_close_matches(name, homes, n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(homes))}"
    raise AttributeError(f"module {package!r} has no attribute {name!r}; {meant}")
