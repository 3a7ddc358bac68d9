"""Can text reach an embedding row? Read off the tokenizer's own tables, since no list of probe texts can prove it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from genzoo.errors import CheckpointError


def check_out_of_reach(tokenizer: Any, rows: Sequence[int]) -> None:
    """Refuse a tokenizer that can turn text into one of the rows of the trained tokens.

    A text that reaches such a row would be pooled as if it were a trained token.

    Raises:
        CheckpointError: Names the row and its string.
    """
    reached = reachable_rows(tokenizer, rows)
    if reached:
        row, token = next(iter(reached.items()))
        raise CheckpointError(
            f"the tokenizer can turn text into row {row} ({token!r}), where a trained token stands: it was tampered with, or the "
            "tokens were trained on rows that are not spare"
        )


def reachable_rows(tokenizer: Any, rows: Sequence[int]) -> dict[int, str]:
    """The given rows that some text yields once special tokens in text are read as text, with their strings.

    A row is out of reach when it lies beyond the tokenizer, or is a special token that the model itself cannot build: for BPE
    that means no merge makes it, it is no single symbol, and it does not stand for the unknown.
    """
    tables = json.loads(tokenizer.backend_tokenizer.to_str())
    wanted, model = set(rows), tables["model"]
    added = {token["id"]: token for token in tables.get("added_tokens", []) if token["id"] in wanted}
    found = {row: token["content"] for row, token in added.items() if not token["special"]}
    vocabulary = model.get("vocab") or {}
    pairs = (
        vocabulary.items() if isinstance(vocabulary, dict) else ((piece[0], i) for i, piece in enumerate(vocabulary))
    )
    inside = {row: token for token, row in pairs if row in wanted}
    if model.get("type") == "BPE" and not model.get("ignore_merges"):
        made = {"".join(merge) if isinstance(merge, list) else merge.replace(" ", "") for merge in model["merges"]}
        unknown = model.get("unk_token")
        inside = {row: token for row, token in inside.items() if token in made or len(token) == 1 or token == unknown}
    elif model.get("type") == "BPE":
        # Whole words of the vocabulary are taken as they are, but never a special token: those are split off as text before.
        inside = {row: token for row, token in inside.items() if row not in added}
    return found | inside
