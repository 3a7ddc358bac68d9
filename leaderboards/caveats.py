"""What a reader must know before believing a table, and why a table is empty, written from the data."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence, Sized
from pathlib import PurePosixPath
from typing import NamedTuple

import pandas as pd

from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.facts import EXTERNAL, SAFETY, ModelKey, TaskFacts, counted_tasks, is_safety_by_name, tasks_of
from genzoo.leaderboards.naming import short_name, short_revision
from genzoo.leaderboards.reading.reported import ReportedMeans
from genzoo.leaderboards.reading.result_files import UNKNOWN, read_json, read_object
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.statistics.aggregation import Ground

DRAWING_TYPES = {"Clustering", "MultilabelClassification"}
"""Types of mteb's tasks that are scored on some of their documents, which a generator of the task object chooses."""


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
    content = read_json(path, path, [])
    splits = content.get("scores") if isinstance(content, dict) else None
    parts = [part for split in (splits or {}).values() for part in split if isinstance(part, dict)]
    return bool(parts) and all(isinstance(part.get("v_measures"), list) for part in parts)


_FEW = 3


def why_no_score(store: ResultStore, names: Sequence[str]) -> str:
    """The reasons in a sentence, the one that explains most tasks first; empty where there is none to tell.

    Args:
        store: The results.
        names: The tasks of the board.
    """
    main, reasons = store.main_scores, []
    known = main[main["task"].isin(names)]
    if wrong := [reason for name in names if (reason := _other_parts(store, name))]:
        reasons.append(_few(wrong, "; "))
    values = known["value"]
    if len(known) and values.isna().all():
        reasons.append(f"the main scores of {_few(sorted(set(map(str, known['task']))))} are missing or NaN")
    impossible = [
        f"{row.value:g} on {row.task}"
        for row in known.dropna(subset=["value"]).itertuples()
        if not store.tasks.get(str(row.task), TaskFacts(str(row.task))).metric.contains(row.value)
    ]
    if impossible:
        reasons.append(f"scores lie out of the range of their metric ({_few(impossible)})")
    broken = [p for p in store.problems if PurePosixPath(p.source).stem in set(names) - set(map(str, known["task"]))]
    if broken:
        first = f"{broken[0].source} {broken[0].reason}"
        reasons.append(f"{len(broken)} of their files cannot be used ({first})")
    if not len(known):
        others = sorted({str(name) for name in main["task"]})
        reasons.append(f"the folder has results of {len(others)} other tasks: {_few(others)}")
    return "; ".join(reasons)


def _other_parts(store: ResultStore, name: str) -> str:
    """Which splits or subsets of a task have results where others are asked for, empty where none are missing."""
    facts = store.tasks.get(name, TaskFacts(name))
    rows = store.main_scores[store.main_scores["task"] == name]
    for column, wanted in (("split", facts.splits), ("subset", facts.subsets)):
        found = sorted(set(map(str, rows[column])))
        if wanted and found and not set(wanted) <= set(found):
            return f"{name} is measured on the {column} {_few(wanted)}, the results are of {_few(found)}"
    return ""


def _few(names: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return separator.join(names[:_FEW]) + more


# A score over fewer texts moves by points when one text changes.
SMALL_SET = 200
_SHOWN = 4


class Caveat(NamedTuple):
    """One caveat: `kind` names the rule that found it, `title` is short, `text` says what and where."""

    kind: str
    title: str
    text: str


def collect_caveats(
    store: ResultStore,
    scores: pd.DataFrame,
    grounds: Mapping[str, Ground],
    tasks: Mapping[str, TaskFacts],
    comparisons: Mapping[ModelKey, Comparison | None],
    claims: Sequence[ReportedMeans] = (),
) -> tuple[Caveat, ...]:
    """All caveats of a board, the gravest kinds first; `comparisons` has a key for each of its rows."""
    rows = store.main_scores[store.main_scores["task"].isin(list(tasks))]
    labels = store.labels
    return (
        *_reported(store, comparisons, labels, claims),
        *_revisions(store, comparisons, labels),
        *_coverage(scores, tasks, [labels[key] for key in labels if key not in comparisons], labels),
        *_grounds(grounds, labels),
        *_contamination(store, scores, tasks, labels),
        *_mixed_data(rows),
        *_mixed_versions(rows),
        *_safety(tasks),
        *_draws(store, rows, labels),
        *_directions(tasks),
        *_out_of_range(rows, tasks, labels),
        *_comparisons(comparisons, labels),
        *_small_sets(tasks),
        *_problems(store),
    )


def _reported(
    store: ResultStore,
    shown: Container[ModelKey],
    labels: Mapping[ModelKey, str],
    claims: Sequence[ReportedMeans],
) -> Iterator[Caveat]:
    named = [labels[key] for key, facts in store.models.items() if facts.is_reported and key in shown]
    named += [f"{short_name(claim.model)} (means in {claim.source})" for claim in claims]
    if named:
        text = (
            f"Written down by somebody and not measured here, so nothing about them could be checked: {_some(named)}."
        )
        yield Caveat("reported", f"Reported scores: {_count(named, 'model')}", text)


def _revisions(store: ResultStore, shown: Container[ModelKey], labels: Mapping[ModelKey, str]) -> Iterator[Caveat]:
    joined = {labels[key]: facts.revisions for key, facts in store.models.items() if facts.revisions and key in shown}
    if not joined:
        return
    lines = [
        f"{label} ({', '.join(f'{share.used} of {short_revision(share.revision)}' for share in shares)})"
        for label, shares in joined.items()
    ]
    text = f"As on mteb's boards, the scores of several revisions of a model stand in one row, such as the tasks of {_some(lines, 3, '; ')}."
    cards = [label for label, shares in joined.items() if any(s.used and s.is_reported for s in shares)]
    if cards:
        text += (
            f" What stands under {EXTERNAL} was parsed from model cards, so {len(cards)} of them are partly reported."
        )
    rivals = {label: sum(s.held - s.used for s in shares) for label, shares in joined.items()}
    lost = [f"{label} ({number})" for label, number in rivals.items() if number]
    if lost:
        text += f" Where two have a score the one that mteb prefers counts; the others are not shown: {_some(lost)}."
    text += " Provenance lists them all; --by-revision keeps them apart."
    yield Caveat("revisions", f"Joined revisions: {_count(lines, 'model')}", text)


def _coverage(
    scores: pd.DataFrame, tasks: Mapping[str, TaskFacts], absent: list[str], labels: Mapping[ModelKey, str]
) -> Iterator[Caveat]:
    partial = scores[scores.isna().any(axis=1)]
    lines, names = [], [str(name) for name in scores.columns]
    for index, lacks in zip(partial.index, partial.isna().to_numpy(), strict=True):
        missing = [name for name, is_missing in zip(names, lacks, strict=True) if is_missing]
        line = f"{labels[ModelKey(*index)]} has {len(tasks) - len(missing)} of {len(tasks)}"
        lines.append(line + (f" (without {_some(missing, 3)})" if len(partial) <= _SHOWN else ""))
    if lines:
        text = f"{_some(lines, separator='; ')}. A model that lacks a task that counts gets no mean and no Borda rank."
        yield Caveat("coverage", f"Partial coverage: {_count(lines, 'model')}", text)
    if absent:
        yield Caveat("coverage", "Not on this board", f"No score on any of its tasks: {_some(absent)}.")


def _contamination(
    store: ResultStore, scores: pd.DataFrame, tasks: Mapping[str, TaskFacts], labels: Mapping[ModelKey, str]
) -> Iterator[Caveat]:
    lines, silent = [], []
    for index in scores.index:
        key = ModelKey(*index)
        facts = store.models[key]
        seen = facts.seen_of(tasks)
        if seen:
            lines.append(f"{labels[key]} on {_some(seen, 3)}")
        if facts.training_datasets is None:
            silent.append(labels[key])
    if lines:
        text = f"Trained on data of the tasks themselves: {_some(lines, separator='; ')}. Such scores say little about new data."
        yield Caveat("contamination", f"Seen in training: {_count(lines, 'model')}", text)
    if silent:
        text = (
            f"The training data of {_some(silent)} are not stated, so they may hold the data of these tasks: unknown is not the "
            "same as clean."
        )
        yield Caveat("contamination", f"Unknown training data: {_count(silent, 'model')}", text)


def _grounds(grounds: Mapping[str, Ground], labels: Mapping[ModelKey, str]) -> Iterator[Caveat]:
    lines = []
    for task, ground in grounds.items():
        if not ground.left_out and not ground.partial:
            continue
        line = f"{task} is scored on {_some(['/'.join(part) for part in ground.used], 2)}"
        if ground.left_out:
            line += f", leaving out {_some(['/'.join(part) for part in ground.left_out], 2)}"
        if ground.partial:
            line += f"; without a score, as it lacks a part: {_some([labels[key] for key in ground.partial], 2)}"
        lines.append(line)
    if lines:
        text = f"Each model is scored on the same parts of a task, or not at all. {_some(lines, separator='. ')}."
        yield Caveat("parts", f"Different splits or subsets: {_count(lines, 'task')}", text)


def data_revisions(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Task to the revisions of its data that results name, in order."""
    found: dict[str, list[str]] = {}
    for task, revision in rows[["task", "data_revision"]].drop_duplicates().itertuples(index=False):
        found.setdefault(str(task), []).append(str(revision))
    return {task: sorted(revisions) for task, revisions in sorted(found.items())}


def _mixed_data(rows: pd.DataFrame) -> Iterator[Caveat]:
    mixed, unstated = [], []
    for task, found in data_revisions(rows).items():
        stated = [revision for revision in found if revision != UNKNOWN]
        if len(stated) > 1:
            mixed.append(f"{task} ({', '.join(revision[:7] for revision in stated)})")
        if stated and UNKNOWN in found:
            unstated.append(task)
    if mixed:
        text = (
            f"Measured on more than one revision of the data: {_some(mixed)}. Such scores are not strictly comparable."
        )
        yield Caveat("data", f"Mixed data revisions: {_count(mixed, 'task')}", text)
    if unstated:
        text = f"Some results do not say which revision of the data they used: {_some(unstated)}."
        yield Caveat("data", f"Unstated data revisions: {_count(unstated, 'task')}", text)


def _mixed_versions(rows: pd.DataFrame) -> Iterator[Caveat]:
    versions = sorted({str(version) for version in rows["mteb_version"].unique()})
    if len(versions) > 1:
        text = f"Results come from {len(versions)} versions of mteb: {_some(versions)}. "
        yield Caveat("versions", "Mixed mteb versions", text + "Metrics and defaults may differ between them.")


def _safety(tasks: Mapping[str, TaskFacts]) -> Iterator[Caveat]:
    safety = tasks_of(SAFETY, tasks)
    if not safety:
        return
    text = f"Kept out of every mean, type mean and Borda rank, since a model that finds nothing is perfectly safe: {_some(list(safety))}."
    by_name = [name for name in safety if is_safety_by_name(tasks[name])]
    if by_name:
        text += f" Only its name says so of {_some(by_name)}: no result tells its metric. A `tasks.json` with its main_score settles it."
    if not counted_tasks(tasks, tasks):
        text += (
            " All other tasks are the harmless twins of these, so there is no mean." if len(safety) < len(tasks) else ""
        )
    yield Caveat("safety", "Safety is not averaged", text)


def _draws(store: ResultStore, rows: pd.DataFrame, labels: Mapping[ModelKey, str]) -> Iterator[Caveat]:
    found = unfixed_draws(store, rows)
    if found.empty:
        return
    tasks = sorted(found["task"].unique())
    models = dict.fromkeys(labels[ModelKey(row.model, row.revision)] for row in found.itertuples())
    text = (
        f"The documents of {_some(tasks)} may have been drawn anew for each model of a run, so that equal models may differ by "
        f"points: {_some(list(models))}. `genzoo evaluate` with --overwrite and these tasks measures them again."
    )
    yield Caveat("draws", f"Different documents: {_count(tasks, 'task')}", text)


def _directions(tasks: Mapping[str, TaskFacts]) -> Iterator[Caveat]:
    safety = tasks_of(SAFETY, tasks)
    lower = [name for name, facts in tasks.items() if facts.metric.higher_is_better is False and name not in safety]
    unknown = [f"{name} ({facts.main_score})" for name, facts in tasks.items() if facts.metric.higher_is_better is None]
    if lower:
        text = f"Lower is better on {_some(lower)}: ranked in that direction and kept out of every mean."
        yield Caveat("direction", "Lower is better", text)
    if unknown:
        text = f"It is not known which way is better on {_some(unknown)}: shown, but neither ranked nor averaged."
        yield Caveat("direction", "Unknown metric", text)


def _out_of_range(
    rows: pd.DataFrame, tasks: Mapping[str, TaskFacts], labels: Mapping[ModelKey, str]
) -> Iterator[Caveat]:
    limits = {name: facts.metric.limits for name, facts in tasks.items()}
    low, high = (rows["task"].map({name: pair[side] for name, pair in limits.items()}).astype(float) for side in (0, 1))
    found = rows[(rows["value"] < low) | (rows["value"] > high)]
    odd = [f"{labels[ModelKey(row.model, row.revision)]} on {row.task}: {row.value:g}" for row in found.itertuples()]
    if odd:
        text = f"Outside of the metric's range and counted as missing: {_some(odd)}. Check the files."
        yield Caveat("range", "Impossible scores", text)


def _comparisons(comparisons: Mapping[ModelKey, Comparison | None], labels: Mapping[ModelKey, str]) -> Iterator[Caveat]:
    found = [item for item in comparisons.values() if item is not None]
    undecided = [item for item in found if item.n and not item.can_decide and not item.is_equal]
    if undecided:
        sizes = sorted({item.n for item in undecided})
        n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        rests = "One comparison rests" if len(undecided) == 1 else f"{len(undecided)} comparisons rest"
        tasks = "task" if sizes == [1] else "tasks"
        text = f"{rests} on {n} {tasks}, which cannot decide between {len(found) + 1} models, whatever they score."
        yield Caveat("few", "Few tasks", text)
    unsure = [labels[item.model] for item in found if item.can_decide and not item.is_significant]
    if unsure:
        text = f"Not distinguishable from the reference at 5\u00a0% after Holm's correction: {_some(unsure)}."
        yield Caveat("significance", "Not significant", text)
    if found:
        text = (
            "Unless a table says otherwise, intervals and tests treat the tasks as the sample: they say how a difference carries "
            "over to other tasks of the same kind."
        )
        if any(item.has_items for item in found):
            text += (
                " Where predictions exist, the test also counts how far each score moves with other queries or pairs."
            )
        yield Caveat("intervals", "Intervals are over tasks", text)


def _small_sets(tasks: Mapping[str, TaskFacts]) -> Iterator[Caveat]:
    small = [
        f"{name} ({facts.n_texts})" for name, facts in tasks.items() if facts.n_texts and facts.n_texts < SMALL_SET
    ]
    if small:
        text = f"Fewer than {SMALL_SET} texts: {_some(small)}. One text more or less moves such a score visibly."
        yield Caveat("small", "Small data sets", text)


def _problems(store: ResultStore) -> Iterator[Caveat]:
    if store.problems:
        sources = len({problem.source for problem in store.problems})
        count = _count(store.problems, "problem")
        text = f"{count} in {sources} {'file' if sources == 1 else 'files'}, listed under Problems."
        yield Caveat("problems", "Files that could not be used", text)


def _some(items: list[str], shown: int = _SHOWN, separator: str = ", ") -> str:
    """The first few items and how many more there are."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return separator.join(items[:shown]) + more


def _count(items: Sized, noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
