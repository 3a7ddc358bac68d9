"""The training-free baselines of the paper, made of the same frozen LLM: mean-pooled states and Echo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer


def mean_pooled(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The frozen LLM's last hidden states averaged over the text, without prompt, template or anything trained."""
    from sentence_transformers.base.modules import Transformer

    module = Transformer(str(backbone), **transformer_options(max_tokens))
    return _pooled(as_plain_reader(module), device)


def echo(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """Echo embeddings: the text is given twice, and the states of its second occurrence are averaged.

    The second occurrence sees the whole text in spite of causal attention. `max_tokens` holds for both together, so a text
    is cut at less than half of it.
    """
    from genzoo.echo import EchoTransformer

    module = EchoTransformer(str(backbone), **transformer_options(max_tokens))
    return _pooled(as_plain_reader(module), device)


def transformer_options(max_tokens: int) -> dict[str, Any]:
    """How a backbone is read as plain text by sentence-transformers."""
    return {
        "max_seq_length": max_tokens,
        "unpad_inputs": False,
        # Said outright, or a backbone with a chat template would wrap every text in it.
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    }


def as_plain_reader(module: Transformer) -> Transformer:
    """Make the tokenizer read special tokens as text, and pad on the right."""
    tokenizer: Any = module.tokenizer
    tokenizer.chat_template = None
    tokenizer.split_special_tokens = True
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return module


def _pooled(module: Transformer, device: str | None) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    width = module.model.config.get_text_config().hidden_size
    return SentenceTransformer(modules=[module, Pooling(width, "mean")], similarity_fn_name="cosine", device=device)
