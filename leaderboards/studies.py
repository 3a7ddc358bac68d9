"""Studies of training (`genzoo study`): what each change of a recipe did, and how the losses went."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from genzoo.leaderboards.facts import Problem

_COLUMNS = {"study", "variant", "seed", "metric", "value"}
_CURVE_POINTS = 400  # kept of a longer curve
# Held-out controls of a training run; tasks bring their own metric.
LOSSES = {"recon_own", "recon_shuffled", "align", "recon"}


class Effect(NamedTuple):
    """One variant in one metric: mean over `n` seeds with its 95 % interval by Student's t (None for one seed)."""

    variant: str
    n: int
    mean: float
    low: float | None
    high: float | None


class Curve(NamedTuple):
    """A loss over the steps of one run."""

    label: str
    loss: str  # "align" or "recon"
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Study:
    """One study: for each metric the variants in the order of the file, the first is the base."""

    name: str
    effects: Mapping[str, tuple[Effect, ...]]
    curves: tuple[Curve, ...]


def read_studies(root: Path, problems: list[Problem]) -> tuple[Study, ...]:
    """Every study below a folder: the folder itself, or its sub-folders, with a `results.csv`."""
    folders = [root, *sorted(path for path in root.glob("*") if path.is_dir())] if root.is_dir() else []
    return tuple(
        study
        for folder in folders
        if (folder / "results.csv").is_file() and (study := _read_study(folder, root, problems)) is not None
    )


def _read_study(folder: Path, root: Path, problems: list[Problem]) -> Study | None:
    source = (folder / "results.csv").relative_to(root.parent).as_posix()
    values: dict[str, dict[str, list[float]]] = {}
    name = folder.name
    try:
        with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and not set(rows[0]) >= _COLUMNS:
            problems.append(
                Problem(source, f"lacks the columns {', '.join(sorted(_COLUMNS - set(rows[0])))}: left out")
            )
            return None
        for row in rows:
            value = float(row["value"])
            if math.isfinite(value):
                values.setdefault(row["metric"], {}).setdefault(row["variant"], []).append(value)
            name = row["study"] or name
    except (OSError, ValueError, TypeError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(source, f"is no table of a study ({error}): left out"))
        return None
    effects = {
        metric: tuple(_effect(variant, found) for variant, found in by_variant.items())
        for metric, by_variant in values.items()
    }
    return Study(name, effects, _curves(folder)) if effects else None


def _effect(variant: str, values: Sequence[float]) -> Effect:
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Effect(variant, n, mean, None, None)
    half = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / n**0.5
    return Effect(variant, n, mean, mean - half, mean + half)


def _curves(folder: Path) -> tuple[Curve, ...]:
    """The losses of the first seed of each variant, from `runs/<variant>--seed-<n>/history.jsonl`."""
    firsts: dict[str, Path] = {}
    for path in sorted(folder.glob("runs/*/history.jsonl")):
        firsts.setdefault(path.parent.name.rpartition("--seed-")[0] or path.parent.name, path)
    return tuple(curve for label, path in firsts.items() for curve in read_history(path, label))


def read_history(path: Path, label: str) -> tuple[Curve, ...]:
    """The losses of one training run; lines that make no sense (a run may be at work) are passed over."""
    points: dict[str, list[tuple[int, float]]] = {"align": [], "recon": []}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            for loss, found in points.items():
                if row.get(loss) is not None:
                    found.append((int(row["step"]), float(row[loss])))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    curves = []
    for loss, found in points.items():
        thinned = found[:: max(1, len(found) // _CURVE_POINTS)]
        if len(thinned) > 1:
            steps, values = zip(*thinned, strict=True)
            curves.append(Curve(label, loss, steps, values))
    return tuple(curves)
