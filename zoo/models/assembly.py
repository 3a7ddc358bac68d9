"""TokenCheckpoint + backbone -> SentenceTransformer of built-in modules only; and an exported folder read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from genzoo.backbones.depth import check_layer, shallow_config
from genzoo.backbones.entries import warn_of_other_weights
from genzoo.backbones.lora import merge_lora
from genzoo.backbones.tokenizer import append_trained_tokens, check_out_of_reach
from genzoo.backbones.untrusted import check_model_folder
from genzoo.backbones.whole import open_transformer
from genzoo.errors import BackboneError, CheckpointError
from genzoo.files import read_json, replace_folder, write_json, write_text
from genzoo.models.checkpoint import CONFIG, TokenCheckpoint
from genzoo.text import code_markdown, escape_markdown

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import WordWeights

Form = Literal["merged", "adapter"]

_REQUIREMENTS = {
    "transformers": {
        "specifier": ">=5.20,<6",
        "reason": "the tokenizer must keep the trained tokens and read special text as text",
    },
    "sentence-transformers": {"specifier": ">=6.2", "reason": "Dense must read token embeddings"},
}
_PEFT = {"peft": {"specifier": ">=0.21", "reason": "the trained tokens are a TrainableTokens adapter"}}


def requirements(form: str) -> dict[str, dict[str, str]]:
    """Library -> the versions that a folder of this form needs, and why."""
    return _REQUIREMENTS | (_PEFT if form == "adapter" else {})


def assemble(
    checkpoint: TokenCheckpoint,
    backbone: Path,
    *,
    form: Form = "merged",
    device: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> SentenceTransformer:
    """Build the model in memory.

    Args:
        checkpoint: Trained tokens.
        backbone: Folder of the frozen LLM that they were trained on.
        form: ``merged`` writes the rows into the embedding matrix; ``adapter`` keeps them apart, for the small folder.
        device: As in sentence-transformers.
        dtype: Of the backbone and the projections; pooling stays in float32.

    Raises:
        BackboneError: When the backbone has another width, or no spare row for the adapter form.
        InputError: When the backbone has fewer layers than the checkpoint reads.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    warn_of_other_weights(backbone, checkpoint.backbone_digest)
    transformer = _transformer(checkpoint, backbone, dtype)
    if form == "adapter" and checkpoint.lora:
        raise CheckpointError(
            "this checkpoint changes the backbone by a LoRA, which the small form cannot hold: export the whole form "
            "(genzoo export NAME DIR --merge)"
        )
    merge_lora(transformer.model, checkpoint.lora)
    if form == "adapter":
        _add_adapter(transformer.model, checkpoint)
    else:
        _write_rows(transformer.model, checkpoint)
    heads = [
        _dense(checkpoint.recon_weight, checkpoint.recon_bias, dtype),
        _dense(checkpoint.align_weight, checkpoint.align_bias, dtype),
    ]
    weights = _word_weights(checkpoint, transformer.tokenizer)
    modules: list[nn.Module] = [transformer, *heads, weights, Pooling(checkpoint.dim, "mean")]
    prompts = checkpoint.prompts()
    return SentenceTransformer(modules=modules, prompts=prompts, similarity_fn_name="cosine", device=device)


def _transformer(checkpoint: TokenCheckpoint, backbone: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoConfig

    config, layer = AutoConfig.from_pretrained(backbone), checkpoint.exit_layer
    check_layer(config, layer)
    options = {"model_kwargs": {"dtype": dtype}, "config_kwargs": shallow_config(config, layer)}
    module = open_transformer(backbone, checkpoint.max_tokens, is_cut=bool(layer), **options)
    hidden = module.model.config.get_text_config().hidden_size
    if hidden != checkpoint.hidden_size:
        raise BackboneError(
            f"{backbone} has hidden size {hidden}, the checkpoint was trained on {checkpoint.hidden_size} "
            f"({checkpoint.backbone}): give that backbone"
        )
    rows = module.model.get_input_embeddings().num_embeddings
    if max(checkpoint.spec.ids) >= rows + len(checkpoint.spec):
        raise CheckpointError(
            f"the checkpoint puts a trained token on row {max(checkpoint.spec.ids)}, its backbone has {rows}: it belongs to another"
        )
    check_out_of_reach(module.tokenizer, checkpoint.spec.ids)
    append_trained_tokens(module.tokenizer, checkpoint.spec.ids, checkpoint.spec.names, checkpoint.max_tokens)
    return module


def _write_rows(model: Any, checkpoint: TokenCheckpoint) -> None:
    needed = max(checkpoint.spec.ids) + 1
    if needed > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(needed, mean_resizing=False)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table[list(checkpoint.spec.ids)] = checkpoint.rows.to(table)


def _add_adapter(model: Any, checkpoint: TokenCheckpoint) -> None:
    from peft import TrainableTokensConfig

    embedding = model.get_input_embeddings()
    if max(checkpoint.spec.ids) >= embedding.num_embeddings:
        raise BackboneError(
            f"{checkpoint.backbone} has no spare embedding row, so its tokens occupy new rows, which the small form cannot "
            "hold: export the whole form (genzoo export NAME DIR --merge)"
        )
    name = next(name for name, module in model.named_modules() if module is embedding)
    model.add_adapter(
        TrainableTokensConfig(target_modules=[name.rpartition(".")[2]], token_indices=list(checkpoint.spec.ids))
    )
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "trainable_tokens_delta" in key:
                parameter.copy_(checkpoint.rows)


def _dense(weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> Dense:
    from sentence_transformers.base.modules import Dense

    return Dense(
        weight.shape[1],
        weight.shape[0],
        activation_function=nn.Identity(),
        init_weight=weight.clone(),
        init_bias=bias.clone(),
        module_input_name="token_embeddings",
    ).to(dtype)


def _word_weights(checkpoint: TokenCheckpoint, tokenizer: Any) -> WordWeights:
    from sentence_transformers.sentence_transformer.modules import WordWeights

    spec = checkpoint.spec
    pooled = set(spec.ids[spec.n_thought :])
    names = [f"row {row}" for row in range(max(len(tokenizer), max(spec.ids) + 1))]
    return WordWeights(names, {f"row {row}": 1.0 for row in pooled}, unknown_word_weight=0.0)


def export(
    checkpoint: TokenCheckpoint, backbone: Path, folder: Path, form: Form, *, name: str, base: str | None = None
) -> Path:
    """Write a folder that ``SentenceTransformer(folder)`` loads without genzoo and without ``trust_remote_code``.

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
    model = assemble(checkpoint, backbone, form=form, device="cpu")
    base = base or str(Path(backbone).resolve())
    body: Any = model[0].model
    depth = shallow_config(body.config, checkpoint.exit_layer)
    with replace_folder(folder) as new:
        model.save_pretrained(str(new), create_model_card=False)
        _finish(new, form, base, checkpoint, depth)
        write_text(new / "README.md", _readme(name, checkpoint, form, base))
    return folder


def _finish(folder: Path, form: Form, base: str, checkpoint: TokenCheckpoint, depth: dict[str, Any]) -> None:
    """Declare what the folder needs, the adapter's base and how much of it is run; keep what only genzoo reads."""
    write_json(folder / CONFIG, checkpoint.config())
    for long in (folder / "tokenizer.json", *folder.glob("*_WordWeights/*.json")):
        # Written with a line per vocabulary entry; without the blanks the small form is a third smaller.
        content = json.loads(long.read_text(encoding="utf-8"))
        write_text(long, json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors makes files that only their owner can read
    path = folder / "config_sentence_transformers.json"
    write_json(
        path, read_json(path, "export the model again") | {"requirements": requirements(form)}, indent=2, is_ascii=True
    )
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        facts = read_json(adapter, "export the model again") | {"base_model_name_or_path": base}
        write_json(adapter, facts, indent=2, is_ascii=True)
        if depth:
            path = folder / "sentence_bert_config.json"
            write_json(
                path, read_json(path, "export the model again") | {"config_kwargs": depth}, indent=2, is_ascii=True
            )


def _readme(name: str, checkpoint: TokenCheckpoint, form: Form, base: str) -> str:
    where = ""
    if checkpoint.exit_layer:
        where += f"\nThe tokens are read after {checkpoint.depth}; the layers above it are not run"
        where += "." if form == "adapter" else ", and not part of this folder."
    if form == "adapter":
        where += f"\nThis folder holds the trained tokens only; it loads the backbone from {code_markdown(base)}."
    where += "\n" if where else ""
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
Checkpoint digest `{checkpoint.digest()}`, backbone digest `{checkpoint.backbone_digest}`.
"""


ADAPTER = "adapter_config.json"
_EMBEDDINGS = "embed_tokens.weight"


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
    """The five trained tensors of an exported folder by name, in float32, whatever their digest."""
    check_model_folder(folder)
    config = read_json(folder / CONFIG, "this is not a genzoo checkpoint")
    try:
        ids = [int(row) for row in config["spec"]["ids"]]
        tensors = {"rows": _rows(folder, ids)}
        for name, place in zip(("recon", "align"), sorted(folder.glob("*_Dense")), strict=True):
            linear = load_file(place / "model.safetensors")
            tensors |= {f"{name}_weight": linear["linear.weight"], f"{name}_bias": linear["linear.bias"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a complete export of genzoo ({error}): export it again") from error
    return {name: tensor.float() for name, tensor in tensors.items()}


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
