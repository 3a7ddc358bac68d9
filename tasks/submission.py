"""What mteb's repositories take: a results folder without what cannot be submitted, and the source of a ModelMeta."""

from __future__ import annotations

import json
import keyword
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import mteb
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper
from mteb.results import TaskResult
from pydantic import ValidationError

from genzoo.errors import InputError, ZooError, first_flaw
from genzoo.files import replace_folder, write_text
from genzoo.jobs import job
from genzoo.models.entries import get_entry
from genzoo.names import is_commit
from genzoo.publishing.licences import licence_of
from genzoo.publishing.plan import REPO_ID
from genzoo.tasks import records
from genzoo.tasks.embedders.mteb_models import resolve_model
from genzoo.tasks.own.choices import is_own
from genzoo.tasks.random_state import kept_random_state
from genzoo.tasks.sets.benchmarks import TASKS
from genzoo.tasks.sets.registration import benchmark_registry, task_registry
from genzoo.text import clean, code_markdown, described, escape_inline_markdown, safe_name

_CARD, _SETTINGS = "model_meta.json", "run_settings.jsonl"
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,150}", re.ASCII)
_EXTERNAL = "external"  # where the results repository keeps what was read from model cards
_NEVER_NEGATIVE = re.compile(r"(ndcg|map|mrr|recall|precision|hit_rate)_at_|accuracy|f1|.*ap$|lrap|v_measure")


_FIRST = "- [ ] open a pull request to mteb with the `ModelMeta` in `model_meta/` (it must be merged first)"
_EVERY = """## For every submission

- [ ] the results were made through `mteb.get_model`, at a revision that is on the Hub
- [ ] the model was not trained on the evaluation data, or `training_datasets` names it
- [ ] copy `results/` into a fork of the results repository and open a pull request
"""


@dataclass
class Submission:
    """One model's part.

    Attributes:
        name: `org/name`.
        revision: As measured.
        taken: Tasks that were copied.
        incomplete: Those of them that lack a split or a subset.
        left_out: Task -> why its result stays here.
        problems: What has to be mended before reviewers accept it.
        source: The `ModelMeta` for mteb as Python, None where mteb has the model.
    """

    name: str
    revision: str
    taken: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    source: str | None = None


def write_submission(
    results: Path, output: Path, models: Sequence[str] = (), benchmark: str = "MTEB(eng, v2)"
) -> list[Submission]:
    """Copy what can be submitted, model by model, and write `CHECKLIST.md` and the `ModelMeta` sources.

    The output is written whole or not at all.

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
    measured = list(_measured(results))
    known = sorted({part.name for _, _, part in measured})
    if unknown := sorted(set(models) - set(known)):
        raise InputError(f"no results of {', '.join(unknown)} in {results}; there are those of {', '.join(known)}")
    if not measured:
        raise InputError(f"{results} holds no results: run genzoo evaluate first")
    tasks = {task.metadata.name: task for task in board.tasks}
    chosen = [found for found in measured if not models or found[2].name in models]
    with replace_folder(output) as new, kept_random_state():
        for folder, meta, part in chosen:
            target = new / "results" / folder.parent.name / folder.name
            _take(folder, part, target, tasks)
            write_text(target / _CARD, json.dumps(meta, indent=4, ensure_ascii=False) + "\n")
            part.problems += _problems(meta, part, set(tasks), benchmark)
            part.source = _source(meta, part)
            if part.source is not None:
                write_text(new / "model_meta" / f"{_file_name(part.name)}.py", part.source)
        parts = [part for _, _, part in chosen]
        _read_back(new, parts)
        write_text(new / "CHECKLIST.md", checklist(parts))
    return parts


def checklist(parts: Sequence[Submission]) -> str:
    """What is in the submission and what is missing, as Markdown."""
    lines = ["# Submission to the MTEB results repository", ""]
    for part in parts:
        lines += [f"## {_plain(part.name)} at {code_markdown(part.revision)}", ""]
        whole = [_plain(task) for task in part.taken if task not in part.incomplete]
        found = f"- [x] {len(whole)} results: {', '.join(whole)}"
        lines += [found if whole else "- [ ] no result can be submitted as it is"]
        lines += [f"- [ ] {_plain(problem)}" for problem in part.problems]
        lines += [f"- left out: {_plain(task)} ({_plain(reason)})" for task, reason in part.left_out.items()]
        lines += [_FIRST] if part.source is not None else []
        lines += [""]
    return "\n".join([*lines, _EVERY])


def _plain(text: str) -> str:
    """What a file holds as a part of one line of Markdown, never as markup or a line of its own."""
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", escape_inline_markdown(clean(text)))  # within a word it is no markup


def _file_name(model: str) -> str:
    """The name of a model as a file name, as mteb writes it where it can be one."""
    plain = model.replace("/", "__")
    return plain if _FILE_NAME.fullmatch(plain) else safe_name(model)


def _measured(results: Path) -> Iterator[tuple[Path, dict[str, Any], Submission]]:
    """Folders of one model and revision, with the model's card; what the card does not say, the folder's name does."""
    base = results / "results" if (results / "results").is_dir() else results
    for folder in sorted({path.parent for path in base.glob("*/*/*.json")}):
        named = {"name": folder.parent.name.replace("__", "/", 1), "revision": folder.name}
        card, problems = dict[str, Any](), list[str]()
        try:
            card = records.read_record(folder / _CARD)
        except ZooError as error:
            problems.append(f"the model's card cannot be used: {error}")
        if lacking := [key for key in named if not isinstance(card.get(key), str)]:
            problems.append(f"model_meta.json does not say the {' and the '.join(lacking)} of the model: fill it in")
        for key in () if folder.name == _EXTERNAL else named:  # which holds several revisions
            if key not in lacking and _as_folder(card[key]) != _as_folder(named[key]):
                says = f"model_meta.json says that the {key} is {card[key]}, the folder that it is {named[key]}"
                problems.append(f"{says}: put the results where they belong, or correct the card")
        meta = card | {key: named[key] for key in lacking}
        yield folder, meta, Submission(meta["name"], meta["revision"], problems=problems)


def _as_folder(name: str) -> str:
    """What mteb calls the folder of a name or revision."""
    return name.replace("/", "__").replace(" ", "_")


def _take(folder: Path, part: Submission, target: Path, tasks: Mapping[str, AbsTask]) -> None:
    """Copy the results that can be submitted, and note why others cannot."""
    ours = {task.metadata.name for task in TASKS}
    official = task_registry()
    target.mkdir(parents=True)
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        if path.name == _CARD or name.startswith("."):
            continue
        if folder.name == _EXTERNAL:
            part.left_out[name] = "read from a model card, not measured"
        elif is_own(name):
            part.left_out[name] = "measured on own data"
        elif name in ours or name not in official:
            part.left_out[name] = "not a task of mteb"
        else:
            _take_result(path, part, target, tasks[name] if name in tasks else official[name]())
    if (folder / _SETTINGS).is_file():
        _copy_settings(folder / _SETTINGS, target / _SETTINGS, part)


def _take_result(path: Path, part: Submission, target: Path, task: AbsTask) -> None:
    name, pinned = path.stem, task.metadata.revision
    try:
        result = TaskResult.from_disk(path)
    except Exception as error:  # noqa: BLE001  (mteb raises what it meets in the file)
        part.problems.append(f"{name}: {path} cannot be read ({described(error)}). Measure it again")
        return
    if result.task_name != name:
        part.problems.append(f"{name}: {path} holds a result of {result.task_name}. Remove it, or measure {name} again")
    elif result.dataset_revision != pinned:
        part.left_out[name] = f"measured on data {result.dataset_revision}, mteb pins {pinned}"
    elif flaw := _flaw(result, task):
        part.problems.append(f"{name}: {flaw}. Measure it again")
    else:
        shutil.copyfile(path, target / path.name)
        part.taken.append(name)
        lacking = result.get_missing_evaluations(task) if not task.is_aggregate else {}
        if said := ", ".join(f"{split}/{subset}" for split, subsets in lacking.items() for subset in sorted(subsets)):
            part.incomplete.append(name)
            part.problems.append(f"{name}: its result lacks {said}. Measure it again")


def _flaw(result: TaskResult, task: AbsTask) -> str:
    """Why the scores of a result cannot be right, empty where they can."""
    metric = task.metadata.main_score
    subsets = {"default"} if task.is_aggregate else set(task.hf_subsets)
    own = ((split, row) for split in task.eval_splits for row in result.scores.get(split, []))
    rows = [(split, row) for split, row in own if row["hf_subset"] in subsets]
    if not rows:
        found = [f"{split}/{row['hf_subset']}" for split, own in result.scores.items() for row in own]
        return f"it has no score on {'/'.join(task.eval_splits)}, but on {', '.join(found) or 'nothing'}"
    places = [(split, row["hf_subset"]) for split, row in rows]
    if twice := next((place for place in places if places.count(place) > 1), None):
        return f"it has {places.count(twice)} scores on {'/'.join(twice)}"
    low = 0 if _NEVER_NEGATIVE.match(metric) else -1
    for split, row in rows:
        value, place = row.get("main_score"), f"the main score of {split}/{row['hf_subset']}"
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return f"{place} is {value}"
        if not low <= value <= 1:
            return f"{place} is {value:g}, and {metric} lies between {low} and 1"
        stated = row.get(metric)
        if isinstance(stated, int | float) and not math.isclose(stated, value, abs_tol=1e-4):
            return f"{place} is {value:g}, but its {metric} is {stated:g}"
    return ""


def _copy_settings(source: Path, target: Path, part: Submission) -> None:
    """Copy the lines of the tasks that were taken."""
    kept = []
    for number, line in enumerate(source.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            if line.strip() and json.loads(line)["task"] in part.taken:
                kept.append(f"{line}\n")
        except (ValueError, KeyError, TypeError):
            part.problems.append(f"{source}, line {number} is damaged and was left out")
    write_text(target, "".join(kept))


def _problems(meta: dict[str, Any], part: Submission, wanted: set[str], benchmark: str) -> Iterator[str]:
    flawed = {problem.partition(":")[0] for problem in part.problems}  # these are named already
    missing = sorted(wanted - set(part.taken) - flawed)
    if missing:
        yield f"{len(missing)} of {len(wanted)} tasks of {benchmark} are missing: {', '.join(missing)}"
    name, loader = meta["name"], str(meta.get("loader"))
    if name.startswith("local/"):
        yield "the model is a local folder: publish it (genzoo publish) and measure it under its Hub name"
    elif not is_commit(meta["revision"]):
        yield f"revision {meta['revision']} is not a commit of the Hub"
    elif name.startswith("genzoo/") or loader == "load_for_mteb":
        yield "the revision is a digest of the checkpoint: publish the model, then give the commit (genzoo model-meta)"
    if name.endswith("-prompts"):
        yield "measured under other prompts than the model's own: measure it again without --prompts"
    for key in ("training_datasets", "license", "n_parameters", "max_tokens", "embed_dim", "release_date"):
        if meta.get(key) is None:
            yield f"{key} of the ModelMeta is not known: fill it in"


def _source(meta: dict[str, Any], part: Submission) -> str | None:
    """The card as Python; None if mteb has the model already, or if it is no card."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    if part.name in MODEL_REGISTRY:
        return None
    known = ModelMeta.model_fields.keys() - {"loader", "loader_kwargs"}
    try:
        return (
            ModelMeta(**dict(ModelMeta.create_empty()) | {k: meta[k] for k in known & meta.keys()}).to_python() + "\n"
        )
    except ValidationError as error:
        part.problems.append(f"model_meta.json is not a card that mteb accepts: {first_flaw(error)}")
        return None


def _read_back(output: Path, parts: Sequence[Submission]) -> None:
    """Let mteb's own loader read the folder; what it does not find would be lost on the way."""
    read = mteb.ResultCache(output).load_results(include_remote=False, require_model_meta=True)
    seen = {(str(m.model_name), str(m.model_revision)): {t.task_name for t in m.task_results} for m in read}
    for part in parts:
        lost = set(part.taken) - seen.get((part.name, part.revision), set())
        if lost:
            part.problems.append(f"mteb does not read these results back: {', '.join(sorted(lost))}")


CITATION = """@article{behnamghader2026llm2vecgen,
  title = {LLM2Vec-Gen: Generative Embeddings from Large Language Models},
  author = {BehnamGhader, Parishad and Adlakha, Vaibhav and Schmidt, Fabian David and Chapados, Nicolas and Mosbach, Marius and Reddy, Siva},
  journal = {arXiv preprint arXiv:2603.10913},
  year = {2026},
}"""


def published_meta(name: str, repo_id: str | None = None, commit: str | None = None) -> ModelMeta:
    """The ModelMeta under which mteb loads a published model with its own wrapper, without genzoo.

    Args:
        name: Zoo model.
        repo_id: ``org/name`` where it was published; the entry's own by default.
        commit: 40-hex commit of it; the entry's revision by default.
    """
    entry = get_entry(name)
    repo_id, commit = repo_id or entry.hub_id, commit or entry.revision
    if not REPO_ID.fullmatch(repo_id):
        raise InputError(f"--repo {repo_id!r} is not a repository name: write org/name")
    if not is_commit(commit):
        raise InputError(f"--revision {commit!r}: give all 40 hex digits of the commit that `genzoo publish` printed")
    meta, _ = resolve_model(entry.name)
    # mteb's list of licences lacks Llama's newer ones; it takes an address in their place.
    licence = licence_of(entry.licence).link or entry.licence
    return meta.model_copy(
        update={
            "loader": SentenceTransformerEncoderWrapper,
            "loader_kwargs": {},
            "name": repo_id,
            "revision": commit,
            "license": licence,
            "reference": f"https://huggingface.co/{repo_id}",
            "citation": CITATION,
        }
    )


@job("checking the model")
def model_meta(model: str, repo: str | None = None, revision: str | None = None) -> str:
    """The ``mteb.ModelMeta`` of a model as Python source: one paste for a pull request to mteb.

    Args:
        model: Zoo model.
        repo: ``org/name`` where it was published; the entry's own by default.
        revision: The commit that `genzoo.publish` returned; the checkpoint's digest by default.
    """
    return render_source(published_meta(model, repo, revision))


def render_source(meta: ModelMeta) -> str:
    """A whole Python module that defines the ModelMeta, for ``mteb/models/model_implementations``."""
    kinds = {type(value) for _, value in meta if isinstance(value, Enum)}
    imports = "".join(f"from {kind.__module__} import {kind.__name__}\n" for kind in sorted(kinds, key=str))
    variable = re.sub(r"\W+", "_", str(meta.name).rpartition("/")[2], flags=re.ASCII).strip("_").lower()
    if not variable.isidentifier() or keyword.iskeyword(variable):
        variable = f"model_{variable}"  # a name may begin with a digit
    return (
        '"""Generative embeddings (LLM2Vec-Gen), trained with genzoo."""\n\n'
        "from mteb.models import ModelMeta\n"
        "from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper\n"
        f"{imports}\n"
        f"{variable} = {meta.to_python()}\n"
    )
