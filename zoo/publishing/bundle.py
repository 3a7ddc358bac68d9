"""Carrying models, frozen LLMs and data sets into a network without a Hub: packed on one side, unpacked on the other.

A bundle has the layout of the caches themselves (``hub/``, ``datasets/``, ``genzoo/``), in plain files, with a manifest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.assembly import export
from genzoo.backbones import BACKBONES, fetch_backbone
from genzoo.entries import ENTRIES, get_entry
from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.files import replace_folder, write_text
from genzoo.inspection import read_json_file
from genzoo.loading import find_checkpoint
from genzoo.publishing.hub import fetch_commit
from genzoo.publishing.manifest import MANIFEST, Manifest, snapshot_of
from genzoo.publishing.plan import REPO_ID
from genzoo.revisions import COMMIT
from genzoo.sources import Status, cache_root
from genzoo.teachers import TEACHERS, fetch_teacher

PATTERNS = [
    "*.json",
    "*.safetensors",
    "*.txt",
    "*.model",
    "*.jinja",
    "*.md",
    "LICENSE*",
    "NOTICE*",
    "*/*.json",
    "*/*.safetensors",
]
"""What is taken of a repository on the Hub: never a pickle, never code."""
_MAIN = re.compile(r"hub/([^/]+)/refs/main")


@dataclass(frozen=True)
class DataSet:
    """A data set that a task needs: Hub id and 40-hex commit."""

    path: str
    revision: str


@dataclass(frozen=True)
class Unpacked:
    """What stands where now.

    Attributes:
        models: ``org/name`` and commit of each model.
        caches: Frozen LLMs and teachers that came along, by folder.
        datasets: ``org/name`` and commit of each data set.
        warnings: What the libraries will not tell, and what to do about it.
    """

    models: tuple[tuple[str, str], ...]
    caches: tuple[str, ...]
    datasets: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def pack(names: Sequence[str], datasets: Sequence[DataSet], folder: Path, status: Status = lambda _: None) -> Manifest:
    """Write a bundle.

    Args:
        names: Zoo models, backbones and teachers by name, and ``org/name@<40-hex commit>`` on the Hub.
        datasets: Data sets that ``datasets.load_dataset`` has loaded on this machine at exactly these commits.
        folder: Where to; replaced whole when it is an earlier bundle, refused when it is anything else.
        status: Told what is being done.
    """
    if not names and not datasets:
        raise InputError("nothing to pack: give a model, or a benchmark with -b, or a task with -t")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file())):
        raise InputError(f"{folder} exists and is no bundle: choose another folder, or empty it")
    models: list[dict[str, str]] = []
    caches: list[str] = []
    with replace_folder(folder) as new:
        for name in names:
            status(f"packing {name}")
            _pack_name(name, new, models, caches, status)
        for dataset in datasets:
            status(f"packing {dataset.path}")
            _pack_dataset(dataset, new)
        status("computing sha256 of every file")
        rows = [{"path": one.path, "revision": one.revision} for one in datasets]
        manifest = Manifest.of_folder(new, models, sorted(set(caches)), rows)
        manifest.save(new)
    return manifest


def _pack_name(name: str, new: Path, models: list[dict[str, str]], caches: list[str], status: Status) -> None:
    if name in ENTRIES or any(entry.hub_id == name for entry in ENTRIES):
        entry = get_entry(name)
        checkpoint = find_checkpoint(name)
        backbone = fetch_backbone(checkpoint.backbone, status)
        export(checkpoint, backbone, _snapshot(new, entry.hub_id, entry.revision), "merged", name=entry.hub_id)
        models.append({"hub_id": entry.hub_id, "revision": entry.revision})
        caches.append(_pack_cache(backbone, new))
    elif name in BACKBONES or name in TEACHERS:
        caches.append(_pack_cache((fetch_backbone if name in BACKBONES else fetch_teacher)(name, status), new))
    elif "/" in name:
        models.append(_pack_from_hub(name, new, caches, status))
    else:
        ENTRIES.get(name)  # raises with suggestions
        raise UnknownNameError(name)


def _snapshot(root: Path, hub_id: str, revision: str) -> Path:
    """A commit's place in the Hub's cache layout; ``refs/main`` makes it the one that is meant without a revision."""
    place = root / snapshot_of(hub_id, revision)
    write_text(place.parent.parent / "refs" / "main", revision)
    return place


def _pack_cache(folder: Path, new: Path) -> str:
    if folder.parent.resolve() == cache_root().resolve():
        shutil.copytree(folder, new / "genzoo" / folder.name, dirs_exist_ok=True)
        return folder.name
    home = folder.parent.parent  # the Hub's cache: models--org--name/snapshots/<commit>
    target = new / "hub" / home.name / "snapshots" / folder.name
    shutil.copytree(folder, target, dirs_exist_ok=True)  # follows the links to blobs
    write_text(target.parent.parent / "refs" / "main", folder.name)
    return f"hub/{home.name}"


def _pack_from_hub(name: str, new: Path, caches: list[str], status: Status) -> dict[str, str]:
    repo_id, _, revision = name.partition("@")
    if not COMMIT.fullmatch(revision):
        raise InputError(
            f"{name} has no full revision: write {repo_id}@<40-hex commit>, so that both sides mean the same"
        )
    taken = fetch_commit(name, PATTERNS)
    shutil.copytree(taken, _snapshot(new, repo_id, revision), dirs_exist_ok=True)
    if (taken / "adapter_config.json").is_file():
        base, commit = _base_of(taken, name)
        status(f"packing {base}, the frozen LLM of {repo_id}")
        caches.append(_pack_cache(fetch_commit(f"{base}@{commit}", PATTERNS), new))
    return {"hub_id": repo_id, "revision": revision}


def _base_of(folder: Path, name: str) -> tuple[str, str]:
    """Hub id and commit of the frozen LLM that an adapter is loaded on."""
    facts = read_json_file(folder / "adapter_config.json", "adapter")
    base, commit = str(facts.get("base_model_name_or_path")), str(facts.get("revision"))
    if not COMMIT.fullmatch(commit):
        commit = next((row.revision or "" for row in BACKBONES if row.hub_id == base), "")
    if not (REPO_ID.fullmatch(base) and COMMIT.fullmatch(commit)):
        raise ZooError(
            f"{name} is an adapter on {base!r}, which it does not pin: bundle a self-contained form (genzoo publish --merge)"
        )
    return base, commit


def _arrow_folders(cache: Path, dataset: DataSet) -> list[Path]:
    """``<cache>/org___name/<config>/<version>/<commit>`` of every config that was loaded."""
    return sorted((cache / _dataset_folder(dataset.path)).glob(f"*/*/{dataset.revision}"))


def _dataset_folder(path: str) -> str:
    """How `datasets` calls the folder of a data set: the owner as it is, the name in snake case.

    >>> _dataset_folder("McGill-NLP/AdvBench-IR")
    'McGill-NLP___adv_bench-ir'
    """
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = path.partition("/")
    return f"{owner}___{camelcase_to_snakecase(name)}"


def _datasets_cache() -> Path:
    from datasets import config

    return Path(config.HF_DATASETS_CACHE)


def _pack_dataset(dataset: DataSet, new: Path) -> None:
    cache = _datasets_cache()
    folders = _arrow_folders(cache, dataset)
    if not folders:
        raise ZooError(
            f"{dataset.path} at {dataset.revision} is not in {cache}: load it once with a network "
            f'(load_dataset("{dataset.path}", revision="{dataset.revision}")) and pack again'
        )
    for folder in folders:
        target = new / "datasets" / folder.relative_to(cache)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.lock", "tmp*"))


def unpack(
    folder: Path, *, hf_home: Path | None = None, genzoo_cache: Path | None = None, status: Status = lambda _: None
) -> Unpacked:
    """Check a bundle and put it into the caches of this machine.

    After it ``SentenceTransformer("org/name")``, ``load_dataset`` and mteb's tasks work with ``HF_HUB_OFFLINE=1``.

    Args:
        folder: The bundle.
        hf_home: In place of ``HF_HOME``.
        genzoo_cache: In place of ``GENZOO_CACHE``.
        status: Told what is being done.

    Raises:
        ZooError: When a file is not what was packed; nothing was copied then.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    manifest.check(folder, status)
    hub, datasets = _hf_caches(hf_home)
    roots = {"hub": hub, "datasets": datasets, "genzoo": genzoo_cache or cache_root()}
    for place, files in _units(manifest).items():
        room, _, below = place.partition("/")
        status(f"unpacking {below}")
        with replace_folder(roots[room] / below) as new:
            for file in files:
                (new / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / place / file, new / file)
            if room == "hub":
                _keep_others(hub / below, new)
    for model in manifest.models:
        _mark_missing_config(hub, model["hub_id"], model["revision"])
    warnings = _point_mains(folder, manifest, hub)
    for row in manifest.datasets:
        warnings += check_dataset(DataSet(row["path"], row["revision"]), datasets)
    return Unpacked(
        tuple((model["hub_id"], model["revision"]) for model in manifest.models),
        manifest.caches,
        tuple((row["path"], row["revision"]) for row in manifest.datasets),
        tuple(warnings),
    )


def _hf_caches(hf_home: Path | None) -> tuple[Path, Path]:
    if hf_home:
        return hf_home / "hub", hf_home / "datasets"
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE), _datasets_cache()


def _units(manifest: Manifest) -> dict[str, list[str]]:
    """Folders that are replaced whole, each with its files: a commit of a model, of a data set's config, a folder of genzoo's cache."""
    depths = {"hub": 4, "datasets": 5, "genzoo": 2}
    units: dict[str, list[str]] = {}
    for path in sorted(manifest.files):
        parts = path.split("/")
        if not _MAIN.fullmatch(path):  # decided by itself: it may already point elsewhere
            depth = depths[parts[0]]
            units.setdefault("/".join(parts[:depth]), []).append("/".join(parts[depth:]))
    return units


def _keep_others(old: Path, new: Path) -> None:
    """Take over what this machine already has of the same commit and the bundle lacks: offline it could not be fetched again."""
    for path in old.rglob("*") if old.is_dir() else ():
        target = new / path.relative_to(old)
        if (path.is_file() or path.is_symlink()) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)  # its links to blobs are relative and stay true


def _mark_missing_config(hub: Path, hub_id: str, revision: str) -> None:
    """Remember that an adapter has no ``config.json``, as the Hub's client does: transformers would ask for it, in vain, offline."""
    snapshot = hub / snapshot_of(hub_id, revision).removeprefix("hub/")
    if (snapshot / "adapter_config.json").is_file() and not (snapshot / "config.json").is_file():
        write_text(snapshot.parent.parent / ".no_exist" / revision / "config.json", "")


def _point_mains(folder: Path, manifest: Manifest, hub: Path) -> list[str]:
    """Let each model be found without a revision, unless another commit is already meant by that; one warning for each such."""
    warnings = []
    for path in sorted(manifest.files):
        if not (found := _MAIN.fullmatch(path)):
            continue
        revision = (folder / path).read_text(encoding="utf-8", errors="replace").strip()
        name, main = found[1].removeprefix("models--").replace("--", "/"), hub / found[1] / "refs" / "main"
        before = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
        if before in ("", revision) and COMMIT.fullmatch(revision):
            write_text(main, revision)
        else:
            warnings.append(
                f"{name} without a revision still means commit {before[:12]}, which was here before: load it with "
                f'revision="{revision[:40]}"'
            )
    return warnings


def check_dataset(dataset: DataSet, cache: Path) -> list[str]:
    """What `datasets` does not say: without a network it returns any commit of a data set that it finds.

    Returns:
        One sentence for each config that is missing or has a rival.
    """
    home = cache / _dataset_folder(dataset.path)
    if not _arrow_folders(cache, dataset):
        return [
            f"{dataset.path} at {dataset.revision[:12]} is not in {cache}: offline, another commit would be returned silently"
        ]
    rivals = sorted(
        path
        for path in home.glob("*/*/*")
        if path.is_dir() and COMMIT.fullmatch(path.name) and path.name != dataset.revision
    )
    return [
        f"{path} is another commit of {dataset.path}: offline, `datasets` may silently return it in place of "
        f"{dataset.revision[:12]}; move it away"
        for path in rivals
    ]
