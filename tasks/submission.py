"""A results folder -> what the MTEB results repository takes, and a checklist of what is missing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mteb
from mteb.models import ModelMeta

from genzoo.errors import InputError
from genzoo.files import write_text
from genzoo.tasks.benchmarks import TASKS
from genzoo.tasks.registration import benchmark_registry, task_registry

_SIDE_FILES = ("model_meta.json", "run_settings.jsonl")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass
class Submission:
    """One model's part.

    Attributes:
        name: `org/name`.
        revision: As measured.
        taken: Tasks that were copied.
        left_out: Task -> why its result stays here.
        problems: What has to be mended before reviewers accept it.
        source: The `ModelMeta` for mteb as Python, None where mteb has the model.
    """

    name: str
    revision: str
    taken: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    source: str | None = None


def write_submission(
    results: Path, output: Path, models: Sequence[str] = (), benchmark: str = "MTEB(eng, v2)"
) -> list[Submission]:
    """Copy what can be submitted, model by model, and write `CHECKLIST.md` and the `ModelMeta` sources.

    Args:
        results: The folder that `genzoo evaluate` wrote.
        output: A new or empty folder; `output/results` then goes into the results repository as it is.
        models: Names of the models, all of the folder if empty.
        benchmark: The benchmark whose missing tasks the checklist names.

    Raises:
        InputError: No results, an unknown model or benchmark, or an output folder that holds something.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists and is not empty: name a new folder with -o")
    board = benchmark_registry().get(benchmark)
    if board is None:
        raise InputError(f"unknown benchmark {benchmark!r}. See: mteb available-benchmarks")
    folders = {folder: meta for folder, meta in _measured(results) if not models or meta["name"] in models}
    known = sorted({meta["name"] for _, meta in _measured(results)})
    if unknown := sorted(set(models) - set(known)):
        raise InputError(f"no results of {', '.join(unknown)} in {results}; there are those of {', '.join(known)}")
    if not folders:
        raise InputError(f"{results} holds no results: run genzoo evaluate first")
    found = []
    for folder, meta in folders.items():
        part = _take(folder, meta, output / "results" / folder.parent.name / folder.name)
        part.problems += _problems(meta, part, {task.metadata.name for task in board.tasks}, benchmark)
        part.source = _source(meta)
        found.append(part)
        if part.source is not None:
            write_text(output / "model_meta" / f"{meta['name'].replace('/', '__')}.py", part.source)
    _read_back(output, found)
    write_text(output / "CHECKLIST.md", checklist(found))
    return found


def checklist(parts: Sequence[Submission]) -> str:
    """What is in the submission and what is missing, as Markdown."""
    lines = ["# Submission to the MTEB results repository", ""]
    for part in parts:
        lines += [f"## {part.name} at `{part.revision}`", ""]
        lines += [f"- [x] {len(part.taken)} results: {', '.join(part.taken) or 'none'}"]
        lines += [f"- [ ] {problem}" for problem in part.problems]
        lines += [f"- left out: {task} ({reason})" for task, reason in part.left_out.items()]
        if part.source is not None:
            lines += [
                "- [ ] open a pull request to mteb with the `ModelMeta` in `model_meta/` (it must be merged first)"
            ]
        lines += [""]
    lines += [
        "## For every submission",
        "",
        "- [ ] the results were made through `mteb.get_model`, at a revision that is on the Hub",
        "- [ ] the model was not trained on the evaluation data, or `training_datasets` names it",
        "- [ ] copy `results/` into a fork of the results repository and open a pull request",
        "",
    ]
    return "\n".join(lines)


def _measured(results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folders of one model and revision, with the model's card."""
    for path in sorted((results / "results").glob("*/*/model_meta.json")):
        yield path.parent, json.loads(path.read_text(encoding="utf-8"))


def _take(folder: Path, meta: dict[str, Any], target: Path) -> Submission:
    part = Submission(meta["name"], meta["revision"])
    ours = {task.metadata.name for task in TASKS}
    official = task_registry()
    target.mkdir(parents=True)
    for path in sorted(folder.glob("*.json")):
        if path.name in _SIDE_FILES:
            continue
        revision = json.loads(path.read_text(encoding="utf-8")).get("dataset_revision")
        if path.stem in ours or path.stem not in official:
            part.left_out[path.stem] = "no task of mteb"
        elif revision != official[path.stem].metadata.revision:
            part.left_out[path.stem] = f"measured on data {revision}, mteb pins {official[path.stem].metadata.revision}"
        else:
            shutil.copyfile(path, target / path.name)
            part.taken.append(path.stem)
    for name in _SIDE_FILES:
        if (folder / name).is_file():
            _copy_side_file(folder / name, target / name, part.taken)
    return part


def _copy_side_file(source: Path, target: Path, taken: Sequence[str]) -> None:
    """Copy the card whole, and of the run settings the lines of the tasks that were taken."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".jsonl":
        text = "".join(f"{line}\n" for line in text.splitlines() if line.strip() and json.loads(line)["task"] in taken)
    write_text(target, text)


def _problems(meta: dict[str, Any], part: Submission, wanted: set[str], benchmark: str) -> Iterator[str]:
    missing = sorted(wanted - set(part.taken))
    if missing:
        yield f"{len(missing)} of {len(wanted)} tasks of {benchmark} are missing: {', '.join(missing)}"
    name, loader = meta["name"], str(meta.get("loader"))
    if name.startswith("local/"):
        yield "the model is a local folder: publish it (genzoo publish) and measure it under its Hub name"
    elif not _COMMIT.fullmatch(meta["revision"]):
        yield f"revision {meta['revision']} is no commit of the Hub"
    elif name.startswith("genzoo/") or loader == "load_for_mteb":
        yield "the revision is a digest of the checkpoint: publish the model, then give the commit (genzoo model-meta)"
    if name.endswith("-prompts"):
        yield "measured under other prompts than the model's own: measure it again without --prompts"
    for key in ("training_datasets", "license", "n_parameters", "max_tokens", "embed_dim", "release_date"):
        if meta.get(key) is None:
            yield f"`{key}` of the ModelMeta is not known: fill it in"


def _source(meta: dict[str, Any]) -> str | None:
    """The card as Python; None if mteb has the model already."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    if meta["name"] in MODEL_REGISTRY:
        return None
    fields = {key: value for key, value in meta.items() if key in ModelMeta.model_fields and key != "loader_kwargs"}
    return ModelMeta(**{**fields, "loader": None}).to_python() + "\n"


def _read_back(output: Path, parts: Sequence[Submission]) -> None:
    """Let mteb's own loader read the folder; what it does not find would be lost on the way."""
    read = mteb.ResultCache(output).load_results(include_remote=False, require_model_meta=True)
    seen = {(str(m.model_name), str(m.model_revision)): {t.task_name for t in m.task_results} for m in read}
    for part in parts:
        lost = set(part.taken) - seen.get((part.name, part.revision), set())
        if lost:
            part.problems.append(f"mteb does not read these results back: {', '.join(sorted(lost))}")
