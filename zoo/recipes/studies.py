"""Studies: one recipe, several changes of it, several seeds; and their ``results.csv``, one line for each figure of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from genzoo.errors import InputError, TrainingError, first_flaw
from genzoo.files import read_json
from genzoo.names import Registry
from genzoo.recipes.fields import Name
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED, Recipe, override
from genzoo.tables import CsvTable, read_table


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        name: Of the study.
        recipe: Name of the recipe that is changed.
        variants: Name -> fields that differ from the recipe, by dotted name. The first one is what the others are compared with.
        seeds: Every variant is trained with each of them.
        common: Fields that all variants change.
    """

    name: str
    recipe: str
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...] = (0, 1, 2)
    common: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.variants or not self.seeds:
            raise InputError(f"the study {self.name} has no variants or no seeds: name at least one of each")
        if any(type(seed) is not int for seed in self.seeds) or len(set(self.seeds)) < len(self.seeds):
            raise InputError(
                f"the study {self.name} has the seeds {list(self.seeds)}: give whole numbers, each of them once"
            )
        for where, changes in {"common": self.common, **self.variants}.items():
            if taken := sorted({"seed", "name"} & set(changes)):
                raise InputError(
                    f"the study {self.name} changes {' and '.join(taken)} in {where}, which would be ignored: every variant is "
                    "trained with each of the study's seeds, and is called as its key"
                )
        for name, changes in self.variants.items():
            if not name or not all(char.isalnum() or char in "-_.+" for char in name):
                raise InputError(f"the variant {name!r} cannot name a folder: use letters, digits and - _ . +")
            try:
                for seed in self.seeds:
                    self.recipe_of(name, seed)  # raises for fields that do not exist, and values out of their limits
            except InputError as error:
                raise InputError(f"the study {self.name}, variant {name} ({dict(changes)}): {error}") from error

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Variant and seed of every training, in the order in which they are made."""
        return [(variant, seed) for seed in self.seeds for variant in self.variants]

    def recipe_of(self, variant: str, seed: int) -> Recipe:
        """The recipe of one cell of the study."""
        changes = {**self.common, **self.variants[variant], "seed": seed}
        return replace(override(RECIPES.get(self.recipe), changes), name=f"{self.recipe}--{variant}")


STUDIES: Registry[Study] = Registry("study", "genzoo study --help")

_VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "tokens-1": {"n_compression": 1},
    "tokens-5": {"n_compression": 5},
    "thought-5+5": {"n_thought": 5, "n_compression": 5},
    "alignment-only": {"losses.recon": 0.0},
    "reconstruction-only": {"losses.align": 0.0},
    "teacher-minilm": {"teacher": "minilm"},
    "response-echo": {"response.source": "echo"},
    "response-none": {"response.source": "none"},
    "safety-prompt": {"response.system_prompt": "safety"},
    "positions-half": {"losses.recon_positions": 0.5},
}
# The recipe as it was when the small study's figures (reports/measured) were made.
_AS_BEFORE: dict[str, Any] = {
    "teacher": UNSUPERVISED,
    "exit_layer": 0,
    "policy.examples": None,
    "policy.false_refusals": 0.1,
    "views.bare": 0.0,
    "views.as_query": 0.0,
    "optim.axes": "teacher",
}
STUDIES.register(
    Study(
        name="ablation",
        recipe="smollm2-135m",
        variants=_VARIANTS
        | {
            "no-last-phases": {"optim.align_last": 0, "optim.recon_last": 0},
            "answers-1000": {"response.limit": 1000},
            "answers-4000": {"response.limit": 4000},
            "lora-8": {"lora.rank": 8},
        },
        common=_AS_BEFORE | {"response.limit": 12_160},
    ),
)
# Some two hours of two CPU cores: 640 examples a cell, of which some 290 are answers.
STUDIES.register(
    Study(
        name="ablation-small",
        recipe="smollm2-135m",
        variants=_VARIANTS | {"answers-100": {"response.limit": 100}, "answers-300": {"response.limit": 300}},
        common=_AS_BEFORE
        | {
            "response.limit": 1000,
            "optim.steps": 40,
            "optim.batch": 16,
            "optim.align_first": 5,
            "optim.align_last": 10,
            "optim.recon_last": 0,
            "optim.ridge": 200.0,
            "held_out": 60,
        },
    ),
)
# How much of the LLM an embedding needs: quality against cost at equal steps. The whole LLM comes first, the others are compared
# with it.
STUDIES.register(
    Study(
        name="exit-layer",
        recipe="smollm2-135m",
        variants={"layer-30": {"exit_layer": 0}}
        | {f"layer-{layer}": {"exit_layer": layer} for layer in (27, 24, 22, 20, 16)},
        common={
            "teacher": UNSUPERVISED,
            "policy.examples": None,
            "policy.false_refusals": 0.1,
            "response.limit": 12_160,
            "optim.steps": 200,
            "optim.align_last": 50,
            "optim.recon_last": 20,
        },
    ),
)


class _StudyFile(BaseModel):
    """The fields of a study's JSON file; `Study` checks what they say."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    recipe: Name
    variants: dict[str, dict[str, Any]]
    seeds: list[Any] = [0, 1, 2]
    common: dict[str, Any] = {}


_EXPECTED = (
    "expected a JSON object with recipe, variants (name to changed fields), and if wanted name, seeds and common"
)


def find_study(name: str) -> Study:
    """A study by name, or from a JSON file with the fields of `Study`."""
    path = Path(name)
    if path.suffix != ".json":
        return STUDIES.get(name)
    facts = read_json(path, _EXPECTED, error=InputError, has_unique_names=True)
    try:
        found = _StudyFile(**{"name": path.stem} | facts)
        return Study(found.name, found.recipe, found.variants, tuple(found.seeds), found.common)
    except ValidationError as error:
        raise InputError(f"{path} is not a study ({first_flaw(error)}): {_EXPECTED}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


RESULTS, TEACHER = "results.csv", "teacher of "
LAYERS = "layers_run"
"""The figure that says how many layers of the backbone embed a text, in studies that compare exit layers."""


@dataclass(frozen=True)
class StudyRow:
    """One figure of one cell: a line of ``results.csv``.

    Attributes:
        study: Name of the study.
        variant: What was changed; ``teacher of <variant>`` for the teacher itself.
        seed: Of the training.
        metric: ``recon_gap`` and the other held-out controls, `LAYERS`, or a task's name with its main score.
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
            f"{path} is damaged ({error}): repair or delete it; the missing runs are then trained and measured again"
        ) from error


def _rows(path: Path, table: CsvTable) -> list[StudyRow]:
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
