"""The zoo's way to embed before anything is trained: how far a zoo model is from this is what its trained numbers are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from genzoo.checkpoint import TokenCheckpoint


def untrained(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The zoo's prompts, ten tokens that open an answer, and the mean of their last hidden states; no projection."""
    from genzoo.assembly import assemble
    from genzoo.packed_encoding import pack

    checkpoint = untrained_checkpoint(backbone, max_tokens)
    return pack(assemble(checkpoint, backbone, device=device), len(checkpoint.spec))


def untrained_checkpoint(
    backbone: Path, max_tokens: int = 512, *, n_thought: int = 0, n_compression: int = 10
) -> TokenCheckpoint:
    """The tokens that every training starts from (`genzoo.tokens.start_rows`), with the identity as both projections."""
    import torch

    from genzoo.backbones import backbone_digest
    from genzoo.checkpoint import TokenCheckpoint, make_spec
    from genzoo.recipes import UNSUPERVISED, Recipe
    from genzoo.tokens import start_rows
    from genzoo.whole import load_causal_lm

    model, tokenizer = load_causal_lm(backbone, "cpu")
    recipe = Recipe("untrained", backbone.name, UNSUPERVISED, n_compression, n_thought, max_tokens)
    embeddings = model.get_input_embeddings()
    same = torch.eye(embeddings.embedding_dim)
    return TokenCheckpoint(
        spec=make_spec(tokenizer, embeddings.num_embeddings, n_thought, n_compression, ()),
        rows=start_rows(model, tokenizer, recipe.n_tokens),
        recon_weight=same,
        recon_bias=torch.zeros(len(same)),
        align_weight=same,
        align_bias=torch.zeros(len(same)),
        backbone=backbone.name,
        backbone_digest=backbone_digest(backbone),
        recipe_digest=recipe.digest(),
        max_tokens=max_tokens,
    )
