"""How a frozen LLM writes: as it is asked to, whatever habits its ``generation_config.json`` ships.

A shipped repetition penalty, temperature, minimum length or list of banned words would change answers, decoded texts and HyDE's
passages without a word in the recipe. Only the tokens that end or pad a text are taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@dataclass(frozen=True)
class Query:
    """One query of the log; ``id`` is the log's own, or its place in the log."""

    id: str
    text: str


@dataclass(frozen=True)
class Response:
    """What the backbone answered; one line of ``responses.jsonl``.

    Attributes:
        id: Of the query.
        query: Its text.
        response: The answer.
        finish_reason: ``stop`` where the backbone ended it, ``length`` where it was cut off.
        n_tokens: In the answer.
        made_with: Digest of the settings and the backbone that it was made with (`options_digest`); empty where the file does
            not say, as files of earlier versions and of other programs.
    """

    id: str
    query: str
    response: str
    finish_reason: str
    n_tokens: int
    made_with: str = ""

    @property
    def finished(self) -> bool:
        """Whether the backbone ended the answer itself, rather than being cut off."""
        return self.finish_reason == "stop"


class Engine(Protocol):
    """What generates responses."""

    def answer(self, queries: Sequence[Query]) -> list[Response]:
        """One response per query, in their order."""
        ...


def generate(model: Any, tokenizer: Any, **options: Any) -> Any:
    """``model.generate(**options)`` with those options alone: greedy, with a KV cache, unless they say otherwise.

    Args:
        model: Causal LM; its own generation config is put back afterwards.
        tokenizer: Its tokenizer, whose end-of-text token counts where the model names none.
        options: As ``generate`` takes them.

    Returns:
        Token ids ``(batch, length)``.
    """
    from transformers import GenerationConfig

    shipped = model.generation_config
    tokens = {name: getattr(shipped, name, None) for name in _TOKENS}
    tokens["eos_token_id"] = end_tokens(shipped, tokenizer) or None
    try:
        model.generation_config = GenerationConfig(**tokens)
        # only stop strings make the library ask for the tokenizer
        reader = {"tokenizer": tokenizer} if options.get("stop_strings") else {}
        return model.generate(**{"do_sample": False, "use_cache": True} | options | reader)
    finally:
        model.generation_config = shipped


def end_tokens(config: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a text, by a generation config, or by the tokenizer where that names none."""
    named = getattr(config, "eos_token_id", None)
    if named is None:
        named = tokenizer.eos_token_id
    return [] if named is None else named if isinstance(named, list) else [named]


def shipped_config(folder: Path) -> Any:
    """The generation config of a folder: its own file, or what follows from its ``config.json``."""
    from transformers import AutoConfig, GenerationConfig

    if (Path(folder) / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder))
