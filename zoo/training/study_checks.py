"""Whatever would stop a study later, found before its first training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genzoo.backbones import backbone_digest, fetch_backbone
from genzoo.errors import TrainingError
from genzoo.recipes import UNSUPERVISED
from genzoo.studies import Study
from genzoo.teachers import fetch_teacher
from genzoo.training.checks import check_recipe
from genzoo.training.identity import backbone_content, log_content
from genzoo.training.pipeline import OnProgress, teacher_content
from genzoo.training.queries import Query
from genzoo.training.state import StateFolder
from genzoo.training.study_rows import RESULTS, StudyRow, read_results, run_folder


def settle(
    study: Study,
    queries: Sequence[Query],
    output: Path,
    on_progress: OnProgress,
    on_note: Callable[[str], None],
) -> dict[tuple[str, int], str]:
    """Fetch and check what every cell needs, and what the folder holds of it.

    Args:
        study: What to compare.
        queries: The log.
        output: Folder of the study.
        on_progress: Told what is fetched.
        on_note: Told what the folder's figures do not say of themselves.

    Returns:
        Cell -> digest of what it is made of, apart from its recipe.

    Raises:
        InputError: For a recipe that cannot be made of its backbone and the log.
        TrainingError: For figures or states in the folder that are damaged, or of another study, recipe, log, backbone or teacher.
    """
    rows, log = read_results(output / RESULTS), log_content(queries)
    if others := sorted({row.study for row in rows} - {study.name}):
        raise TrainingError(
            f"{output / RESULTS} holds figures of the study {', '.join(others)}, this one is {study.name}: choose another --output"
        )
    contents, made_of = dict[str, str](), dict[tuple[str, int], str]()
    for variant, seed in study.cells:
        recipe = study.recipe_of(variant, seed)
        folder = fetch_backbone(recipe.backbone, lambda line: on_progress("backbone", 0, 1, line))
        if recipe.backbone not in contents:
            contents[recipe.backbone] = backbone_content(folder, backbone_digest(folder))
        if recipe.teacher != UNSUPERVISED and recipe.teacher not in contents:
            fetch_teacher(recipe.teacher, lambda line: on_progress("teacher", 0, 1, line))
            contents[recipe.teacher] = teacher_content(recipe.teacher)
        check_recipe(recipe, folder, len(queries), recipe.teacher == UNSUPERVISED)
        parts = (log, contents[recipe.backbone], contents.get(recipe.teacher, UNSUPERVISED))
        made_of[variant, seed] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        made = {"recipe": recipe.digest(), "backbone": contents[recipe.backbone]}
        if not any(row.cell == (variant, seed) for row in rows):
            StateFolder(run_folder(output, variant, seed) / "tokens", made).check()
    _check_rows(study, rows, output, made_of, on_note)
    return made_of


def _check_rows(
    study: Study,
    rows: Sequence[StudyRow],
    output: Path,
    made_of: Mapping[tuple[str, int], str],
    on_note: Callable[[str], None],
) -> None:
    """Refuse figures of cells that were trained otherwise; say what is kept without being known."""
    path = output / RESULTS
    digests = {cell: study.recipe_of(*cell).digest() for cell in made_of}
    for row in rows:
        if row.recipe_digest != digests.get(row.cell, row.recipe_digest):
            raise TrainingError(
                f"{path} holds {row.cell[0]}, seed {row.seed}, of another recipe or study: choose another --output, or delete "
                "those lines"
            )
        if row.made_of and row.made_of != made_of.get(row.cell, row.made_of):
            raise TrainingError(
                f"{path} holds {row.cell[0]}, seed {row.seed}, made of another query log, backbone or teacher: choose another "
                "--output, or delete those lines and the folders of those cells"
            )
    if strangers := sorted({f"{row.cell[0]} (seed {row.seed})" for row in rows if row.cell not in made_of}):
        on_note(
            f"{path} holds figures of cells that are not part of the study now: {', '.join(strangers)}. They are kept, behind the "
            "others; delete their lines if they should not be reported."
        )
    if unknown := {row.cell for row in rows if row.cell in made_of and not row.made_of}:
        on_note(
            f"{path} does not say of which query log, backbone and teacher {len(unknown):,} of {len(made_of):,} cells were made: "
            "they are taken as made of this study's."
        )
