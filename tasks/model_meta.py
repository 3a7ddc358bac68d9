"""A zoo entry as an ``mteb.ModelMeta`` of a published repository, and as the source that a pull request to mteb needs."""

from __future__ import annotations

import keyword
import re
from enum import Enum
from typing import TYPE_CHECKING

from genzoo.backbones.sources import Status
from genzoo.errors import InputError
from genzoo.models.entries import get_entry
from genzoo.publishing.licences import licence_of
from genzoo.publishing.plan import REPO_ID
from genzoo.tasks.mteb_models import resolve_model

if TYPE_CHECKING:
    from mteb.models import ModelMeta


COMMIT = re.compile(r"[0-9a-f]{40}")
CITATION = """@article{behnamghader2026llm2vecgen,
  title = {LLM2Vec-Gen: Generative Embeddings from Large Language Models},
  author = {BehnamGhader, Parishad and Adlakha, Vaibhav and Schmidt, Fabian David and Chapados, Nicolas and Mosbach, Marius and Reddy, Siva},
  journal = {arXiv preprint arXiv:2603.10913},
  year = {2026},
}"""


def published_meta(
    name: str, repo_id: str | None = None, commit: str | None = None, status: Status = lambda _: None
) -> ModelMeta:
    """The ModelMeta under which mteb loads a published model with its own wrapper, without genzoo.

    Args:
        name: Zoo model.
        repo_id: ``org/name`` where it was published; the entry's own by default.
        commit: 40-hex commit of it; the entry's revision by default.
        status: Told what is being fetched.
    """
    from mteb.models import SentenceTransformerEncoderWrapper

    entry = get_entry(name)
    repo_id, commit = repo_id or entry.hub_id, commit or entry.revision
    if not REPO_ID.fullmatch(repo_id):
        raise InputError(f"--repo {repo_id!r} is no name of a repository: write org/name")
    if not COMMIT.fullmatch(commit):
        raise InputError(
            f"--revision {commit!r} is no full commit: give its 40 hex digits, which `genzoo publish` printed"
        )
    meta, _ = resolve_model(entry.name, status)
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
