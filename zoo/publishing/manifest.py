"""The list of a bundle's files with their sha256, and where the `datasets` library keeps what it has loaded."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from genzoo.errors import InputError, ZooError, first_flaw
from genzoo.files import read_json, sha256_of, write_text
from genzoo.names import is_commit
from genzoo.publishing.plan import REPO_ID

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = 1
_PLACES = (
    re.compile(r"hub/models--[\w.-]+/(refs/main|snapshots/[0-9a-f]{40}/.+)", re.ASCII),
    re.compile(r"datasets/[^/]+/[^/]+/[^/]+/[0-9a-f]{40}/.+"),
    re.compile(r"genzoo/[^/]+/.+"),
)
"""Where a file of a bundle may go: into a commit of a model, a commit of a data set's config, or a folder of genzoo's cache."""


def snapshot_of(hub_id: str, revision: str) -> str:
    """A commit's place in a bundle and in the Hub's cache."""
    return f"hub/models--{hub_id.replace('/', '--')}/snapshots/{revision}"


@dataclass(frozen=True)
class DataSet:
    """A data set that a task needs: Hub id and 40-hex commit."""

    path: str
    revision: str


@dataclass(frozen=True)
class PackedModel:
    """A model that ``SentenceTransformer`` finds: Hub id and 40-hex commit."""

    hub_id: str
    revision: str


@dataclass(frozen=True)
class PackedFile:
    """Bytes of a file and their sha256."""

    size: int
    sha256: str


class Manifest(BaseModel, frozen=True):
    """What a bundle holds.

    Attributes:
        models: The models.
        caches: Folders of genzoo's own cache: frozen LLMs and teachers.
        datasets: The data sets.
        files: Path below the bundle -> what was packed.
    """

    format: int = FORMAT
    models: tuple[PackedModel, ...]
    caches: tuple[str, ...]
    datasets: tuple[DataSet, ...]
    files: dict[str, PackedFile]

    @classmethod
    def of_folder(
        cls, folder: Path, models: Sequence[PackedModel], caches: Sequence[str], datasets: Sequence[DataSet]
    ) -> Manifest:
        """Measure every file of a folder."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
        files = {
            path.relative_to(folder).as_posix(): PackedFile(path.stat().st_size, sha256_of(path)) for path in paths
        }
        return cls(models=tuple(models), caches=tuple(caches), datasets=tuple(datasets), files=files)

    def save(self, folder: Path) -> Path:
        """Write ``manifest.json``."""
        return write_text(folder / MANIFEST, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read ``manifest.json`` and check its form, so that no path in it leads out of the bundle."""
        if not (folder / MANIFEST).is_file():
            raise InputError(
                f"{folder} is not a bundle: it has no {MANIFEST}. `genzoo bundle NAME -o {folder}` makes one"
            )
        content = read_json(folder / MANIFEST, "this is not a bundle")
        if content.get("format") != FORMAT:
            raise ZooError(f"{folder}/{MANIFEST} has format {content.get('format')}, this genzoo reads {FORMAT}")
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            raise ZooError(f"{folder}/{MANIFEST} is damaged ({first_flaw(error)}): copy the bundle again") from error
        found._check_places(folder)
        return found

    def _check_places(self, folder: Path) -> None:
        """Refuse a path that leads elsewhere, and a name or commit that the libraries would follow elsewhere."""
        for path in self.files:
            is_plain = not set(path.split("/")) & {"", ".", ".."} and "\\" not in path and path.isprintable()
            if not (is_plain and any(place.fullmatch(path) for place in _PLACES)):
                raise ZooError(f"{folder}/{MANIFEST} names {path!r}, which is no place inside a bundle")
        models = [(model.hub_id, model.revision) for model in self.models]
        for name, revision in (*models, *((each.path, each.revision) for each in self.datasets)):
            if not (REPO_ID.fullmatch(name) and is_commit(revision)):
                where = f"{name!r} at {revision!r}"
                raise ZooError(f"{folder}/{MANIFEST} names {where}, which is no commit of a repository")
        for name, revision in models:
            if not any(path.startswith(f"{snapshot_of(name, revision)}/") for path in self.files):
                raise ZooError(f"{folder}/{MANIFEST} names {name}, but no file of it: copy the bundle again")

    def check(self, folder: Path) -> None:
        """Compare every file with the manifest.

        Raises:
            ZooError: Names the files that are missing, changed, or not in the manifest.
        """
        paths = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
        here = {path.relative_to(folder).as_posix() for path in paths} - {MANIFEST}
        if links := sorted(path for path in here if (folder / path).is_symlink()):
            raise ZooError(f"{folder} holds links ({', '.join(links[:3])}): a bundle holds plain files only")
        if missing := sorted(set(self.files) - here):
            raise ZooError(f"{folder} lacks {len(missing)} files ({', '.join(missing[:3])}): copy the bundle again")
        if extra := sorted(here - set(self.files)):
            raise ZooError(f"{folder} holds files that were not packed ({', '.join(extra[:3])}): remove them")
        for place, (path, facts) in enumerate(self.files.items(), 1):
            log.info(f"checking {place}/{len(self.files)} {path}")
            if (folder / path).stat().st_size != facts.size or sha256_of(folder / path) != facts.sha256:
                raise ZooError(f"{folder}/{path} is not what was packed: copy the bundle again")


def datasets_cache() -> Path:
    """Where `datasets` puts what it has prepared (``HF_DATASETS_CACHE``)."""
    from datasets import config

    return Path(config.HF_DATASETS_CACHE)


def dataset_folder(path: str) -> str:
    """How `datasets` calls the folder of a data set: the owner as it is, the name in snake case.

    >>> dataset_folder("McGill-NLP/AdvBench-IR")
    'McGill-NLP___adv_bench-ir'
    """
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = path.partition("/")
    return f"{owner}___{camelcase_to_snakecase(name)}"


def arrow_folders(cache: Path, dataset: DataSet) -> list[Path]:
    """``<cache>/org___name/<config>/<version>/<commit>`` of every config that was loaded."""
    return sorted((cache / dataset_folder(dataset.path)).glob(f"*/*/{dataset.revision}"))


def check_dataset(dataset: DataSet, cache: Path) -> list[str]:
    """What `datasets` does not say: without a network it returns any commit of a data set that it finds.

    Returns:
        One sentence for each config that is missing or has a rival.
    """
    home = cache / dataset_folder(dataset.path)
    if not arrow_folders(cache, dataset):
        missing = f"{dataset.path} at {dataset.revision[:12]} is not in {cache}"
        return [f"{missing}: offline, another commit would be returned silently"]
    rivals = sorted(
        path for path in home.glob("*/*/*") if path.is_dir() and is_commit(path.name) and path.name != dataset.revision
    )
    return [
        f"{path} is another commit of {dataset.path}: offline, `datasets` may silently return it in place of "
        f"{dataset.revision[:12]}; move it away"
        for path in rivals
    ]
