"""Models that come as Python objects -> mteb.ModelMeta with a name and a revision that depends on everything that shapes a score."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mteb.models import CrossEncoderWrapper, ModelMeta, MultiVectorWrapper, SparseEncoderWrapper

from genzoo.errors import InputError
from genzoo.tasks.embedders.cards import make_meta, wrap_for_mteb

_NAME = re.compile(r"[\w][\w.+-]*(/[\w][\w.+-]*)?")
_SNAPSHOT = re.compile(r"models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]")
_SETTINGS = ("prompts", "default_prompt_name", "max_seq_length", "similarity_fn_name", "truncate_dim")
_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "SparseEncoder": SparseEncoderWrapper,
    "MultiVectorEncoder": MultiVectorWrapper,
    "SentenceTransformer": wrap_for_mteb,
    "CrossEncoder": CrossEncoderWrapper,
}
"""What mteb puts around the classes of sentence-transformers."""
_EXAMPLE = 'genzoo.evaluate({"my-model": model}, ...)'


def describe_model(model: Any, name: str | None = None) -> ModelMeta:
    """The card of a model that the caller holds.

    Args:
        model: A SentenceTransformer, a CrossEncoder, any other object with the methods of an mteb encoder, or an mteb.ModelMeta.
        name: ``name`` or ``org/name``; by default what the model itself says.

    Returns:
        For an mteb.ModelMeta the same, under the given name if there is one. Else a card under the organisation ``local``, unless the
        name has another one, whose revision is a digest of the model's weights, tokenizer, prompts and settings: results of
        two different objects are never mixed. Its loader hands out the object itself.

    Raises:
        InputError: It is not a model, has no name, or has neither weights nor a revision.
    """
    if isinstance(model, ModelMeta):
        return model if name is None else model.model_copy(update={"name": _full(name)})
    if not any(callable(getattr(model, method, None)) for method in ("encode", "search", "predict")):
        raise InputError(
            f"a model cannot be of type {type(model).__name__}: give a name, a folder, org/name on the Hub, a SentenceTransformer, another mteb "
            "encoder or an mteb.ModelMeta"
        )
    known = getattr(model, "mteb_model_meta", None)
    revision = _digest(model) or getattr(known, "revision", None)
    if not revision or revision == "no_revision_available":
        raise InputError(
            f"this {type(model).__name__} has no weights that genzoo can find, so its results could not be told from another model's: give "
            "it as mteb.ModelMeta(loader=..., name=..., revision=...)"
        )
    found = _full(name or _own_name(model))
    return make_meta(found, revision, partial(_hand_out, model), **_facts(model))


def _full(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a model name: write name or org/name, in letters, digits, '.', '-' and '_'")
    return name if "/" in name else f"local/{name}"


def _own_name(model: Any) -> str:
    """What a model says of itself: its card, mteb's card, or where its transformer came from."""
    inner = _inner(model)
    card, known = getattr(inner, "model_card_data", None), getattr(model, "mteb_model_meta", None)
    said = [getattr(card, "model_id", None), getattr(card, "model_name", None), getattr(known, "name", None)]
    config = getattr(next(iter(getattr(inner, "children", list)()), None), "config", None)
    source = str(getattr(config, "_name_or_path", ""))
    snapshot = _SNAPSHOT.search(source)
    said += ["/".join(snapshot.groups())] if snapshot else [source, re.split(r"[/\\]", source.rstrip("/\\"))[-1]]
    for name in said:
        if name and _NAME.fullmatch(name):
            return str(name)
    raise InputError(
        f"this {type(model).__name__} has no name to keep its results under: give it one, as in {_EXAMPLE}"
    )


def _inner(model: Any) -> Any:
    """The torch module of a model or of mteb's wrapper around one; the model itself where there is none."""
    held = getattr(model, "model", None)
    return held if not isinstance(model, torch.nn.Module) and isinstance(held, torch.nn.Module) else model


def _digest(model: Any) -> str | None:
    """40 hex characters over weights, structure, tokenizer, prompts and settings; None for an object without weights."""
    inner = _inner(model)
    if not isinstance(inner, torch.nn.Module):
        return None
    found = hashlib.sha256(repr(inner).encode())
    settings = {name: _plain(getattr(inner, name, None)) for name in _SETTINGS} | {
        "model_prompts": _plain(getattr(model, "model_prompts", None))
    }
    found.update(json.dumps(settings, sort_keys=True).encode())
    tokenizer = getattr(inner, "tokenizer", None)
    backend: Any = getattr(tokenizer, "backend_tokenizer", tokenizer)
    found.update((backend.to_str() if hasattr(backend, "to_str") else repr(tokenizer)).encode())
    for name, tensor in sorted(inner.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            found.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
            found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:40]


def _plain(value: Any) -> Any:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else str(value)


def _facts(model: Any) -> dict[str, Any]:
    inner = _inner(model)
    limit = getattr(inner, "max_seq_length", None)
    return {
        "n_parameters": sum(each.numel() for each in inner.parameters()) if hasattr(inner, "parameters") else None,
        "embed_dim": getattr(inner, "get_embedding_dimension", lambda: None)(),
        "max_tokens": int(limit) if isinstance(limit, int | float) and limit != float("inf") else None,
        "use_instructions": any((getattr(inner, "prompts", None) or {}).values()),
    }


def _hand_out(model: Any, name: str, revision: str | None = None, device: str | None = None, **_: Any) -> Any:
    """Mteb's loader of an object: a shallow copy, so that what a run sets on a model does not outlive the run."""
    model = copy.copy(model)
    for kind in type(model).__mro__:
        if kind.__module__.startswith("sentence_transformers.") and kind.__name__ in _WRAPPERS:
            return _WRAPPERS[kind.__name__](model)
    return model
