"""Files that transformers 5 writes, said so that transformers 4 reads the same model in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.files import read_json, write_json

AGAIN = "save the model again"


def name_rope_as_before(folder: Path) -> None:
    """Write the rotary base of a folder's ``config.json`` under the names of transformers 4 too, beside ``rope_parameters``.

    transformers 4 does not know ``rope_parameters`` and takes 10,000 as the base, without a word.
    """
    path = folder / "config.json"
    config = read_json(path, AGAIN)
    write_json(path, config | rope_as_before(config.get("rope_parameters") or {}), indent=2, is_ascii=True)


def rope_is_read_as_before(folder: Path) -> bool:
    """Whether transformers 4 reads the rotary base that a folder's ``config.json`` names."""
    config = read_json(folder / "config.json", AGAIN)
    return "rope_parameters" not in config or "rope_theta" in config


def rope_as_before(parameters: dict[str, Any]) -> dict[str, Any]:
    """What transformers 4 calls the rotary embedding that ``rope_parameters`` describes.

    >>> rope_as_before({"rope_type": "default", "rope_theta": 1e5})
    {'rope_theta': 100000.0}
    >>> rope_as_before({"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}})
    {'rope_theta': 1000000.0, 'rope_local_base_freq': 10000.0}
    """
    full = parameters.get("full_attention", parameters)
    found = {"rope_theta": full["rope_theta"]} if "rope_theta" in full else {}
    scaling = {key: value for key, value in full.items() if key != "rope_theta"}
    if scaling.get("rope_type", "default") != "default":
        found["rope_scaling"] = scaling
    local = parameters.get("sliding_attention", {}).get("rope_theta")
    return found | ({"rope_local_base_freq": local} if local else {})


def name_tokenizer_as_before(folder: Path) -> None:
    """Name the class and the special tokens of a folder's tokenizer as transformers 4 does, which 5 reads too.

    The class is the one that takes ``tokenizer.json`` as it is: those of single families build its post-processor anew. As the
    processor's class it spares transformers 4 to look for the kind of model, which the folder of an adapter does not say.
    """
    path, kind = folder / "tokenizer_config.json", "PreTrainedTokenizerFast"
    config = read_json(path, AGAIN) | {"tokenizer_class": kind, "processor_class": kind}
    if isinstance(extra := config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = extra
        del config["extra_special_tokens"]
    write_json(path, config, indent=2, is_ascii=True)
