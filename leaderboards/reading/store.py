"""The results folder as one tidy frame, with the facts, the evidence and the problems that belong to it."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genzoo.errors import UnknownNameError, ZooError
from genzoo.leaderboards.facts import Decoded, ModelFacts, ModelKey, Problem, TaskFacts
from genzoo.leaderboards.naming import find_model, labels
from genzoo.leaderboards.reading.companions import (
    declared_tasks,
    own_data_apart,
    read_benchmarks,
    read_evidence,
    read_models,
    with_safety_metric,
)
from genzoo.leaderboards.reading.predictions import (
    Judgements,
    Outcome,
    QueryKey,
    agrees,
    read_judgements,
    read_outcomes,
)
from genzoo.leaderboards.reading.reported import ReportedMeans, ReportedScore, as_files
from genzoo.leaderboards.reading.reported_csv import TABLES, read_csv
from genzoo.leaderboards.reading.result_files import ResultFile, read_result
from genzoo.leaderboards.reading.scores import read_scores, tidy_frame, without_repeats
from genzoo.leaderboards.reading.tree import advice, find_results, tree_root
from genzoo.leaderboards.statistics.aggregation import Part, score_matrix
from genzoo.leaderboards.statistics.pairs import PairScore, read_gold, read_pairs


@dataclass(frozen=True)
class ResultStore:
    """Everything a results folder says. Build it with `ResultStore.load`.

    Attributes:
        root: The folder it was read from.
        main_scores: One row per main score, see `genzoo.leaderboards.reading.scores.COLUMNS`: `value` is NaN where a file has none, `n` the number of
            texts of the task (NaN if unknown), `prompts` a digest of the prompt set ("unknown" without a run record).
        files: The result file behind each row's `source`.
        models: Facts by model and revision, in order of name.
        tasks: Facts by task; a task without a row in `tasks.json` has type None.
        benchmarks: Benchmark to task names.
        evidence: Decoded examples of the zoo's models.
        readings: What the zoo's models read in the texts of single searches, by text.
        predictions: Number of per-query prediction files beside the results.
        problems: Files, or parts of one, that could not be used. Nothing is dropped without a line here.
        claims: Means that somebody reports for a whole benchmark; shown on its board, without scores by task.
        kept: What was read of single searches and pairs so far.
    """

    root: Path
    main_scores: pd.DataFrame
    files: tuple[ResultFile, ...]
    models: Mapping[ModelKey, ModelFacts]
    tasks: Mapping[str, TaskFacts]
    benchmarks: Mapping[str, tuple[str, ...]]
    evidence: Mapping[ModelKey, tuple[Decoded, ...]]
    readings: Mapping[ModelKey, Mapping[str, Decoded]]
    predictions: int
    problems: tuple[Problem, ...]
    claims: tuple[ReportedMeans, ...] = ()
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        root: Path | str,
        *,
        reported: Sequence[ReportedScore] = (),
        catalogue: Path | None = None,
        is_kept: bool = True,
        only: Collection[tuple[str, str]] | None = None,
    ) -> ResultStore:
        """Read the folder that `genzoo evaluate -o` or mteb's ResultCache wrote, or a CSV file of scores.

        CSV files in the folder's `reported/` are read too; their rows, and those of `reported`, are marked as reported.

        Args:
            root: The folder, its `results` folder, or a CSV file.
            reported: Scores that a source outside of the folder reports.
            catalogue: Folder with a `tasks.json` and a `benchmarks.json` for what the tree's own do not say.
            is_kept: Whether to remember in the user's cache what large folders hold, so that the next load is fast.
            only: Name and revision of the models whose folders are read, all by default.
        """
        root, problems = Path(root), list[Problem]()
        table = root if root.suffix.lower() == ".csv" and root.is_file() else None
        root = table.parent if table else tree_root(root)
        files = [] if table else find_results(root, problems, only)
        shelves = [folder for folder in (catalogue, None if table else root) if folder is not None]
        declared = {name: facts for folder in shelves for name, facts in declared_tasks(folder, problems).items()}
        tables = [table] if table else sorted((root / "reported").glob("*.csv"))
        rows = [row for path in tables for row in read_csv(path, path.relative_to(root).as_posix(), problems, declared)]
        claimed, extra = as_files([*rows, *reported])
        main_names = {name: facts.main_score for name, facts in declared.items()}
        found = read_scores(files, main_names, problems, root=root, extra=extra, is_kept=is_kept and only is None)
        files += claimed
        if not len(found):
            how = TABLES if table else advice(root)
            raise ZooError(f"no usable result in {table or root}{_first(problems)}. {how}")
        models = read_models(root, files, {files[number].key for number in found["file"].unique()}, problems)
        named = found.drop_duplicates("task")
        first = {task: files[number] for task, number in zip(named["task"], named["file"], strict=True)}
        tasks = {name: with_safety_metric(declared.get(name, TaskFacts(name)), first[name]) for name in sorted(first)}
        benchmarks = {name: own for folder in shelves for name, own in read_benchmarks(folder, problems).items()}
        for name in {task for members in benchmarks.values() for task in members} & set(declared):
            tasks.setdefault(name, declared[name])
        main_scores = own_data_apart(without_repeats(tidy_frame(found, files, models, tasks), problems), tasks)
        evidence, readings = read_evidence(root, models, problems)
        return cls(
            root=root,
            main_scores=main_scores,
            files=tuple(files),
            models=models,
            tasks=tasks,
            benchmarks=benchmarks,
            evidence=evidence,
            readings=readings,
            predictions=sum(1 for _ in (root / "predictions").glob("*/*/*_predictions.json")),
            problems=tuple(problems),
        )

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """One row per number of every file, main scores and all other metrics; reads all files anew."""
        names = {name: facts.main_score for name, facts in self.tasks.items()}
        rows, values = [], list[tuple[str, float]]()
        main = self.main_scores
        read = (record for file in self.files if file.path for record in read_result(file, names, []))
        scores = {
            (*record.key, record.task, record.split, record.subset, record.source): record.scores for record in read
        }
        places = zip(*(main[name] for name in ("model", "revision", "task", "split", "subset", "source")), strict=True)
        for number, (place, value) in enumerate(zip(places, main["value"], strict=True)):
            found = scores.get(place, {"main_score": value})
            rows += [number] * len(found)
            values += found.items()
        frame = main.iloc[rows].reset_index(drop=True)
        frame["metric"] = pd.Categorical([name for name, _ in values])
        frame["value"] = np.fromiter((value for _, value in values), float, len(values))
        return frame

    @property
    def labels(self) -> dict[ModelKey, str]:
        """The shortest name that tells each model (and revision) from the others."""
        return labels(self.models)

    def task_names(self, benchmark: str | None = None) -> tuple[str, ...]:
        """The tasks of a benchmark, or every task that has a result."""
        if benchmark is None:
            return tuple(sorted(map(str, self.main_scores["task"].unique()), key=str.casefold))
        if benchmark not in self.benchmarks:
            near = difflib.get_close_matches(benchmark, self.benchmarks, n=3, cutoff=0.3)
            known = ", ".join(near or self.benchmarks) or "none (its benchmarks.json is missing)"
            raise UnknownNameError(
                f"unknown benchmark {benchmark!r}; {self.root} holds {known}. Leave it out to show every task"
            )
        return self.benchmarks[benchmark]

    def find(self, name: str) -> ModelKey:
        """The model of a full name, a short name, or `name@revision`; raises `UnknownNameError`."""
        return find_model(str(name), self.models, str(self.root))

    @functools.cached_property
    def _sources(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        names = ["model", "revision", "task", "source", "mteb_version", "data_revision"]
        sources: dict[tuple[str, ...], tuple[str, ...]] = {}
        for model, revision, task, source, version, data in (
            self.main_scores[names].drop_duplicates().itertuples(index=False)
        ):
            origin = (source, f"mteb {version}", f"data {data}")
            sources[model, revision, task] = (*sources.get((model, revision, task), ()), *origin)
        return sources

    def sources(self, key: ModelKey, task: str) -> tuple[str, ...]:
        """Where a main score comes from: file, mteb version, data revision."""
        return self._sources.get((*key, task), ())

    def only(self, keys: Collection[ModelKey]) -> ResultStore:
        """The same store with some of its models."""
        main, wanted = self.main_scores, set(keys)
        chosen = [key in wanted for key in zip(main["model"], main["revision"], strict=True)]
        return dataclasses.replace(
            self,
            main_scores=main[chosen],
            files=tuple(file for file in self.files if file.key in wanted),
            models={key: facts for key, facts in self.models.items() if key in wanted},
            evidence={key: examples for key, examples in self.evidence.items() if key in wanted},
            readings={key: examples for key, examples in self.readings.items() if key in wanted},
        )

    @functools.cached_property
    def _tasks_read(self) -> dict[str, tuple[tuple[Part, ...], frozenset[str]]]:
        return {}

    def _read(self, task: str) -> tuple[tuple[Part, ...], frozenset[str]]:
        """The ground of a task, and the revisions of its data that result files state."""
        if task not in self._tasks_read:
            rows = self.main_scores[self.main_scores["task"] == task]
            grounds = score_matrix(rows, self.models, [task], self.tasks).grounds
            used = grounds[task].used if task in grounds else ()
            self._tasks_read[task] = used, frozenset(map(str, rows["data_revision"].unique()))
        return self._tasks_read[task]

    def _once(self, read: Callable[[], Any], *place: Any) -> Any:
        """What a file says, read when it is first asked for: by this store or one that was made of it."""
        if place not in self.kept:
            self.kept[place] = read()
        return self.kept[place]

    def _metric_name(self, task: str) -> str:
        return self.tasks[task].main_score if task in self.tasks else ""

    def ground(self, task: str) -> tuple[Part, ...]:
        """The splits and subsets that a leaderboard averages a task's score over; empty for a task without results."""
        return self._read(task)[0]

    def judgements(self, task: str) -> Judgements | None:
        """The queries behind a retrieval task's score and what is right for them; None where the folder does not say."""
        found = self._once(lambda: read_judgements(self.root, task, []), "judgements", task)
        ground, stated = self._read(task) if found is not None else ((), ())
        if found is None or found.data_revision not in stated:
            return None
        return self._once(lambda: found.over(ground), "judgements", task, ground)

    def outcomes(self, key: ModelKey, task: str) -> dict[QueryKey, Outcome]:
        """How each query of a task went for a model; empty unless predictions and judgements give its main score."""
        judgements, metric_name = self.judgements(task), self._metric_name(task)
        if judgements is None:
            return {}

        def read() -> dict[QueryKey, Outcome]:
            found = read_outcomes(self.root, key, judgements, metric_name, [])
            return found if agrees(found, self.value(key, task, "main_score")) else {}

        place = key, task, metric_name, self.ground(task), self.sources(key, task)
        return self._once(read, "outcomes", *place)

    def pairs(self, key: ModelKey, task: str) -> PairScore | None:
        """The pairs behind a model's score of an STS or pair classification task; None unless they give that score."""
        data_revision, gold = self._once(lambda: read_gold(self.root, task, []), "gold", task)
        ground, stated = self._read(task) if gold else ((), ())
        metric_name, is_usable = self._metric_name(task), data_revision in stated and task in self.tasks
        usable = {part: gold[part] for part in ground if part in gold} if is_usable else {}

        def read() -> PairScore | None:
            value = self.value(key, task, "main_score") if usable and len(usable) == len(ground) else None
            return read_pairs(self.root, key, task, usable, metric_name, value)

        place = key, task, metric_name, ground, is_usable, self.sources(key, task)
        return self._once(read, "pairs", *place)

    def value(self, key: ModelKey, task: str, metric_name: str) -> float | None:
        """The mean of any metric over the splits and subsets of `ground`; None where the model's files lack one of them."""
        sources = set(self.sources(key, task)[::3])
        names = {task: self.tasks[task].main_score} if task in self.tasks else {}
        found: dict[Part, float] = {}
        for file in self.files:
            if file.path and file.key == key and file.source in sources:
                for record in read_result(file, names, []):
                    if record.task == task and metric_name in record.scores:
                        found.setdefault(Part(record.split, record.subset), record.scores[metric_name])
        values = [found.get(part, np.nan) for part in self.ground(task)]
        return float(np.mean(values)) if values and not np.isnan(values).any() else None


def _first(problems: Sequence[Problem]) -> str:
    return f"; the first of {len(problems)} problems: {problems[0].source} {problems[0].reason}" if problems else ""
