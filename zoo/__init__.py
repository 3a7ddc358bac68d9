"""Benchmark and model zoo for generative embeddings (LLM2Vec-Gen).

>>> import genzoo
>>> "smollm2-135m" in genzoo.list_models()
True
"""

from __future__ import annotations

import ast
import difflib
import importlib
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until somebody listens: `genzoo.progress`
# tqdm, which others import, warns in a notebook without ipywidgets of bars that genzoo does not show.
warnings.filterwarnings("ignore", message="IProgress not found")


def public_names(package: str, init: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the names in a package's stub its own, each imported when it is first asked for: ``import genzoo`` brings in no torch.

    The stub, ``__init__.pyi``, is the one list of public names; type checkers and editors read it too.

    Args:
        package: The package, as ``genzoo.reports``.
        init: Its ``__file__``.

    Returns:
        Its ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    stub = ast.parse(Path(init).with_suffix(".pyi").read_text(encoding="utf-8"))
    lines = [node for node in stub.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith("genzoo")]
    homes = {alias.name: str(line.module) for line in lines for alias in line.names}

    def get(name: str) -> Any:
        if name in homes:
            found = getattr(importlib.import_module(homes[name]), name, None)
            return importlib.import_module(f"{homes[name]}.{name}") if found is None else found
        near = difflib.get_close_matches(name, homes, n=3, cutoff=0.6)
        meant = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(homes))}"
        raise AttributeError(f"module {package!r} has no attribute {name!r}; {meant}")

    return get, lambda: sorted(homes), [*homes]


__getattr__, __dir__, __all__ = public_names(__name__, __file__)
