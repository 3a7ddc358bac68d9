"""What a stopped training goes on from: digests of what it was made of, its state file, and the states of its texts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo.backbones.forward import Memory, remember
from genzoo.errors import TrainingError, ZooError, system_message
from genzoo.files import parts_digest, replace_file, strict_json, write_text
from genzoo.training.examples import TrainingExample


def examples_content(examples: Iterable[TrainingExample]) -> str:
    """16 hex characters over every training example, in order."""
    return parts_digest(f"{one.text}\0{one.target}\0{one.ended}" for one in examples)


log = logging.getLogger(__name__)
_LABELS = {"first": "first example", "examples": "number of examples"}
"""How messages name what the state calls briefly."""


class StateFolder:
    """``state.safetensors`` (parameters, moments, step) and ``history.jsonl`` (one line per step).

    Args:
        folder: Where they are kept.
        identity: What must not change between a state and the run that goes on with it, by names that people understand.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder, self.identity = folder, dict(identity)
        self.state_file, self.history_file = folder / "state.safetensors", folder / "history.jsonl"

    def save(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> None:
        """Write the state whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        try:
            with replace_file(self.state_file) as new:
                save_file(copies, new, metadata=self.identity | dict(facts))
        except (OSError, SafetensorError, ZooError) as error:
            kept = "the last saved state is kept" if self.state_file.is_file() else "no state was saved before"
            raise TrainingError(
                f"cannot write {self.state_file}; {kept}: {system_message(error.__cause__ or error, '')}; then run the same command to go on"
            ) from error

    def check(self) -> dict[str, str] | None:
        """The state's facts, None where there is no state; `TrainingError` where it is damaged or belongs to another run."""
        if not self.state_file.is_file():
            return None
        facts = self._facts()
        changed = [_LABELS.get(key, key) for key, value in self.identity.items() if facts.get(key, value) != value]
        if changed:
            raise TrainingError(
                f"{self.folder} holds the state of another run (other {', '.join(changed)}): choose another --output or delete "
                "it, and training starts anew"
            )
        return facts

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors and facts; None where there is no state, `TrainingError` where it belongs to another run."""
        if (facts := self.check()) is None:
            return None
        try:
            tensors = load_file(self.state_file)
        except (OSError, SafetensorError) as error:
            raise self._damaged(error) from error
        if missing := [_LABELS.get(key, key) for key in self.identity if key not in facts]:
            log.warning(
                f"{self.state_file} was saved by an earlier version and does not say with which {', '.join(missing)}. It is taken "
                "as this run's; if they may have changed, delete it and training starts anew."
            )
        return tensors, facts

    def _facts(self) -> dict[str, str]:
        try:
            with safe_open(self.state_file, "pt") as file:
                return dict(file.metadata())
        except (OSError, SafetensorError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> TrainingError:
        return TrainingError(f"{self.state_file} is damaged ({error}): delete it, training starts anew")

    def log(self, facts: Mapping[str, Any]) -> None:
        """Add a line to the history."""
        try:
            with self.history_file.open("a", encoding="utf-8") as file:
                file.write(strict_json(facts) + "\n")
        except OSError as error:
            raise TrainingError(
                f"cannot write {self.history_file}: {system_message(error, '')}; then run the same command to go on"
            ) from error

    def forget_after(self, step: int) -> None:
        """Drop logged steps after the state's: they are run again."""
        if self.history_file.is_file():
            lines = self.history_file.read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.endswith("}")]
            kept = [strict_json(row) + "\n" for row in rows if row["step"] <= step]
            write_text(self.history_file, "".join(kept))


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
        """Layer -> keys and values of each text by its token ids, in their order; None where all of them are empty."""
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
