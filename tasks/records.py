"""What a run writes besides mteb's results, so that a reader needs neither mteb nor the model."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.compute import processor_name
from genzoo.errors import ZooError
from genzoo.files import read_json, write_json

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta

    from genzoo.tasks.model_session import EncodeMeter

_FACTS = {"role": "other", "teacher": None, "backbone": None, "n_trained_parameters": None}
_SHORT = 7  # characters of a revision
AllFacts = Mapping[Any, Mapping[str, Any]]
"""Name and revision of a model, or its name alone, -> role, teacher, backbone, n_trained_parameters."""
_ROLES = ("zoo", "teacher", "baseline", "other")
_PACKAGES = (
    *("torch", "transformers", "sentence-transformers", "mteb", "genzoo"),
    *("tokenizers", "numpy", "scipy", "scikit-learn", "pytrec-eval-terrier"),  # mteb makes scores with these
)


def read_record(path: Path) -> dict[str, Any]:
    """The content of a record, empty if there is no file yet."""
    return read_json(path, "delete it and run again", error=ZooError, is_optional=True)


def record_tasks(output: Path, tasks: Sequence[AbsTask], counts: Mapping[str, int]) -> None:
    """Merge the tasks' descriptions into `tasks.json`; `counts` are the texts encoded per task in this run."""
    path = output / "tasks.json"
    known = read_record(path)
    for task in tasks:
        meta = task.metadata
        earlier = known.get(meta.name, {})
        same = earlier.get("dataset", {}).get("revision") == meta.dataset.get("revision")
        known[meta.name] = {
            "type": meta.type,
            "main_score": meta.main_score,
            "description": meta.description,
            "dataset": {"path": meta.dataset.get("path"), "revision": meta.dataset.get("revision")},
            "prompt": meta.prompt,
            "languages": sorted(set(task.languages)),
            "splits": list(task.eval_splits),
            "subsets": list(task.hf_subsets),
            "n_texts": counts.get(meta.name, earlier.get("n_texts") if same else None),
        }
    write_json(path, known)


def record_benchmark(output: Path, name: str, tasks: Sequence[AbsTask]) -> None:
    """Merge one benchmark's task names into `benchmarks.json`."""
    path = output / "benchmarks.json"
    write_json(path, {**read_record(path), name: [task.metadata.name for task in tasks]})


def model_key(meta: ModelMeta) -> tuple[str, str]:
    """Name and revision: what tells two models apart, for folders of one name and revisions of one model are several."""
    return str(meta.name), str(meta.revision)


def labels(metas: Sequence[ModelMeta]) -> dict[tuple[str, str], str]:
    """What messages call each model: its name, with its revision (short if that suffices) where several have that name."""
    keys = list(dict.fromkeys(map(model_key, metas)))
    named = Counter(name for name, _ in keys)
    short = Counter((name, revision[:_SHORT]) for name, revision in keys)

    def label(name: str, revision: str) -> str:
        if named[name] == 1:
            return name
        return f"{name}@{revision[:_SHORT] if short[name, revision[:_SHORT]] == 1 else revision}"

    return {key: label(*key) for key in keys}


def facts_of(facts: AllFacts, meta: ModelMeta) -> Mapping[str, Any]:
    """The facts of one model: those under its name and revision, else those under its name."""
    return facts.get(model_key(meta), facts.get(str(meta.name), {}))


def check_facts(facts: AllFacts) -> None:
    """Refuse a fact that the environment record has no field for."""
    for key, fields in facts.items():
        model = key if isinstance(key, str) else "@".join(key)
        if unknown := sorted(set(fields) - set(_FACTS)):
            raise ZooError(f"facts of {model} hold {', '.join(unknown)}; known are {', '.join(_FACTS)}")
        if fields.get("role", "other") not in _ROLES:
            raise ZooError(f"role of {model} is {fields['role']!r}; known are {', '.join(_ROLES)}")


def environment_path(output: Path, meta: ModelMeta) -> Path:
    """Where the environment record of one model lies."""
    return output / "environment" / meta.model_name_as_path() / f"{meta.revision}.json"


def record_environment(
    output: Path,
    meta: ModelMeta,
    model: object | None,
    meter: EncodeMeter | None,
    batch_size: int,
    facts: Mapping[str, Any],
) -> None:
    """Write under what conditions the model ran; a run that encoded nothing keeps the measured speed.

    Args:
        output: The results folder.
        meta: The model's card.
        model: The loaded model, None if all results were there already.
        meter: The model's meter, None likewise.
        batch_size: Texts per batch.
        facts: The model's role, teacher, backbone and number of trained parameters.
    """
    path = environment_path(output, meta)
    earlier = read_record(path)
    if model is None and earlier:
        write_json(path, {**earlier, **facts})
        return
    speed = meter.texts_per_second if meter else None
    loaded = _loaded(meta, model)
    every = (read_record(one).get("precision") for one in path.with_suffix("").glob("*.json"))
    measured_in = {str(precision) for precision in every if precision}
    write_json(
        path,
        {
            "model": meta.name,
            "revision": meta.revision,
            **loaded,
            "dtype": " and ".join(sorted(measured_in)) or loaded["dtype"],
            "batch_size": batch_size,
            **_FACTS,
            **facts,
            "texts_per_second": speed if speed is not None else earlier.get("texts_per_second"),
            "versions": {"python": platform.python_version(), **package_versions()},
            "machine": _machine(),
            "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        },
    )


def _loaded(meta: ModelMeta, model: object | None) -> dict[str, Any]:
    """What only the loaded model knows, else what its card says."""
    from genzoo.backbones.precision import precision_of  # torch, which a reader of records does without

    inner: Any = getattr(model, "model", None)  # mteb's wrappers hold the SentenceTransformer under this name
    parameters = list(inner.parameters()) if hasattr(inner, "parameters") else []
    dimension = getattr(inner, "get_embedding_dimension", lambda: None)()
    width = meta.embed_dim if isinstance(meta.embed_dim, int) else None
    limit = getattr(inner, "max_seq_length", None) or getattr(model, "max_length", None) or meta.max_tokens
    return {
        "device": str(inner.device) if hasattr(inner, "device") else getattr(model, "device", None),
        "dtype": precision_of(inner) if parameters else None,
        "max_tokens": int(limit) if limit is not None and limit != float("inf") else None,
        "prompts": dict(getattr(inner, "prompts", None) or getattr(model, "model_prompts", None) or {}),
        "n_parameters": sum(p.numel() for p in parameters) or meta.n_parameters,
        "embed_dim": dimension or width,
    }


@functools.cache
def package_versions() -> dict[str, str | None]:
    """The packages that decide a score, None for one that is not there."""
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return {"cpu": processor_name(), "cores": cores, "memory_gib": memory, "platform": platform.platform()}
