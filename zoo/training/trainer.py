"""Token training: examples and targets -> trained heads, with a state file from which a stopped run goes on bit-equal."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genzoo.backbones.depth import first_layers
from genzoo.backbones.forward import can_pack, freeze, input_scale
from genzoo.backbones.lora import Lora
from genzoo.backbones.token_states import token_states
from genzoo.backbones.tokenizer import plain_ids, start_rows
from genzoo.compute import go_on_with
from genzoo.errors import TrainingError
from genzoo.jobs import Pace, Processes, as_time, report
from genzoo.models.prompts import DOCUMENT, QUERY
from genzoo.models.readout import PATIENCE, PolicyHead, Readout, of_states, of_teacher
from genzoo.policies.reading import ReadingTexts, fit_reading
from genzoo.recipes.recipes import Recipe
from genzoo.training.examples import (
    TrainingExample,
    chosen_for_recon,
    has_recon,
    phase_at,
    phases_of,
    plan_batches,
    recon_tokens,
    schedule,
    scored_places,
    step_costs,
)
from genzoo.training.heads import TokenHeads
from genzoo.training.losses import alignment_loss, response_loss
from genzoo.training.state import StateFolder, TextStates, examples_content

ENOUGH = 0.99
"""The least cosine with which a bfloat16 gradient may stand for the float32 one."""
SAVE_EVERY = 25
START_EXAMPLES = 768
REFUSED = 1.0
"""How much a query must look refused before its embedding is decoded as a refusal: as much as the refused examples on average."""
MISREAD = 0.05
"""Share of the harmless examples that may look so, unless a policy allows more: they are twins of harmful ones, other queries are not."""
MEMORY = 200
"""Steps that the covariance of the embeddings reaches back where the recipe says nothing."""


@dataclass(frozen=True)
class StepRecord:
    """One training step: losses are those of its batch (``recon`` in nats per token), None where one was not computed."""

    step: int
    steps: int
    align: float | None
    recon: float | None
    seconds: float

    def __str__(self) -> str:
        losses = [] if self.align is None else [f"alignment {self.align:.3f}"]
        return ", ".join([*losses, *([] if self.recon is None else [f"reconstruction {self.recon:.2f} nats/token"])])


class TokenTrainer:
    """Trains the tokens of one recipe.

    Args:
        recipe: What to make.
        model: Causal LM of the recipe's backbone; it is frozen here.
        tokenizer: Its tokenizer.
        examples: ``steps * batch`` of them.
        targets: Target text -> ``(D,)`` teacher embedding; empty where the alignment loss is off.
        folder: Where state and history are kept.
        processes: Those that train together.
        texts: States of texts that other trainings on the same backbone left, if there were any.
        made_of: Digests of what else decides the result (backbone, teacher), which a state must share to be gone on with.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        tokenizer: Any,
        examples: Sequence[TrainingExample],
        targets: Mapping[str, torch.Tensor],
        folder: Path,
        processes: Processes | None = None,
        texts: TextStates | None = None,
        made_of: Mapping[str, str] | None = None,
    ) -> None:
        self.texts = texts
        self.recipe, self.model, self.tokenizer, self.folder = recipe, freeze(model), tokenizer, folder
        self.encoder = first_layers(self.model, recipe.exit_layer)
        self.examples, self.targets, self.processes = examples, targets, processes or Processes()
        # What is set once is set by the first phase: a later one must not change what comes before it.
        self.first = examples[: phases_of(recipe)[0].steps * recipe.optim.batch]
        self.dim = len(next(iter(targets.values()))) if recipe.losses.align else None
        self.target_scale = self._target_scale()
        self.batches = plan_batches(recipe, examples)
        self.step, self.heads = 0, self._make_heads()
        self.lora = self._make_lora()
        # its state names each tensor with the part that it is of
        self.trained = torch.nn.ModuleDict({"heads": self.heads} | ({} if self.lora is None else {"lora": self.lora}))
        self.optimizer = self._make_optimizer()
        self.is_bfloat16, self.is_whole = False, True
        facts = {"recipe": recipe.digest(), "first": examples[0].text[:200], "examples": str(len(examples))}
        facts |= {"content of the examples": examples_content(examples)} | dict(made_of or {})
        self.state = StateFolder(folder, facts)

    def _target_scale(self) -> float:
        """Unit variance per dimension whatever the teacher's norm, so that learning rates mean the same for every teacher."""
        if self.dim is None:
            return 1.0
        norms = torch.stack([self.targets[one.target] for one in self.first[:2000]]).norm(dim=1)
        return math.sqrt(self.dim) / float(norms.mean())

    def _make_heads(self) -> TokenHeads:
        embeddings = self.model.get_input_embeddings().weight
        recipe = self.recipe
        rows = start_rows(self.model, self.tokenizer, recipe.n_tokens)
        sample = embeddings[:: max(1, len(embeddings) // 4096)].float() * input_scale(self.model)
        size = float(sample.square().mean().sqrt())
        heads = TokenHeads(rows, recipe.n_compression, self.dim, size)
        return heads.to(self.model.device)

    def _make_lora(self) -> Lora | None:
        rank, options = self.recipe.lora.rank, self.recipe.lora
        made = Lora.create(self.encoder, rank, options.modules, self.recipe.seed, options.alpha) if rank else None
        return made and made.to(self.model.device)

    def _make_optimizer(self) -> torch.optim.AdamW:
        optim, heads = self.recipe.optim, self.heads
        groups: list[dict[str, Any]] = [
            {"params": [heads.rows], "lr": optim.lr_rows},
            {"params": list(heads.recon.parameters()), "lr": optim.lr_recon},
        ]
        if not optim.align_memory and self.dim is not None:
            groups.append({"params": list(heads.align.parameters()), "lr": optim.lr_align})
        if self.lora is not None:
            groups.append({"params": list(self.lora.parameters()), "lr": self.recipe.lora.lr})
        for group in groups:
            group["full_lr"] = group["lr"]
        return torch.optim.AdamW(groups, weight_decay=0.0)

    def text_ids(self, batch: Sequence[TrainingExample]) -> list[list[int]]:
        """Token ids of the texts, cut so that the trained tokens still fit."""
        return plain_ids(self.tokenizer, [one.text for one in batch], self.recipe.max_tokens - len(self.heads.rows))

    def response_ids(self, batch: Sequence[TrainingExample], limit: int) -> list[list[int]]:
        """Token ids of the targets, cut to the limit; an end token only where the text truly ended there."""
        texts = [one.target for one in batch]
        made = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        end = self.tokenizer.eos_token_id
        return [([*ids, end] if one.ended else ids)[:limit] or [end] for ids, one in zip(made, batch, strict=True)]

    def target_rows(self, batch: Sequence[TrainingExample]) -> torch.Tensor:
        """``(batch, D)`` targets of unit variance."""
        return torch.stack([self.targets[one.target] for one in batch]).to(self.heads.rows.device) * self.target_scale

    def states(self, batch: Sequence[TrainingExample]) -> torch.Tensor:
        """States at the trained tokens after the exit layer, ``(batch, n, H)``, with whatever is trained in the encoding pass."""
        ids, memory = self.text_ids(batch), None
        if self.lora is None and self.texts is not None and can_pack(self.encoder):
            memory = self.texts.memory(self.encoder, [one.text for one in batch], ids)
        with self.lora.on() if self.lora is not None else nullcontext():
            return token_states(self.encoder, ids, self.heads.rows, text_grad=self.lora is not None, memory=memory)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 matrix products where the gradient check allowed them."""
        return torch.autocast(self.heads.rows.device.type, torch.bfloat16, enabled=self.is_bfloat16)

    @torch.no_grad()
    def warm_start(self) -> None:
        """Statistics and ridge-regressed alignment, from examples that come last in the first phase."""
        size = self.recipe.optim.batch
        ordered = sorted(self.first[-START_EXAMPLES:], key=lambda one: len(one.text))
        states = [self.states(ordered[at : at + size]) for at in range(0, len(ordered), size)]
        targets = None if self.dim is None else self.target_rows(ordered)
        self.heads.start_from(torch.cat(states), targets, self.recipe.optim.ridge)

    @torch.no_grad()
    def readout(self, pairs: Sequence[tuple[str, str]]) -> tuple[Readout, torch.Tensor | None]:
        """What the recipe makes of the trained states, and how it is turned; no turn where the recipe wants none.

        Args:
            pairs: Queries and their responses, none of them a refusal.
        """
        optim, heads, pulls = self.recipe.optim, self.heads, self.recipe.pulls
        if optim.axes == "shared":
            asked, answers = zip(*pairs, strict=True)
            queries = self._pooled([QUERY + text for text in asked])
            responses = self._pooled([DOCUMENT + text for text in answers])
        if optim.readout == "states":
            careless = self._pooled([QUERY + text for text in answers])
            alike = [(responses, careless, optim.even_prompts), (queries, responses, optim.even_pairs)]
            own = of_states(heads.gram, alike)
            return own, own.shared_axes(queries, responses, width=optim.dimensions, policy_first=pulls)
        weight, bias = (part.double() / self.target_scale for part in (heads.align.weight, heads.align.bias))
        taught = of_teacher(heads.gram, weight, bias, optim.partial_whitening)
        axes = taught.shared_axes(queries, responses, policy_first=pulls) if optim.axes == "shared" else None
        return taught, axes

    @torch.no_grad()
    def policy_head(self, readout: Readout, taught: ReadingTexts) -> tuple[PolicyHead, dict[str, float]]:
        """What a content policy adds to the embeddings, as these texts teach it, and what is told of it.

        Returns:
            The head, ``tokens_auc`` (`genzoo.policies.reading.RefusalReading.auc`) and ``refused_above``: the score from which on a text
            is decoded as a refusal. It is that of `REFUSED`, or what no more than `MISREAD` of the harmless examples exceed (or
            `PolicyOptions.false_refusals` of them, where that is more), if that is higher.
        """
        policy = self.recipe.policy
        reading = fit_reading(self._pooled(taught.texts).double().cpu().numpy(), taught, self.recipe.seed)
        above = max(REFUSED, float(np.quantile(reading.harmless, 1 - max(MISREAD, policy.false_refusals))))
        told = {"tokens_auc": round(reading.auc, 4), "refused_above": round(policy.pull * (above - PATIENCE), 6)}
        return readout.policy_head(torch.from_numpy(reading.weight), reading.bias, policy.pull), told

    def _pooled(self, texts: Sequence[str]) -> torch.Tensor:
        """``(texts, H)``, the mean of ``z`` over the compression tokens."""
        size, found = self.recipe.optim.batch, list[torch.Tensor]()
        for at in range(0, len(texts), size):
            part = [TrainingExample(text, "", ended=False) for text in texts[at : at + size]]
            found.append(self.heads(self.states(part))[1].mean(dim=1))
            report("axes", at + len(part), len(texts))
        return torch.cat(found)

    def backward(self, batch: Sequence[TrainingExample], step: int) -> tuple[float | None, float | None, torch.Tensor]:
        """Put the gradient of the whole batch's loss into the parameters of every process.

        A process sees its share of the batch, a micro-batch at a time; each part is weighted so that the sum is the whole.

        Returns:
            Alignment loss per dimension, reconstruction loss in nats per token (None where off), and the pooled ``z (batch, H)``.
        """
        weights, device = self.recipe.losses, self.heads.rows.device
        kind = phase_at(self.recipe, step).kind
        chosen = chosen_for_recon(self.recipe, step, len(batch)) if has_recon(self.recipe, step) else []
        ids = self.response_ids([batch[place] for place in chosen], recon_tokens(self.recipe, step)) if chosen else []
        responses = dict(zip(chosen, ids, strict=True))
        places_of = {place: scored_places(self.recipe, step, place, len(row)) for place, row in responses.items()}
        tokens = sum(map(len, places_of.values()))
        pooled = torch.zeros(len(batch), self.heads.rows.shape[1], device=device)
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        mine = self.processes.share(range(len(batch)))
        size = self.recipe.optim.micro_batch or len(mine)
        self.optimizer.zero_grad(set_to_none=True)
        for at in range(0, len(mine), size):
            places = list(mine[at : at + size])
            part = [batch[place] for place in places]
            with self.autocast():
                with torch.set_grad_enabled(kind != "reconstruction"):
                    embeddings, z = self.heads(self.states(part))
                loss = embeddings.new_zeros((), dtype=torch.float32)
                if self.dim is not None:
                    align = alignment_loss(embeddings.float(), self.target_rows(part)) * len(part) / len(batch)
                    sums[0] += align.detach()
                    loss = loss + weights.align * align
                scored = [place for place in places if place in responses]
                if scored:
                    own, heard = [responses[place] for place in scored], [places_of[place] for place in scored]
                    read = z if kind == "both" else z.detach()
                    soft = self.heads.soft_prompts(read[[places.index(place) for place in scored]])
                    recon = response_loss(self.model, soft, own, heard) * sum(map(len, heard)) / tokens
                    sums[1] += recon.detach()
                    loss = loss + weights.recon * recon
            if loss.requires_grad:
                loss.backward()
            pooled[places] = z.detach().float().mean(dim=1)
        self._sum_gradients(with_recon=bool(responses))
        align_loss, recon_loss = self.processes.sum(sums).tolist()
        shared = self.processes.sum(pooled)
        return None if self.dim is None else align_loss, recon_loss if responses else None, shared

    def _sum_gradients(self, with_recon: bool) -> None:
        if self.processes.count == 1:
            return
        unused = set() if with_recon else set(self.heads.recon.parameters())
        for group in self.optimizer.param_groups:
            for parameter in (one for one in group["params"] if one not in unused):
                # A process whose share holds nothing for a parameter still takes part in its sum.
                own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.processes.sum(own)

    def train_step(self) -> StepRecord:
        """One optimiser step; raises `TrainingError` on NaN, with the last good state still on the disk."""
        began, optim = time.perf_counter(), self.recipe.optim
        batch = self.batches[self.step]
        phase = phase_at(self.recipe, self.step)
        if self.step == phase.start:
            self.optimizer = self._make_optimizer()  # a phase begins without the moments of the one before
        align, recon, pooled = self.backward(batch, self.step)
        losses = {"alignment": align, "reconstruction": recon}
        wrong = [f"the {name} loss became {loss}" for name, loss in losses.items() if not math.isfinite(loss or 0.0)]
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_lr"] * schedule(self.recipe, self.step)
            norm = float(torch.nn.utils.clip_grad_norm_(group["params"], optim.clip))
            wrong += [] if math.isfinite(norm) else [f"a gradient's norm became {norm}"]
        if wrong:
            raise TrainingError(
                f"{' and '.join(wrong)} at step {self.step} (batch starts with "
                f"{batch[0].text[:60]!r}); the state of step {self.step - self.step % SAVE_EVERY} is kept in {self.folder}: "
                "lower the learning rates"
            )
        self.is_whole = False  # what was saved between here and the count would be half a step
        self.optimizer.step()
        if self.dim is not None and phase.kind != "reconstruction":
            # After the loss was taken: the loss stays an honest look ahead at texts that the regression has not seen.
            self.heads.remember(pooled, self.target_rows(batch), keep=1 - 1 / (optim.align_memory or MEMORY))
            if optim.align_memory:
                self.heads.solve_alignment(optim.ridge)
        self.step += 1
        self.is_whole = True
        return StepRecord(self.step, optim.steps, align, recon, time.perf_counter() - began)

    def run(self) -> None:
        """Train to the end from wherever the folder's state stands."""
        if not self.restore():
            self.warm_start()
            self.choose_precision()
            self.save_state()
        depth = self.encoder.config.num_hidden_layers / self.model.config.num_hidden_layers
        costs, pace = step_costs(self.recipe, self.batches, depth), None
        try:
            while self.step < self.recipe.optim.steps:
                made = self.train_step()
                if self.processes.is_main:
                    self.state.log(vars(made))
                if self.step % SAVE_EVERY == 0 or self.step == self.recipe.optim.steps:
                    self.save_state()
                left = f", {as_time(pace.seconds_left(made.step))} left" if pace else ""
                pace = pace or Pace(costs, made.step)
                report("training", made.step, made.steps, f"{made}{left}")
        except KeyboardInterrupt:
            if self.is_whole:
                self.save_state()
            raise

    def choose_precision(self) -> None:
        """bfloat16 where the recipe allows it and its gradients prove good enough on two batches; float32 everywhere else."""
        if self.recipe.optim.precision == "auto" and self.heads.rows.device.type != "cpu":
            self.is_bfloat16 = all(cosine >= ENOUGH for cosine in self.check_gradients().values())

    def check_gradients(self, batches: int = 2) -> dict[str, float]:
        """Cosine of the bfloat16 gradient with the float32 one, for each trained tensor; 1 is equal, 0 is noise.

        It is the smallest over the first batches that have both losses. Nothing is changed.
        """
        first, usual = min(self.recipe.optim.align_first, len(self.batches) - 1), self.is_bfloat16
        cosines: dict[str, float] = {}
        try:
            for step in range(first, min(first + batches, len(self.batches))):
                rough = self._gradients(step, is_bfloat16=True)
                for name, exact in self._gradients(step, is_bfloat16=False).items():
                    found = float(torch.nn.functional.cosine_similarity(exact, rough[name], dim=0))
                    cosines[name] = min(found, cosines.get(name, 1.0))
            return cosines
        finally:
            self.is_bfloat16 = usual
            self.optimizer.zero_grad(set_to_none=True)

    def _gradients(self, step: int, is_bfloat16: bool) -> dict[str, torch.Tensor]:
        self.is_bfloat16 = is_bfloat16
        self.backward(self.batches[step], step)
        named = [(name, one.grad) for name, one in self.trained.named_parameters() if one.grad is not None]
        return {name.removeprefix("heads."): grad.flatten().double() for name, grad in named if bool(grad.any())}

    def save_state(self) -> None:
        """Write parameters, moments and step; only the main process does."""
        if not self.processes.is_main:
            return
        tensors = dict(self.trained.state_dict())
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        self.state.save(
            tensors,
            {"step": str(self.step), "bfloat16": str(self.is_bfloat16), "threads": str(torch.get_num_threads())},
        )

    def restore(self) -> bool:
        """Take up the folder's state; False where there is none, `TrainingError` where it belongs to another run."""
        found = self.state.load()
        self.processes.wait()
        if found is None:
            return False
        tensors, facts = found
        self.step, self.is_bfloat16 = int(facts["step"]), facts.get("bfloat16") == "True"
        go_on_with(int(facts.get("threads", torch.get_num_threads())))
        moments: dict[int, dict[str, Any]] = {}
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = tensors.pop(name)
        self.trained.load_state_dict(tensors)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        if self.processes.is_main:
            self.state.forget_after(self.step)
        return True
