"""TokenCheckpoint + backbone -> SentenceTransformer of built-in modules only, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from genzoo.backbones.depth import check_layer, shallow_config
from genzoo.backbones.entries import warn_of_other_weights
from genzoo.backbones.lora import merge_lora
from genzoo.backbones.tokenizer import append_trained_tokens, check_out_of_reach
from genzoo.backbones.whole import open_transformer
from genzoo.errors import BackboneError, CheckpointError
from genzoo.models.checkpoint import POLICY_TENSORS, TokenCheckpoint

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import CNN, WordWeights

Form = Literal["merged", "adapter"]


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
    from sentence_transformers.base.modules import Normalize

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
    modules: list[nn.Module] = [
        transformer,
        _linear(checkpoint.recon_weight, checkpoint.recon_bias, dtype),
        *(
            _with_policy(checkpoint, dtype)
            if checkpoint.policy
            else _without_policy(checkpoint, transformer.tokenizer, dtype)
        ),
        *([Normalize()] if checkpoint.unit_length else []),
    ]
    model = SentenceTransformer(
        modules=modules, prompts=checkpoint.prompts(), similarity_fn_name="cosine", device=device
    )
    # given to the constructor, it would be told of in a warning at each load
    model.default_prompt_name = checkpoint.default_prompt_name
    return model


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


def _without_policy(checkpoint: TokenCheckpoint, tokenizer: Any, dtype: torch.dtype) -> list[nn.Module]:
    """The alignment of every token, and the mean over the compression tokens."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    return [
        _linear(checkpoint.align_weight, checkpoint.align_bias, dtype),
        _word_weights(checkpoint, tokenizer),
        Pooling(checkpoint.dim, "mean"),
    ]


def _with_policy(checkpoint: TokenCheckpoint, dtype: torch.dtype) -> list[nn.Module]:
    """The alignment and the policy's score of every token, their mean over the compression tokens, and what the score adds.

    What is cut off needs a ``Dense`` after the pooling, and so everything in one precision: a second convolution makes the mean at the
    last token, where ``WordWeights`` would give float32. ``[x, -x]`` cut off below 0 becomes ``x`` again by a difference.
    """
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import CNN, Pooling

    dim, count = checkpoint.dim, checkpoint.spec.n_compression
    score, score_bias, direction = (checkpoint.policy[name] for name in POLICY_TENSORS)
    mean = CNN(dim + 1, dim + 1, [2 * count - 1])
    weight = torch.zeros(dim + 1, dim + 1, 2 * count - 1)
    weight[:, :, :count] = torch.eye(dim + 1)[:, :, None] / count
    mean.load_state_dict({"convs.0.weight": weight, "convs.0.bias": torch.zeros(dim + 1)})
    same, parts = torch.eye(dim), torch.zeros(2 * dim + 1, dim + 1)
    parts[:, :dim] = torch.cat([same, -same, torch.zeros(1, dim)])
    parts[-1, -1] = 1
    sums = torch.cat([same, -same, direction[:, None]], dim=1)
    return [
        _linear(
            torch.cat([checkpoint.align_weight, score[None]]), torch.cat([checkpoint.align_bias, score_bias]), dtype
        ),
        mean.to(dtype),
        Pooling(dim + 1, "lasttoken"),
        Dense(
            dim + 1, len(parts), activation_function=nn.ReLU(), init_weight=parts, init_bias=torch.zeros(len(parts))
        ).to(dtype),
        Dense(len(parts), dim, bias=False, activation_function=nn.Identity(), init_weight=sums.contiguous()).to(dtype),
    ]


def policy_axis(model: SentenceTransformer) -> torch.Tensor | None:
    """``(D,)``: along which the content policy of an assembled model moves a refused query; None where it has none."""
    from sentence_transformers.base.modules import Dense

    last: Any = next((part for part in reversed(list(model)) if isinstance(part, Dense)), None)
    return None if last is None else last.linear.weight[:, -1].detach().float()


def _linear(weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> CNN:
    """A linear map of every token: a convolution that looks at one token at a time.

    A ``Dense`` of tokens is not known to sentence-transformers before 5.4, and one after the pooling fails in half precision with
    all of them (3.4 to 6.2): ``WordWeights`` gives float32, which a ``Dense`` in bfloat16 refuses.
    """
    from sentence_transformers.sentence_transformer.modules import CNN

    module = CNN(weight.shape[1], weight.shape[0], [1])
    module.load_state_dict({"convs.0.weight": weight[:, :, None], "convs.0.bias": bias})
    return module.to(dtype)


def _word_weights(checkpoint: TokenCheckpoint, tokenizer: Any) -> WordWeights:
    from sentence_transformers.sentence_transformer.modules import WordWeights

    spec = checkpoint.spec
    pooled = set(spec.ids[spec.n_thought :])
    names = [f"row {row}" for row in range(max(len(tokenizer), max(spec.ids) + 1))]
    return WordWeights(names, {f"row {row}": 1.0 for row in pooled}, unknown_word_weight=0.0)
