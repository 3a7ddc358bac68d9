"""Golden files: what a format looked like when somebody last looked at it. GENZOO_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path


def check_golden(path: Path, text: str) -> None:
    """The text is that of the file; look at the difference before you update it."""
    if os.environ.get("GENZOO_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path} is missing: run once with GENZOO_UPDATE_GOLDEN=1 and look at it"
    assert text == path.read_text(encoding="utf-8")
