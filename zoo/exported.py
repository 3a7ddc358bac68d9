"""An exported folder read back as the checkpoint that it was made from."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from genzoo.checkpoint import CONFIG, TokenCheckpoint
from genzoo.errors import CheckpointError
from genzoo.inspection import check_model_folder, read_json_file

ADAPTER = "adapter_config.json"
_EMBEDDINGS = "embed_tokens.weight"


def is_exported(folder: Path) -> bool:
    """Whether a folder is what `genzoo export` or `genzoo convert` wrote."""
    return (Path(folder) / "modules.json").is_file() and (Path(folder) / CONFIG).is_file()


def read_exported(folder: Path, *, is_checked: bool = True) -> TokenCheckpoint:
    """The trained rows and projections of an exported folder, checked against the digest in its ``genzoo.json``.

    Args:
        folder: What `genzoo export` or `genzoo convert` wrote.
        is_checked: Whether other numbers than those that were exported are refused.

    Raises:
        CheckpointError: When a file is missing or damaged, or the numbers are not those that were exported.
    """
    folder = Path(folder)
    config = read_json_file(folder / CONFIG, "genzoo checkpoint")
    return TokenCheckpoint.from_parts(config, read_exported_tensors(folder), folder, is_checked=is_checked)


def read_exported_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The five trained tensors of an exported folder by name, in float32, whatever their digest."""
    check_model_folder(folder)
    config = read_json_file(folder / CONFIG, "genzoo checkpoint")
    try:
        ids = [int(row) for row in config["spec"]["ids"]]
        tensors = {"rows": _rows(folder, ids)}
        for name, place in zip(("recon", "align"), _dense_folders(folder), strict=True):
            linear = load_file(place / "model.safetensors")
            tensors |= {f"{name}_weight": linear["linear.weight"], f"{name}_bias": linear["linear.bias"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is no complete export of genzoo ({error}): export it again") from error
    return {name: tensor.float() for name, tensor in tensors.items()}


def base_folder(folder: Path) -> Path | None:
    """Where the backbone of an exported folder lies on this machine: itself, a folder, or the Hub's cache; None if nowhere."""
    folder = Path(folder)
    path = folder / ADAPTER
    if not path.is_file():
        return folder
    base = str(read_json_file(path, "adapter").get("base_model_name_or_path"))
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(base, "config.json")
    except ValueError:
        return None  # no name that the Hub could have
    return Path(found).parent if isinstance(found, str) else None


def _dense_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_Dense"))


def _rows(folder: Path, ids: list[int]) -> torch.Tensor:
    adapter = folder / "adapter_model.safetensors"
    if adapter.is_file():
        (delta,) = [tensor for name, tensor in load_file(adapter).items() if "trainable_tokens" in name]
        return delta
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in (name for name in file.keys() if name.endswith(_EMBEDDINGS)):  # noqa: SIM118
                matrix = file.get_slice(name)
                return torch.stack([matrix[row] for row in ids])
    raise KeyError(_EMBEDDINGS)
