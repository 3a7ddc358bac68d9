"""The file from which a stopped training goes on, and the log beside it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from genzoo.errors import TrainingError, ZooError, system_message
from genzoo.files import replace_file, strict_json, write_text

_LABELS = {"first": "first example", "examples": "number of examples"}
"""How messages name what the state calls briefly."""


class StateFolder:
    """``state.safetensors`` (parameters, moments, step) and ``history.jsonl`` (one line per step).

    Args:
        folder: Where they are kept.
        identity: What must not change between a state and the run that goes on with it, by names that people understand.
        on_note: Told what a state of an earlier version does not say.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, str], on_note: Callable[[str], None] = warnings.warn
    ) -> None:
        self.folder, self.identity, self.on_note = folder, dict(identity), on_note
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

    def check(self) -> bool:
        """Whether there is a state; `TrainingError` where it is damaged or belongs to another run."""
        if not self.state_file.is_file():
            return False
        facts = self._facts()
        changed = [_LABELS.get(key, key) for key, value in self.identity.items() if facts.get(key, value) != value]
        if changed:
            raise TrainingError(
                f"{self.folder} holds the state of another run (other {', '.join(changed)}): choose another --output or delete "
                "it, and training starts anew"
            )
        return True

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors and facts; None where there is no state, `TrainingError` where it belongs to another run."""
        if not self.check():
            return None
        facts = self._facts()
        try:
            tensors = load_file(self.state_file)
        except (OSError, SafetensorError) as error:
            raise self._damaged(error) from error
        if missing := [_LABELS.get(key, key) for key in self.identity if key not in facts]:
            self.on_note(
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
