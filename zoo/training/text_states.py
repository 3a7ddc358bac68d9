"""States of texts under a frozen backbone, kept from one training to the next: they depend on nothing that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from genzoo.forward import remember
from genzoo.packing import Memory


class TextStates:
    """Keys and values of texts, so that only the trained tokens are left to compute.

    A text that comes again is not computed again, as long as there is room: what was kept first stays, since texts come again in
    the order in which they came. For one backbone; on a CPU, where texts are packed. Equal up to rounding to computing it anew,
    which depends on the other texts of the pass: a single run, whose resumed weights must be bit-equal, does without.

    Args:
        max_bytes: What may be kept in all.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.n_bytes = max_bytes, 0
        self._kept: dict[tuple[str, int], list[tuple[Tensor, Tensor]]] = {}  # by text and where it was cut

    def __len__(self) -> int:
        return len(self._kept)

    def memory(self, model: Any, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> Memory | None:
        """Layer -> keys and values of each text, in the order of the texts; None where all of them are empty.

        Args:
            model: Causal LM, frozen.
            texts: What was tokenised.
            ids: Their token ids.
        """
        keys = [(text, len(row)) for text, row in zip(texts, ids, strict=True)]
        new = [place for place, key in enumerate(keys) if key not in self._kept]
        made = remember(model, [ids[place] for place in new]) if new else {}
        if made is None:  # the new ones are all empty, of which nothing is kept
            return remember(model, ids)
        rows = {place: [pairs[at] for pairs in made.values()] for at, place in enumerate(new)}
        for place, row in rows.items():
            self._keep(keys[place], row)
        found = [rows[place] if place in rows else self._kept[key] for place, key in enumerate(keys)]
        return {layer: [row[layer] for row in found] for layer in range(len(found[0]))}

    def _keep(self, key: tuple[str, int], row: list[tuple[Tensor, Tensor]]) -> None:
        size = sum(one.numel() * one.element_size() for pair in row for one in pair)
        if key in self._kept or self.n_bytes + size > self.max_bytes:
            return
        # Copies: a part of a pass would keep the whole pass alive.
        self._kept[key] = [(keys.clone(), values.clone()) for keys, values in row]
        self.n_bytes += size
