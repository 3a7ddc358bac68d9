"""How an unsupervised teacher reads a text, as modules of sentence-transformers: the first layers of the backbone, then a mean.

``prompt``, ``echo`` and ``plain`` average over everything that is read; ``answer`` over the states of the tokens that open an
answer, where the LLM has read the whole text and is about to say it again (`genzoo.models.baselines`). What a chat template puts before
these is read, but not averaged: it says the same after every text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from genzoo.backbones.tokenizer import FIRST_WORDS, opening_of_an_answer, read_plainly, template_limit
from genzoo.backbones.whole import open_transformer
from genzoo.errors import InputError
from genzoo.models.prompts import DOCUMENT
from genzoo.recipes.fields import UnsupervisedOptions

BEFORE, AFTER = 'This sentence: "', '" means in one word: "'
RESTATE = DOCUMENT.strip() + "\n"


def make_reader(backbone: Path, options: UnsupervisedOptions) -> list[nn.Module]:
    """Modules that turn texts into ``(texts, H)`` states; their tokenizer puts the frame around every text by itself.

    The gains of the final norm are taken away: each position only gets unit size.

    Raises:
        InputError: For a layer that the backbone has not.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(backbone)
    layers = config.num_hidden_layers
    if not 1 <= options.layer <= layers:
        raise InputError(f"unsupervised.layer is {options.layer}, the backbone has layers 1 to {layers}")
    kept: dict[str, Any] = {"num_hidden_layers": options.layer}
    if getattr(config, "layer_types", None):
        kept["layer_types"] = config.layer_types[: options.layer]
    modules = (
        _answer_modules(backbone, options, kept) if options.wrap == "answer" else _text_modules(backbone, options, kept)
    )
    norm: Any = modules[0].model.norm
    with torch.no_grad():
        # Gemma stores the gain less one.
        norm.weight.fill_(0.0 if "Gemma" in type(norm).__name__ else 1.0)
    return modules


def _text_modules(backbone: Path, options: UnsupervisedOptions, kept: Mapping[str, Any]) -> list[Any]:
    module = open_transformer(
        Transformer,
        backbone,
        is_cut=True,
        model_kwargs={"dtype": torch.float32},
        config_kwargs=dict(kept),
        max_seq_length=options.max_tokens,
        unpad_inputs=False,
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    )
    tokenizer = module.tokenizer
    tokenizer.chat_template = None
    around = tokenizer("", add_special_tokens=True)["input_ids"]
    before, after = (BEFORE, AFTER) if options.wrap == "prompt" else ("", "")
    frame = {"before": [*around, *_ids(tokenizer, before)], "after": _ids(tokenizer, after)}
    _put_frame(module, frame, 2 if options.wrap == "echo" else 1, options.max_tokens)
    return [module, Pooling(module.model.config.hidden_size, "mean")]


def _answer_modules(backbone: Path, options: UnsupervisedOptions, kept: Mapping[str, Any]) -> list[Any]:
    from transformers import AutoTokenizer

    from genzoo.models.assembly import assemble
    from genzoo.models.baselines import untrained_checkpoint

    plain = AutoTokenizer.from_pretrained(backbone)
    split = {}
    if plain.chat_template:
        split = {"n_thought": len(_ids(plain, opening_of_an_answer(plain))), "n_compression": FIRST_WORDS}
    checkpoint = untrained_checkpoint(backbone, options.max_tokens, **split)
    module, _, _, weights, pooling = assemble(checkpoint, backbone, device="cpu")
    transformer: Any = module
    transformer.model.layers = transformer.model.layers[: options.layer]
    for key, value in kept.items():
        setattr(transformer.model.config, key, value)
    frame = {"before": [*plain("")["input_ids"], *_ids(plain, RESTATE)], "after": list(checkpoint.spec.ids)}
    _put_frame(transformer, frame, 1, options.max_tokens)
    return [transformer, weights, pooling]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"] if text else []


def _put_frame(module: Any, frame: Mapping[str, list[int]], times: int, max_tokens: int) -> None:
    """Make the module's tokenizer put every text, so many times, into a frame, and read at most `max_tokens` with it."""
    from tokenizers.processors import TemplateProcessing

    tokenizer, added = module.tokenizer, sum(map(len, frame.values()))
    module.max_seq_length = template_limit(max_tokens, added, times, what="unsupervised.max_tokens")
    named = {name: ids for name, ids in frame.items() if ids}
    pieces = [
        *(["before:0"] if "before" in named else []),
        *["$A:0"] * times,
        *(["after:0"] if "after" in named else []),
    ]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=pieces,
        special_tokens=[
            {"id": name, "ids": ids, "tokens": [str(tokenizer.convert_ids_to_tokens(token)) for token in ids]}
            for name, ids in named.items()
        ],
    )
    read_plainly(tokenizer)
