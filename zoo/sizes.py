"""How big a model folder is, read from safetensors headers alone."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors import safe_open


def count_parameters(folder: Path) -> int:
    """Numbers in all safetensors files of a folder; a tied head is stored, and counted, once."""
    total = 0
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return total
