"""What would be published: every file with size and digest, and everything that stands in the way."""

from __future__ import annotations

import dataclasses
import html
import logging
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.backbones.entries import BACKBONES, fetch_backbone
from genzoo.backbones.sources import HubSource
from genzoo.backbones.untrusted import check_model_folder
from genzoo.backbones.whole import open_sentence_transformer
from genzoo.errors import InputError
from genzoo.files import read_json, sha256_of, write_json, write_text
from genzoo.frames import Rows
from genzoo.models.assembly import Form
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.entries import find_entry
from genzoo.models.exported import export
from genzoo.models.loading import find_checkpoint
from genzoo.models.prompts import is_finite
from genzoo.names import ModelName
from genzoo.publishing.fingerprint import prompts_of, take_fingerprint
from genzoo.publishing.licences import licence_files, licence_of, lint_licence
from genzoo.publishing.model_card import CardFacts, render_card, run_usage
from genzoo.publishing.scores import CardScores, write_eval_results
from genzoo.publishing.verify import revision_of
from genzoo.recipes.fields import UnsupervisedOptions
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED
from genzoo.teachers.teachers import TEACHERS, Teacher
from genzoo.text import clean

log = logging.getLogger(__name__)

ALLOWED = (
    r"README\.md", r"LICENSE(\.md|\.txt)?", r"LICENCE(\.md|\.txt)?", r"USE_POLICY(\.md|\.txt)?", r"NOTICE",
    r"genzoo\.json", r"fingerprint\.json", r"modules\.json", r"config(_sentence_transformers)?\.json",
    r"sentence_bert_config\.json", r"generation_config\.json", r"adapter_config\.json", r"adapter_model\.safetensors",
    r"model(-\d{5}-of-\d{5})?\.safetensors", r"model\.safetensors\.index\.json",
    r"tokenizer(_config)?\.json", r"special_tokens_map\.json", r"\d_(CNN|WordWeights|Pooling|Dense|Normalize)/((cnn_)?config\.json|model\.safetensors)",
    r"\.eval_results/[\w.+()-]+\.yaml",
)  # fmt: skip
"""Whole paths that may go up. Whatever else lies in a folder stays at home."""
REPO_ID = re.compile(r"(?=.{3,96}$)(?!.*(--|\.\.|\.git$))[A-Za-z0-9](?:[\w.-]*\w)?/[A-Za-z0-9](?:[\w.-]*\w)?", re.ASCII)
"""``org/name`` as the Hub takes it, so that it is refused before anything is made."""
TAG = re.compile(r"(?!main$|[0-9a-f]{7,40}$|.*\.\.|.*\.lock$)[A-Za-z0-9][\w.-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]", re.ASCII)
"""A name for a commit that is neither the branch's nor looks like a commit."""


@dataclass(frozen=True)
class PlannedFile:
    """One file that would go up: its path in the repository, its bytes and their sha256."""

    path: str
    source: Path
    size: int
    sha256: str

    def as_row(self) -> dict[str, Any]:
        """For a table: without the place on this machine."""
        return {"file": self.path, "bytes": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class PublishOptions:
    """What the user asks for.

    Attributes:
        merge: Publish the self-contained form.
        is_private: Keep the repository private.
        tag: Name for the commit, or None.
        overwrite: Replace another model in the repository.
        licence: The backbone's licence, where genzoo does not know the backbone.
        training_data: What was trained on, with licences, where genzoo did not train it.
        base_model: Hub id of the backbone, where the checkpoint names a folder.
        scores: Measurements for the card.
    """

    merge: bool = False
    is_private: bool = False
    tag: str | None = None
    overwrite: bool = False
    licence: str = ""
    training_data: str = ""
    base_model: str = ""
    scores: CardScores = field(default_factory=CardScores)


@dataclass(frozen=True, kw_only=True)
class PublishPlan(PublishOptions):
    """All that `genzoo publish` is about to do, with what the user asked for.

    Attributes:
        repo_id: ``org/name``.
        form: ``adapter`` or ``merged``.
        files: In order of path.
        problems: What must be put right first; a plan with problems is never carried out.
        left_out: Files of the given folder that stay at home.
    """

    repo_id: str
    form: str
    files: Rows[PlannedFile]
    problems: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def _repr_html_(self) -> str:
        problems = "".join(f"<li>{html.escape(clean(problem))}</li>" for problem in self.problems)
        return f"{self.files._repr_html_()}<ul>{problems}</ul>"


def build_plan(name: str, repo_id: str, staging: Path, options: PublishOptions) -> PublishPlan:
    """Write the repository's files into a staging folder and check them.

    Args:
        name: Zoo model, checkpoint folder or exported folder.
        repo_id: ``org/name``.
        staging: An empty folder; it holds exactly what would go up.
        options: What the user asks for.
    """
    if not REPO_ID.fullmatch(repo_id):
        allowed = "letters, digits, - _ and . (no -- or .., at most 96)"
        raise InputError(f"--repo {repo_id!r} is not a repository name: write org/name in {allowed}")
    if options.tag is not None and not TAG.fullmatch(options.tag):
        raise InputError(f"--tag {options.tag!r} is not a valid tag: write something like v1 or 2026-11")
    checkpoint = find_checkpoint(name)
    log.info("checking the backbone")
    backbone = fetch_backbone(checkpoint.backbone)
    facts, problems = _gather(name, checkpoint, repo_id, options)
    form: Form = "merged" if options.merge else "adapter"
    public, info = _public_name(checkpoint, facts.base_model), _without_places(checkpoint.info)
    checkpoint = dataclasses.replace(checkpoint, backbone=public, info=info, unit_length=True)  # as export makes it
    problems += _lint_base(checkpoint, facts, form)
    texts = licence_files(backbone)
    problems += lint_licence(facts.licence, _inherited(checkpoint), repo_id, texts)
    log.info("writing the model")
    folder = export(checkpoint, backbone, staging / "model", form, name=repo_id, base=facts.base_model or None)
    _pin_base(folder, facts.base_revision)
    # The staged adapter names a repository that may be out of reach: the same files are run on the local backbone.
    runnable = folder if form == "merged" else export(checkpoint, backbone, staging / "run", form, name=repo_id)
    log.info("running the model card's own code")
    model = open_sentence_transformer(runnable, device="cpu")
    take_fingerprint(model, checkpoint, backbone, revision_of(checkpoint)).save(folder)
    _write_licence(folder, facts.licence, texts)
    write_eval_results(facts.scores, folder)
    prompts = prompts_of(model)
    facts = dataclasses.replace(facts, has_float16=is_finite(model.half()))  # last: the weights are rounded by it
    write_text(folder / "README.md", render_card(checkpoint, facts, prompts, run_usage(runnable)))
    files = list_files(folder)
    found, kept = (*problems, *lint_files(folder, files)), tuple(_left_out(name))
    return PublishPlan(repo_id=repo_id, form=form, files=Rows(files), problems=found, left_out=kept, **vars(options))


def _gather(
    name: str, checkpoint: TokenCheckpoint, repo_id: str, options: PublishOptions
) -> tuple[CardFacts, list[str]]:
    entry = None if Path(name).is_dir() else find_entry(name)
    row = BACKBONES.find(checkpoint.backbone)
    base = options.base_model or (row.hub_id if row else ModelName.parse(checkpoint.backbone).base)
    problems = []
    if not REPO_ID.fullmatch(base):
        problems.append("the checkpoint names a folder as its frozen LLM: give the Hub id with --base-model org/name")
    data = options.training_data or (entry.training_data if entry else "")
    if not data.strip():
        problems.append("the training data and their licences are not known: describe them with --training-data")
    teacher = entry.teacher if entry else str((checkpoint.info.get("recipe") or {}).get("teacher", ""))
    known = TEACHERS.find(teacher)
    return CardFacts(
        repo_id=repo_id,
        form="merged" if options.merge else "adapter",
        base_model=base,
        base_revision=revision_of(checkpoint),
        licence=options.licence or _inherited(checkpoint),
        teacher=known.hub_id if known and not known.recipe else "",
        self_taught=_self_taught(checkpoint, known) if teacher == UNSUPERVISED or (known and known.recipe) else None,
        training_data=data,
        backbone_note=row.note if row else "",
        scores=options.scores,
        options=f', revision="{options.tag}"' if options.tag else "",
    ), problems


def _self_taught(checkpoint: TokenCheckpoint, teacher: Teacher | None) -> UnsupervisedOptions:
    """How the frozen LLM was made its own teacher: by the recipe of the zoo's row, or by that of the checkpoint."""
    if teacher is not None:
        return RECIPES.get(teacher.recipe).unsupervised
    known = {one.name for one in dataclasses.fields(UnsupervisedOptions)}
    given = (checkpoint.info.get("recipe") or {}).get("unsupervised") or {}
    return UnsupervisedOptions(**{key: value for key, value in given.items() if key in known})


def _inherited(checkpoint: TokenCheckpoint) -> str:
    row = BACKBONES.find(checkpoint.backbone)
    return row.licence if row else ""


def _public_name(checkpoint: TokenCheckpoint, base_model: str) -> str:
    """The backbone's name for everybody: never a folder of this machine."""
    if checkpoint.backbone in BACKBONES or ModelName.parse(checkpoint.backbone).base == base_model:
        return checkpoint.backbone
    return base_model if REPO_ID.fullmatch(base_model) else Path(checkpoint.backbone).name


def _without_places(value: Any) -> Any:
    """The facts of a checkpoint, with the last part only of every folder of this machine that training wrote down."""
    if isinstance(value, dict):
        return {key: one if key == "prompts" else _without_places(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_places(one) for one in value]
    if not (isinstance(value, str) and re.match(r"(/|~|\.{1,2}/|[A-Za-z]:[\\/])\S", value)):
        return value
    is_place = not re.search(r"\s", value) or ("\n" not in value and Path(value).expanduser().exists())
    return re.split(r"[\\/]", value.rstrip("/\\"))[-1] if is_place else value


def _lint_base(checkpoint: TokenCheckpoint, facts: CardFacts, form: Form) -> list[str]:
    """Whether the small form would load the weights that the tokens were trained on."""
    row = BACKBONES.find(checkpoint.backbone)
    if form == "merged" or row is None or any(isinstance(source, HubSource) for source in row.sources):
        return []
    would = f"the small form would load {facts.base_model} from the Hub, but the tokens were trained on {row.note}"
    return [f"{would}: publish with --merge"]


def _pin_base(folder: Path, revision: str) -> None:
    """Say in the adapter which commit of the base is meant; peft has a field for it, though no library reads it yet."""
    path = folder / "adapter_config.json"
    if path.is_file() and revision:
        write_json(path, read_json(path, "export it again") | {"revision": revision}, indent=2)


def _write_licence(folder: Path, identifier: str, texts: list[Path]) -> None:
    for text in texts:
        shutil.copyfile(text, folder / text.name)
    if notice := licence_of(identifier).notice:
        write_text(folder / "NOTICE", notice)


def list_files(folder: Path) -> list[PlannedFile]:
    """Every file below a folder with its size and digest."""
    return [
        PlannedFile(name, folder / name, (folder / name).stat().st_size, sha256_of(folder / name))
        for name in _names(folder)
    ]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _is_allowed(path: str) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in ALLOWED)


def lint_files(folder: Path, files: list[PlannedFile]) -> list[str]:
    """Files that may not go up, and declarations that are missing."""
    check_model_folder(folder)
    others = [file.path for file in files if not _is_allowed(file.path)]
    problems = [f"{path} is not on the list of files that may be published" for path in others]
    config = read_json(folder / "config_sentence_transformers.json", "export it again")
    if not config.get("requirements"):
        problems.append("config_sentence_transformers.json has no requirements block: no user would know the versions")
    return problems


def _left_out(name: str) -> list[str]:
    """What lies in the given folder and does not go up."""
    paths = _names(Path(name)) if Path(name).is_dir() else []
    return [path for path in paths if not _is_allowed(path) and path != "tokens.safetensors"]
