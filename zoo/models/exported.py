"""An exported model: the folder that ``SentenceTransformer(FOLDER)`` loads, written and read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import AutoConfig

from genzoo.backbones.depth import shallow_config
from genzoo.backbones.older import AGAIN, name_rope_as_before, name_tokenizer_as_before, rope_is_read_as_before
from genzoo.backbones.untrusted import check_model_folder
from genzoo.errors import CheckpointError
from genzoo.files import read_json, replace_folder, write_json, write_text
from genzoo.models.assembly import Form, assemble
from genzoo.models.checkpoint import CONFIG, POLICY, POLICY_TENSORS, TokenCheckpoint
from genzoo.models.prompts import IN_OTHER_TOOLS, NO_FLOAT16, is_finite
from genzoo.text import code_markdown, escape_markdown

ADAPTER, _SETTINGS = "adapter_config.json", "config_sentence_transformers.json"
_EMBEDDINGS = "embed_tokens.weight"
_LINEAR = {"CNN": "convs.0", "Dense": "linear"}
"""Kind of module that holds a projection -> its weights in it. A folder written before a convolution did holds ``Dense``."""

_COUNTS = ({"CNN": 2, "Dense": 0}, {"CNN": 0, "Dense": 2}, {"CNN": 3, "Dense": 2})
"""How many of each a folder holds: without a policy, as written before, with a policy."""


def export(
    checkpoint: TokenCheckpoint, backbone: Path, folder: Path, form: Form, *, name: str, base: str | None = None
) -> Path:
    """Write a folder that ``SentenceTransformer(folder)`` loads without genzoo and without ``trust_remote_code``.

    Its embeddings have unit length, also where those of the checkpoint were measured without: such a folder is another model, with
    a digest of its own.

    Args:
        checkpoint: Trained tokens.
        backbone: Folder of the frozen LLM.
        folder: Where to write; an earlier export in it is replaced, any other content is an error.
        form: ``adapter`` is a few MB and needs the backbone where it is; ``merged`` holds everything.
        name: What the README calls the model.
        base: Hub id or folder that the adapter names as its base; the backbone's folder by default.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not is_exported(folder))):
        raise CheckpointError(
            f"{folder} exists and is not an exported model of genzoo: choose another folder, or empty it"
        )
    checkpoint = dataclasses.replace(checkpoint, unit_length=True)
    model: Any = assemble(checkpoint, backbone, form=form, device="cpu")
    base = base or str(Path(backbone).resolve())
    with replace_folder(folder) as new:
        model.save_pretrained(str(new), create_model_card=False)
        _finish(new, form, checkpoint, backbone)
        if form == "adapter":
            _change(new / ADAPTER, base_model_name_or_path=base)
        has_float16 = is_finite(model.half())  # last: the weights are rounded by it
        write_text(new / "README.md", _readme(name, checkpoint, form, base, has_float16=has_float16))
    return folder


def _finish(folder: Path, form: Form, checkpoint: TokenCheckpoint, backbone: Path) -> None:
    """Declare what the folder needs and how much of the backbone is run; keep what only genzoo reads."""
    write_json(folder / CONFIG, checkpoint.config())
    is_old = form == "merged" or (not checkpoint.exit_layer and rope_is_read_as_before(backbone))
    if is_old:
        _name_modules_as_before(folder)
        name_tokenizer_as_before(folder)
    if form == "merged":
        name_rope_as_before(folder)
    for long in (folder / "tokenizer.json", *folder.glob("*_WordWeights/*.json")):
        # Written with a line per vocabulary entry; without the blanks the small form is a third smaller.
        content = json.loads(long.read_text(encoding="utf-8"))
        write_text(long, json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors makes files that only their owner can read
    # without the version that wrote it: older ones would warn, and the requirements say what is needed
    _change(folder / _SETTINGS, requirements=requirements(form, is_old=is_old), __version__=None)
    how = {"max_seq_length": checkpoint.max_tokens, "do_lower_case": False}
    if form == "adapter":
        how |= _adapter_options(AutoConfig.from_pretrained(backbone), checkpoint.exit_layer)
    write_json(folder / "sentence_bert_config.json", how, indent=2, is_ascii=True)


def _adapter_options(config: Any, exit_layer: int) -> dict[str, Any]:
    """How the backbone of an adapter is loaded: as many layers as are read, and with the names that its class has."""
    depth = shallow_config(config, exit_layer)
    options = {"config_kwargs": depth} if depth else {}
    if config.model_type == "gemma3_text":
        # transformers 4 finds no weight of a Gemma 3 that was saved with its head, and takes random numbers
        options["model_args"] = {"key_mapping": {r"^model\.": ""}}
    return options


def _change(path: Path, **facts: Any) -> None:
    """Change fields of a JSON file; None takes one away."""
    changed = read_json(path, AGAIN) | facts
    kept = {key: value for key, value in changed.items() if value is not None or key not in facts}
    write_json(path, kept, indent=2, is_ascii=True)


def _name_modules_as_before(folder: Path) -> None:
    """Name the modules and what they are made with as sentence-transformers before 5.4 does, which all later ones read too."""
    path = folder / "modules.json"
    modules = read_json(path, AGAIN, kind=list)
    for module in modules:
        kind, place = module["type"].rpartition(".")[2], folder / module["path"]
        module["type"] = f"sentence_transformers.models.{kind}"
        if kind in _AS_BEFORE:
            file, made_with = _AS_BEFORE[kind]
            write_json(place / file, made_with(read_json(place / file, AGAIN)), indent=2, is_ascii=True)
    write_json(path, modules, indent=2, is_ascii=True)


_AS_BEFORE: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "CNN": (
        "cnn_config.json",
        lambda now: {
            "in_word_embedding_dimension": now["in_embedding_dimension"],
            "out_channels": now["out_channels"],
            "kernel_sizes": now["kernel_sizes"],
        },
    ),
    "Dense": (
        "config.json",
        lambda now: {key: now[key] for key in ("in_features", "out_features", "bias", "activation_function")},
    ),
    "Pooling": (
        "config.json",
        lambda now: (
            {
                "word_embedding_dimension": now["embedding_dimension"],
                "pooling_mode_cls_token": False,
                "pooling_mode_mean_tokens": now["pooling_mode"] == "mean",
                "pooling_mode_max_tokens": False,
            }
            | ({"pooling_mode_lasttoken": True} if now["pooling_mode"] == "lasttoken" else {})
        ),
    ),
}
"""Kind of module -> its file, and what sentence-transformers 3 makes it with."""


def _readme(name: str, checkpoint: TokenCheckpoint, form: Form, base: str, *, has_float16: bool = True) -> str:
    where = ""
    if checkpoint.exit_layer:
        where += f"\nThe tokens are read after {checkpoint.depth}; the layers above it are not run"
        where += "." if form == "adapter" else ", and not part of this folder."
    if form == "adapter":
        where += f"\nThis folder holds the trained tokens only; it loads the backbone from {code_markdown(base)}."
    where += "" if has_float16 else f"\n{NO_FLOAT16}"
    where += "\n" if where else ""
    used = {name: prompt for name, prompt in checkpoint.prompts().items() if prompt}
    quoted = {name: code_markdown(f'"{prompt}"') for name, prompt in used.items()}  # a blank at the end stays visible
    prompts = "\n".join(f"- {code_markdown(name)}: {prompt}" for name, prompt in quoted.items())
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, generative-embeddings, llm2vec-gen]
---
# {escape_markdown(name)}

Generative embeddings (LLM2Vec-Gen): {len(checkpoint.spec)} trained tokens make the frozen LLM {code_markdown(checkpoint.backbone)} embed the
answer that it would give. {checkpoint.dim} dimensions, at most {checkpoint.max_tokens} tokens, cosine similarity.
{where}
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
queries = model.encode_query(["where do polar bears live?"])
documents = model.encode_document(["Polar bears live on the sea ice of the Arctic."])
print(model.similarity(queries, documents))
```

Instructions, by name:

{prompts}

{IN_OTHER_TOOLS}

Checkpoint digest `{checkpoint.digest()}`, backbone digest `{checkpoint.backbone_digest}`.
"""


_SINCE = {
    # is read by older versions -> library -> the oldest that was tried (benchmarks/export_versions.py)
    True: {"transformers": "4.57.6", "sentence-transformers": "3.4.1"},
    False: {"transformers": "5.20", "sentence-transformers": "6.2"},
}
_REASONS = {
    "transformers": "the tokenizer must keep the trained tokens and read special text as text",
    "sentence-transformers": "all modules and settings must be known",
}
_PEFT = {"peft": {"specifier": ">=0.21", "reason": "the trained tokens are a TrainableTokens adapter"}}


def requirements(form: str, *, is_old: bool = True) -> dict[str, dict[str, str]]:
    """Library -> the versions that a folder needs, and why.

    Args:
        form: ``adapter`` or ``merged``.
        is_old: Whether it is written so that older versions read it. An adapter that ends at an exit layer is not: before
            sentence-transformers 6.2 all layers would be run. Nor is one whose backbone names its rotary base in the new way only.
    """
    bounds = {"transformers": ",<6", "sentence-transformers": ""}
    found = {
        name: {"specifier": f">={_SINCE[is_old][name]}{bound}", "reason": _REASONS[name]}
        for name, bound in bounds.items()
    }
    return found | (_PEFT if form == "adapter" else {})


def is_exported(folder: Path) -> bool:
    """Whether a folder is what `genzoo export` or `genzoo convert` wrote."""
    return (Path(folder) / "modules.json").is_file() and (Path(folder) / CONFIG).is_file()


def read_exported(folder: Path, *, is_checked: bool = True) -> TokenCheckpoint:
    """The trained rows and projections of an exported folder, checked against the digest in its ``genzoo.json``.

    Args:
        folder: What `genzoo export` or `genzoo convert` wrote.
        is_checked: Whether other numbers than those that were exported are refused.

    Raises:
        CheckpointError: When a file is missing or damaged, or the numbers are not those that were exported.
    """
    folder = Path(folder)
    config = read_json(folder / CONFIG, "this is not a genzoo checkpoint")
    return TokenCheckpoint.from_parts(config, read_exported_tensors(folder), folder, is_checked=is_checked)


def read_exported_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The trained tensors of an exported folder by name, with those of a policy, in float32, whatever their digest."""
    check_model_folder(folder)
    config = read_json(folder / CONFIG, "this is not a genzoo checkpoint")
    try:
        ids = [int(row) for row in config["spec"]["ids"]]
        tensors = {"rows": _rows(folder, ids)}
        found = {kind: sorted(folder.glob(f"*_{kind}")) for kind in _LINEAR}
        counts = {kind: len(places) for kind, places in found.items()}
        if counts not in _COUNTS:
            raise ValueError(f"it has the modules {counts}")
        places = [(place, key) for kind, key in _LINEAR.items() for place in found[kind]]
        for name, (place, key) in zip(("recon", "align"), places[:2], strict=True):
            linear = load_file(place / "model.safetensors")
            weight, bias = linear[f"{key}.weight"], linear[f"{key}.bias"]
            tensors |= {f"{name}_weight": weight.reshape(weight.shape[:2]), f"{name}_bias": bias}
        if len(found["CNN"]) > 2:
            tensors = _with_policy(tensors, load_file(found["Dense"][-1] / "model.safetensors")["linear.weight"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a complete export of genzoo ({error}): export it again") from error
    return {name: tensor.float() for name, tensor in tensors.items()}


def _with_policy(tensors: dict[str, torch.Tensor], sums: torch.Tensor) -> dict[str, torch.Tensor]:
    """The score taken from the last row of the alignment, and its direction ``(D,)`` from the last column of the last module."""
    weight, bias = tensors["align_weight"], tensors["align_bias"]
    parts = weight[-1], bias[-1:], sums[:, -1]
    tensors |= {POLICY + name: part.contiguous() for name, part in zip(POLICY_TENSORS, parts, strict=True)}
    return tensors | {"align_weight": weight[:-1], "align_bias": bias[:-1]}


def base_folder(folder: Path) -> Path | None:
    """Where the backbone of an exported folder lies on this machine: itself, a folder, or the Hub's cache; None if nowhere."""
    folder = Path(folder)
    path = folder / ADAPTER
    if not path.is_file():
        return folder
    base = str(read_json(path, "this is not an adapter").get("base_model_name_or_path"))
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(base, "config.json")
    except ValueError:
        return None  # no name that the Hub could have
    return Path(found).parent if isinstance(found, str) else None


def _rows(folder: Path, ids: list[int]) -> torch.Tensor:
    adapter = folder / "adapter_model.safetensors"
    if adapter.is_file():
        (delta,) = [tensor for name, tensor in load_file(adapter).items() if "trainable_tokens" in name]
        return delta
    return embedding_rows(folder, ids)


def embedding_rows(folder: Path, ids: list[int]) -> torch.Tensor:
    """Rows of the input embedding matrix in a folder's weights, ``(len(ids), H)``."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in (name for name in file.keys() if name.endswith(_EMBEDDINGS)):  # noqa: SIM118
                matrix = file.get_slice(name)
                return torch.stack([matrix[row] for row in ids])
    raise KeyError(_EMBEDDINGS)
