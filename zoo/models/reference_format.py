"""The files of a checkpoint that llm2vec-gen 0.1 wrote, read without trusting a byte of them."""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open

from genzoo.errors import CheckpointError
from genzoo.files import read_json

KIND = "llm2vec-gen checkpoint"
NO_CHECKPOINT = f"this is no {KIND}"
FILES = (
    "encoder_decoder_config.json", "run_config.yml", "reconstruction_mlp", "alignment_mlp",
    "encoder/config.json", "encoder/adapter_config.json", "encoder/adapter_model.safetensors",
)  # fmt: skip
"""Everything that is read; ``training_args.bin`` and the rest are neither fetched nor opened."""
_DELTA = "trainable_tokens_delta"
_MATRIX = "base_layer.weight"
_YAML_LIMIT = 1 << 16
"""Bytes; the reference writes some 5,000."""


def read_rows(folder: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The trained rows in the order of the input, and the first rows of the embedding matrix where it was saved too.

    Both layouts of the adapter file are read: with the whole embedding matrix beside the rows (``base_layer.weight``), which
    is left unread but for its first rows, and without it.

    Returns:
        ``(n, H)`` in float32, and ``(at most 64, H)`` or None.
    """
    path = folder / "encoder" / "adapter_model.safetensors"
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            found = [name for name in names if name.endswith(_DELTA)]
            if len(found) != 1:
                raise CheckpointError(f"{path} holds {len(found)} sets of trained tokens (*.{_DELTA}), expected one")
            rows = file.get_tensor(found[0])
            matrix = next((name for name in names if name.endswith(_MATRIX)), None)
            start = file.get_slice(matrix)[:64] if matrix else None
    except (OSError, ValueError, IndexError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing, cut off or no safetensors file ({error})") from error
    if rows.ndim != 2 or not rows.is_floating_point() or (start is not None and start.ndim != 2):
        raise CheckpointError(f"{path} holds trained tokens of shape {tuple(rows.shape)}, expected (n, H) of floats")
    return rows.float()[_input_order(folder, len(rows))], start


def _input_order(folder: Path, n: int) -> list[int]:
    """Place of each appended token among the adapter's rows."""
    saved = read_json(folder / "encoder" / "adapter_config.json", NO_CHECKPOINT).get("token_indices")
    asked = read_json(folder / "encoder" / "config.json", NO_CHECKPOINT).get("special_tokens")
    are_lists = isinstance(saved, list) and isinstance(asked, list)
    if not are_lists or sorted(map(repr, saved)) != sorted(map(repr, asked)):
        raise CheckpointError(
            f"{folder}/encoder: token_indices of adapter_config.json and special_tokens of config.json must name the same tokens"
        )
    if len(asked) != n or len(set(map(repr, asked))) != n:
        raise CheckpointError(f"{folder}/encoder names {len(asked)} tokens, the adapter holds {n} rows")
    return [saved.index(token) for token in asked]


def read_mode(folder: Path) -> int:
    """How many of the last tokens are pooled; refuses a checkpoint with a decoder of its own."""
    path = folder / "encoder_decoder_config.json"
    mode = read_json(path, NO_CHECKPOINT)
    if mode.get("save_decoder"):
        raise CheckpointError(
            f"{folder} saves a trained decoder of its own, which no stock SentenceTransformer can hold"
        )
    words = str(mode.get("encoding_mode")).split("_")
    if len(words) != 3 or words[0] != "last" or words[2] != "tokens" or not re.fullmatch("[0-9]{1,6}", words[1]):
        raise CheckpointError(f"{path} has encoding_mode {mode.get('encoding_mode')!r}, expected last_<n>_tokens")
    return int(words[1])


def read_projection(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight ``(out, in)`` and bias ``(out,)`` of one of the two pickled projections, in float32.

    The pickle is first parsed with every callable replaced, so that a foreign class, or a tensor that claims more numbers than
    the file holds, is refused before anything is built; then read with ``weights_only``.
    """
    _check_archive(path)
    facts: Any = None
    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
        config, state = facts["config"], facts["state_dict"]
        size, mode = config.get("size", 1), config.get("pooling_mode", "linear")
        weight, bias = state["projection.weight"], state["projection.bias"]
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is missing, damaged or holds more than tensors ({str(error)[:120]})") from error
    except (KeyError, IndexError) as error:
        state = facts.get("state_dict") if isinstance(facts, dict) else None
        if isinstance(state, dict) and any(".weight" in str(key) for key in state):
            raise CheckpointError(
                f"{path} is not a single linear layer: the built-in modules cannot express it"
            ) from error
        raise CheckpointError(f"{path} lacks {error}: it is not a projection of llm2vec-gen") from error
    if size != 1:
        raise CheckpointError(
            f"{path} has a projection per token, which does not commute with the mean: it cannot be exported"
        )
    if mode != "linear" or len(state) != 2:
        raise CheckpointError(f"{path} is a {mode!r} projection of {len(state)} tensors, expected one linear layer")
    if not (isinstance(weight, torch.Tensor) and isinstance(bias, torch.Tensor)):
        raise CheckpointError(f"{path} holds a {type(weight).__name__} for a weight, expected a matrix of floats")
    if not (weight.ndim == 2 and bias.ndim == 1 and weight.is_floating_point() and bias.is_floating_point()):
        raise CheckpointError(f"{path} has a weight of shape {tuple(weight.shape)}, expected a matrix of floats")
    return weight.float(), bias.float()


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than its own length, or whose pickle asks for more than plain tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise CheckpointError(
                    f"{path} claims to unpack to more than its own length: it is not a file of torch.save"
                )
            if (broken := archive.testzip()) is not None:
                raise CheckpointError(f"{path} is damaged: the checksum of {broken} does not match")
            sizes = {member.filename.rpartition("/data/")[2]: member.file_size for member in members}
            (pickled,) = [member for member in members if member.filename.endswith("/data.pkl")]
            _DryRun(archive.read(pickled), sizes, path).load()
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing: this is no {KIND}, or one without this projection") from error
    except Exception as error:  # a hostile pickle can make its parser fail in any way
        raise CheckpointError(f"{path} is damaged or no file of torch.save ({str(error)[:120]})") from error


class _Stored:
    """Stands for a storage: how many bytes the archive really holds for it."""

    def __init__(self, bytes_held: int) -> None:
        self.bytes_held = bytes_held


class _Mapping(dict[str, Any]):
    """Stands for an ordered dictionary; torch.save sets an attribute on it."""


class _DryRun(pickle._Unpickler):  # the parser in Python: its memo cannot be made to allocate
    """Goes through a pickle of torch.save without calling anything that it names."""

    def __init__(self, data: bytes, sizes: dict[str, int], path: Path) -> None:
        super().__init__(io.BytesIO(data))
        self._sizes, self._path = sizes, path

    def find_class(self, module: str, name: str) -> Any:
        """Stand-ins for what plain tensors need; everything else is refused by name."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._check_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return _Mapping
        if module == "torch" and name.endswith("Storage"):
            return name
        raise CheckpointError(
            f"{self._path} is a pickle that asks for {module}.{name}: only plain tensors are read, nothing was run"
        )

    def persistent_load(self, pid: Any) -> _Stored:
        """The storage that a tensor lies in."""
        return _Stored(self._sizes[str(pid[2])])

    def _check_tensor(self, storage: _Stored, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> str:
        # Two bytes is the smallest float that the reference writes.
        if math.prod(size) * 2 > storage.bytes_held or offset:
            raise CheckpointError(f"{self._path} holds a tensor of {tuple(size)} numbers in {storage.bytes_held} bytes")
        return "tensor"


class _PlainLoader(yaml.SafeLoader):
    """Reads the reference's run_config.yml, whose python/object tags are kept as nothing."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys (``<<: *a``), which a few lines can make to grow without bound."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merge keys are not read", node.start_mark)


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def read_run_config(folder: Path) -> dict[str, Any]:
    """What ``run_config.yml`` says; it lies in the checkpoint or one folder up, and may be missing."""
    for place in (folder, folder.parent):
        path = place / "run_config.yml"
        if not path.is_file():
            continue
        try:
            if path.stat().st_size > _YAML_LIMIT:
                raise CheckpointError(f"{path} is longer than a run configuration can be")
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 - a safe loader
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise CheckpointError(f"{path} is not readable YAML ({str(error)[:120]})") from error
        if content is not None and not isinstance(content, dict):
            raise CheckpointError(f"{path} holds a {type(content).__name__}, expected key: value lines")
        # The reference writes the word None for a value that is not set.
        return {key: value for key, value in (content or {}).items() if value != "None"}
    return {}
