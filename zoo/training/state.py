"""The file from which a stopped training goes on, and the log beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from genzoo.errors import TrainingError, system_message


class StateFolder:
    """``state.safetensors`` (parameters, moments, step) and ``history.jsonl`` (one line per step).

    Args:
        folder: Where they are kept.
        identity: What must not change between a state and the run that goes on with it.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder, self.identity = folder, dict(identity)
        self.state_file, self.history_file = folder / "state.safetensors", folder / "history.jsonl"

    def save(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> None:
        """Write the state whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        temporary = self.state_file.with_suffix(".partial")
        try:
            save_file(copies, temporary, metadata=self.identity | dict(facts))
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            kept = "the last saved state is kept" if self.state_file.is_file() else "no state was saved before"
            raise TrainingError(
                f"cannot write {self.state_file}; {kept}: {system_message(error, '')}; then run the same command to go on"
            ) from error
        temporary.replace(self.state_file)

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors and facts; None where there is no state, `TrainingError` where it belongs to another run."""
        if not self.state_file.is_file():
            return None
        try:
            with safe_open(self.state_file, "pt") as file:
                facts: dict[str, str] = dict(file.metadata())
            tensors = load_file(self.state_file)
        except (OSError, SafetensorError, TypeError) as error:
            raise TrainingError(f"{self.state_file} is damaged ({error}): delete it, training starts anew") from error
        if {key: facts.get(key) for key in self.identity} != self.identity:
            raise TrainingError(
                f"{self.folder} holds the state of another run (recipe, queries or responses differ): choose another --output "
                "or delete it"
            )
        return tensors, facts

    def log(self, facts: Mapping[str, Any]) -> None:
        """Add a line to the history."""
        with self.history_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop logged steps after the state's: they are run again."""
        if self.history_file.is_file():
            lines = self.history_file.read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.endswith("}")]
            kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= step]
            self.history_file.write_text("".join(kept), encoding="utf-8")
