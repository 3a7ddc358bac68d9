"""Unpacking a bundle (`genzoo.publishing.bundle`) in a network without a Hub, and checking what the libraries do not."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from genzoo.files import cache_root, keep_others, replace_folder, write_text
from genzoo.publishing.dataset_cache import DataSet, check_dataset, datasets_cache
from genzoo.publishing.manifest import Manifest, snapshot_of
from genzoo.revisions import COMMIT
from genzoo.sources import Status

_MAIN = re.compile(r"hub/([^/]+)/refs/main")


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
                # What this machine has of the same commit and the bundle lacks could not be fetched again offline. Its links
                # to blobs are relative and stay true.
                keep_others(hub / below, new)
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

    return Path(constants.HF_HUB_CACHE), datasets_cache()


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
