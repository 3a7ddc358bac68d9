"""Any model that a user may name -> mteb.ModelMeta with a real name and revision, and the facts that reports show with it."""

from __future__ import annotations

import difflib
import importlib.util
import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from genzoo.backbones.entries import BACKBONES, Backbone, backbone_digest, fetch_backbone
from genzoo.backbones.whole import is_above, open_sentence_transformer, with_document_prompt
from genzoo.errors import InputError, UnknownNameError
from genzoo.files import folder_digest, read_json
from genzoo.hub import is_transport
from genzoo.models.checkpoint import CONFIG, TokenCheckpoint
from genzoo.models.entries import BASELINES, ENTRIES, MTEB_BASELINES, Baseline, ZooEntry, baseline_id, find_entry
from genzoo.models.loading import find_checkpoint, load, loaded_content
from genzoo.models.prompts import all_prompts
from genzoo.names import ModelName, is_commit
from genzoo.recipes.recipes import RECIPES, UNSUPERVISED
from genzoo.tasks.embedders.address import EXAMPLE, VECTORS, is_address, is_elsewhere, split_name
from genzoo.tasks.embedders.cards import Lineage, known_to_mteb, make_meta, wrap_for_mteb
from genzoo.teachers.teachers import TEACHERS, Teacher, fetch_teacher, load_teacher

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from genzoo.tasks.embedders.endpoint import EndpointOptions


log = logging.getLogger(__name__)


def count_parameters(folder: Path, exit_layer: int = 0) -> int:
    """Numbers in all safetensors files of a folder, layers above an exit layer apart; a tied head is stored, and counted, once."""
    total = 0
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            kept = [name for name in file.keys() if not is_above(name, exit_layer)]  # noqa: SIM118
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in kept)
    return total


def resolve_model(
    name: str, endpoints: EndpointOptions | None = None, results: Path | None = None
) -> tuple[ModelMeta, Lineage]:
    """ModelMeta and facts of a model by whatever name the user gives.

    Args:
        name: A zoo model or teacher (``smollm2-135m``, ``minilm``, or its hub id), ``<backbone>-mean``, ``-echo``, ``-hyde`` or
            ``-untrained`` for a training-free baseline, ``bm25`` or ``random``, a folder (checkpoint or SentenceTransformer), or
            ``org/name`` / ``org/name@revision`` on the Hub; ``URL#MODEL``, a model behind an OpenAI-compatible endpoint, which is
            asked for its revision; ``vectors:FOLDER``, embeddings computed elsewhere; ``rrf:A+B``, a hybrid of two of these. Each of
            the last three also as ``NAME=...``, to be called ``local/NAME``.
        endpoints: How endpoints are asked.
        results: The results folder: it knows which models were met behind an endpoint before.
    """
    if is_elsewhere(name):
        return _from_elsewhere(name, endpoints, results), Lineage("other")
    if name and Path(name).is_dir():
        return _from_folder(Path(name))
    if (entry := find_entry(name)) is not None:
        return _from_entry(entry)
    for teacher in TEACHERS:
        if name in (teacher.key, teacher.hub_id):
            return _from_teacher(teacher)
    for backbone in BACKBONES:
        for baseline in BASELINES:
            if name in (f"{backbone.key}-{baseline.suffix}", baseline_id(backbone, baseline)):
                return _from_backbone(backbone, baseline)
    if name in MTEB_BASELINES:
        return _from_mteb(name)
    if "/" in name:
        return _from_hub(name)
    baselines = (f"{key}-{one.suffix}" for key in BACKBONES.names() for one in BASELINES)
    names = [*ENTRIES.names(), *TEACHERS.names(), *baselines, *MTEB_BASELINES]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    known = f"there are {', '.join(names)}, folders, org/name on the Hub, {EXAMPLE} for an endpoint, vectors:FOLDER, and rrf:A+B."
    meant = f"did you mean {', '.join(near)}?" if near else known
    raise UnknownNameError(f"unknown model {name!r}; {meant} See: genzoo list")


def _from_elsewhere(text: str, endpoints: EndpointOptions | None, results: Path | None) -> ModelMeta:
    """Models that no files of weights are here for. mteb's wrappers of them are imported when they are asked for."""
    own, rest = split_name(text)
    if is_address(rest):
        from genzoo.tasks.embedders.known_endpoints import describe_endpoint

        meta = describe_endpoint(rest, endpoints, results)
    elif rest.startswith(VECTORS):
        from genzoo.tasks.embedders.vectors import describe_vectors

        meta = describe_vectors(rest)
    else:
        from genzoo.tasks.embedders.hybrids import describe_hybrid

        meta = describe_hybrid(
            rest,
            lambda part: resolve_model(part, endpoints, results)[0],
            lambda part: [model_content(part), card_prompts(part)],
        )
    return meta.model_copy(update={"name": f"local/{own}"}) if own else meta


def is_pinned(name: str) -> bool:
    """Whether a name that is no folder always stands for the same model: no branch of the Hub has to be looked up for it."""
    import mteb

    own = {entry.hub_id for entry in ENTRIES} | {teacher.hub_id for teacher in TEACHERS}
    if is_elsewhere(name):
        return False  # what an endpoint or a folder of vectors gives has to be looked at
    own |= {baseline_id(backbone, baseline) for backbone in BACKBONES for baseline in BASELINES}
    repo_id, _, revision = name.partition("@")
    if "/" not in name or name in own or is_commit(revision):
        return True
    try:
        return mteb.get_model_meta(repo_id, revision=revision or None, fetch_from_hf=False).loader is not None
    except (KeyError, ValueError):
        return False


def load_for_mteb(
    name: str, revision: str | None = None, device: str | None = None, model_prompts: Mapping[str, str] | None = None
) -> Any:
    """Mteb loader of zoo models; the card names their prompts as `model_prompts`, so that they are known without loading."""
    return wrap_for_mteb(load(name, device=device))


def _load_folder(
    folder: Path,
    name: str,
    revision: str | None = None,
    device: str | None = None,
    model_prompts: Mapping[str, str] | None = None,
) -> Any:
    return wrap_for_mteb(load(str(folder), device=device))


def _load_teacher(name: str, revision: str | None = None, device: str | None = None, key: str = "") -> Any:
    return wrap_for_mteb(load_teacher(key, device))


def _load_baseline(
    name: str,
    revision: str | None = None,
    device: str | None = None,
    key: str = "",
    suffix: str = "",
    model_prompts: Mapping[str, str] | None = None,
) -> Any:
    from genzoo.models.baselines import BUILDERS

    return wrap_for_mteb(BUILDERS[suffix](fetch_backbone(key), device=device))


def _from_entry(entry: ZooEntry) -> tuple[ModelMeta, Lineage]:
    checkpoint = find_checkpoint(entry.name)
    backbone = BACKBONES.get(entry.backbone)
    folder = fetch_backbone(entry.backbone)
    meta = make_meta(
        entry.hub_id,
        entry.revision,
        load_for_mteb,
        loader_kwargs={"model_prompts": checkpoint.prompts()},
        release_date=entry.release_date,
        n_parameters=count_parameters(folder, checkpoint.exit_layer)
        + checkpoint.n_parameters
        - checkpoint.rows.numel(),
        max_tokens=entry.max_tokens,
        embed_dim=entry.dim,
        license=entry.licence,
        use_instructions=True,
        # The targets carry over what the teacher was trained on.
        training_datasets=set(entry.training_datasets) | _teacher_datasets(TEACHERS.get(entry.teacher)),
        adapted_from=backbone.hub_id,
    )
    return meta, Lineage("zoo", TEACHERS.get(entry.teacher).hub_id, backbone.hub_id, checkpoint.n_parameters)


def lineage_of(name: str) -> Lineage:
    """What a model that the caller holds was made from, where it is called as a model of the zoo is."""
    for entry in ENTRIES:
        if entry.hub_id == name:
            teacher, backbone = TEACHERS.get(entry.teacher).hub_id, BACKBONES.get(entry.backbone).hub_id
            return Lineage("other", teacher, backbone, find_checkpoint(entry.name).n_parameters)
    return Lineage("other")


def _teacher_datasets(teacher: Teacher) -> set[str]:
    """What a teacher was trained on; one of a recipe's own saw that model's queries and nothing else."""
    import mteb

    if teacher.recipe:
        return set().union(*(entry.training_datasets for entry in ENTRIES if entry.teacher == teacher.key))
    return set(mteb.get_model_meta(teacher.hub_id, revision=teacher.revision).training_datasets or ())


def _from_teacher(teacher: Teacher) -> tuple[ModelMeta, Lineage]:
    import mteb

    folder, key = fetch_teacher(teacher.key), {"key": teacher.key}
    if not teacher.recipe:
        known = mteb.get_model_meta(teacher.hub_id, revision=teacher.revision)
        return known.model_copy(update={"loader": _load_teacher, "loader_kwargs": key}), Lineage("teacher")
    backbone = BACKBONES.get(RECIPES.get(teacher.recipe).backbone).hub_id
    meta = make_meta(
        teacher.hub_id,
        teacher.revision,
        _load_teacher,
        loader_kwargs=key,
        n_parameters=count_parameters(folder),
        max_tokens=teacher.max_tokens,
        embed_dim=teacher.dim,
        license=teacher.licence,
        training_datasets=_teacher_datasets(teacher),
        adapted_from=backbone,
    )
    return meta, Lineage("teacher", None, backbone)


def _from_backbone(backbone: Backbone, baseline: Baseline) -> tuple[ModelMeta, Lineage]:
    folder = fetch_backbone(backbone.key)
    prompts = {"model_prompts": all_prompts()} if baseline.has_prompts else {}
    meta = make_meta(
        baseline_id(backbone, baseline),
        baseline.revision(backbone_digest(folder)),
        _load_baseline,
        loader_kwargs={"key": backbone.key, "suffix": baseline.suffix} | prompts,
        use_instructions=baseline.has_prompts,
        n_parameters=count_parameters(folder),
        max_tokens=512,
        embed_dim=backbone.hidden_size,
        license=backbone.licence,
        training_datasets=set(),
        adapted_from=backbone.hub_id,
    )
    return meta, Lineage("baseline", None, backbone.hub_id, 0)


def _from_mteb(name: str) -> tuple[ModelMeta, Lineage]:
    import mteb

    if name == "bm25" and importlib.util.find_spec("bm25s") is None:
        raise InputError("bm25 needs bm25s and PyStemmer: pip install 'genzoo[bm25]'")
    return mteb.get_model_meta(MTEB_BASELINES[name]), Lineage("baseline")


def _from_folder(folder: Path) -> tuple[ModelMeta, Lineage]:
    name = f"local/{folder.resolve().name}"
    if (folder / CONFIG).is_file() or (folder / "checkpoint" / CONFIG).is_file():
        checkpoint: TokenCheckpoint = find_checkpoint(str(folder))
        revision, facts, own = checkpoint.digest(), _facts_of(checkpoint, folder), _prompts_of(folder)
        size: dict[str, Any] = {
            "embed_dim": checkpoint.dim,
            "max_tokens": checkpoint.max_tokens,
            "use_instructions": True,
            "loader_kwargs": {"model_prompts": checkpoint.prompts() if own is None else own},
        }
    elif (folder / "modules.json").is_file():
        revision, facts = folder_digest(folder), Lineage("other")
        size = _named_prompts(folder)
    else:
        raise InputError(f"{folder} is not a model: it holds neither {CONFIG} (a checkpoint) nor modules.json")
    # The path is bound, not put into loader_kwargs: those are written beside the results, which people pass on.
    return make_meta(name, revision, partial(_load_folder, folder.resolve()), **size), facts


def card_prompts(meta: ModelMeta) -> Mapping[str, str | None] | None:
    """The prompts that a model's card names, by mteb's keys; None if it names none.

    The prompts of a model that comes from a commit are in that commit, so that its card need not name them.
    """
    return (meta.loader_kwargs or {}).get("model_prompts")


def model_content(meta: ModelMeta) -> str | None:
    """Digest of the files that a local model is loaded from, None where its revision covers them all (`genzoo.models.loading`)."""
    loader = meta.loader
    is_folder = isinstance(loader, partial) and loader.func is _load_folder
    return loaded_content(loader.args[0]) if is_folder else None  # type: ignore[union-attr]


def has_precision(meta: ModelMeta) -> bool:
    """Whether genzoo itself runs the model, in the precision that a user asks for: one of the zoo, or the folder of a run."""
    loader = meta.loader
    is_run = (
        isinstance(loader, partial) and loader.func is _load_folder and not (loader.args[0] / "modules.json").is_file()
    )
    return loader is load_for_mteb or is_run


def _prompts_of(folder: Path) -> dict[str, str] | None:
    """The prompts that a SentenceTransformer folder brings along."""
    path = folder / "config_sentence_transformers.json"
    prompts = read_json(path, "this is not a SentenceTransformer").get("prompts") if path.is_file() else None
    return prompts if isinstance(prompts, dict) else None


def _named_prompts(folder: Path) -> dict[str, Any]:
    """The prompts that a folder will be measured with, where they are not those of an earlier measurement of the same files."""
    prompts = _prompts_of(folder)
    if prompts is None or with_document_prompt(prompts) == prompts:
        return {}
    return {"loader_kwargs": {"model_prompts": known_to_mteb(prompts)}}


def _facts_of(checkpoint: TokenCheckpoint, folder: Path) -> Lineage:
    teacher = checkpoint.info.get("recipe", {}).get("teacher")
    made = list(folder.glob(f"teacher/{UNSUPERVISED}-*"))
    if teacher == UNSUPERVISED and len(made) == 1:
        teacher = f"local/{made[0].name}"  # the name under which its own results stand
    backbone = checkpoint.backbone
    return Lineage(
        "zoo",
        TEACHERS.get(teacher).hub_id if teacher in TEACHERS else teacher,
        BACKBONES.get(backbone).hub_id if backbone in BACKBONES else backbone,
        checkpoint.n_parameters,
    )


def _from_hub(name: str) -> tuple[ModelMeta, Lineage]:
    import mteb
    from huggingface_hub import HfApi, errors

    named = ModelName.parse(name)
    if not named.is_on_hub:
        raise InputError(f"there is no folder {name}: give one, org/name on the Hub, or a name from genzoo list")
    repo_id, revision = named.base, named.revision
    try:
        known = mteb.get_model_meta(repo_id, revision=revision or None, fetch_from_hf=False)
        if known.loader is not None:
            return known, Lineage("other")
    except (KeyError, ValueError):
        pass  # not registered in mteb: ask the Hub
    try:
        found = HfApi().model_info(repo_id, revision=revision or None)
        commit = found.sha
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise InputError(f"the Hub has no model {name}, or it is private: run `hf auth login`") from error
    except Exception as error:
        if not (
            isinstance(error, errors.HfHubHTTPError | errors.OfflineModeIsEnabled | OSError) or is_transport(error)
        ):
            raise
        raise InputError(f"cannot ask the Hub for {name} ({type(error).__name__}): give a local folder") from error
    if commit is None:
        raise InputError(f"the Hub names no commit for {name}: give one as {repo_id}@<40-hex commit>")
    if "modules.json" not in {file.rfilename for file in found.siblings or ()}:
        averaged = "sentence-transformers averages its last hidden states, without a prompt"
        log.warning(
            f"{name} has no modules.json, so {averaged}: its scores say little if its author intended another pooling"
        )
    return make_meta(repo_id, commit, _load_from_hub, reference=f"https://huggingface.co/{repo_id}"), Lineage("other")


def _load_from_hub(name: str, revision: str | None = None, device: str | None = None) -> Any:
    return wrap_for_mteb(open_sentence_transformer(name, revision=revision, device=device))
