"""Main scores as one tidy frame, built from codes, as a public repository has 700,000 rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from genzoo.leaderboards.facts import ModelFacts, ModelKey, Problem, TaskFacts
from genzoo.leaderboards.kept_scores import ScoreIndex
from genzoo.leaderboards.reading import UNKNOWN, ResultFile

COLUMNS = (
    *("model", "revision", "task", "type", "subset", "split", "metric", "value"),
    *("n", "mteb_version", "data_revision", "prompts", "source"),
)


def without_repeats(index: ScoreIndex, files: Sequence[ResultFile], problems: list[Problem]) -> np.ndarray:
    """Which parts to keep, ``(m,)``: of a task, split and subset that a model has twice, the first."""
    owner = _owners(files)[0][index.file]
    place = pd.DataFrame({0: owner, 1: index.task[index.file], 2: index.split, 3: index.subset})
    numbers = np.ravel_multi_index(place.to_numpy().T, tuple(place.max() + 1)) if len(place) else np.zeros(0)
    repeated = pd.Series(numbers).duplicated().to_numpy()  # several times as fast as over four columns
    for part in np.flatnonzero(repeated).tolist():
        first = int(np.flatnonzero((place == place.iloc[part]).all(axis=1))[0])
        task, split, subset = (index.words[int(place.iloc[part, column])] for column in (1, 2, 3))
        here, there = (files[int(index.file[number])].source for number in (part, first))
        problems.append(Problem(here, f"{task} {split}/{subset} is already in {there}: this one was left out"))
    return ~repeated


def _owners(files: Sequence[ResultFile]) -> tuple[np.ndarray, list[ModelKey]]:
    """For each file the place of its model in the list of models."""
    places: dict[ModelKey, int] = {}
    return np.asarray([places.setdefault(file.key, len(places)) for file in files], dtype=np.int64), list(places)


def tidy_frame(
    index: ScoreIndex,
    files: Sequence[ResultFile],
    models: Mapping[ModelKey, ModelFacts],
    tasks: Mapping[str, TaskFacts],
) -> pd.DataFrame:
    """One row per main score, with `COLUMNS`."""
    file, task = index.file, index.task[index.file]
    types = [tasks[word].type or "unknown" if word in tasks else "unknown" for word in index.words]
    sizes = [float(tasks[word].n_texts or np.nan) if word in tasks else np.nan for word in index.words]
    prompts = {key: _prompt_digest(facts) for key, facts in models.items()}

    owner, keys = _owners(files)

    def by_model(texts: Sequence[str]) -> pd.Categorical:
        codes, names = pd.factorize(np.asarray(texts, dtype=object))
        return pd.Categorical.from_codes(codes[owner[file]], categories=pd.Index(names, dtype=object))

    def by_word(codes: np.ndarray) -> pd.Categorical:
        used = np.bincount(codes, minlength=len(index.words)) > 0
        names = pd.Index([index.words[code] for code in np.flatnonzero(used)], dtype=object)  # arrow's strings are slow
        return pd.Categorical.from_codes((np.cumsum(used) - 1)[codes], categories=names)

    columns = {
        "model": by_model([key.model for key in keys]),
        "revision": by_model([key.revision for key in keys]),
        "task": by_word(task),
        "type": pd.Categorical(types, categories=sorted(set(types)))[task],
        "subset": by_word(index.subset),
        "split": by_word(index.split),
        "metric": pd.Categorical.from_codes(np.zeros(len(task), dtype=int), categories=["main_score"]),
        "value": index.value,
        "n": np.asarray(sizes)[task],
        "mteb_version": by_word(index.mteb_version[file]),
        "data_revision": by_word(index.data_revision[file]),
        "prompts": by_model([prompts.get(key, UNKNOWN) for key in keys]),
        "source": _by_source(files, file),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _by_source(files: Sequence[ResultFile], file: np.ndarray) -> pd.Categorical:
    sources = [each.source for each in files]
    codes: np.ndarray = np.arange(len(sources))
    names: Any = sources
    if len(set(sources)) < len(sources):  # several scores from one table
        codes, names = pd.factorize(np.asarray(sources, dtype=object))
    return pd.Categorical.from_codes(codes[file], categories=pd.Index(names, dtype=object))


def _prompt_digest(facts: ModelFacts) -> str:
    """Eight hex digits that tell prompt sets apart."""
    if not facts.has_environment:
        return UNKNOWN
    return hashlib.sha256(repr(sorted(facts.prompts.items())).encode(errors="surrogatepass")).hexdigest()[:8]
