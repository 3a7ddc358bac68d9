"""The training-free baselines, made of the same frozen LLM: the paper's (mean-pooled states, Echo, HyDE) and untrained tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor

from genzoo.backbones.entries import backbone_digest
from genzoo.backbones.forward import pack, pad_right
from genzoo.backbones.generation import Query, TransformersEngine
from genzoo.backbones.tokenizer import read_plainly, start_rows, template_limit
from genzoo.backbones.whole import load_causal_lm, open_transformer
from genzoo.models.assembly import assemble
from genzoo.models.checkpoint import TokenCheckpoint, make_spec
from genzoo.recipes.fields import ResponseOptions
from genzoo.recipes.recipes import UNSUPERVISED, Recipe

BEFORE, BETWEEN = "Rewrite this text: ", "\nThe text, rewritten: "


class EchoTransformer(Transformer):
    """``BEFORE + text + BETWEEN + text``; pooling sees the tokens of the second text alone."""

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, processing_kwargs: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Token ids and masks ``(batch, longest)``; ``echo_mask`` is 1 on the second occurrence."""
        tokenizer: Any = self.tokenizer

        def ids(texts: list[str]) -> list[list[int]]:
            return tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]

        (before, between), leading = ids([BEFORE, BETWEEN]), tokenizer("")["input_ids"]
        added = len(leading) + len(before) + len(between)
        room = template_limit(int(self.max_seq_length or 512), added, times=2) - added
        rows, echoes = [], []
        for text in ids([(prompt or "") + text for text in inputs]):
            first = [*leading, *before, *text[:room], *between]
            rows.append([*first, *text[:room]])
            # an empty text has no second occurrence: the state in which it would begin stands for it
            echoes.append([*[0] * len(first), *[1] * len(text[:room])] if text else [*[0] * (len(first) - 1), 1])
        (padded, mask), (echo_mask, _) = pad_right(rows), pad_right(echoes)
        return {"input_ids": padded, "attention_mask": mask, "echo_mask": echo_mask, "modality": "text"}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Run the backbone over both occurrences, then hide the first."""
        echo: Tensor = features.pop("echo_mask")
        features = super().forward(features, **kwargs)
        features["attention_mask"] = echo
        return features


class HydeTransformer(Transformer):
    """Answers every text but documents, greedily, then reads the answer as `Transformer` reads a text."""

    def use(self, folder: str, max_new_tokens: int) -> HydeTransformer:
        """Take the causal LM of a folder as writer; its body replaces the one that was loaded, so it is in memory once."""
        # the tokenizer of this module has lost its chat template
        language_model, tokenizer = load_causal_lm(folder, "cpu", self.model.dtype)
        self.model = language_model.base_model
        options = ResponseOptions(max_new_tokens=max_new_tokens)
        writer = TransformersEngine(language_model, tokenizer, options)
        # not a submodule: the body would be counted and saved twice
        object.__setattr__(self, "_writer", writer)
        return self

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, processing_kwargs: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Token ids and mask ``(batch, longest)`` of the answers, or of the texts themselves where they are documents."""
        texts = [(prompt or "") + text for text in inputs]
        if kwargs.get("task") != "document":
            texts = self.answers(texts)
        return super().preprocess(texts, None, processing_kwargs, **kwargs)

    def answers(self, texts: Sequence[str]) -> list[str]:
        """What the LLM writes; a text that it has no answer to stands for itself."""
        writer: TransformersEngine = self.__dict__["_writer"]
        tokenizer: Any = self.tokenizer
        limit = int(self.max_seq_length or 512)
        ids = tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=limit)["input_ids"]
        queries = [Query(str(place), tokenizer.decode(row)) for place, row in enumerate(ids)]
        writer.model.to(self.model.device)
        made = writer.answer(queries)
        return [one.response or text for one, text in zip(made, texts, strict=True)]


def untrained(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The zoo's prompts, ten tokens that open an answer, and the mean of their last hidden states; no projection."""
    checkpoint = untrained_checkpoint(backbone, max_tokens)
    return pack(assemble(checkpoint, backbone, device=device), len(checkpoint.spec))


def untrained_checkpoint(
    backbone: Path, max_tokens: int = 512, *, n_thought: int = 0, n_compression: int = 10
) -> TokenCheckpoint:
    """The tokens that every training starts from (`genzoo.backbones.tokenizer.start_rows`), with the identity as both projections."""
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


def mean_pooled(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """The frozen LLM's last hidden states averaged over the text, without prompt, template or anything trained."""
    return _pooled(open_transformer(backbone, max_tokens), device)


def echo(backbone: Path, *, max_tokens: int = 512, device: str | None = None) -> SentenceTransformer:
    """Echo embeddings: the text is given twice, and the states of its second occurrence are averaged.

    The second occurrence sees the whole text in spite of causal attention. `max_tokens` holds for both together, so a text
    is cut at less than half of it.
    """
    return _pooled(open_transformer(backbone, max_tokens, EchoTransformer), device)


def hyde(
    backbone: Path, *, max_tokens: int = 512, max_new_tokens: int = 64, device: str | None = None
) -> SentenceTransformer:
    """HyDE: the LLM really writes an answer, and the mean-pooled states of the answer are the embedding.

    Documents are embedded as they are (`encode_document`). All other texts are answered first, greedily under the chat
    template, which is slow: a whole generation for each.
    """
    module = open_transformer(backbone, max_tokens, HydeTransformer)
    return _pooled(module.use(str(backbone), max_new_tokens), device)


BUILDERS = {"mean": mean_pooled, "echo": echo, "hyde": hyde, "untrained": untrained}
"""What builds each of `genzoo.models.entries.BASELINES` of a backbone's folder, by its suffix."""


def _pooled(module: Transformer, device: str | None) -> SentenceTransformer:
    """A model of the mean over the text's states; special tokens are read as text."""
    tokenizer: Any = module.tokenizer
    template_limit(int(module.max_seq_length or 512), len(tokenizer("")["input_ids"]))
    read_plainly(tokenizer)
    width = module.model.config.get_text_config().hidden_size
    return SentenceTransformer(modules=[module, Pooling(width, "mean")], similarity_fn_name="cosine", device=device)
