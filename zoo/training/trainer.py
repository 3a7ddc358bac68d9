"""Token training: examples and targets -> TokenCheckpoint, with a state file from which a stopped run goes on bit-equal."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from genzoo.errors import TrainingError
from genzoo.forward import freeze, token_states
from genzoo.recipes import Recipe
from genzoo.tokens import plain_ids
from genzoo.training.heads import TokenHeads
from genzoo.training.losses import alignment_loss, response_loss
from genzoo.training.views import Example

SAVE_EVERY = 25
BUCKET = 16
START_EXAMPLES = 768


@dataclass(frozen=True)
class Progress:
    """One training step: losses are those of its batch (``recon`` in nats per token, None where it was not computed)."""

    step: int
    steps: int
    align: float
    recon: float | None
    seconds: float


class TokenTrainer:
    """Trains the tokens of one recipe.

    Args:
        recipe: What to make.
        model: Causal LM of the recipe's backbone; it is frozen here.
        tokenizer: Its tokenizer.
        examples: ``steps * batch`` of them.
        targets: Target text -> ``(D,)`` teacher embedding.
        folder: Where state and history are kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        tokenizer: Any,
        examples: Sequence[Example],
        targets: Mapping[str, torch.Tensor],
        folder: Path,
    ) -> None:
        self.recipe, self.model, self.tokenizer, self.folder = recipe, freeze(model), tokenizer, folder
        self.examples, self.targets = examples, targets
        self.dim = len(next(iter(targets.values())))
        # Unit variance per dimension whatever the teacher's norm, so that learning rates mean the same for every teacher.
        norms = torch.stack([targets[one.target] for one in examples[:2000]]).norm(dim=1)
        self.target_scale = math.sqrt(self.dim) / float(norms.mean())
        self.batches = self._plan()
        self.step, self.heads = 0, self._make_heads()
        self.optimizer = self._make_optimizer()
        self.state_file, self.history_file = folder / "state.safetensors", folder / "history.jsonl"

    def _plan(self) -> list[list[Example]]:
        """Batches of like length (no padding to compute), in an order that depends on the seed alone."""
        optim, rng = self.recipe.optim, random.Random(self.recipe.seed)  # noqa: S311 - reproducible order
        size = optim.batch * BUCKET
        batches = []
        for start in range(0, optim.steps * optim.batch, size):
            bucket = sorted(self.examples[start : start + size], key=lambda one: len(one.text))
            part = [bucket[at : at + optim.batch] for at in range(0, len(bucket), optim.batch)]
            rng.shuffle(part)
            batches += part
        return batches

    def _make_heads(self) -> TokenHeads:
        embeddings = self.model.get_input_embeddings().weight
        recipe = self.recipe
        rows = start_rows(self.model, self.tokenizer, recipe.n_thought + recipe.n_compression)
        sample = embeddings[:: max(1, len(embeddings) // 4096)].float()
        heads = TokenHeads(rows, recipe.n_compression, self.dim, float(sample.square().mean().sqrt()))
        return heads.to(self.model.device)

    def _make_optimizer(self) -> torch.optim.AdamW:
        optim, heads = self.recipe.optim, self.heads
        groups: list[dict[str, Any]] = [
            {"params": [heads.rows], "lr": optim.lr_rows},
            {"params": list(heads.recon.parameters()), "lr": optim.lr_recon},
        ]
        if not optim.align_memory:
            groups.append({"params": list(heads.align.parameters()), "lr": optim.lr_align})
        for group in groups:
            group["full_lr"] = group["lr"]
        return torch.optim.AdamW(groups, weight_decay=0.0)

    def text_ids(self, batch: Sequence[Example]) -> list[list[int]]:
        """Token ids of the texts, cut so that the trained tokens still fit."""
        return plain_ids(self.tokenizer, [one.text for one in batch], self.recipe.max_tokens - len(self.heads.rows))

    def response_ids(self, batch: Sequence[Example]) -> list[list[int]]:
        """Token ids of the targets, cut to ``recon_tokens``; an end token only where the text truly ended there."""
        limit = self.recipe.losses.recon_tokens
        made = self.tokenizer([one.target for one in batch], add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        end = self.tokenizer.eos_token_id
        return [([*ids, end] if one.ended else ids)[:limit] or [end] for ids, one in zip(made, batch, strict=True)]

    def target_rows(self, batch: Sequence[Example]) -> torch.Tensor:
        """``(batch, D)`` targets of unit variance."""
        return torch.stack([self.targets[one.target] for one in batch]).to(self.heads.rows.device) * self.target_scale

    @torch.no_grad()
    def warm_start(self) -> None:
        """Statistics and ridge-regressed alignment, from examples that come last in the training."""
        size, states = self.recipe.optim.batch, []
        ordered = sorted(self.examples[-START_EXAMPLES:], key=lambda one: len(one.text))
        for at in range(0, len(ordered), size):
            states.append(token_states(self.model, self.text_ids(ordered[at : at + size]), self.heads.rows))
        self.heads.start_from(torch.cat(states), self.target_rows(ordered), self.recipe.optim.ridge)

    def losses(
        self, batch: Sequence[Example], with_recon: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Alignment loss per dimension, reconstruction loss in nats per token, and ``z``, of one batch."""
        embeddings, z = self.heads(token_states(self.model, self.text_ids(batch), self.heads.rows))
        align = alignment_loss(embeddings, self.target_rows(batch))
        if not with_recon:
            return align, None, z
        rng = random.Random(f"{self.recipe.seed}-{self.step}")  # noqa: S311 - reproducible sampling
        share = max(1, round(self.recipe.losses.recon_share * len(batch)))
        chosen = sorted(rng.sample(range(len(batch)), share))
        responses = self.response_ids([batch[place] for place in chosen])
        return align, response_loss(self.model, self.heads.soft_prompts(z[chosen]), responses), z

    def train_step(self) -> Progress:
        """One optimiser step; raises `TrainingError` on NaN, with the last good state still on the disk."""
        began, optim, weights = time.perf_counter(), self.recipe.optim, self.recipe.losses
        with_recon = weights.recon > 0 and self.step >= optim.align_first
        batch = self.batches[self.step]
        align, recon, z = self.losses(batch, with_recon)
        loss = weights.align * align + (weights.recon * recon if recon is not None else 0.0)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} at step {self.step} (batch starts with {batch[0].text[:60]!r}); "
                f"the state of step {self.step - self.step % SAVE_EVERY} is kept in {self.folder}: lower the learning rates"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_lr"] * schedule(self.step, optim.warmup, optim.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], optim.clip)
        self.optimizer.step()
        if optim.align_memory:
            # After the loss was taken: the loss stays an honest look ahead at texts that the regression has not seen.
            self.heads.solve_alignment(z, self.target_rows(batch), optim.ridge, keep=1 - 1 / optim.align_memory)
        self.step += 1
        made = None if recon is None else float(recon.detach())
        return Progress(self.step, optim.steps, float(align.detach()), made, time.perf_counter() - began)

    def run(self, on_step: Callable[[Progress], None] = lambda progress: None) -> None:
        """Train to the end from wherever the folder's state stands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.restore():
            self.warm_start()
            self.save_state()
        try:
            while self.step < self.recipe.optim.steps:
                progress = self.train_step()
                with self.history_file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(vars(progress)) + "\n")
                if self.step % SAVE_EVERY == 0 or self.step == self.recipe.optim.steps:
                    self.save_state()
                on_step(progress)
        except KeyboardInterrupt:
            self.save_state()
            raise

    def _state(self) -> dict[str, torch.Tensor]:
        state = {f"heads.{name}": tensor for name, tensor in self.heads.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}

    def _identity(self) -> dict[str, str]:
        """What must not change between a state and the run that goes on with it."""
        return {
            "recipe": self.recipe.digest(),
            "first": self.examples[0].text[:200],
            "examples": str(len(self.examples)),
        }

    def save_state(self) -> None:
        """Write parameters, moments and step, whole or not at all."""
        temporary = self.state_file.with_suffix(".partial")
        save_file(self._state(), temporary, metadata=self._identity() | {"step": str(self.step)})
        temporary.replace(self.state_file)

    def restore(self) -> bool:
        """Take up the folder's state; False where there is none, `TrainingError` where it belongs to another run."""
        from safetensors import safe_open

        if not self.state_file.is_file():
            return False
        with safe_open(self.state_file, "pt") as file:
            facts: dict[str, str] = dict(file.metadata())
        self.step = int(facts.pop("step"))
        if facts != self._identity():
            raise TrainingError(
                f"{self.folder} holds the state of another run (recipe, queries or responses differ): choose another --output "
                "or delete it"
            )
        state = load_file(self.state_file)
        self.heads.load_state_dict({k.removeprefix("heads."): v for k, v in state.items() if k.startswith("heads.")})
        moments: dict[int, dict[str, Any]] = {}
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                moments.setdefault(int(index), {})[key] = tensor
        plain = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": moments, "param_groups": plain["param_groups"]})
        self._trim_history()
        return True

    def _trim_history(self) -> None:
        """Forget logged steps after the state's: they are run again."""
        if self.history_file.is_file():
            lines = [
                json.loads(line)
                for line in self.history_file.read_text(encoding="utf-8").splitlines()
                if line.endswith("}")
            ]
            kept = [line for line in lines if line["step"] <= self.step]
            self.history_file.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def schedule(step: int, warmup: int, steps: int) -> float:
    """Share of the full learning rate: linear up over ``warmup`` steps, then linear down to nothing.

    >>> schedule(0, 10, 110), schedule(9, 10, 110), schedule(60, 10, 110)
    (0.1, 1.0, 0.5)
    """
    return (step + 1) / warmup if step < warmup else (steps - step) / max(1, steps - warmup)


def start_rows(model: Any, tokenizer: Any, n: int) -> torch.Tensor:
    """``(n, H)``: embeddings of what comes between a chat's question and its answer, so that the LLM starts to answer."""
    opening = "\nAnswer:"
    if tokenizer.chat_template:
        asked = [{"role": "user", "content": "?"}]
        chat = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        opening = chat.rpartition("?")[2]
    ids = tokenizer(opening + " The answer is about the following:", add_special_tokens=False)["input_ids"]
    ids = (ids * math.ceil(n / len(ids)))[:n]
    return model.get_input_embeddings().weight[ids].detach().float().clone()
