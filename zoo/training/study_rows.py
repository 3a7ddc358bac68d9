"""``results.csv`` of a study: one line for each figure of each cell, read strictly."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from genzoo.errors import InputError, TrainingError
from genzoo.tables import Table, read_table

RESULTS, TEACHER = "results.csv", "teacher of "


@dataclass(frozen=True)
class StudyRow:
    """One figure of one cell: a line of ``results.csv``.

    Attributes:
        study: Name of the study.
        variant: What was changed; ``teacher of <variant>`` for the teacher itself.
        seed: Of the training.
        metric: ``recon_gap`` and the other held-out controls, or a task's name with its main score.
        value: The figure.
        recipe_digest: Of the cell's recipe.
        made_of: Digest of the query log and of the content of backbone and teacher; empty in files of earlier versions.
        sample: Number and digest of the held-out responses that a control was measured on, and the teacher that judged it: what
            must be equal in two cells that are compared. Empty for tasks, and in files of earlier versions.
    """

    study: str
    variant: str
    seed: int
    metric: str
    value: float
    recipe_digest: str
    made_of: str = ""
    sample: str = ""

    @property
    def cell(self) -> tuple[str, int]:
        """Variant and seed of the training that it belongs to."""
        return self.variant.removeprefix(TEACHER), self.seed


def read_results(path: Path) -> list[StudyRow]:
    """The rows of a ``results.csv``; none where there is no such file.

    Raises:
        TrainingError: For a file that is damaged, or gives two values for one figure; with the line.
    """
    if not path.is_file():
        return []
    try:
        return _rows(path, read_table(path))
    except (InputError, OSError) as error:
        raise TrainingError(
            f"{path} is damaged ({error}): mend or delete it, the cells that it lacks are trained and measured again"
        ) from error


def _rows(path: Path, table: Table) -> list[StudyRow]:
    names = {one.name for one in fields(StudyRow)}
    if table.heading and not names - {"made_of", "sample"} <= set(table.heading) <= names:
        raise InputError(f"its columns are {', '.join(table.heading)}, expected {', '.join(sorted(names))}")
    rows: dict[tuple[str, str, int, str], tuple[int, StudyRow]] = {}
    for line, cells in table.rows:
        facts = dict(zip(table.heading, cells, strict=True))
        try:
            row = StudyRow(**facts | {"seed": int(facts["seed"]), "value": float(facts["value"])})  # type: ignore[arg-type]
        except ValueError as error:
            raise InputError(f"line {line}: {error}") from error
        first, other = rows.setdefault((row.study, row.variant, row.seed, row.metric), (line, row))
        if repr(other) != repr(row):
            raise InputError(f"lines {first} and {line} differ in {row.metric} of {row.variant}, seed {row.seed}")
    return [row for _, row in rows.values()]


def run_folder(output: Path, variant: str, seed: int) -> Path:
    """Where the training of one cell lies in a study's folder."""
    return output / "runs" / f"{variant}--seed-{seed}"
