"""TokenCheckpoint: what training makes. n embedding rows, two linear projections, and the facts needed to use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genzoo.backbones.tokenizer import spare_rows
from genzoo.backbones.untrusted import check_links
from genzoo.errors import CheckpointError
from genzoo.files import keep_others, read_json, replace_folder, write_json
from genzoo.models.prompts import all_prompts

WEIGHTS, LORA, CONFIG = "tokens.safetensors", "lora.safetensors", "genzoo.json"
FORMAT = 1
_TENSORS = ("rows", "recon_weight", "recon_bias", "align_weight", "align_bias")
POLICY_TENSORS = ("weight", "bias", "direction")
POLICY = "policy."
"""What their names begin with in the file."""
_FACTS = ("backbone", "backbone_digest", "recipe_digest", "max_tokens")
_RARE = ("exit_layer", "unit_length")
"""Fields that are written only where they are not at their defaults, so that older files keep their digests."""


@dataclass(frozen=True)
class TokenSpec:
    """Which embedding rows carry the trained tokens, in input order: thought tokens first, then compression tokens.

    Attributes:
        ids: Row of the backbone's embedding matrix for each token, or ids from the vocabulary size on where the backbone
            has no spare row (then only the whole form can be exported).
        names: Token string of each row; never matched against user text.
        n_thought: Leading tokens that are scratch space and are not pooled.
        n_compression: Trailing tokens whose mean is the embedding.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    n_thought: int
    n_compression: int

    def __post_init__(self) -> None:
        _check_types(self)
        n = self.n_thought + self.n_compression
        if not (len(self.ids) == len(self.names) == n and len(set(self.ids)) == n and self.n_compression > 0):
            raise CheckpointError(
                f"token spec has {len(self.ids)} ids and {len(self.names)} names for {self.n_thought} thought and "
                f"{self.n_compression} compression tokens: all ids must be distinct and the counts must agree"
            )

    def __len__(self) -> int:
        return len(self.ids)


def make_spec(tokenizer: Any, vocab_size: int, n_thought: int, n_compression: int, known: Sequence[int]) -> TokenSpec:
    """Rows for the tokens to be trained: spare ones, or new ones behind the vocabulary where the backbone has none to spare."""
    n_tokens = n_thought + n_compression
    new = tuple(range(vocab_size, vocab_size + n_tokens))
    rows = spare_rows(tokenizer, vocab_size, known, n_tokens) or new
    names = tuple(
        tokenizer.convert_ids_to_tokens(row) if row < len(tokenizer) else f"<|gen_{place}|>"
        for place, row in enumerate(rows)
    )
    return TokenSpec(rows, names, n_thought, n_compression)


@dataclass(frozen=True)
class TokenCheckpoint:
    """Trained tokens of one model (method: LLM2Vec-Gen section 3).

    Attributes:
        spec: Where the rows go.
        rows: ``(n, H)`` embeddings of the trained tokens, in their order.
        recon_weight: ``(H, H)`` reconstruction projection: hidden state -> soft prompt.
        recon_bias: ``(H,)``.
        align_weight: ``(D, H)`` alignment projection: soft prompt -> embedding.
        align_bias: ``(D,)``.
        backbone: Key, hub id or folder name of the frozen LLM, as `genzoo.backbones.entries` knows it.
        backbone_digest: Digest of the backbone's weights that the tokens were trained on.
        recipe_digest: Digest of the recipe, or of the source for an imported checkpoint.
        max_tokens: Longest input in tokens, trained tokens included.
        info: Free facts for people (steps, losses, data, date).
        lora: Low-rank changes of the encoding pass, see `genzoo.backbones.lora`; usually none.
        exit_layer: The tokens' states are read after this many layers (`genzoo.backbones.depth`); 0 reads them after the last.
        unit_length: Embeddings are scaled to length 1, so that dot product, Euclidean distance and cosine rank alike. A file
            that does not say so is of a model that was measured without.
        axes: ``(D, D)`` rotation: the embedding's dimensions, as directions of the teacher's space; None where they are the teacher's
            own. Changes no embedding, and is no part of the digest.
        policy: What a content policy adds (`genzoo.training.heads`); usually none. ``weight (H,)`` and ``bias (1,)`` read a score from
            the mean soft prompt, which is added along ``direction (D,)`` where it is above 0.
    """

    spec: TokenSpec
    rows: torch.Tensor
    recon_weight: torch.Tensor
    recon_bias: torch.Tensor
    align_weight: torch.Tensor
    align_bias: torch.Tensor
    backbone: str
    backbone_digest: str
    recipe_digest: str
    max_tokens: int = 512
    info: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, torch.Tensor] = field(default_factory=dict)
    exit_layer: int = 0
    unit_length: bool = False
    axes: torch.Tensor | None = None
    policy: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.align_weight.ndim != 2:
            raise CheckpointError(
                f"rows and align_weight must be matrices, got shapes {tuple(self.rows.shape)} and {tuple(self.align_weight.shape)}"
            )
        n, hidden, dim = len(self.spec), self.hidden_size, self.dim
        shapes = {"rows": (n, hidden), "recon_weight": (hidden, hidden), "recon_bias": (hidden,)}
        shapes |= {"align_weight": (dim, hidden), "align_bias": (dim,)}
        strings = (self.backbone, self.backbone_digest, self.recipe_digest)
        if not (all(isinstance(text, str) for text in strings) and isinstance(self.info, dict)):
            raise CheckpointError(f"{CONFIG} must hold texts for backbone and digests, and an object for info")
        if type(self.max_tokens) is not int or self.max_tokens <= n:
            raise CheckpointError(
                f"max_tokens is {self.max_tokens!r}: a whole number above {n} (the trained tokens) is needed"
            )
        if type(self.exit_layer) is not int or self.exit_layer < 0:
            raise CheckpointError(f"exit_layer is {self.exit_layer!r}: a whole number from 0 on is needed")
        if type(self.unit_length) is not bool:
            raise CheckpointError(f"unit_length is {self.unit_length!r}: true or false is needed")
        if self.axes is not None:
            shapes["axes"] = (dim, dim)
        tensors = {name: getattr(self, name) for name in shapes}
        if self.policy:
            wanted = dict(zip(POLICY_TENSORS, ((hidden,), (1,), (dim,)), strict=True))
            if self.policy.keys() != wanted.keys():
                raise CheckpointError(
                    f"a policy has the tensors {', '.join(self.policy)}, expected {', '.join(wanted)}"
                )
            shapes |= {POLICY + name: shape for name, shape in wanted.items()}
            tensors |= {POLICY + name: tensor for name, tensor in self.policy.items()}
        for name, shape in shapes.items():
            tensor = tensors[name]
            if tuple(tensor.shape) != shape:
                raise CheckpointError(f"tensor {name} has shape {tuple(tensor.shape)}, expected {shape}")
            if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
                raise CheckpointError(f"tensor {name} holds NaN or infinite numbers: the checkpoint is damaged")

    @property
    def hidden_size(self) -> int:
        """H, the width of the backbone's hidden states."""
        return self.rows.shape[-1]

    @property
    def dim(self) -> int:
        """D, the width of the embeddings (the teacher's)."""
        return self.align_weight.shape[0]

    @property
    def n_parameters(self) -> int:
        """How many numbers were trained."""
        return sum(tensor.numel() for tensor in (self.tensors() | self.lora).values())

    @property
    def depth(self) -> str:
        """After which layer the tokens are read, in words; empty where that is the last one."""
        layers = self.info.get("backbone_layers")
        of = f" of {layers}" if type(layers) is int else ""
        return f"layer {self.exit_layer}{of}" if self.exit_layer else ""

    def tensors(self) -> dict[str, torch.Tensor]:
        """The five tensors by name, contiguous and on the CPU."""
        return {name: getattr(self, name).detach().cpu().contiguous() for name in _TENSORS}

    def aligned(self, soft: torch.Tensor) -> torch.Tensor:
        """Embeddings ``(..., D)``, not yet of unit length, of mean soft prompts ``(..., H)``."""
        made = soft @ self.align_weight.to(soft).T + self.align_bias.to(soft)
        if not self.policy:
            return made
        return made + self._refusal(soft).clamp(min=0)[..., None] * self.policy["direction"].to(soft)

    @property
    def refusal_opening(self) -> str:
        """How the refusals of its content policy begin; empty where there is none."""
        recipe = self.info.get("recipe")
        policy = recipe.get("policy") if isinstance(recipe, dict) else None
        return str(policy.get("opening", "")) if isinstance(policy, dict) and policy.get("examples") else ""

    def refuses(self, soft: torch.Tensor) -> torch.Tensor:
        """Which mean soft prompts ``(texts, H)`` look refused enough to be read as a refusal: ``(texts,)``, true or false.

        That is, their score is above ``info.policy.refused_above``; none is where the checkpoint has no such figure.
        """
        told = self.info.get("policy")
        above = told.get("refused_above") if isinstance(told, dict) else None
        if not isinstance(above, int | float) or not self.policy or not self.refusal_opening:
            return torch.zeros(len(soft), dtype=torch.bool, device=soft.device)
        return self._refusal(soft) > above

    def _refusal(self, soft: torch.Tensor) -> torch.Tensor:
        """The policy's score ``(...)`` of mean soft prompts ``(..., H)``."""
        return soft @ self.policy["weight"].to(soft) + self.policy["bias"][0].to(soft)

    def in_teacher_space(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """``(texts, D)`` embeddings in the teacher's dimensions.

        None where they were never there (``optim.readout``), or where an exported folder has not kept how they were turned.
        """
        if self.axes is not None:
            return embeddings @ self.axes.to(embeddings)
        optim = self.info.get("recipe", {}).get("optim", {})
        is_there = all(optim.get(name, "teacher") == "teacher" for name in ("axes", "readout"))
        return embeddings if is_there else None

    def prompts(self) -> dict[str, str]:
        """The instructions that the checkpoint brings along (a converted one has its own), else the zoo's."""
        own = self.info.get("prompts")
        if own is None:
            return all_prompts()
        if not isinstance(own, dict) or not all(isinstance(text, str) for pair in own.items() for text in pair):
            raise CheckpointError(f"{CONFIG}: info.prompts must map names to texts")
        return dict(own)

    @property
    def default_prompt_name(self) -> str | None:
        """The prompt that a bare ``encode`` puts before a text (``info.default_prompt_name``); None for no prompt."""
        name = self.info.get("default_prompt_name")
        if name is not None and name not in self.prompts():
            raise CheckpointError(f"{CONFIG}: info.default_prompt_name is {name!r}, which is none of its prompts")
        return name

    def digest(self) -> str:
        """40 hex characters over tensors, spec, backbone, exit layer and length: equal digests give equal embeddings."""
        facts = [
            asdict(self.spec),
            self.backbone_digest,
            self.max_tokens,
            *([self.exit_layer] if self.exit_layer else []),
            *(["unit length"] if self.unit_length else []),
        ]
        sha = hashlib.sha256(json.dumps(facts).encode())
        for name, tensor in (self.tensors() | dict(sorted(self.lora.items())) | self._policy_tensors()).items():
            sha.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            sha.update(tensor.view(torch.uint8).numpy().tobytes())
        return sha.hexdigest()[:40]

    def _policy_tensors(self) -> dict[str, torch.Tensor]:
        names = POLICY_TENSORS if self.policy else ()
        return {POLICY + name: self.policy[name].detach().cpu().contiguous() for name in names}

    def config(self) -> dict[str, Any]:
        """What ``genzoo.json`` holds: everything but the numbers."""
        facts = {name: getattr(self, name) for name in (*_FACTS, "hidden_size", "dim", "info")}
        rare = {name: getattr(self, name) for name in _RARE if getattr(self, name)}
        return {"format": FORMAT, "digest": self.digest(), "spec": asdict(self.spec), **facts} | rare

    def save(self, folder: Path) -> Path:
        """Write the checkpoint folder: its own files are replaced once all are complete, other files in it stay."""
        with replace_folder(folder) as new:
            axes = {} if self.axes is None else {"axes": self.axes}
            save_file(self.tensors() | axes | self._policy_tensors(), new / WEIGHTS, metadata={"format": "pt"})
            if self.lora:
                save_file(self.lora, new / LORA, metadata={"format": "pt"})
                (new / LORA).chmod(0o644)
            (new / WEIGHTS).chmod(0o644)  # safetensors makes files that only their owner can read
            write_json(new / CONFIG, self.config())
            keep_others(folder, new, but=(WEIGHTS, LORA, CONFIG))
        return folder

    @classmethod
    def load(cls, folder: Path) -> TokenCheckpoint:
        """Read a checkpoint folder; raise `CheckpointError` naming the first thing that is wrong with it."""
        folder = Path(folder)
        if not (folder / CONFIG).is_file():
            raise CheckpointError(
                f"{folder} is not a genzoo checkpoint: it has no {CONFIG}. Expected a folder that `genzoo train` wrote"
            )
        check_links(folder)
        config = read_json(folder / CONFIG, "this is not a genzoo checkpoint")
        try:
            tensors = load_file(folder / WEIGHTS)
            lora = load_file(folder / LORA) if (folder / LORA).is_file() else {}
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(
                f"{folder / WEIGHTS} cannot be read ({error}): it is missing, cut off or damaged; copy it again"
            ) from error
        return cls.from_parts(config, tensors, folder, lora=lora)

    @classmethod
    def from_parts(
        cls,
        config: dict[str, Any],
        tensors: dict[str, torch.Tensor],
        source: Path,
        *,
        lora: dict[str, torch.Tensor] | None = None,
        is_checked: bool = True,
    ) -> TokenCheckpoint:
        """Put the content of ``genzoo.json`` and the five tensors together, and check the one against the other.

        Args:
            config: As `config` gives it.
            tensors: The five tensors by name, and those of a policy; others are ignored.
            source: Where both come from, for messages.
            lora: The tensors of a LoRA, if there is one.
            is_checked: Whether other numbers than those of the digest are refused.
        """
        try:
            spec = config["spec"]
            facts: dict[str, Any] = {name: tensors[name] for name in _TENSORS}
            facts |= {name: config[name] for name in (*_FACTS, "info")}
            checkpoint = cls(
                spec=TokenSpec(tuple(spec["ids"]), tuple(spec["names"]), spec["n_thought"], spec["n_compression"]),
                lora=lora or {},
                **{name: config[name] for name in _RARE if name in config},
                axes=tensors.get("axes"),
                policy={name.removeprefix(POLICY): one for name, one in tensors.items() if name.startswith(POLICY)},
                **facts,
            )
            stated = (config["format"], config["digest"], config["hidden_size"], config["dim"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{source}: {CONFIG} or {WEIGHTS} lacks {error}; it is not a checkpoint of this format"
            ) from error
        if is_checked and stated != (FORMAT, checkpoint.digest(), checkpoint.hidden_size, checkpoint.dim):
            raise CheckpointError(
                f"{source}: the weights do not match the digest in {CONFIG} (format {stated[0]}, this genzoo reads "
                f"{FORMAT}): the files were changed after training; copy the checkpoint again"
            )
        return checkpoint


def _check_types(spec: TokenSpec) -> None:
    """Refuse what a hand-written ``genzoo.json`` could bring: counts and rows below zero, names that are no single word."""
    counts = (*spec.ids, spec.n_thought, spec.n_compression)
    if not all(type(number) is int and 0 <= number < 1 << 31 for number in counts):
        raise CheckpointError(f"token spec has rows {spec.ids[:4]}...: rows and counts must be whole numbers from 0 on")
    if len(set(spec.names)) != len(spec.names) or not all(
        isinstance(name, str) and name and not any(c.isspace() for c in name) and not name.startswith("$")
        for name in spec.names
    ):
        raise CheckpointError(f"token spec has the names {spec.names[:4]}...: each must be one word, and no two equal")
