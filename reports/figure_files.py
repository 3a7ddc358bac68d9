"""The figures of a report as files for a paper: one and two columns wide, as PNG, SVG or PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from genzoo.errors import ZooError, system_message
from genzoo.files import write_text
from genzoo.reports.document import Drawing, Report
from genzoo.reports.style import NARROW, PAPER, WIDE, figure_style, to_svg_file

FIGURE_FORMATS = ("png", "svg", "pdf")
_WIDTHS = {"one-column": NARROW, "two-columns": WIDE}
_DPI = 300


def write_figures(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `<identity>-one-column.<format>` and `-two-columns`; drawn first, then written."""
    drawings = [block for section in report.sections for block in section.blocks if isinstance(block, Drawing)]
    content = {
        folder / f"{drawing.identity}-{name}.{each}": render_figure(drawing, width, each)
        for drawing in drawings
        for name, width in _WIDTHS.items()
        for each in formats
    }
    paths = []
    for path, data in content.items():
        if isinstance(data, str):
            paths.append(write_text(path, data))
            continue
        temporary = path.with_name(f".{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise ZooError(f"cannot write {path}: {system_message(error, 'choose another folder with -o')}") from error
        paths.append(path)
    return paths


def render_figure(drawing: Drawing, width: float, kind: str) -> bytes | str:
    """One figure, `width` inches wide, on white; the same data give the same bytes."""
    figure = drawing.draw(width, PAPER)
    figure.patch.set(facecolor=PAPER.surface, alpha=1.0)
    with figure_style(PAPER):
        if kind == "svg":
            return to_svg_file(figure)
        buffer = io.BytesIO()
        metadata = {"CreationDate": None, "Creator": None, "Producer": None} if kind == "pdf" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
        return buffer.getvalue()
