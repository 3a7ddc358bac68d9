"""The training-free baselines, made of the same frozen LLM: the paper's (mean-pooled states, Echo, HyDE) and untrained tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.tokens import read_plainly, template_limit
from genzoo.untrained import untrained
from genzoo.whole import open_transformer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer


def mean_pooled(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The frozen LLM's last hidden states averaged over the text, without prompt, template or anything trained."""
    from sentence_transformers.base.modules import Transformer

    module = open_transformer(Transformer, backbone, **transformer_options(max_tokens))
    return _pooled(as_plain_reader(module), device)


def echo(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """Echo embeddings: the text is given twice, and the states of its second occurrence are averaged.

    The second occurrence sees the whole text in spite of causal attention. `max_tokens` holds for both together, so a text
    is cut at less than half of it.
    """
    from genzoo.echo import EchoTransformer

    module = open_transformer(EchoTransformer, backbone, **transformer_options(max_tokens))
    return _pooled(as_plain_reader(module), device)


def hyde(
    backbone: Path, *, max_tokens: int = 512, max_new_tokens: int = 64, device: str | None = None
) -> SentenceTransformer:
    """HyDE: the LLM really writes an answer, and the mean-pooled states of the answer are the embedding.

    Documents are embedded as they are (`encode_document`). All other texts are answered first, greedily under the chat
    template, which is slow: a whole generation for each.
    """
    from genzoo.hyde import HydeTransformer

    module = open_transformer(HydeTransformer, backbone, **transformer_options(max_tokens))
    as_plain_reader(module)
    return _pooled(module.use(str(backbone), max_new_tokens), device)


@dataclass(frozen=True)
class Baseline:
    """One way to embed with a frozen LLM.

    Attributes:
        suffix: ``<backbone>-<suffix>`` is its name on the command line.
        label: Ends the name under which its results stand.
        build: Folder of the backbone -> SentenceTransformer.
        version: Raised when its texts or settings change, so that old results are not taken for new ones.
        has_prompts: Whether it reads texts under the zoo's instructions.
    """

    suffix: str
    label: str
    build: Callable[..., SentenceTransformer]
    version: int = 0
    has_prompts: bool = False

    def revision(self, backbone_digest: str) -> str:
        """40 hex digits: the backbone's digest, and of what is done with it."""
        if not self.version:
            return backbone_digest
        return hashlib.sha256(f"{backbone_digest} {self.suffix} {self.version}".encode()).hexdigest()[:40]


BASELINES = (
    Baseline("mean", "MeanPooled", mean_pooled),
    Baseline("echo", "Echo", echo, version=1),
    Baseline("hyde", "HyDE", hyde, version=1),
    Baseline("untrained", "UntrainedTokens", untrained, version=1, has_prompts=True),
)


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
    """Without a chat template; special tokens are text."""
    tokenizer: Any = module.tokenizer
    template_limit(int(module.max_seq_length or 512), len(tokenizer("")["input_ids"]))
    tokenizer.chat_template = None
    read_plainly(tokenizer)
    return module


def _pooled(module: Transformer, device: str | None) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    width = module.model.config.get_text_config().hidden_size
    return SentenceTransformer(modules=[module, Pooling(width, "mean")], similarity_fn_name="cosine", device=device)
