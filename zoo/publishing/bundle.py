"""Carrying models, frozen LLMs and data sets into a network without a Hub: packed here, checked and unpacked there."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.backbones.entries import BACKBONES, fetch_backbone
from genzoo.errors import InputError, ZooError
from genzoo.files import cache_root, folder_digest, keep_others, read_json, replace_folder, sha256_of, write_text
from genzoo.hub import fetch_commit
from genzoo.jobs import job
from genzoo.models.entries import ENTRIES, find_entry
from genzoo.models.exported import export
from genzoo.models.loading import find_checkpoint
from genzoo.names import ModelName, is_commit
from genzoo.publishing.manifest import (
    MANIFEST,
    DataSet,
    Manifest,
    PackedModel,
    arrow_folders,
    check_dataset,
    datasets_cache,
    snapshot_of,
)
from genzoo.publishing.plan import REPO_ID
from genzoo.teachers.teachers import TEACHERS, fetch_teacher

log = logging.getLogger(__name__)
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
OWN_DATA = "own-data-"
"""How the folder of a user's own data begins in genzoo's cache."""


def pack(
    names: Sequence[str], datasets: Sequence[DataSet], folder: Path, own: Mapping[str, Path] | None = None
) -> Manifest:
    """Write a bundle.

    Args:
        names: Zoo models, backbones and teachers by name, and ``org/name@<40-hex commit>`` on the Hub.
        datasets: Data sets that ``datasets.load_dataset`` has loaded on this machine at exactly these commits.
        folder: Where to; replaced whole when it is an earlier bundle, refused when it is anything else.
        own: Name -> file or folder of the user's own data; hidden files stay behind.
    """
    if not names and not datasets and not own:
        raise InputError("nothing to pack: give a model, or a benchmark with -b, or a task with -t")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file())):
        raise InputError(f"{folder} exists and is not a bundle: choose another folder, or empty it")
    models: list[PackedModel] = []
    caches: list[str] = []
    with replace_folder(folder) as new:
        for name in names:
            log.info(f"packing {name}")
            _pack_name(name, new, models, caches)
        for dataset in datasets:
            log.info(f"packing {dataset.path}")
            _pack_dataset(dataset, new)
        for name, path in (own or {}).items():
            log.info(f"packing {path}")
            caches.append(_pack_own(name, path, new))
        log.info("computing sha256 of every file")
        manifest = Manifest.of_folder(new, models, sorted(set(caches)), datasets)
        manifest.save(new)
    return manifest


def _pack_name(name: str, new: Path, models: list[PackedModel], caches: list[str]) -> None:
    if (entry := find_entry(name)) is not None:
        checkpoint = find_checkpoint(name)
        backbone = fetch_backbone(checkpoint.backbone)
        export(checkpoint, backbone, _snapshot(new, entry.hub_id, entry.revision), "merged", name=entry.hub_id)
        models.append(PackedModel(entry.hub_id, entry.revision))
        caches.append(_pack_cache(backbone, new))
    elif name in BACKBONES or name in TEACHERS:
        caches.append(_pack_cache((fetch_backbone if name in BACKBONES else fetch_teacher)(name), new))
    elif "/" in name:
        models.append(_pack_from_hub(name, new, caches))
    else:
        raise ENTRIES.unknown(name)


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


def _pack_from_hub(name: str, new: Path, caches: list[str]) -> PackedModel:
    named = ModelName.parse(name)
    repo_id, revision = named.base, named.revision
    if not named.commit:
        raise InputError(f"{name} has no full revision, and a branch can move: write {repo_id}@<40-hex commit>")
    taken = fetch_commit(name, PATTERNS)
    shutil.copytree(taken, _snapshot(new, repo_id, revision), dirs_exist_ok=True)
    if (taken / "adapter_config.json").is_file():
        base, commit = _base_of(taken, name)
        log.info(f"packing {base}, the frozen LLM of {repo_id}")
        caches.append(_pack_cache(fetch_commit(f"{base}@{commit}", PATTERNS), new))
    return PackedModel(repo_id, revision)


def _base_of(folder: Path, name: str) -> tuple[str, str]:
    """Hub id and commit of the frozen LLM that an adapter is loaded on."""
    facts = read_json(folder / "adapter_config.json", "this is not an adapter")
    base, commit = str(facts.get("base_model_name_or_path")), str(facts.get("revision"))
    if not is_commit(commit):
        commit = next((row.revision or "" for row in BACKBONES if row.hub_id == base), "")
    if not (REPO_ID.fullmatch(base) and is_commit(commit)):
        unpinned = f"{name} is an adapter on {base!r}, whose commit it does not name"
        raise ZooError(f"{unpinned}: bundle a self-contained form (genzoo publish --merge)")
    return base, commit


def _pack_dataset(dataset: DataSet, new: Path) -> None:
    cache = datasets_cache()
    folders = arrow_folders(cache, dataset)
    if not folders:
        load = f'load_dataset("{dataset.path}", revision="{dataset.revision}")'
        raise ZooError(f"{dataset.path} is not in {cache} at that commit: load it once with a network ({load})")
    for folder in folders:
        target = new / "datasets" / folder.relative_to(cache)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.lock", "tmp*"))


def _pack_own(name: str, path: Path, new: Path) -> str:
    """Copy a file or folder of the user's own into a folder that is called after its name and content."""
    content = folder_digest(path) if path.is_dir() else sha256_of(path)
    folder = f"{OWN_DATA}{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{content[:8]}"
    if path.is_dir():
        shutil.copytree(path, new / "genzoo" / folder, ignore=shutil.ignore_patterns(".*"))
    else:
        (new / "genzoo" / folder).mkdir(parents=True)
        shutil.copyfile(path, new / "genzoo" / folder / path.name)
    return folder


_MAIN = re.compile(r"hub/([^/]+)/refs/main")


@dataclass(frozen=True)
class Unpacked:
    """What a bundle has put into the caches of this machine.

    Attributes:
        models: ``org/name`` and commit of each model.
        caches: Folders of the frozen LLMs and teachers.
        datasets: ``org/name`` and commit of each data set.
        warnings: What the libraries do silently, and what to do about it.
    """

    models: tuple[tuple[str, str], ...]
    caches: tuple[str, ...]
    datasets: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@job("checking")
def unbundle(folder: str | Path, *, hf_home: Path | None = None, genzoo_cache: Path | None = None) -> Unpacked:
    """Check a bundle and put it into the caches of this machine.

    After it ``SentenceTransformer("org/name")``, ``load_dataset`` and mteb's tasks work with ``HF_HUB_OFFLINE=1``.

    Args:
        folder: The bundle.
        hf_home: In place of ``HF_HOME``.
        genzoo_cache: In place of ``GENZOO_CACHE``.

    Raises:
        ZooError: When a file is not what was packed; nothing was copied then.
    """
    from huggingface_hub import constants

    folder = Path(folder)
    manifest = Manifest.load(folder)
    manifest.check(folder)
    hub = hf_home / "hub" if hf_home else Path(constants.HF_HUB_CACHE)
    datasets = hf_home / "datasets" if hf_home else datasets_cache()
    roots = {"hub": hub, "datasets": datasets, "genzoo": genzoo_cache or cache_root()}
    for place, files in _units(manifest).items():
        room, _, below = place.partition("/")
        log.info(f"unpacking {below}")
        with replace_folder(roots[room] / below) as new:
            for file in files:
                (new / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / place / file, new / file)
            if room == "hub":
                # What this machine has of the same commit and the bundle lacks could not be fetched again offline. Its links
                # to blobs are relative and stay true.
                keep_others(hub / below, new)
    warnings = [*_point_mains(folder, manifest, hub)]
    warnings += [warning for dataset in manifest.datasets for warning in check_dataset(dataset, datasets)]
    models = tuple((model.hub_id, model.revision) for model in manifest.models)
    for hub_id, revision in models:
        _mark_missing_config(hub, hub_id, revision)
    data = tuple((dataset.path, dataset.revision) for dataset in manifest.datasets)
    return Unpacked(models, manifest.caches, data, tuple(warnings))


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


def _mark_missing_config(hub: Path, hub_id: str, revision: str) -> None:
    """Remember that an adapter has no ``config.json``, as the Hub's client does: transformers would ask for it, in vain, offline."""
    snapshot = hub / snapshot_of(hub_id, revision).removeprefix("hub/")
    if (snapshot / "adapter_config.json").is_file() and not (snapshot / "config.json").is_file():
        write_text(snapshot.parent.parent / ".no_exist" / revision / "config.json", "")


def _point_mains(folder: Path, manifest: Manifest, hub: Path) -> Iterator[str]:
    """Let each model be found without a revision, unless another commit is already meant by that; one warning for each such."""
    for path in sorted(manifest.files):
        if not (found := _MAIN.fullmatch(path)):
            continue
        revision = (folder / path).read_text(encoding="utf-8", errors="replace").strip()
        name, main = found[1].removeprefix("models--").replace("--", "/"), hub / found[1] / "refs" / "main"
        before = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
        if before in ("", revision) and is_commit(revision):
            write_text(main, revision)
        else:
            kept = f"{name} without a revision still means commit {before[:12]} on this machine"
            yield f'{kept}: load the model of the bundle with revision="{revision[:40]}"'
