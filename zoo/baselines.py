"""The baselines every table carries: today the mean-pooled backbone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def mean_pooled(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The frozen LLM's last hidden states averaged over the text, without prompt, template or anything trained."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    module = Transformer(
        str(backbone),
        max_seq_length=max_tokens,
        unpad_inputs=False,
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    )
    module.tokenizer.chat_template = None
    module.tokenizer.split_special_tokens = True
    module.tokenizer.padding_side = "right"
    if module.tokenizer.pad_token_id is None:
        module.tokenizer.pad_token = module.tokenizer.eos_token
    width = module.model.config.get_text_config().hidden_size
    return SentenceTransformer(modules=[module, Pooling(width, "mean")], similarity_fn_name="cosine", device=device)
