"""What a reader must know before believing a table, and why a table is empty, written from the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

import pandas as pd

from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.facts import (
    EXTERNAL,
    SAFETY,
    ModelKey,
    TaskFacts,
    all_own,
    counted_tasks,
    current_tasks,
    is_safety_by_name,
    tasks_of,
)
from genzoo.leaderboards.judging.figures import UnjudgedFigures, judging_of, unjudged_figures
from genzoo.leaderboards.naming import short_name, short_revision
from genzoo.leaderboards.reading.reported import ReportedMeans
from genzoo.leaderboards.reading.result_files import UNKNOWN, entries, read_object
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.aggregation import Ground
from genzoo.text import plural, some

DRAWING_TYPES = {"Clustering", "MultilabelClassification"}
"""Types of mteb's tasks that are scored on some of their documents, which a generator of the task object chooses."""
JUDGED = 0.95
"""Below such a share of judged passages a score is called too low."""
SMALL_SET = 200
"""Below so many texts a score moves by points when one text changes."""
_SHOWN = 4  # items that a sentence names


def unfixed_draws(store: ResultStore, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of some main scores whose documents may have been drawn anew for each model of a run.

    genzoo measured them (their model has an environment record), and the task's record names no seed. Of what others measured
    nothing is known, and nothing is said.

    Args:
        store: The results folder.
        rows: Rows of its `main_scores`.
    """
    if not (store.root / "environment").is_dir():
        return rows.iloc[:0]
    draws = {name for name, facts in store.tasks.items() if facts.type in DRAWING_TYPES}
    found = rows[rows["task"].isin(draws)]
    paths = {file.source: file.path for file in store.files if file.path}
    unfixed = {source for source in found["source"].unique() if source in paths and _is_unfixed(store, source, paths)}
    return found[found["source"].isin(unfixed)]


def _is_unfixed(store: ResultStore, source: str, paths: dict[str, str]) -> bool:
    place = PurePosixPath(source.removeprefix("results/"))
    if not (store.root / "environment" / place.parent).with_name(f"{place.parent.name}.json").is_file():
        return False
    record = read_object(store.root / "environment" / place, place.as_posix(), [])
    return "seeds" not in record and not _takes_all_documents(paths[source])


def _takes_all_documents(path: str) -> bool:
    """Whether a result is of mteb's older clustering, which lists a score for each set and draws nothing."""
    parts = [part for _, _, part in entries(read_object(path, path, []), path, [])]
    return bool(parts) and all(isinstance(part.get("v_measures"), list) for part in parts)


def why_no_score(store: ResultStore, names: Sequence[str]) -> str:
    """The reasons in a sentence, the one that explains most tasks first; empty where there is none to name.

    Args:
        store: The results.
        names: The tasks of the board.
    """
    main, reasons = store.main_scores, []
    known = main[main["task"].isin(names)]
    if wrong := [reason for name in names if (reason := _other_parts(store, name))]:
        reasons.append(_some(wrong, separator="; "))
    if len(known) and known["value"].isna().all():
        reasons.append(f"the main scores of {_some(sorted(set(map(str, known['task']))))} are missing or NaN")
    impossible = [
        f"{row.value:g} on {row.task}"
        for row in known.dropna(subset=["value"]).itertuples()
        if not store.tasks.get(str(row.task), TaskFacts(str(row.task))).metric.contains(row.value)
    ]
    if impossible:
        reasons.append(f"scores are outside the range of their metric ({_some(impossible)})")
    broken = [p for p in store.problems if PurePosixPath(p.source).stem in set(names) - set(map(str, known["task"]))]
    if broken:
        first = f"{broken[0].source} {broken[0].reason}"
        reasons.append(f"{len(broken)} of their files cannot be used ({first})")
    if not len(known):
        others = sorted({str(name) for name in main["task"]})
        reasons.append(f"the folder has results of {len(others)} other tasks: {_some(others)}")
    return "; ".join(reasons)


def _other_parts(store: ResultStore, name: str) -> str:
    """Which splits or subsets of a task have results where others are asked for, empty where none are missing."""
    facts = store.tasks.get(name, TaskFacts(name))
    rows = store.main_scores[store.main_scores["task"] == name]
    for column, wanted in (("split", facts.splits), ("subset", facts.subsets)):
        found = sorted(set(map(str, rows[column])))
        if wanted and found and not set(wanted) <= set(found):
            return f"{name} is measured on the {column} {_some(wanted)}, the results are of {_some(found)}"
    return ""


class Caveat(NamedTuple):
    """One caveat: `kind` names the rule that found it, `title` is short, `text` says what and where."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True)
class BoardFacts:
    """What the caveats of a board are written from; `comparisons` has a key for each of its rows."""

    store: ResultStore
    scores: pd.DataFrame
    grounds: Mapping[str, Ground]
    tasks: Mapping[str, TaskFacts]
    comparisons: Mapping[ModelKey, Comparison | None]
    claims: Sequence[ReportedMeans] = ()

    def caveats(self) -> tuple[Caveat, ...]:
        """All caveats, the gravest kinds first."""
        return tuple(caveat for rule in _RULES for caveat in rule(self))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The main scores of the board's tasks."""
        return self.store.main_scores[self.store.main_scores["task"].isin(list(self.tasks))]

    @cached_property
    def labels(self) -> Mapping[ModelKey, str]:
        """The models by the names that the board shows."""
        return self.store.labels


def _reported(board: BoardFacts) -> Iterator[Caveat]:
    models = board.store.models
    named = [board.labels[key] for key, facts in models.items() if facts.is_reported and key in board.comparisons]
    named += [f"{short_name(claim.model)} (means in {claim.source})" for claim in board.claims]
    if named:
        text = f"Scores that others reported; genzoo did not measure or check them: {_some(named)}."
        yield Caveat("reported", f"Reported scores: {plural(len(named), 'model')}", text)


def _revisions(board: BoardFacts) -> Iterator[Caveat]:
    models = board.store.models
    joined = {board.labels[key]: facts.revisions for key, facts in models.items() if facts.revisions and key in board.comparisons}  # fmt: skip
    if not joined:
        return
    lines = [
        f"{label} ({', '.join(f'{share.used} of {short_revision(share.revision)}' for share in shares)})"
        for label, shares in joined.items()
    ]
    text = f"As on mteb's boards, one row holds the scores of several revisions of a model, such as the tasks of {_some(lines, 3, '; ')}."
    if cards := [label for label, shares in joined.items() if any(s.used and s.is_reported for s in shares)]:
        text += f" Scores under {EXTERNAL} were parsed from model cards, so {len(cards)} of them are partly reported."
    rivals = {label: sum(s.held - s.used for s in shares) for label, shares in joined.items()}
    if lost := [f"{label} ({number})" for label, number in rivals.items() if number]:
        text += f" Where two revisions have a score, the one that mteb prefers counts; the others are not shown: {_some(lost)}."
    text += " Provenance lists them all; --by-revision keeps them apart."
    yield Caveat("revisions", f"Joined revisions: {plural(len(lines), 'model')}", text)


def _coverage(board: BoardFacts) -> Iterator[Caveat]:
    names = list(current_tasks(board.tasks))
    scores = board.scores[names]
    partial, lines = scores[scores.isna().any(axis=1)], []
    for index, lacks in zip(partial.index, partial.isna().to_numpy(), strict=True):
        missing = [name for name, is_missing in zip(names, lacks, strict=True) if is_missing]
        line = f"{board.labels[ModelKey(*index)]} has {len(names) - len(missing)} of {len(names)}"
        lines.append(line + (f" (without {_some(missing, 3)})" if len(partial) <= _SHOWN else ""))
    if lines:
        text = f"{_some(lines, separator='; ')}. A model that lacks a task that counts gets no mean and no Borda rank."
        yield Caveat("coverage", f"Partial coverage: {plural(len(lines), 'model')}", text)
    for earlier in (name for name in board.tasks if name not in names):
        now = board.tasks[earlier].earlier_of
        is_open = board.scores[earlier].notna() & scores[now].isna()
        if again := [board.labels[ModelKey(*key)] for key in scores.index[is_open]]:
            text = (
                f"{earlier} holds scores on what {now} held before; they are not compared with those of today. Measure again with "
                f"`genzoo evaluate -t {now}=PATH`: {_some(again)}."
            )
            yield Caveat("coverage", f"Earlier content: {plural(len(again), 'model')}", text)
    if absent := [label for key, label in board.labels.items() if key not in board.comparisons]:
        yield Caveat("coverage", "Not on this board", f"No score on any of its tasks: {_some(absent)}.")


def _grounds(board: BoardFacts) -> Iterator[Caveat]:
    lines = []
    for task, ground in board.grounds.items():
        if not ground.left_out and not ground.partial:
            continue
        line = f"{task} is scored on {_some(['/'.join(part) for part in ground.used], 2)}"
        if ground.left_out:
            line += f", leaving out {_some(['/'.join(part) for part in ground.left_out], 2)}"
        if ground.partial:
            line += f"; without a score, as it lacks a part: {_some([board.labels[key] for key in ground.partial], 2)}"
        lines.append(line)
    if lines:
        text = f"Each model is scored on the same parts of a task, or not at all. {_some(lines, separator='. ')}."
        yield Caveat("parts", f"Different splits or subsets: {plural(len(lines), 'task')}", text)


def _contamination(board: BoardFacts) -> Iterator[Caveat]:
    facts = {board.labels[key]: board.store.models[key] for key in map(ModelKey._make, board.scores.index)}
    seen = {label: own for label, each in facts.items() if (own := each.seen_of(board.tasks))}
    if lines := [f"{label} on {_some(own, 3)}" for label, own in seen.items()]:
        text = f"Trained on data of the tasks themselves: {_some(lines, separator='; ')}. Such scores say little about new data."
        yield Caveat("contamination", f"Seen in training: {plural(len(lines), 'model')}", text)
    if silent := [label for label, each in facts.items() if each.training_datasets is None]:
        text = (
            f"The training data of {_some(silent)} are not stated, so they may hold the data of these tasks: unknown is not the "
            "same as clean."
        )
        yield Caveat("contamination", f"Unknown training data: {plural(len(silent), 'model')}", text)


def _mixed_data(board: BoardFacts) -> Iterator[Caveat]:
    pairs = board.rows[["task", "data_revision"]].drop_duplicates().astype(str)
    revisions = {str(task): sorted(found) for task, found in pairs.groupby("task")["data_revision"]}
    stated = {task: [revision for revision in found if revision != UNKNOWN] for task, found in revisions.items()}
    if mixed := [f"{task} ({', '.join(r[:7] for r in found)})" for task, found in stated.items() if len(found) > 1]:
        text = f"Measured on several revisions of the data: {_some(mixed)}. Such scores are not strictly comparable."
        yield Caveat("data", f"Mixed data revisions: {plural(len(mixed), 'task')}", text)
    if unstated := [task for task, found in stated.items() if found and UNKNOWN in revisions[task]]:
        text = f"Some results do not say which revision of the data they used: {_some(unstated)}."
        yield Caveat("data", f"Unstated data revisions: {plural(len(unstated), 'task')}", text)


def _mixed_versions(board: BoardFacts) -> Iterator[Caveat]:
    versions = sorted({str(version) for version in board.rows["mteb_version"].unique()})
    if len(versions) > 1:
        text = f"Results come from {len(versions)} versions of mteb: {_some(versions)}. "
        yield Caveat("versions", "Mixed mteb versions", text + "Metrics and defaults may differ between them.")


def _mixed_precision(board: BoardFacts) -> Iterator[Caveat]:
    found: dict[str, list[str]] = {}
    for key in map(ModelKey._make, board.scores.index):
        if dtype := board.store.models[key].dtype:
            found.setdefault(dtype, []).append(board.labels[key])
    if len(found) > 1:
        text = f"The models ran in different precision: {'; '.join(f'{_some(names, 3)} in {dtype}' for dtype, names in found.items())}."
        text += " A small difference may come from that; `genzoo evaluate` with --precision float32 measures zoo models alike."
        yield Caveat("precision", "Mixed precision", text)


def _safety(board: BoardFacts) -> Iterator[Caveat]:
    tasks, safety = board.tasks, tasks_of(SAFETY, board.tasks)
    if not safety:
        return
    text = f"Kept out of every mean, type mean and Borda rank, since a model that finds nothing is perfectly safe: {_some(safety)}."
    if by_name := [name for name in safety if is_safety_by_name(tasks[name])]:
        text += f" Known as safety tasks by their names only, because no result names the metric: {_some(by_name)}. A `tasks.json` with the main_score settles it."
    if not counted_tasks(tasks, tasks) and len(safety) < len(tasks):
        text += " All other tasks are the harmless twins of these, so there is no mean."
    yield Caveat("safety", "Safety is not averaged", text)


def _draws(board: BoardFacts) -> Iterator[Caveat]:
    found = unfixed_draws(board.store, board.rows)
    if found.empty:
        return
    tasks = sorted(found["task"].unique())
    models = dict.fromkeys(board.labels[ModelKey(row.model, row.revision)] for row in found.itertuples())
    text = (
        f"The documents of {_some(tasks)} may have been drawn anew for each model of a run, so that equal models may differ by "
        f"points: {_some(list(models))}. `genzoo evaluate` with --overwrite and these tasks measures them again."
    )
    yield Caveat("draws", f"Different documents: {plural(len(tasks), 'task')}", text)


def _directions(board: BoardFacts) -> Iterator[Caveat]:
    directions = {name: facts.metric.higher_is_better for name, facts in board.tasks.items()}
    safety = tasks_of(SAFETY, board.tasks)
    if lower := [name for name, is_higher in directions.items() if is_higher is False and name not in safety]:
        text = f"Lower is better on {_some(lower)}: ranked in that direction and kept out of every mean."
        yield Caveat("direction", "Lower is better", text)
    if unknown := [f"{name} ({board.tasks[name].main_score})" for name, found in directions.items() if found is None]:
        text = f"It is not known which way is better on {_some(unknown)}: shown, but neither ranked nor averaged."
        yield Caveat("direction", "Unknown metric", text)


def _out_of_range(board: BoardFacts) -> Iterator[Caveat]:
    limits = {name: facts.metric.limits for name, facts in board.tasks.items()}
    names, values = board.rows["task"], board.rows["value"]
    low, high = (names.map({name: pair[side] for name, pair in limits.items()}).astype(float) for side in (0, 1))
    found = board.rows[(values < low) | (values > high)]
    odd = [f"{board.labels[ModelKey(row.model, row.revision)]} on {row.task}: {row.value:g}" for row in found.itertuples()]  # fmt: skip
    if odd:
        text = f"Outside the metric's range and counted as missing: {_some(odd)}. Check the files."
        yield Caveat("range", "Impossible scores", text)


def _comparisons(board: BoardFacts) -> Iterator[Caveat]:
    if len(board.tasks) == 1 and all_own(board.tasks):
        return  # the test over its queries counts, not one over tasks
    found = [item for item in board.comparisons.values() if item is not None]
    if undecided := [item for item in found if item.n and not item.can_decide and not item.is_equal]:
        sizes = sorted({item.n for item in undecided})
        n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        rests = "One comparison rests" if len(undecided) == 1 else f"{len(undecided)} comparisons rest"
        tasks = "task" if sizes == [1] else "tasks"
        text = f"{rests} on {n} {tasks}, which cannot decide between {len(found) + 1} models, whatever they score."
        yield Caveat("few", "Few tasks", text)
    if unsure := [board.labels[item.model] for item in found if item.can_decide and not item.is_significant]:
        text = f"Not distinguishable from the reference at 5\u00a0% after Holm's correction: {_some(unsure)}."
        yield Caveat("significance", "Not significant", text)
    if found:
        text = (
            "Unless a table says otherwise, intervals and tests treat the tasks as the sample: they say how a difference carries "
            "over to other tasks of the same kind."
        )
        if any(item.has_items for item in found):
            text += " Where predictions exist, the test also counts how each score varies with its queries or pairs."
        yield Caveat("intervals", "Intervals are over tasks", text)


def _small_sets(board: BoardFacts) -> Iterator[Caveat]:
    sizes = {name: facts.n_texts for name, facts in board.tasks.items()}
    if small := [f"{name} ({size})" for name, size in sizes.items() if size and size < SMALL_SET]:
        text = f"Fewer than {SMALL_SET} texts: {_some(small)}. One text more or less moves such a score visibly."
        yield Caveat("small", "Small data sets", text)


def _missing_judgements(figures: Sequence[UnjudgedFigures]) -> str:
    """What adds the passages that nobody judged, and what it costs."""
    depth = max(each.depth for each in figures)
    missing = sum(math.ceil((1 - each.judged) * each.depth * each.n) for each in figures)
    return (
        f"genzoo pool with these models, -k {depth} and --reopen adds what is missing, at most {plural(missing, 'passage')}; the queries count "
        "again only once these are judged."
    )


def _unjudged(board: BoardFacts) -> Iterator[Caveat]:
    judged = {task: own for task in board.tasks if (own := judging_of(board.store, task)) is not None}
    if not judged:
        return
    keys = [ModelKey(*index) for index in board.scores.index]
    figures = unjudged_figures(board.store, keys, judged)
    few = [
        f"{board.labels[each.model]} on {each.task} ({100 * each.judged:.0f} % of its first {each.depth})"
        for each in figures
        if each.judged < JUDGED
    ]
    if few:
        text = f"Not all of what these models found was judged, and unjudged counts as not relevant, so their scores are probably too low: {_some(few)}. "
        yield Caveat(
            "unjudged",
            f"Unjudged passages: {plural(len(few), 'score')}",
            text + _missing_judgements(figures),
        )
    for task, own in judged.items():
        if own.effect:
            yield Caveat("chosen", f"Chosen queries: {task}", own.effect)


def _problems(board: BoardFacts) -> Iterator[Caveat]:
    if problems := board.store.problems:
        sources = {problem.source for problem in problems}
        text = f"{plural(len(problems), 'problem')} in {plural(len(sources), 'file')}, listed under Problems."
        yield Caveat("problems", "Files that could not be used", text)


_RULES = (
    _reported, _revisions, _coverage, _grounds, _contamination, _mixed_data, _mixed_versions, _mixed_precision, _safety, _draws, _directions,
    _out_of_range, _comparisons, _small_sets, _unjudged, _problems,
)  # fmt: skip


def _some(items: Sequence[str], shown: int = _SHOWN, separator: str = ", ") -> str:
    return some(items, shown, separator)
