"""What a recipe asks of backbone and log, and what a training run will take: parameters, memory, tokens, time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.backbones.depth import check_layer
from genzoo.backbones.entries import BACKBONES, Backbone, fetch_backbone, local_backbone
from genzoo.backbones.generation import Query
from genzoo.errors import InputError
from genzoo.frames import facts_to_html
from genzoo.jobs import CHARACTERS_PER_TOKEN, as_time, measure_speed
from genzoo.names import ModelName
from genzoo.policies.policy import read_examples
from genzoo.recipes.fields import ResponseOptions
from genzoo.recipes.recipes import UNSUPERVISED, Recipe
from genzoo.teachers.teachers import TEACHERS, fetch_teacher
from genzoo.training.examples import GRADIENT, has_recon, phases_of, recon_share, recon_tokens


def check_recipe(recipe: Recipe, backbone: Path, n_queries: int, makes_teacher: bool) -> None:
    """Raise `InputError` where the recipe cannot be made of this backbone and as many queries.

    Args:
        recipe: What is to be made.
        backbone: Local folder of its backbone.
        n_queries: In the log.
        makes_teacher: Whether the unsupervised teacher is fitted.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(backbone)
    check_layer(config, recipe.exit_layer)
    if makes_teacher:
        _check_teacher(recipe, config.get_text_config(), n_queries)
    width = config.get_text_config().hidden_size
    if recipe.lora.rank > width:
        raise InputError(f"lora.rank is {recipe.lora.rank}, the backbone is {width} wide: give at most that")
    if recipe.lora.rank:
        import torch
        from transformers import AutoModelForCausalLM

        from genzoo.backbones.lora import Lora

        with torch.device("meta"):  # shapes alone
            model = AutoModelForCausalLM.from_config(config)
        Lora.create(model, 1, recipe.lora.modules, recipe.seed)


def check_what_is_here(recipe: Recipe, n_queries: int) -> None:
    """`check_recipe` as far as nothing has to be fetched for it: for a plan.

    Raises:
        InputError: As `check_recipe`, where the backbone is on this machine.
        ZooError: For a backbone or teacher that is neither a key, nor a folder that holds one, nor a name on the Hub.
    """
    if recipe.losses.align and recipe.teacher != UNSUPERVISED and recipe.teacher not in TEACHERS:
        _check_name(recipe.teacher, fetch_teacher)
    if recipe.policy.examples:
        read_examples(recipe.policy.examples)
    if recipe.backbone not in BACKBONES:
        _check_name(recipe.backbone, fetch_backbone)
    if (folder := local_backbone(recipe.backbone)) is not None:
        check_recipe(recipe, folder, n_queries, bool(recipe.losses.align) and recipe.teacher == UNSUPERVISED)


def _check_name(name: str, fetch: Callable[[str], Path]) -> None:
    """Have a name that is no key refused, unless it is one of the Hub, which only the Hub can refuse."""
    if not ModelName.parse(name).is_on_hub:
        fetch(name)


def _check_teacher(recipe: Recipe, config: Any, n_queries: int) -> None:
    from genzoo.teachers.unsupervised import check_options

    most = recipe.unsupervised.fit_texts
    held = min(recipe.held_out, min(recipe.response.limit or n_queries, n_queries) // 10)
    check_options(
        recipe.unsupervised,
        config,
        min(n_queries - held, most),
        f"the log has {n_queries:,}, of which {held:,} are held out and at most {most:,} (fit_texts) are taken",
    )


GENERATING, TRAINING = 0.3, 0.85
"""Share of the plain float32 matrix-product speed that generation and training reach."""
BFLOAT16 = 3.0
"""How much faster a backbone answers in bfloat16 where that pays at all (measured on a CPU that multiplies 4 times as fast in it)."""
FLOAT = 4


def backbone_row(name: str) -> Backbone | None:
    """What is known of a backbone that is not loaded: its row, or one made of its folder's config; None where it is not at hand."""
    if (row := BACKBONES.find(name)) or not Path(name).is_dir():
        return row
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(name).get_text_config()
    with torch.device("meta"):
        count = sum(one.numel() for one in AutoModelForCausalLM.from_config(config).parameters())
    facts = (config.num_hidden_layers, count, config.vocab_size)
    return Backbone(name, "", None, config.model_type, config.hidden_size, "", *facts, sources=())


def _kept_per_token(row: Backbone) -> int:
    """Numbers that the backward pass needs of one token in one layer; the MLP's width follows from the parameters."""
    inner = (row.n_parameters - row.vocab_size * row.hidden_size) / row.n_layers - 2.5 * row.hidden_size**2
    return round(6 * row.hidden_size + max(0.0, inner) / row.hidden_size)


FASTER, LARGE = 1.5, 50_000_000
"""How much faster bfloat16 must be, and how many parameters a backbone must have, for answers to be made in it: below that,
generation waits for other things than matrix products."""


def answers_in_bfloat16(options: ResponseOptions, backbone: Backbone | None, device: str | None = None) -> bool:
    """Whether the backbone answers in bfloat16: where the recipe lets it, it is large enough, and this machine is faster in it."""
    if options.precision != "auto" or backbone is None or backbone.n_parameters < LARGE:
        return False
    return measure_speed(device, "bfloat16") >= FASTER * measure_speed(device)


@dataclass(frozen=True)
class TrainingPlan:
    """A run's size.

    Attributes:
        recipe: What would be made.
        backbone: Row of its backbone, if it is known (`backbone_row`).
        n_queries: In the log.
        n_answered: Queries that the backbone answers.
        query_tokens: Mean length of a query.
        speed: Floating-point operations per second in float32.
        is_bfloat16: Whether the backbone answers in that.
    """

    recipe: Recipe
    backbone: Backbone | None
    n_queries: int
    n_answered: int
    query_tokens: float
    speed: float
    is_bfloat16: bool = False

    @property
    def dim(self) -> int | None:
        """D, if it is known before the teacher is loaded."""
        if not self.recipe.losses.align:
            return self.backbone.hidden_size if self.backbone else None
        if self.recipe.teacher == UNSUPERVISED:
            return self.recipe.unsupervised.whiten
        return row.dim if (row := TEACHERS.find(self.recipe.teacher)) else None

    @property
    def n_trained(self) -> int | None:
        """Numbers that are trained, a LoRA apart."""
        if self.backbone is None or self.dim is None:
            return None
        hidden = self.backbone.hidden_size
        return self.recipe.n_tokens * hidden + hidden * (hidden + 1) + self.dim * (hidden + 1)

    @property
    def depth(self) -> float:
        """Share of the backbone's layers that are run to embed a text."""
        layer = self.recipe.exit_layer
        return layer / self.backbone.n_layers if layer and self.backbone else 1.0

    @property
    def response_tokens(self) -> int:
        """Tokens to generate, at most."""
        return self.n_answered * self.recipe.response.max_new_tokens if self.recipe.response.source == "own" else 0

    def scored_tokens(self, limit: int) -> int:
        """Response tokens of an example that the reconstruction loss scores, at most."""
        options = self.recipe.response
        return min(options.max_new_tokens if options.source == "own" else round(self.query_tokens), limit)

    @property
    def training_tokens(self) -> float:
        """Whole forward passes of a token over the training, one with gradients counted `GRADIENT` times."""
        recipe, optim = self.recipe, self.recipe.optim
        text, total = min(self.query_tokens + 6, recipe.max_tokens), 0.0
        for phase in phases_of(recipe):
            is_finished = phase.kind == "reconstruction"
            each = text * (GRADIENT if recipe.lora.rank and not is_finished else 1)
            each = self.depth * (each + recipe.n_tokens * (1 if is_finished else GRADIENT))
            answer = self.scored_tokens(recon_tokens(recipe, phase.start)) + recipe.n_compression
            scored = answer * GRADIENT * recon_share(recipe, phase.start)
            with_recon = sum(has_recon(recipe, step) for step in range(phase.start, phase.end))
            total += (each * phase.steps + scored * with_recon) * optim.batch
        return total

    @property
    def memory(self) -> int | None:
        """Bytes at the peak of a step: one float32 backbone, the activations of a micro-batch, the logits at hand."""
        if self.backbone is None:
            return None
        optim, recipe = self.recipe.optim, self.recipe
        held = min(optim.micro_batch or optim.batch, optim.batch)
        tokens = held * recipe.n_tokens * self.depth
        if recipe.reconstructs:
            scored = recipe.n_compression + self.scored_tokens(recipe.losses.recon_tokens)
            tokens += max(1, round(held * recipe.losses.recon_share)) * scored
        activations = tokens * self.backbone.n_layers * _kept_per_token(self.backbone)
        trained = 4 * (self.n_trained or 2 * self.backbone.hidden_size**2)  # itself, its gradient, two moments
        return round(FLOAT * (self.backbone.n_parameters + activations + trained + 3 * (1 << 24)))

    def seconds(self) -> dict[str, float] | None:
        """Stage -> seconds on this machine; None for a backbone that is not at hand."""
        if self.backbone is None:
            return None
        per_token = 2 * self.backbone.n_parameters / self.speed
        asked = self.n_answered * (self.query_tokens + 20) if self.response_tokens else 0
        answering = per_token / (BFLOAT16 if self.is_bfloat16 else 1)
        return {
            "responses": (self.response_tokens / GENERATING + asked / TRAINING) * answering,
            "training": self.training_tokens * per_token / TRAINING,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The plan for people: what, and how much."""
        recipe, optim = self.recipe, self.recipe.optim
        row = self.backbone
        licence = f", licence {row.licence}{', gated: ' + row.page if row.gated else ''}" if row and row.licence else ""
        size = f"{row.n_parameters / 1e6:,.0f} M parameters" if row else "size known once it is fetched"
        trained = f"{self.n_trained:,}" if self.n_trained else "known once the teacher is loaded"
        tokens = f"{recipe.n_thought} thought + {recipe.n_compression} compression tokens"
        of = f" of {row.n_layers}" if row else ""
        answers = f"at most {self.response_tokens:,}" if self.response_tokens else f"none ({recipe.response.source})"
        made = [
            ("recipe", f"{recipe.name} (digest {recipe.digest()})"),
            ("backbone", f"{recipe.backbone}: {size}{licence}"),
            ("teacher", recipe.teacher if recipe.losses.align else "none: the alignment loss is off"),
            ("trained parameters", f"{trained} ({tokens})"),
            ("queries", f"{self.n_queries:,}, of which {self.n_answered:,} are answered"),
            ("response tokens", answers),
            *([("policy", f"taught by the examples of {recipe.policy.examples}")] if recipe.policy.examples else []),
            *([("tokens read after", f"layer {recipe.exit_layer}{of}")] if recipe.exit_layer else []),
            ("training", f"{optim.steps:,} steps of {optim.batch}: {optim.steps * optim.batch:,} examples"),
            ("training tokens", f"about {self.training_tokens / 1e6:,.1f} M"),
            ("memory", f"about {self.memory / 1e9:.1f} GB at the peak of a step" if self.memory else "unknown"),
        ]
        times = self.seconds()
        if times is None:
            return [*made, ("time", "unknown: fetch the backbone first")]
        made += [(f"time, {stage}", f"about {as_time(value)}") for stage, value in times.items() if value]
        total, speed = as_time(sum(times.values())), f"{self.speed / 1e9:.0f} GFLOP/s"
        return [*made, ("time in all", f"about {total}, and the teacher's; measured at {speed}")]

    def _repr_html_(self) -> str:
        return facts_to_html(self.rows())


def make_plan(recipe: Recipe, queries: Sequence[Query], speed: float, is_bfloat16: bool = False) -> TrainingPlan:
    """The plan of a recipe on a log; nothing is fetched, loaded or written. Arguments as the attributes of `TrainingPlan`."""
    answered = min(recipe.response.limit or len(queries), len(queries))
    mean = sum(len(query.text) for query in queries) / len(queries) / CHARACTERS_PER_TOKEN
    return TrainingPlan(recipe, backbone_row(recipe.backbone), len(queries), answered, mean, speed, is_bfloat16)
