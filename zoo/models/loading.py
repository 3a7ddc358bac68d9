"""From a name or a folder to a checkpoint, a SentenceTransformer or a decoder; and what its embeddings depend on."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.backbones.entries import backbone_digest, fetch_backbone, warn_of_other_weights
from genzoo.backbones.tokenizer import check_texts
from genzoo.backbones.untrusted import check_model_folder
from genzoo.errors import BackboneError, CheckpointError, InputError, UnknownNameError
from genzoo.files import file_digests, is_hidden, read_json, write_json
from genzoo.jobs import job
from genzoo.models.checkpoint import CONFIG, WEIGHTS, TokenCheckpoint
from genzoo.models.entries import DEFAULT, get_entry
from genzoo.models.exported import ADAPTER, base_folder, is_exported, read_exported
from genzoo.names import ModelName

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from genzoo.frames import Rows
    from genzoo.models.decoding import Decoder, Explanation, Reading


log = logging.getLogger(__name__)


def find_checkpoint(name: str | Path) -> TokenCheckpoint:
    """Checkpoint of a zoo model (short name or hub id) or of a folder that `genzoo train` wrote."""
    folder, name = _as_path(name), str(name)
    if folder.is_dir():
        if is_exported(folder) and not (folder / WEIGHTS).is_file():
            return read_exported(folder)
        inner = folder / "checkpoint"
        return TokenCheckpoint.load(inner if (inner / CONFIG).is_file() else folder)
    try:
        return TokenCheckpoint.load(get_entry(name).folder)
    except UnknownNameError as error:
        if "/" in name or name.startswith("."):
            raise CheckpointError(f"{name} is neither a folder nor a zoo model: see genzoo list") from error
        raise


def _as_path(name: Any) -> Path:
    if isinstance(name, str | os.PathLike) and str(name):
        return Path(name)
    raise InputError(f"{name!r} names no model: give a zoo model (genzoo list) or a folder")


@job()
def load(
    name: str | Path, *, device: str | None = None, backbone: str | None = None, dtype: Any = None
) -> SentenceTransformer:
    """Load a zoo model, or a folder that `genzoo train` or `genzoo export` wrote, as a SentenceTransformer.

    On a CPU it encodes without padding (`genzoo.backbones.forward`), with the same embeddings; an exported folder is stock.

    Args:
        name: Short name, hub id, or folder.
        device: As in sentence-transformers.
        backbone: Folder or key of the frozen LLM, where it is not the one that the checkpoint names. Refused for a folder that
            holds its own weights.
        dtype: Precision of the backbone and the projections, as torch or by name (``bfloat16``); float32 by default, and
            what its files say for a folder that `genzoo train` or `genzoo export` did not write. ``auto`` multiplies matrices
            in bfloat16 where the processor has the instructions and the model's probe texts keep their embeddings
            (`genzoo.backbones.precision`), and is float32 everywhere else.

    Raises:
        CheckpointError: When the model cannot be loaded, or not in full.
        InputError: For an option that this kind of model cannot honour, such as float16 where embeddings become NaN.
    """
    from genzoo.backbones.whole import open_sentence_transformer

    is_auto, precision = dtype == "auto", _as_dtype(None if dtype == "auto" else dtype)
    if (_as_path(name) / "modules.json").is_file():
        with _on_backbone(Path(name), backbone) as folder:
            model: Any = open_sentence_transformer(
                folder, device=device, model_kwargs={"dtype": precision} if precision else None
            )
            if is_exported(folder):
                model[0].unpad_inputs = False  # WordWeights needs the attention mask, which unpadded inputs lack
                _check_depth(folder, model)
                _warn_of_other_backbone(folder)
            _check_float16(name, model)
            return model
    checkpoint = find_checkpoint(name)
    from genzoo.backbones.forward import pack
    from genzoo.models.assembly import assemble, policy_axis

    options = {"dtype": precision} if precision else {}
    model = assemble(checkpoint, fetch_backbone(backbone or checkpoint.backbone), device=device, **options)
    # what results of this object are kept under
    model.model_card_data.model_name = Path(name).name if Path(name).is_dir() else get_entry(str(name)).hub_id
    model = pack(model, len(checkpoint.spec))
    _check_float16(name, model)
    if is_auto:
        from genzoo.backbones.precision import try_bfloat16
        from genzoo.models.prompts import probe_texts

        try_bfloat16(model, probe_texts(model), axis=policy_axis(model))
    return model


def _as_dtype(dtype: Any) -> Any:
    """A floating-point dtype of torch, given as it is or by name; None stays None."""
    import torch

    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is None or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise InputError(f"dtype is {dtype!r}: give float32, bfloat16 or float16, by name or as torch has them, or auto")


def _check_float16(name: str | Path, model: Any) -> None:
    """Refuse a model that is in float16 and cannot be."""
    from genzoo.backbones.precision import precision_of
    from genzoo.models.prompts import NO_FLOAT16, is_finite

    if precision_of(model) == "float16" and model.supports("text") and not is_finite(model):
        raise InputError(f"{name} was loaded in float16. {NO_FLOAT16}")


def check_backbone_option(folder: Path, backbone: str | None) -> None:
    """Refuse another backbone for a folder that holds its own weights: it would change nothing."""
    if backbone is not None and not (is_exported(folder) and base_folder(folder) != folder):
        raise InputError(
            f"{folder} holds its own weights, so the backbone {backbone} would change nothing: leave it out, or give the checkpoint "
            "or the small export (genzoo export without --merge)"
        )


@contextmanager
def _on_backbone(folder: Path, backbone: str | None) -> Iterator[Path]:
    """The folder itself, or a copy of a small export whose adapter names the given backbone as its base."""
    check_model_folder(folder)
    check_backbone_option(folder, backbone)
    if backbone is None:
        yield folder
        return
    base = fetch_backbone(backbone)
    with tempfile.TemporaryDirectory(prefix="genzoo-export-") as scratch:
        copy = shutil.copytree(folder, Path(scratch) / folder.resolve().name)
        config = read_json(copy / ADAPTER, "this is not an adapter") | {"base_model_name_or_path": str(base.resolve())}
        write_json(copy / ADAPTER, config, indent=2)
        yield copy


def _check_depth(folder: Path, model: Any) -> None:
    """Refuse a folder that would read its tokens after another layer than they were trained for."""
    layer = read_json(folder / CONFIG, "this is not a genzoo checkpoint").get("exit_layer", 0)
    if layer and (found := model[0].model.config.get_text_config().num_hidden_layers) != layer:
        raise CheckpointError(
            f"{folder} runs {found} layers of its backbone, but its tokens were trained for layer {layer}: config.json (or, in the "
            "small form, config_kwargs in sentence_bert_config.json) was changed; export the model again"
        )


def _warn_of_other_backbone(folder: Path) -> None:
    """Neither peft nor sentence-transformers looks at which revision of its base an adapter gets."""
    base = base_folder(folder)
    if base is None or base == folder:
        return  # a whole folder brings its own
    config = read_json(folder / CONFIG, "this is not a genzoo checkpoint")
    pinned = ModelName.parse(str(config.get("backbone", ""))).revision
    commit = base.name if base.parent.name == "snapshots" else ""
    expected, found = pinned, commit
    if not (pinned and commit):
        expected, found = str(config.get("backbone_digest")), backbone_digest(base)
    if found != expected:
        log.warning(
            f"the backbone in {base} is {found[:12]}, {folder.name} was trained on {expected[:12]}: embeddings will differ; see "
            f"genzoo verify {folder}"
        )


@job()
def load_decoder(
    name: str | Path,
    *,
    device: str | None = None,
    backbone: str | None = None,
    loaded: SentenceTransformer | None = None,
) -> Decoder:
    """Load what reads a model's embeddings back to text.

    Args:
        name: As `load` takes it.
        device: As `load` takes it.
        backbone: As `load` takes it.
        loaded: The same model as `load` returned it. Its backbone is used and not loaded again where that is possible; it
            cannot encode afterwards.
    """
    checkpoint = find_checkpoint(name)
    from genzoo.models.decoding import Decoder

    folder = _whole_backbone(checkpoint, backbone)
    if loaded is not None and not (Path(name) / "modules.json").is_file():
        return Decoder.over(checkpoint, folder, loaded) or Decoder.load(checkpoint, folder, device)
    warn_of_other_weights(folder, checkpoint.backbone_digest)
    return Decoder.load(checkpoint, folder, device)


def _whole_backbone(checkpoint: TokenCheckpoint, backbone: str | None) -> Path:
    """The frozen LLM that decodes; a model that ends at an exit layer does not hold all of it."""
    try:
        return fetch_backbone(backbone or checkpoint.backbone)
    except BackboneError as error:
        if not checkpoint.exit_layer:
            raise
        raise BackboneError(
            f"{error}. The model itself ends at {checkpoint.depth}, and decoding needs the whole frozen LLM: give its folder, as in "
            "genzoo.load_decoder(model, backbone=FOLDER)"
        ) from error


def describe(model: str | Path) -> dict[str, object]:
    """Describe a model: its zoo entry, digests, sizes, the embedding rows that it uses, and its held-out controls.

    Args:
        model: Zoo model, or a folder that `genzoo train` or `genzoo export` wrote.

    Raises:
        CheckpointError: When the model cannot be read.
    """
    checkpoint = find_checkpoint(model)
    row = {} if Path(model).is_dir() else asdict(get_entry(str(model)))
    spec, info = checkpoint.spec, checkpoint.info
    facts = {
        name.replace("_", " "): sorted(value) if isinstance(value, frozenset) else value for name, value in row.items()
    }
    return facts | {
        "checkpoint digest": checkpoint.digest(),
        "trained parameters": checkpoint.n_parameters,
        "trained tokens": f"{spec.n_thought} thought + {spec.n_compression} compression",
        "embedding rows": ", ".join(f"{number} {name}" for number, name in zip(spec.ids, spec.names, strict=True)),
        **({"tokens read after": checkpoint.depth} if checkpoint.depth else {}),
        "dimension": checkpoint.dim,
        "max tokens": checkpoint.max_tokens,
        "backbone": checkpoint.backbone,
        "backbone digest": checkpoint.backbone_digest,
        "trained on": info.get("date", "unknown"),
        "held-out controls": info.get("controls", "not measured"),
    }


@job("loading the model")
def decode(
    texts: Sequence[str] | str,
    model: str | Path | Decoder = DEFAULT,
    *,
    prompt: str | None = "query",
    tokens: int = 48,
    truncate: bool = False,
    device: str | None = None,
) -> Rows[Reading]:
    """Read what embeddings say: the text that the frozen LLM decodes from each, and the logit lens of each position.

    Args:
        texts: One or several plain texts.
        model: Zoo model or checkpoint folder, or what `load_decoder` returned.
        prompt: Name of a prompt of the model (``query``, ``document``, ``STS`` ...), or None for no prompt.
        tokens: Longest decoded text.
        truncate: Cut texts that are longer than the model reads; otherwise they are refused.
        device: As in sentence-transformers; the best available by default.

    Raises:
        InputError: For an empty text, an unknown prompt, or a text that is too long.
        CheckpointError: When the model cannot be loaded.
    """
    _check_tokens(tokens)
    given = _texts(texts, "genzoo decode 'where do polar bears live?'")
    decoder = _decoder(model, device)
    log.info("reading the embeddings")
    return decoder.read(given, prompt_name=prompt, max_new_tokens=tokens, truncate=truncate)


@job("loading the model")
def explain(
    query: str,
    documents: Sequence[str],
    model: str | Path | Decoder = DEFAULT,
    right: int | None = None,
    *,
    tokens: int = 48,
    truncate: bool = False,
    device: str | None = None,
) -> Explanation:
    """Explain why a search found what it found, by similarities and the decoded embeddings of the query and each document.

    Args:
        query: What was searched for.
        documents: The candidates; at least one.
        model: Zoo model or checkpoint folder, or what `load_decoder` returned.
        right: Number of the document that should have won, counted from 1, if known.
        tokens: Longest decoded text.
        truncate: As in `decode`.
        device: As in sentence-transformers; the best available by default.

    Raises:
        InputError: For an empty text, no document, or a number that no document has.
        CheckpointError: When the model cannot be loaded.
    """
    usage = (
        "genzoo explain 'where do polar bears live?' 'The Arctic is home to them.' 'Bears sleep in winter.' (a query and at least "
        "one document)"
    )
    _check_tokens(tokens)
    if not isinstance(query, str):
        raise InputError(f"the query must be one string, not {type(query).__name__}: explain one search at a time")
    (asked,), given = _texts(query, usage), _texts(documents, usage)
    if right is not None and not (isinstance(right, int) and 1 <= right <= len(given)):
        raise InputError(
            f"right is {right!r}, but there are {len(given)} documents: give a number from 1 to {len(given)}"
        )
    decoder = _decoder(model, device)
    log.info("reading the embeddings")
    return replace(decoder.explain(asked, given, max_new_tokens=tokens, truncate=truncate), right=right)


def _texts(texts: Sequence[str] | str, usage: str) -> list[str]:
    given = check_texts(texts)
    if not all(text.strip() for text in given):
        raise InputError(f"a text is empty: give at least one word, as in: {usage}")
    return given


def _check_tokens(tokens: object) -> None:
    if not isinstance(tokens, int) or tokens < 1:
        raise InputError(f"tokens is {tokens!r}: give a whole number, 1 or more")


def _decoder(model: str | Path | Decoder, device: str | None) -> Decoder:
    if isinstance(model, str | Path):
        return load_decoder(model, device=device)
    if not hasattr(model, "read"):
        raise InputError(
            f"{type(model).__name__} cannot be read back: give a zoo model, a checkpoint folder, or what genzoo.load_decoder returned"
        )
    return model


@job("loading the backbone")
def export(model: str | Path, folder: str | Path, merge: bool = False) -> Path:
    """Write a folder that ``SentenceTransformer(folder)`` loads without genzoo.

    Args:
        model: Zoo model or checkpoint folder.
        folder: Where to write; an earlier export in it is replaced, any other content is an error.
        merge: Write a self-contained folder, the frozen LLM included. The small form loads the LLM from this machine's
            cache.

    Returns:
        The folder.

    Raises:
        CheckpointError: When the model cannot be read.
        BackboneError: When its frozen LLM cannot be had.
    """
    from genzoo.models import exported

    checkpoint, name = find_checkpoint(model), Path(model).name
    backbone = fetch_backbone(checkpoint.backbone)
    exported.export(checkpoint, backbone, Path(folder), "merged" if merge else "adapter", name=name)
    return Path(folder)


_READ = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
_SAY_NOTHING = {CONFIG, "fingerprint.json", "manifest.json", "generation_config.json"}
"""Facts for people, proofs made of the embeddings, and habits of writing."""


def loaded_content(folder: Path) -> str | None:
    """40 hex characters over the files that a model of this folder is loaded from, None where its revision covers them all.

    The revision of a checkpoint and of an exported folder is the digest of what was trained. The weights, the tokenizer and the
    prompts around it may be changed under the same name.
    """
    folders = loaded_folders(folder)[0 if is_exported(folder) else 1 :]
    return hashlib.sha256("".join(map(_content, folders)).encode()).hexdigest()[:40] if folders else None


def loaded_folders(path: Path) -> list[Path]:
    """A model folder with the folder of the frozen LLM that it loads from elsewhere; any other path alone."""
    base: Path | None = None
    if (path / "modules.json").is_file():
        base = base_folder(path)
    elif (path / CONFIG).is_file() or (path / "checkpoint" / CONFIG).is_file():
        base = Path(find_checkpoint(path).backbone)
    return [path, base] if base is not None and base != path and base.is_dir() else [path]


def _content(folder: Path) -> str:
    if folder.parent.name == "snapshots":  # of the Hub's cache: the name is the commit
        return f"{folder.name}\n"
    kept = file_digests(
        folder, lambda path: path.suffix in _READ and path.name not in _SAY_NOTHING and not is_hidden(path)
    )
    return "".join(f"{line}\n" for line in kept)
