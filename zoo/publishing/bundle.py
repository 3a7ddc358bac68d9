"""Carrying models, frozen LLMs and data sets into a network without a Hub: packed on one side, unpacked on the other.

A bundle has the layout of the caches themselves (``hub/``, ``datasets/``, ``genzoo/``), in plain files, with a manifest.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.assembly import export
from genzoo.backbones import BACKBONES, fetch_backbone
from genzoo.conversion import COMMIT
from genzoo.entries import ENTRIES, get_entry
from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.files import replace_folder, write_text
from genzoo.loading import find_checkpoint
from genzoo.publishing.manifest import MANIFEST, Manifest
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
        datasets: ``org/name`` and commit of each data set.
        warnings: What the libraries will not tell, and what to do about it.
    """

    models: tuple[tuple[str, str], ...]
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
        models.append(_pack_from_hub(name, new))
    else:
        ENTRIES.get(name)  # raises with suggestions
        raise UnknownNameError(name)


def _snapshot(root: Path, hub_id: str, revision: str) -> Path:
    """A commit's place in the Hub's cache layout; ``refs/main`` makes it the one that is meant without a revision."""
    home = root / "hub" / f"models--{hub_id.replace('/', '--')}"
    write_text(home / "refs" / "main", revision)
    return home / "snapshots" / revision


def _pack_cache(folder: Path, new: Path) -> str:
    if folder.parent.resolve() == cache_root().resolve():
        shutil.copytree(folder, new / "genzoo" / folder.name, dirs_exist_ok=True)
        return folder.name
    home = folder.parent.parent  # the Hub's cache: models--org--name/snapshots/<commit>
    target = new / "hub" / home.name / "snapshots" / folder.name
    shutil.copytree(folder, target, dirs_exist_ok=True)  # follows the links to blobs
    return f"hub/{home.name}"


def _pack_from_hub(name: str, new: Path) -> dict[str, str]:
    from huggingface_hub import snapshot_download

    repo_id, _, revision = name.partition("@")
    if not COMMIT.fullmatch(revision):
        raise InputError(
            f"{name} has no full revision: write {repo_id}@<40-hex commit>, so that both sides mean the same"
        )
    try:
        taken = Path(snapshot_download(repo_id, revision=revision, allow_patterns=PATTERNS))
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:160]
        raise ZooError(f"the Hub does not serve {name} ({type(error).__name__}: {first})") from error
    shutil.copytree(taken, _snapshot(new, repo_id, revision), dirs_exist_ok=True)
    return {"hub_id": repo_id, "revision": revision}


def _arrow_folders(cache: Path, dataset: DataSet) -> list[Path]:
    """``<cache>/org___name/<config>/<version>/<commit>`` of every config that was loaded."""
    return sorted((cache / dataset.path.replace("/", "___")).glob(f"*/*/{dataset.revision}"))


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
    for place in _units(manifest):
        room, _, below = place.partition("/")
        status(f"unpacking {below}")
        with replace_folder(roots[room] / below) as new:
            shutil.copytree(folder / place, new, dirs_exist_ok=True)
    warnings = [text for model in manifest.models if (text := _point_main(hub, model))]
    for row in manifest.datasets:
        warnings += check_dataset(DataSet(row["path"], row["revision"]), datasets)
    return Unpacked(
        tuple((model["hub_id"], model["revision"]) for model in manifest.models),
        tuple((row["path"], row["revision"]) for row in manifest.datasets),
        tuple(warnings),
    )


def _hf_caches(hf_home: Path | None) -> tuple[Path, Path]:
    if hf_home:
        return hf_home / "hub", hf_home / "datasets"
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE), _datasets_cache()


def _units(manifest: Manifest) -> list[str]:
    """Folders that are replaced whole: a commit of a model, a commit of a data set's config, a folder of genzoo's cache."""
    depths = {"hub": 4, "datasets": 5, "genzoo": 2}
    units = set()
    for path in manifest.files:
        parts = path.split("/")
        if parts[0] == "hub" and parts[2] == "refs":
            continue  # decided by itself: it may already point elsewhere
        units.add("/".join(parts[: depths[parts[0]]]))
    return sorted(units)


def _point_main(hub: Path, model: dict[str, str]) -> str:
    """Let a model be found without a revision, unless another commit is already meant by that."""
    main = hub / f"models--{model['hub_id'].replace('/', '--')}" / "refs" / "main"
    found = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    if found and found != model["revision"]:
        return (
            f"{model['hub_id']} without a revision still means commit {found[:12]}, which was here before: load it with "
            f'revision="{model["revision"]}"'
        )
    write_text(main, model["revision"])
    return ""


def check_dataset(dataset: DataSet, cache: Path) -> list[str]:
    """What `datasets` does not say: without a network it returns any commit of a data set that it finds.

    Returns:
        One sentence for each config that is missing or has a rival.
    """
    home = cache / dataset.path.replace("/", "___")
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
