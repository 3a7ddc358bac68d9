"""Where the `datasets` library keeps what it has loaded, and what it does not say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genzoo.revisions import COMMIT


@dataclass(frozen=True)
class DataSet:
    """A data set that a task needs: Hub id and 40-hex commit."""

    path: str
    revision: str


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
