"""Check that a model is what its fingerprint recorded, and that it behaves as an embedder must (`genzoo verify`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genzoo.backbones.entries import BACKBONES, backbone_digest, fetch_backbone
from genzoo.errors import CheckpointError, InputError
from genzoo.frames import Rows
from genzoo.hub import fetch_commit
from genzoo.jobs import job
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.entries import find_entry, get_entry
from genzoo.models.exported import base_folder, is_exported, read_exported, read_exported_tensors
from genzoo.models.loading import check_backbone_option, find_checkpoint, load
from genzoo.names import ModelName
from genzoo.publishing.fingerprint import (
    FILE,
    PROBES,
    Fingerprint,
    digest_backbone_numbers,
    digest_parts,
    dtype_of,
    measure_probes,
    prompts_of,
    take_fingerprint,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: ``weights``, ``backbone``, ``tokenizer``, ``prompts``, ``dtype``, ``embeddings``, ``batches``, ``injection``,
            ``truncation`` or ``fingerprint``.
        is_equal: Whether it is as it must be.
        detail: What exactly differs, or what was compared.
    """

    what: str
    is_equal: bool
    detail: str


@job("reading the model")
def verify(model: str | Path, *, backbone: str | None = None) -> Rows[Finding]:
    """Recompute digests and probe embeddings of a model and compare them with its recorded fingerprint.

    Args:
        model: Zoo model, checkpoint folder, exported folder, or ``org/name@<commit>`` on the Hub.
        backbone: Frozen LLM in place of the one that the checkpoint names; refused for a model that holds its own.

    Raises:
        ZooError: When there is no such model, or nothing of it can be loaded.
    """
    name = local_name(str(model))
    home = _home(name)
    recorded = Fingerprint.load(home) if home and (home / FILE).is_file() else None
    log.info("reading the weights")
    findings = [_check_weights(name, recorded)]
    try:
        # A changed export is looked at to the end, so that everything that differs is named.
        is_whole = is_exported(Path(name))
        checkpoint = read_exported(Path(name), is_checked=False) if is_whole else find_checkpoint(name)
    except CheckpointError as error:
        return Rows([*findings, Finding("embeddings", False, f"not computed: {error}")])
    log.info("checking the backbone")
    findings.append(_check_backbone(name, checkpoint, recorded, backbone))
    log.info("computing embeddings")
    loaded = load(name, device="cpu", backbone=backbone)
    if recorded:
        findings += _compare(loaded, recorded)
    else:
        findings.append(Finding("fingerprint", False, f"none is recorded: `genzoo verify {name} --write` records one"))
    return Rows([*findings, *_check_method(loaded, checkpoint)])


@job("reading the model")
def write_fingerprint(model: str | Path, *, backbone: str | None = None) -> Path:
    """Record the fingerprint of a checkpoint or exported folder (or, in a checkout, of a zoo model) as it is now."""
    name, folder = str(model), _home(str(model))
    if folder is None:
        raise InputError(f"{name} is not a folder on this machine: a fingerprint is recorded in the model's folder")
    checkpoint = find_checkpoint(name)
    loaded, base = load(name, device="cpu", backbone=backbone), _backbone_folder(name, checkpoint, backbone)
    return take_fingerprint(loaded, checkpoint, base, revision_of(checkpoint)).save(folder)


def revision_of(checkpoint: TokenCheckpoint) -> str:
    """Commit of the frozen LLM that a checkpoint names, empty where it has none."""
    if row := BACKBONES.find(checkpoint.backbone):
        return row.revision or ""
    return ModelName.parse(checkpoint.backbone).commit


def local_name(name: str) -> str:
    """A model on the Hub as a local folder; every other name as it is."""
    if not ModelName.parse(name).revision:
        return name
    log.info(f"fetching {name}")
    return str(fetch_commit(name, ["*.json", "*.safetensors", "*/*.json", "*/*.safetensors"]))


def _home(name: str) -> Path | None:
    folder = Path(name)
    if folder.is_dir():
        inner = folder / "checkpoint"
        return inner if inner.is_dir() and not is_exported(folder) else folder
    entry = find_entry(name)
    return entry.folder if entry else None


def _backbone_folder(name: str, checkpoint: TokenCheckpoint, backbone: str | None) -> Path:
    folder = Path(name)
    if is_exported(folder):
        check_backbone_option(folder, backbone)
        if backbone is None and base_folder(folder) is None:
            load(name, device="cpu")  # fetches the base
        if backbone is None and (found := base_folder(folder)) is not None:
            return found
    return fetch_backbone(backbone or checkpoint.backbone)


def _check_weights(name: str, recorded: Fingerprint | None) -> Finding:
    folder = Path(name)
    try:
        tensors = read_exported_tensors(folder) if is_exported(folder) else find_checkpoint(name).tensors()
        parts = digest_parts(tensors) if recorded else {}
        other = [part for part, digest in recorded.parts.items() if parts.get(part) != digest] if recorded else []
        if other:
            return Finding("weights", False, f"{', '.join(other)} hold other numbers than those that were recorded")
        checkpoint = find_checkpoint(name)
    except CheckpointError as error:
        return Finding("weights", False, str(error))
    if not Path(name).is_dir() and checkpoint.digest() != get_entry(name).revision:
        return Finding("weights", False, f"digest {checkpoint.digest()}, the entry pins {get_entry(name).revision}")
    return Finding("weights", True, f"{checkpoint.n_parameters:,} trained numbers, digest {checkpoint.digest()[:12]}")


def _check_backbone(name: str, checkpoint: TokenCheckpoint, recorded: Fingerprint | None, given: str | None) -> Finding:
    folder = _backbone_folder(name, checkpoint, given)
    if Path(name).is_dir() and folder == Path(name):
        return _check_merged_backbone(folder, checkpoint, recorded)
    found = backbone_digest(folder)
    commit = folder.name if folder.parent.name == "snapshots" else ""
    pinned = revision_of(checkpoint)
    if found == checkpoint.backbone_digest:
        return Finding("backbone", True, f"weights {found[:12]}" + (f" at commit {commit[:12]}" if commit else ""))
    where = f"commit {commit[:12]}, pinned is {pinned[:12] or 'none'}; " if commit and commit != pinned else ""
    trained = f"the tokens were trained on {checkpoint.backbone_digest[:12]}"
    return Finding("backbone", False, f"{where}weights {found[:12]} in {folder}, {trained}")


def _check_merged_backbone(folder: Path, checkpoint: TokenCheckpoint, recorded: Fingerprint | None) -> Finding:
    if recorded is None:
        return Finding("backbone", False, "a merged model's backbone can only be compared with a recorded fingerprint")
    numbers, then = (
        digest_backbone_numbers(folder, checkpoint.spec.ids, checkpoint.exit_layer),
        recorded.backbone["numbers"],
    )
    detail = f"numbers {numbers[:12]} inside the folder"
    return Finding("backbone", numbers == then, detail if numbers == then else f"{detail}, recorded are {then[:12]}")


def _compare(model: SentenceTransformer, recorded: Fingerprint) -> list[Finding]:
    found = measure_probes(model)
    n_now, n_then = len(found[0].values), len(recorded.probes[0].values)
    if n_now != n_then:
        return [Finding("embeddings", False, f"{n_now} dimensions, recorded {n_then}")]
    pairs = list(zip(PROBES, found, recorded.probes, strict=True))
    changed_ids = [(text, now, then) for (_, text), now, then in pairs if now.ids != then.ids]
    texts = [f"{text[:24]!r} ({now.n_ids} tokens, recorded {then.n_ids})" for text, now, then in changed_ids]
    changed = _changed_prompts(model, recorded)
    gaps = [now.gap(then) for _, now, then in pairs]
    worst = int(np.argmax(gaps))
    bound, dtype = recorded.tolerance, dtype_of(model)
    where = "" if gaps[worst] <= bound else f", at {PROBES[worst][1][:24]!r} with prompt {PROBES[worst][0]}"
    precision = dtype if dtype == recorded.dtype else f"{dtype}, recorded {recorded.dtype}"
    gap = f"largest difference {gaps[worst]:.1e}, at most {bound:.0e} allowed{where}"
    return [
        Finding("tokenizer", not texts, "; ".join(texts) or f"{len(pairs)} texts become the same tokens"),
        Finding("prompts", not changed, "; ".join(changed) or f"{len(recorded.prompts)} instructions"),
        Finding("dtype", dtype == recorded.dtype, precision),
        Finding("embeddings", gaps[worst] <= bound, gap),
    ]


def _changed_prompts(model: SentenceTransformer, recorded: Fingerprint) -> list[str]:
    """Instructions that were changed, added or taken away, and one that would be put before every text."""
    here = prompts_of(model)
    changed = [
        f"{name} is {here.get(name)!r}, recorded {recorded.prompts.get(name)!r}"
        for name in sorted({*here, *recorded.prompts})
        if here.get(name) != recorded.prompts.get(name)
    ]
    if model.default_prompt_name != recorded.default_prompt_name:
        pair = (f"{name!r}" if name else "none" for name in (model.default_prompt_name, recorded.default_prompt_name))
        changed.append("{} is put before every text, recorded {}".format(*pair))
    return changed


def _check_method(model: SentenceTransformer, checkpoint: TokenCheckpoint) -> list[Finding]:
    """What must hold of any such model: batches, hostile texts and long texts change nothing that they must not."""
    texts = [text for _, text in PROBES[:-1]]  # the long one would pad all others to its length
    options: dict[str, Any] = {"show_progress_bar": False, "convert_to_tensor": True, "prompt": ""}
    alone = [model.encode(text, **options).float() for text in texts]
    together = model.encode(texts, batch_size=len(texts), **options).float()
    gap = max(float((a - b).abs().max()) for a, b in zip(alone, together, strict=True))
    bound = 1e-4 if dtype_of(model) == "float32" else 0.1
    ids, trained = list(checkpoint.spec.ids), set(checkpoint.spec.ids)
    kept = {
        text: [i for i in model.preprocess([text])["input_ids"][0].tolist() if i in trained] == ids
        for text in (*checkpoint.spec.names, " ".join(checkpoint.spec.names))
    }
    long = model.preprocess(["fox " * 4 * checkpoint.max_tokens])["input_ids"][0].tolist()
    bad = [text for text, is_kept in kept.items() if not is_kept]
    return [
        Finding("batches", gap <= bound, f"texts encoded alone and in a batch differ by {gap:.1e}, at most {bound:.0e} allowed"),
        Finding("injection", not bad, f"the texts {bad[:3]} reach trained rows" if bad else f"{len(kept)} texts that spell trained tokens stay text"),
        Finding("truncation", long[-len(ids) :] == ids and len(long) <= checkpoint.max_tokens, f"a long text becomes {len(long)} tokens, the trained ones last"),
    ]  # fmt: skip
