"""The other files of a results tree: declared tasks and benchmarks, run records, decoded examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from genzoo.leaderboards.facts import (
    EXTERNAL,
    UNNAMED,
    Decoded,
    ModelFacts,
    ModelKey,
    Problem,
    TaskFacts,
    is_safety_by_name,
)
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.reading.result_files import ResultFile, read_object, read_result


def declared_tasks(root: Path, problems: list[Problem]) -> dict[str, TaskFacts]:
    """Facts by task from `tasks.json`."""
    rows = read_object(root / "tasks.json", "tasks.json", problems)
    facts = {}
    for name, row in rows.items():
        if isinstance(row, dict):
            facts[name] = read_task_facts(name, row)
        else:
            problems.append(Problem("tasks.json", f"its row of {name} is not an object and was left out"))
    return facts


def with_safety_metric(task: TaskFacts, file: ResultFile) -> TaskFacts:
    """The facts of a task with its main score, where only a result file can tell whether that is one of safety.

    A result file does not name its main score either, so a metric that has the same value is taken for it: one of safety, and
    any other for a task whose name alone would make it one of safety.
    """
    if task.main_score != UNNAMED or not file.path:
        return task
    is_named = is_safety_by_name(task)
    records = [record.scores for record in read_result(file, {}, []) if record.task == task.name]
    names = {name for scores in records for name in scores if metric(name).is_known and name != UNNAMED}
    wanted = sorted((name for name in names if is_named or metric(name).is_safety), key=_likelihood)
    same = [name for name in wanted if all(s.get(name) == s["main_score"] for s in records)]
    return dataclasses.replace(task, main_score=same[0]) if same else task


def own_data_apart(main: pd.DataFrame, tasks: dict[str, TaskFacts]) -> pd.DataFrame:
    """The main scores with scores on other contents of a user's own data under names of their own, such as ``help@1a2b3c4``.

    The name of own data is the user's; what it stood for in the last run, `tasks.json` says. A score on anything else would be
    compared with it although the data differ.

    Args:
        main: Rows with `task` and `data_revision`, as columns of codes.
        tasks: Facts by task; grows by those of the new names.
    """
    now = {name: each.dataset_revision for name, each in tasks.items() if each.is_own}
    rows = main.loc[main["task"].isin(now), ["task", "data_revision"]].astype(object)
    rows = rows[rows["data_revision"] != rows["task"].map(now)]
    if rows.empty:
        return main
    names = rows["task"] + "@" + rows["data_revision"].str[:7]
    for name, task, revision in zip(names, rows["task"], rows["data_revision"], strict=True):
        said = f"{tasks[task].description} What they held before.".strip()
        changes = {"name": name, "dataset_revision": revision, "description": said, "n_texts": None, "earlier_of": task}
        tasks.setdefault(name, dataclasses.replace(tasks[task], **changes))
    task = main["task"].cat.add_categories(sorted(set(names)))
    task.loc[names.index] = names
    return main.assign(task=task.cat.remove_unused_categories(), n=main["n"].mask(main.index.isin(names.index)))


def _likelihood(metric_name: str) -> tuple[bool, ...]:
    """Smaller is likelier to be a main score: Safety@5, as most tasks have it, other metrics of safety, then nDCG@10."""
    return metric_name != "safety_at_5", not metric_name.startswith("safety"), metric_name != "ndcg_at_10"


def read_benchmarks(root: Path, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    """Benchmark to task names from `benchmarks.json`."""
    rows = read_object(root / "benchmarks.json", "benchmarks.json", problems)
    benchmarks = {}
    for name, tasks in rows.items():
        if isinstance(tasks, list) and tasks:
            benchmarks[name] = tuple(dict.fromkeys(str(task) for task in tasks))
        else:
            problems.append(Problem("benchmarks.json", f"{name} is not a list of tasks and was left out"))
    return benchmarks


def read_models(
    root: Path, files: Sequence[ResultFile], keys: Collection[ModelKey], problems: list[Problem]
) -> dict[ModelKey, ModelFacts]:
    """Facts of the given models, in order of name."""
    # A result lies in <root>/results/<org__model>/<revision>/ or, of a bare tree, two folders below the root.
    first = {file.key: file for file in reversed(files) if file.key in keys}
    folders = {key: _revision_folder(root, file) for key, file in first.items()}
    facts = {}
    for key in sorted(folders, key=lambda key: (key.model.casefold(), key.revision)):
        folder = folders[key]
        if folder is None:
            facts[key] = ModelFacts(key, is_reported=True)
            continue
        source = (folder / "model_meta.json").relative_to(root).as_posix()
        meta = read_object(folder / "model_meta.json", source, [])  # its problems were noted with its name
        below = f"environment/{folder.parent.name}/{folder.name}.json"
        facts[key] = read_model_facts(key, meta, read_object(root / below, below, problems))
    return facts


def _revision_folder(root: Path, file: ResultFile) -> Path | None:
    """The folder of a model's revision; None for scores that lie in no result file."""
    if not file.path:
        return None
    depth = 3 if file.source.startswith("results/") and (root / "results").is_dir() else 2
    return root.joinpath(*file.source.split("/")[:depth])


def read_evidence(
    root: Path, models: Mapping[ModelKey, ModelFacts], problems: list[Problem]
) -> tuple[dict[ModelKey, tuple[Decoded, ...]], dict[ModelKey, dict[str, Decoded]]]:
    """Each model's everyday examples, and its readings of the texts of single searches."""
    evidence, readings = {}, {}
    for key in models:
        below = f"evidence/{key.folder}.json"
        content = read_object(root / below, below, problems)
        for name in ("decoded", "searches"):
            rows: Any = content.get(name)
            examples = read_decoded(rows)
            if isinstance(rows, list) and len(examples) < len(rows):
                problems.append(Problem(below, f"{len(rows) - len(examples)} of {len(rows)} examples have no text"))
            if examples and name == "decoded":
                evidence[key] = examples
            elif examples:
                readings[key] = {example.text: example for example in examples}
    return evidence, readings


def read_model_facts(key: ModelKey, meta: Mapping[str, Any], environment: Mapping[str, Any]) -> ModelFacts:
    """Facts of a model; the environment record wins over mteb's metadata, wrong types count as unknown."""

    def number(name: str) -> float | None:
        for source in (environment, meta):
            value = source.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value == value and value > 0:
                return float(value)
        return None

    def whole(name: str) -> int | None:
        value = number(name)
        return None if value is None or value == float("inf") else int(value)

    known: dict[str, Any] = {
        name: _text(environment, name) for name in ("teacher", "backbone", "device", "dtype", "date")
    }
    known |= {
        name: whole(name) for name in ("n_parameters", "n_trained_parameters", "embed_dim", "max_tokens", "batch_size")
    }
    known |= {name: _strings(environment.get(name)) for name in ("prompts", "versions", "machine")}
    role = _text(environment, "role")
    return ModelFacts(
        key=key,
        role=role if role in {"zoo", "teacher", "baseline"} else "other",
        texts_per_second=number("texts_per_second"),
        has_environment=bool(environment),
        training_datasets=_datasets(meta.get("training_datasets")),
        is_reported=key.revision.split("+", 1)[0] == EXTERNAL,
        **known,
    )


def read_task_facts(name: str, row: Mapping[str, Any]) -> TaskFacts:
    """Facts of a task from its row in `tasks.json`; wrong types count as unknown."""
    dataset, n_texts = row.get("dataset"), row.get("n_texts")
    dataset = dataset if isinstance(dataset, Mapping) else {}
    return TaskFacts(
        name=name,
        type=_text(row, "type"),
        main_score=_text(row, "main_score") or UNNAMED,
        description=_text(row, "description") or "",
        dataset_path=_text(dataset, "path"),
        dataset_revision=_text(dataset, "revision"),
        prompt=_prompt(row.get("prompt")),
        languages=_names(row.get("languages")),
        n_texts=n_texts if isinstance(n_texts, int) and not isinstance(n_texts, bool) else None,
        splits=_names(row.get("splits")),
        subsets=_names(row.get("subsets")),
    )


def read_decoded(rows: object) -> tuple[Decoded, ...]:
    """The usable examples of an evidence file's "decoded" list."""
    if not isinstance(rows, list):
        return ()
    examples = []
    for row in rows:
        if not isinstance(row, Mapping) or not isinstance(row.get("text"), str):
            continue
        lens = row.get("logit_lens")
        tokens = tuple(_names(position) for position in lens) if isinstance(lens, list) else ()
        prompt, decoded = row.get("prompt"), row.get("decoded")
        examples.append(Decoded(row["text"], str(prompt or ""), str(decoded or ""), tokens))
    return tuple(examples)


def _text(source: Mapping[str, Any], name: str) -> str | None:
    value = source.get(name)
    return value if isinstance(value, str) and value else None


def _prompt(value: object) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{kind}: {text}" for kind, text in value.items() if text)
    return value if isinstance(value, str) else ""


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _datasets(value: object) -> frozenset[str] | None:
    """The list of today's files, or the keys of the object that older ones hold."""
    return frozenset(map(str, value)) if isinstance(value, list | Mapping) else None


def _strings(value: object) -> dict[str, str]:
    value = value if isinstance(value, Mapping) else {}
    return {str(key): str(item) for key, item in value.items() if item is not None}
