"""How models read texts: tokenizer, limit and prompts, found without their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genzoo.backbones.entries import BACKBONES, fetch_backbone, local_backbone
from genzoo.backbones.sources import cached
from genzoo.errors import InputError, UnknownNameError
from genzoo.files import read_json
from genzoo.models.entries import ENTRIES, UPSTREAM, find_entry
from genzoo.models.prompts import all_prompts
from genzoo.names import ModelName
from genzoo.tasks.embedders.address import RRF, VECTORS, Address, is_address, split_name
from genzoo.teachers.teachers import TEACHERS, fetch_teacher

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNLIMITED = ("bm25", "random")
_TOKENIZER_FILES = ("*.json", "*/*.json")
_NO_LIMIT = 10**9  # transformers writes 1e30 where a tokenizer has no limit
_BASELINE_TOKENS, _UNTRAINED_TOKENS = 512, 10


@dataclass(frozen=True)
class Reader:
    """How a model reads a text.

    Attributes:
        model: Its name, as the user gives it.
        tokenizer: Path of its ``tokenizer.json``.
        max_tokens: Longest input in tokens, prompt and added tokens included; None where every text is read whole.
        n_added: Trained tokens behind the text that the tokenizer file does not add by itself.
        prompts: What stands before a text, by ``query`` and ``document``.
        is_plain: Whether special tokens in a text are read as text.
        unit: What lengths are counted in: words where nobody knows the tokens, as of an endpoint.
    """

    model: str
    tokenizer: Path | None
    max_tokens: int | None
    n_added: int = 0
    prompts: Mapping[str, str] | None = None
    is_plain: bool = False
    unit: Literal["tokens", "words"] = "tokens"

    def prompt(self, side: str) -> str:
        """The prompt of a side, empty where there is none."""
        return (self.prompts or {}).get(side) or ""

    def open(self) -> Tokenizer:
        """Its tokenizer, which neither cuts nor pads."""
        from tokenizers import Tokenizer

        try:
            made = Tokenizer.from_file(str(self.tokenizer))
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing more special
            raise InputError(f"{self.tokenizer} is not a tokenizer ({error}): write the model anew") from None
        made.no_truncation()
        made.no_padding()
        made.encode_special_tokens = self.is_plain
        return made


def find_readers(models: Sequence[str] | None) -> list[Reader]:
    """How the given models read texts, or those of the zoo whose files are on this machine already.

    Raises:
        InputError: A model whose tokenizer cannot be had without loading it.
        ZooError: A model that is not there.
    """
    if models is None:
        return [reader for name in (*ENTRIES.names(), "minilm") if (reader := _if_on_this_machine(name)) is not None]
    return [_reader(part) for part in dict.fromkeys(part for name in models for part in _parts(name))]


def _if_on_this_machine(name: str) -> Reader | None:
    if (entry := find_entry(name)) is not None:
        folder = local_backbone(entry.backbone)
        return None if folder is None else _of_checkpoint(name, entry.folder, folder)
    teacher = TEACHERS.get(name)
    folder = next(filter(None, (cached(name, source) for source in teacher.sources)), None)
    return None if folder is None else _of_folder(name, folder)


def _parts(name: str) -> list[str]:
    """The models that read the texts: those of a hybrid, else the one."""
    rest = split_name(name)[1]
    return [part.strip() for part in rest.removeprefix(RRF).split("+")] if rest.startswith(RRF) else [name]


def _reader(name: str) -> Reader:
    """How the model of this name reads, as `genzoo.tasks.embedders.mteb_models.resolve_model` understands the name."""
    rest = split_name(name)[1]
    if is_address(rest):
        return Reader(Address.parse(rest).name, None, None, unit="words")
    if name in UNLIMITED or rest.startswith(VECTORS):
        return Reader(name, None, None)
    named = ModelName.parse(name)
    if named.is_folder:
        return _of_any_folder(name, Path(name))
    if (entry := find_entry(name)) is not None:
        return _of_checkpoint(name, entry.folder, fetch_backbone(entry.backbone))
    for teacher in TEACHERS:
        if name in (teacher.key, teacher.hub_id):
            return _of_folder(name, fetch_teacher(teacher.key))
    key, _, suffix = name.rpartition("-")
    if key in BACKBONES and suffix in ("mean", "hyde", "echo", "untrained"):
        return _of_baseline(name, key, suffix)
    if named.is_on_hub and not any(name in (model.name, model.hub_id) for model in UPSTREAM):
        return _of_folder(name, _tokenizer_from_hub(name))
    known = [*ENTRIES.names(), *TEACHERS.names(), *UNLIMITED]
    raise UnknownNameError(
        f"{name!r}: no tokenizer is known for it, so its tokens cannot be counted. genzoo check counts those of {', '.join(known)}, of a "
        "folder with a tokenizer.json, and of org/name on the Hub"
    )


def _tokenizer_from_hub(name: str) -> Path:
    """The folder of the small files of a model on the Hub; its weights are not fetched."""
    from genzoo.backbones.sources import pin_name
    from genzoo.hub import fetch_commit

    return fetch_commit(pin_name(name), _TOKENIZER_FILES)


def _of_any_folder(name: str, folder: Path) -> Reader:
    for inner in (folder, folder / "checkpoint"):
        if (inner / "genzoo.json").is_file() and not (inner / "modules.json").is_file():
            config = read_json(inner / "genzoo.json", "this is not a genzoo checkpoint")
            return _of_checkpoint(name, inner, fetch_backbone(str(config.get("backbone"))))
    return _of_folder(name, folder)


def _of_checkpoint(name: str, folder: Path, backbone: Path) -> Reader:
    """A zoo model: the tokenizer of its backbone, its trained tokens behind every text."""
    from genzoo.models.checkpoint import TokenCheckpoint

    made = TokenCheckpoint.load(folder)
    return Reader(name, _tokenizer_of(name, backbone), made.max_tokens, len(made.spec), made.prompts(), is_plain=True)


def _of_baseline(name: str, key: str, suffix: str) -> Reader:
    """A training-free baseline of a backbone."""
    tokenizer = _tokenizer_of(name, fetch_backbone(key))
    if suffix == "untrained":
        return Reader(name, tokenizer, _BASELINE_TOKENS, _UNTRAINED_TOKENS, all_prompts(), is_plain=True)
    plain = Reader(name, tokenizer, _BASELINE_TOKENS, is_plain=True)
    if suffix != "echo":
        return plain
    from genzoo.models.baselines import BEFORE, BETWEEN

    opened = plain.open()
    leading, before, between = (
        len(opened.encode(text, add_special_tokens=not text).ids) for text in ("", BEFORE, BETWEEN)
    )
    # it reads every text twice
    return replace(plain, max_tokens=(_BASELINE_TOKENS - leading - before - between) // 2 + leading)


def _of_folder(name: str, folder: Path) -> Reader:
    """A folder of sentence-transformers or transformers."""
    first = folder
    if (folder / "modules.json").is_file():
        modules = read_json(folder / "modules.json", "it lists the modules of a SentenceTransformer", kind=list)
        first = folder / str(modules[0].get("path", "")) if modules else folder
    advice = "write the model anew"
    settings = read_json(folder / "config_sentence_transformers.json", advice, is_optional=True)
    prompts = {side: str(text) for side, text in (settings.get("prompts") or {}).items() if text}
    passage = next((prompts[key] for key in ("document", "passage", "corpus") if key in prompts), "")
    is_plain = read_json(first / "tokenizer_config.json", advice, is_optional=True).get("split_special_tokens") is True
    limit = _limit_of(first, advice)
    return Reader(name, _tokenizer_of(name, first), limit, 0, {**prompts, "document": passage}, is_plain)


def _limit_of(folder: Path, advice: str) -> int | None:
    """The longest input, as sentence-transformers finds it."""
    own = read_json(folder / "sentence_bert_config.json", advice, is_optional=True).get("max_seq_length")
    if isinstance(own, int):
        return own
    said = [
        read_json(folder / "tokenizer_config.json", advice, is_optional=True).get("model_max_length"),
        read_json(folder / "config.json", advice, is_optional=True).get("max_position_embeddings"),
    ]
    known = [
        int(limit) for limit in said if isinstance(limit, int | float) and math.isfinite(limit) and limit < _NO_LIMIT
    ]
    return min(known, default=None)


def _tokenizer_of(name: str, folder: Path) -> Path:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{name}: {folder} holds no tokenizer.json, so its tokens cannot be counted")
    return path
