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
    """Which parts to keep, ``(m,)``: of a task that a model has twice, those in the file that is named after it.

    Among files of other names, such as copies, the first part of each split and subset is kept.
    """
    owner = _owners(files)[0]
    is_stray = _is_stray(index, files, owner, problems)[index.file]
    kept = np.flatnonzero(~is_stray)
    is_kept = ~is_stray
    is_kept[kept] = _are_first(index, files, owner, kept, problems)
    return is_kept


def _is_stray(index: ScoreIndex, files: Sequence[ResultFile], owner: np.ndarray, problems: list[Problem]) -> np.ndarray:
    """Which files hold a task that another file of the same model is named after, ``(n,)``."""
    tasks = [index.words[code] for code in index.task.tolist()]
    other = [
        number
        for number, (file, task, count) in enumerate(zip(files, tasks, index.counts.tolist(), strict=True))
        if count and file.path and file.source.rpartition("/")[2] != f"{task}.json"
    ]
    is_stray = np.zeros(len(files), dtype=bool)
    if not other:
        return is_stray
    wanted = {(int(owner[number]), tasks[number]) for number in other}
    named = {
        (int(owner[number]), task): files[number].source
        for number, task in enumerate(tasks)
        if (int(owner[number]), task) in wanted and files[number].source.rpartition("/")[2] == f"{task}.json"
    }
    for number in other:
        first = named.get((int(owner[number]), tasks[number]))
        is_stray[number] = first is not None
        task, named_after = tasks[number], f"which is named after {tasks[number]}: this one was left out"
        said = f"{task} is already in {first}, {named_after}" if first else f"holds a result of {task}: counted as that"
        problems.append(Problem(files[number].source, said))
    return is_stray


def _are_first(
    index: ScoreIndex, files: Sequence[ResultFile], owner: np.ndarray, parts: np.ndarray, problems: list[Problem]
) -> np.ndarray:
    """Which of some parts are the first of their task, split and subset."""
    file = index.file[parts]
    place = pd.DataFrame({0: owner[file], 1: index.task[file], 2: index.split[parts], 3: index.subset[parts]})
    numbers = np.ravel_multi_index(place.to_numpy().T, tuple(place.max() + 1)) if len(place) else np.zeros(0)
    repeated = pd.Series(numbers).duplicated().to_numpy()  # several times as fast as over four columns
    for part in np.flatnonzero(repeated).tolist():
        first = int(np.flatnonzero((place == place.iloc[part]).all(axis=1))[0])
        task, split, subset = (index.words[int(place.iloc[part, column])] for column in (1, 2, 3))
        here, there = (files[int(file[number])].source for number in (part, first))
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
