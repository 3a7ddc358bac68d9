"""The whole way from a query log to a checkpoint; each stage keeps its file in the output folder and is skipped when it is there.

``policy/`` -> ``responses.jsonl`` and ``refusals/`` -> ``teacher/`` -> ``targets/`` -> ``tokens/`` (state and history) -> ``checkpoint/``
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from genzoo.backbones.entries import BACKBONES, backbone_content, backbone_digest, fetch_backbone
from genzoo.backbones.generation import Query, Response, make_engine
from genzoo.backbones.sources import pin_name
from genzoo.backbones.tokenizer import template_limit
from genzoo.backbones.whole import load_causal_lm, open_tokenizer
from genzoo.compute import computing
from genzoo.errors import TrainingError
from genzoo.files import folder_content
from genzoo.jobs import Processes, Shard, report
from genzoo.models.checkpoint import TokenCheckpoint, make_spec
from genzoo.models.exported import base_folder
from genzoo.models.loading import loaded_content
from genzoo.models.prompts import without
from genzoo.policies.policy import Policy, with_content
from genzoo.policies.reading import ReadingTexts, reading_texts
from genzoo.recipes.recipes import UNSUPERVISED, Recipe
from genzoo.teachers.targets import compute_targets, embed
from genzoo.teachers.teachers import TEACHERS, fetch_teacher, load_teacher
from genzoo.teachers.unsupervised import fit_teacher, teacher_name
from genzoo.training.controls import Controls, measure_controls
from genzoo.training.examples import TrainingExample, first_sentence, make_examples, phases_of
from genzoo.training.plan import answers_in_bfloat16, backbone_row, check_recipe
from genzoo.training.responses import (
    HELD_OUT,
    REFUSALS,
    answer_facts,
    changes,
    check_made_with,
    check_options,
    echo_responses,
    generate_responses,
    options_digest,
    read_options,
    write_responses,
)
from genzoo.training.state import StateFolder, TextStates
from genzoo.training.trainer import TokenTrainer

log = logging.getLogger(__name__)
AXES_PAIRS = 1024
"""Queries and their responses that the embedding's axes are found on."""


def teacher_content(name: str) -> str:
    """What tells a teacher from every other: the digest of a folder's files, else the name with its commit.

    A folder that loads a backbone from elsewhere is told by that too.
    """
    folder = Path(name)
    if name in TEACHERS or not folder.is_dir():
        return pin_name(name)
    is_whole = base_folder(folder) in (None, folder)
    return f"folder-{folder_content(folder)}" + ("" if is_whole else f"-{loaded_content(folder)}")


@dataclass
class TrainingRun:
    """One recipe on one query log in one output folder.

    Attributes:
        recipe: What to make.
        queries: The log.
        output: Folder of this run; everything that a stage makes is kept there.
        device: Where to compute.
        batch_size: Queries that are answered at once.
        processes: Those that train together.
        responses_folder: Where responses are kept, if not in the output folder: several runs may share them.
        targets_folder: The same for teachers and targets.
        texts: Keeps the states of texts for other runs on the same backbone.
        always_judged: The teacher judges decoded texts even where the alignment loss is off and nothing else needs one.
    """

    recipe: Recipe
    queries: Sequence[Query]
    output: Path
    device: str | None = None
    batch_size: int = 32
    processes: Processes = field(default_factory=Processes)
    responses_folder: Path | None = None
    targets_folder: Path | None = None
    always_judged: bool = False
    texts: TextStates | None = None

    def __post_init__(self) -> None:
        self.device = self.processes.device or self.device
        self._answers = self.responses_folder or self.output
        self._shared = self.targets_folder or self.output
        self._is_judged = bool(self.recipe.losses.align) or self.always_judged
        self.recipe = with_content(self.recipe)

    @cached_property
    def backbone_folder(self) -> Path:
        """Local folder of the frozen LLM."""
        return fetch_backbone(self.recipe.backbone)

    @cached_property
    def causal_lm(self) -> tuple[Any, Any]:
        """The one copy of the backbone that all stages share, and its tokenizer."""
        return load_causal_lm(self.backbone_folder, self.device)

    @cached_property
    def backbone_digest(self) -> str:
        """Digest of the frozen LLM's weights."""
        return backbone_digest(self.backbone_folder)

    @cached_property
    def backbone_content(self) -> str:
        """Digest of the frozen LLM's weights, config, tokenizer and chat template."""
        return backbone_content(self.backbone_folder, self.backbone_digest)

    @property
    def answer_facts(self) -> dict[str, Any]:
        """All that an answer depends on, apart from its query."""
        return answer_facts(self.recipe.backbone, self.backbone_content, self.recipe.response)

    def _answering_lm(self) -> tuple[Any, Any]:
        """The backbone that answers: the shared one, or a copy in bfloat16 that is dropped afterwards."""
        row = backbone_row(self.recipe.backbone) or backbone_row(str(self.backbone_folder))
        if answers_in_bfloat16(self.recipe.response, row, self.device):
            return load_causal_lm(self.backbone_folder, self.device, "bfloat16")
        return self.causal_lm

    @computing()
    def responses(self, shard: Shard | None = None) -> list[Response]:
        """Stage 1: the backbone answers the queries (the first ``recipe.response.limit`` of them, or a shard of those).

        Those that the policy refuses get a refusal instead.
        """
        options = self.recipe.response
        asked = self.queries[: options.limit or None]
        if options.source != "own":
            return echo_responses(asked)
        if self.processes.count > 1:
            shard = Shard(self.processes.rank + 1, self.processes.count)
        answering_lm = cache(self._answering_lm)
        refused = self._refused(asked, answering_lm, shard)
        made = self._respond(asked, self._answers, answering_lm, shard, skip=refused)
        if refused:
            others = {query.text for query in asked} - refused
            opening = self.recipe.policy.opening
            made += self._respond(asked, self._answers / REFUSALS, answering_lm, shard, skip=others, opening=opening)
        by_query = {row.query: row for row in made if row.response}
        return [by_query[query.text] for query in asked if query.text in by_query]

    def _respond(
        self,
        asked: Sequence[Query],
        folder: Path,
        answering_lm: Callable[[], tuple[Any, Any]],
        shard: Shard | None,
        skip: Collection[str],
        opening: str = "",
    ) -> list[Response]:
        """Responses to the queries that are not skipped, all of which begin with the opening."""
        options, facts = self.recipe.response, self.answer_facts | ({"opening": opening} if opening else {})
        if self.processes.is_main:
            check_options(folder, facts)
        made_with = options_digest(facts)
        made = generate_responses(
            asked,
            folder,
            lambda: make_engine(options, lambda: self.backbone_folder, answering_lm, opening),
            self.batch_size,
            shard,
            made_with,
            skip,
        )
        if self.processes.count > 1:
            self.processes.wait()
            made = generate_responses(asked, folder, _no_engine, made_with=made_with, skip=skip)
        return made

    def _refused(
        self, asked: Sequence[Query], answering_lm: Callable[[], tuple[Any, Any]], shard: Shard | None
    ) -> set[str]:
        """The queries that the policy refuses; what it does to the log is written down once all are judged."""
        if self.policy is None:
            return set()
        margins = self.policy.judge(asked, answering_lm, shard)
        if self.processes.count > 1:
            self.processes.wait()
            margins = self.policy.judge(asked, _no_engine)
        if self.processes.is_main and len(margins) == len(asked):
            self.policy.keep(margins, self.output / "policy.json")
        return {text for text, margin in margins.items() if margin > 0}

    @cached_property
    def refused(self) -> set[str]:
        """The queries that the policy refuses, once all are judged; none where there is no policy."""
        return self._refused(self.queries[: self.recipe.response.limit or None], _no_engine, None)

    @cached_property
    def policy(self) -> Policy | None:
        """What decides which queries are refused; None where the recipe has no policy."""
        recipe = self.recipe
        if not recipe.policy.examples:
            return None
        made_with = options_digest(self.answer_facts)
        return Policy(recipe.policy, recipe.response.system_text, self._answers / "policy", made_with, recipe.seed)

    def take(self, rows: Sequence[Response], source: Path) -> None:
        """Begin with responses that were made earlier, unless this run has some already.

        Args:
            rows: Those that answer queries of this run.
            source: The file that they were read from.

        Raises:
            TrainingError: Where they, or ``responses.json`` beside them, say that they were made otherwise.
        """
        path = self._answers / "responses.jsonl"
        if not rows or path.is_file() or self.recipe.response.source != "own":
            return
        facts = self.answer_facts
        beside = read_options(source.parent) if source.name.startswith("responses") else {}
        if changed := changes(beside, facts):
            raise TrainingError(
                f"{source} holds responses made with another setting ({'; '.join(changed)}): give the settings they were made with, "
                "or leave --responses out to have the queries answered anew"
            )
        check_made_with(source, rows, options_digest(facts))
        write_responses(path, rows)

    def split(self, responses: Sequence[Response]) -> tuple[list[Response], list[Response]]:
        """Training part and held-out part: the last answered queries, at most a tenth of them."""
        held = min(self.recipe.held_out, len(responses) // 10)
        return list(responses[: len(responses) - held]), list(responses[len(responses) - held :])

    def training_texts(self, held: Sequence[Response]) -> list[str]:
        """Queries of the log that are not held out."""
        unseen = {row.query for row in held}
        return [query.text for query in self.queries if query.text not in unseen]

    def examples(self) -> list[TrainingExample]:
        """The training examples that follow from recipe, queries and responses."""
        train, held = self.split(self.responses())
        if not train:
            raise TrainingError("no query has a response: the backbone answered nothing; look at responses.jsonl")
        texts, made = self.training_texts(held), list[TrainingExample]()
        for place, phase in enumerate(phases_of(self.recipe)):
            # Each phase draws for itself: what follows changes nothing of what went before.
            drawn = replace(self.recipe, seed=self.recipe.seed + place)
            made += make_examples(drawn, train, texts, phase.steps * self.recipe.optim.batch, self.refused)
        return made

    @cached_property
    def teacher(self) -> tuple[str, Callable[[], Any]]:
        """The teacher's name in the targets' keys, and what loads it; an unsupervised one is fitted when first loaded."""
        recipe = self.recipe
        if recipe.teacher != UNSUPERVISED:
            return teacher_content(recipe.teacher), lambda: load_teacher(recipe.teacher, self.device)
        texts = self.training_texts(self.split(self.responses())[1])
        name, former = (
            teacher_name(content, recipe.unsupervised, texts, recipe.seed)
            for content in (self.backbone_content, self.backbone_digest)
        )
        kept = self._shared / "teacher"
        if (kept / former / "modules.json").is_file() and not (kept / name).exists():
            log.warning(
                f"{kept / former} was made by an earlier version: its name tells the weights, texts and options that it was made "
                "of, but not the tokenizer. It is taken as it is; if the tokenizer may have changed, delete that folder."
            )
            name = former
        return name, lambda: load_teacher(str(self._fit_teacher(texts, kept / name)), self.device)

    def _fit_teacher(self, texts: Sequence[str], folder: Path) -> Path:
        """The unsupervised teacher's SentenceTransformer folder, fitted on the log where it is not there yet."""
        if not (folder / "modules.json").is_file():
            options = self.recipe.unsupervised
            fit_teacher(self.backbone_folder, texts, options, folder, seed=self.recipe.seed, device=self.device)
        return folder

    @computing()
    def targets(self, texts: Sequence[str]) -> dict[str, Any]:
        """Stage 2: teacher embeddings of the target texts; none where the alignment loss is off."""
        return self._embed(texts) if self.recipe.losses.align else {}

    def _embed(self, texts: Sequence[str]) -> dict[str, Any]:
        name, load = self.teacher
        with self.processes.main_first():
            return compute_targets(texts, load, name, self._shared / "targets", self.recipe.teacher)

    def fetch(self) -> None:
        """Have at hand what the stages need, before hours go into the first: the backbone, and a teacher that is not made here.

        Raises:
            InputError: Where the recipe asks for what this backbone or this log does not have.
        """
        recipe, is_taught = self.recipe, self._is_judged
        with self.processes.main_first():
            folder = self.backbone_folder
            check_recipe(recipe, folder, len(self.queries), is_taught and recipe.teacher == UNSUPERVISED)
            leading = open_tokenizer(folder)("")["input_ids"]
            template_limit(recipe.max_tokens, len(leading) + recipe.n_tokens)
            if is_taught and recipe.teacher != UNSUPERVISED:
                fetch_teacher(recipe.teacher)
                if not (self._shared / "targets").is_dir():
                    load_teacher(recipe.teacher, "cpu")  # refuses one that did not load in full, then lets go of it

    @computing()
    def train(self) -> TokenCheckpoint:
        """Stages 1 to 3, then the checkpoint folder."""
        self.fetch()
        made_of = {"backbone": self.backbone_content}
        StateFolder(self.output / "tokens", {"recipe": self.recipe.digest()} | made_of).check()
        examples = self.examples()
        targets = self.targets([one.target for one in examples])
        if targets:
            made_of["teacher"] = self.teacher[0]
        trainer = TokenTrainer(
            self.recipe, *self.causal_lm, examples, targets, self.output / "tokens", self.processes, self.texts, made_of
        )
        trainer.run()
        checkpoint = self._checkpoint(trainer)
        if self.processes.is_main:
            checkpoint.save(self.output / "checkpoint")
            controls = self.controls(checkpoint)
            if controls is not None:
                checkpoint = replace(checkpoint, info=checkpoint.info | {"controls": asdict(controls)})
                checkpoint.save(self.output / "checkpoint")
        self.processes.wait()
        return checkpoint

    def _policy_summary(self) -> dict[str, Any]:
        """What the policy did to the log, for the checkpoint and its card."""
        assert self.policy is not None  # noqa: S101 - the caller has one
        asked = self.queries[: self.recipe.response.limit or None]
        return self.policy.summary(self.policy.judge(asked, _no_engine))

    def _policy_texts(self, trainer: TokenTrainer) -> ReadingTexts:
        """What teaches the policy's axis; nothing of it is held out."""
        assert self.policy is not None  # noqa: S101 - the caller has one
        rows = self.split(self.responses())[0]
        judged = self.policy.refusal([Query(row.id, row.query) for row in rows], _no_engine)
        answers = [row.response for row in rows if row.query not in self.refused]
        passages = [first_sentence(text) if at % 2 else text for at, text in enumerate(answers)]
        return reading_texts(self.policy.examples, judged, passages, [without(one.text) for one in trainer.first[::-1]])

    def controls(self, checkpoint: TokenCheckpoint) -> Controls | None:
        """Figures of a checkpoint on the held-out queries; None where fewer than two were held out."""
        alone = self if self.processes.count == 1 else replace(self, processes=Processes())
        _, held = self.split(alone.responses())
        if len(held) < 2:
            return None
        write_responses(self.output / HELD_OUT, held)
        report("controls", 0, 4, f"{len(held)} held-out queries")
        return measure_controls(
            checkpoint,
            *self.causal_lm,
            held,
            alone._embed([row.response for row in held]) if self._is_judged else {},
            judge=(lambda texts: embed(alone.teacher[1](), texts)) if self._is_judged else None,
            seed=self.recipe.seed,
        )

    def _checkpoint(self, trainer: TokenTrainer) -> TokenCheckpoint:
        recipe = self.recipe
        known = row.spare_rows if (row := BACKBONES.find(recipe.backbone)) else ()
        model, tokenizer = self.causal_lm
        readout = axes = head = None
        if recipe.losses.align:
            rows = [row for row in self.split(self.responses())[0] if row.query not in self.refused][:AXES_PAIRS]
            readout, axes = trainer.readout([(row.query, row.response) for row in rows])
        told: dict[str, Any] = {}
        if self.policy is not None:
            told["policy"] = self._policy_summary()
            if readout is not None and recipe.pulls:
                head, read = trainer.policy_head(readout, self._policy_texts(trainer))
                told["policy"] |= read
        return TokenCheckpoint(
            spec=make_spec(
                tokenizer, model.get_input_embeddings().num_embeddings, recipe.n_thought, recipe.n_compression, known
            ),
            **trainer.heads.fold(readout, axes, head),
            policy=trainer.heads.fold_policy(head, axes) if head else {},
            axes=None if axes is None or recipe.optim.readout != "teacher" else axes.float().cpu().contiguous(),
            backbone=recipe.backbone,
            backbone_digest=self.backbone_digest,
            recipe_digest=recipe.digest(),
            max_tokens=recipe.max_tokens,
            unit_length=True,
            info={
                "recipe": asdict(recipe),
                "queries": len(self.queries),
                "examples": len(trainer.examples),
                "precision": "bfloat16" if trainer.is_bfloat16 else "float32",
                "date": time.strftime("%Y-%m-%d"),
            }
            | ({"backbone_layers": model.config.num_hidden_layers} if recipe.exit_layer else {})
            | told
            | ({"default_prompt_name": "query"} if recipe.views.as_query else {}),
            exit_layer=recipe.exit_layer,
            lora=trainer.lora.tensors() if trainer.lora is not None else {},
        )


def _no_engine() -> Any:
    raise TrainingError("a process left queries unanswered: run the same command again, it goes on there")
