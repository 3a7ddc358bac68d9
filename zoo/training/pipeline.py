"""The whole way from a query log to a checkpoint; each stage keeps its file in the output folder and is skipped when it is there.

``responses.jsonl`` -> ``targets/`` -> ``tokens/`` (state and history) -> ``checkpoint/``
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.backbones import BACKBONES, backbone_digest, fetch_backbone
from genzoo.checkpoint import TokenCheckpoint, TokenSpec
from genzoo.errors import TrainingError
from genzoo.recipes import Recipe
from genzoo.teachers import load_teacher
from genzoo.tokens import spare_rows
from genzoo.training.queries import Query
from genzoo.training.responses import Response, generate_responses
from genzoo.training.targets import compute_targets
from genzoo.training.views import Example, make_examples

if TYPE_CHECKING:
    from genzoo.training.controls import Controls
    from genzoo.training.trainer import Progress

OnProgress = Callable[[str, int, int, str], None]
"""Called with the stage, how much of it is done, how much there is, and a short remark."""


def load_causal_lm(folder: Path, device: str | None = None) -> tuple[Any, Any]:
    """A backbone in float32 with its tokenizer; bfloat16 gradients of the trained tokens proved useless on small backbones."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), AutoTokenizer.from_pretrained(
        folder
    )


@dataclass
class TrainingRun:
    """One recipe on one query log in one output folder."""

    recipe: Recipe
    queries: Sequence[Query]
    output: Path
    device: str | None = None
    batch_size: int = 32
    on_progress: OnProgress = lambda stage, done, total, remark: None

    @cached_property
    def backbone_folder(self) -> Path:
        """Local folder of the frozen LLM."""
        return fetch_backbone(self.recipe.backbone, lambda line: self.on_progress("backbone", 0, 1, line))

    @cached_property
    def causal_lm(self) -> tuple[Any, Any]:
        """The one copy of the backbone that all stages share, and its tokenizer."""
        return load_causal_lm(self.backbone_folder, self.device)

    def responses(self) -> list[Response]:
        """Stage 1: the backbone answers the queries (the first ``recipe.response.limit`` of them)."""
        asked = self.queries[: self.recipe.response.limit or None]
        report = lambda done, total: self.on_progress("responses", done, total, "")  # noqa: E731
        made = generate_responses(
            asked,
            self.output / "responses.jsonl",
            lambda: self.causal_lm,
            self.recipe.response,
            self.batch_size,
            report,
        )
        return [row for row in made if row.response]

    def split(self, responses: Sequence[Response]) -> tuple[list[Response], list[Response]]:
        """Training part and held-out part: the last answered queries, at most a tenth of them."""
        held = min(self.recipe.held_out, len(responses) // 10)
        return list(responses[: len(responses) - held]), list(responses[len(responses) - held :])

    def examples(self) -> list[Example]:
        """The training examples that follow from recipe, queries and responses."""
        train, held = self.split(self.responses())
        if not train:
            raise TrainingError("no query has a response: the backbone answered nothing; look at responses.jsonl")
        unseen = {row.query for row in held}
        texts = [query.text for query in self.queries if query.text not in unseen]
        optim = self.recipe.optim
        return make_examples(self.recipe, train, texts, optim.steps * optim.batch)

    def targets(self, texts: Sequence[str]) -> dict[str, Any]:
        """Stage 2: teacher embeddings of the target texts."""
        report = lambda done, total: self.on_progress("targets", done, total, "")  # noqa: E731
        name = self.recipe.teacher
        return compute_targets(texts, lambda: load_teacher(name, self.device), name, self.output / "targets", report)

    def train(self) -> TokenCheckpoint:
        """Stages 1 to 3, then the checkpoint folder."""
        from genzoo.training.trainer import TokenTrainer

        examples = self.examples()
        targets = self.targets([one.target for one in examples])
        model, tokenizer = self.causal_lm
        trainer = TokenTrainer(self.recipe, model, tokenizer, examples, targets, self.output / "tokens")

        def report(progress: Progress) -> None:
            recon = "" if progress.recon is None else f", reconstruction {progress.recon:.2f} nats/token"
            self.on_progress("training", progress.step, progress.steps, f"alignment {progress.align:.3f}{recon}")

        trainer.run(report)
        checkpoint = self._checkpoint(trainer)
        checkpoint.save(self.output / "checkpoint")
        controls = self.controls(checkpoint)
        if controls is not None:
            checkpoint = replace(checkpoint, info=checkpoint.info | {"controls": asdict(controls)})
            checkpoint.save(self.output / "checkpoint")
        return checkpoint

    def controls(self, checkpoint: TokenCheckpoint) -> Controls | None:
        """Figures of a checkpoint on the held-out queries; None where fewer than two were held out."""
        from genzoo.training.controls import measure_controls

        _, held = self.split(self.responses())
        if len(held) < 2:
            return None
        self.on_progress("controls", 0, 1, f"{len(held)} held-out queries")
        found = measure_controls(checkpoint, *self.causal_lm, held, self.targets([row.response for row in held]))
        self.on_progress("controls", 1, 1, f"own against shuffled response: {found.recon_gap:.2f} nats/token")
        return found

    def _checkpoint(self, trainer: Any) -> TokenCheckpoint:
        recipe = self.recipe
        known = BACKBONES.get(recipe.backbone).spare_rows if recipe.backbone in BACKBONES else ()
        return TokenCheckpoint(
            spec=make_spec(self.causal_lm[1], self.causal_lm[0].config.vocab_size, recipe, known),
            **trainer.heads.fold(trainer.target_scale),
            backbone=recipe.backbone,
            backbone_digest=backbone_digest(self.backbone_folder),
            recipe_digest=recipe.digest(),
            max_tokens=recipe.max_tokens,
            info={
                "recipe": recipe.as_dict(),
                "queries": len(self.queries),
                "examples": len(trainer.examples),
                "date": time.strftime("%Y-%m-%d"),
            },
        )


def make_spec(tokenizer: Any, vocab_size: int, recipe: Recipe, known: Sequence[int]) -> TokenSpec:
    """Rows for the recipe's tokens: spare ones, or new ones behind the vocabulary where the backbone has none to spare."""
    count = recipe.n_thought + recipe.n_compression
    rows = spare_rows(tokenizer, vocab_size, known, count) or tuple(range(vocab_size, vocab_size + count))
    names = tuple(
        tokenizer.convert_ids_to_tokens(row) if row < len(tokenizer) else f"<|gen_{place}|>"
        for place, row in enumerate(rows)
    )
    return TokenSpec(rows, names, recipe.n_thought, recipe.n_compression)
