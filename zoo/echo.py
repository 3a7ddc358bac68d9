"""The first module of an Echo encoder: it reads every text twice and leaves the second time to be pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from torch import Tensor

from genzoo.tokens import template_limit

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
        return {
            "input_ids": _padded(rows, tokenizer.pad_token_id),
            "attention_mask": _padded([[1] * len(row) for row in rows], 0),
            "echo_mask": _padded(echoes, 0),
            "modality": "text",
        }

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Run the backbone over both occurrences, then hide the first."""
        echo: Tensor = features.pop("echo_mask")
        features = super().forward(features, **kwargs)
        features["attention_mask"] = echo
        return features


def _padded(rows: list[list[int]], filler: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
