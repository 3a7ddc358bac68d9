"""The first module of a HyDE encoder: the frozen LLM writes an answer, which is then embedded in place of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.modules import Transformer

from genzoo.whole import open_causal_lm

if TYPE_CHECKING:
    from genzoo.training.engines import TransformersEngine


class HydeTransformer(Transformer):
    """Answers every text but documents, greedily, then reads the answer as `Transformer` reads a text."""

    def use(self, folder: str, max_new_tokens: int) -> HydeTransformer:
        """Take the causal LM of a folder as writer; its body replaces the one that was loaded, so it is in memory once."""
        from genzoo.options import ResponseOptions
        from genzoo.training.engines import TransformersEngine

        # the tokenizer of this module has lost its chat template
        language_model, tokenizer = open_causal_lm(folder, self.model.dtype)
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
        from genzoo.training.queries import Query

        writer: TransformersEngine = self.__dict__["_writer"]
        tokenizer: Any = self.tokenizer
        limit = int(self.max_seq_length or 512)
        ids = tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=limit)["input_ids"]
        queries = [Query(str(place), tokenizer.decode(row)) for place, row in enumerate(ids)]
        writer.model.to(self.model.device)
        made = writer.answer(queries)
        return [one.response or text for one, text in zip(made, texts, strict=True)]
