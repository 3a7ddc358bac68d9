"""How a frozen LLM answers queries: transformers everywhere, vLLM where it is installed; both give the same records.

A shipped repetition penalty, temperature, minimum length or list of banned words would change answers, decoded texts and HyDE's
passages without a word in the recipe. Only the tokens that end or pad a text are taken from ``generation_config.json``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from genzoo.backbones.whole import open_tokenizer
from genzoo.errors import TrainingError
from genzoo.recipes.fields import ResponseOptions

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
        n_tokens: That the backbone wrote.
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


TODAY = dt.datetime(2024, 7, 26, 12)
"""The day that chat templates are told, the one that Llama's takes where it is told none: answers must not depend on the day."""
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_SENTENCE_OVER = re.compile(r"[.!?]\s")
NEXT_QUESTION = "\nQuestion:"
"""Where a base model, which has no end-of-turn token, goes on asking by itself."""


def chat_text(tokenizer: Any, query: str, system_prompt: str | None) -> str:
    """The query as the backbone wants to be asked: its chat template, thinking off, or a plain question without one."""
    if not tokenizer.chat_template:
        said = f"{system_prompt}\n\n" if system_prompt else ""
        return f"{said}Question: {query}\nAnswer:"
    user = {"role": "user", "content": query}
    messages = [{"role": "system", "content": system_prompt}, user] if system_prompt else [user]
    options = {
        "tokenize": False,
        "add_generation_prompt": True,
        "enable_thinking": False,
        "strftime_now": TODAY.strftime,
    }
    text = _render(tokenizer, messages, options)
    if text is None or (system_prompt and system_prompt not in text):
        # Some templates refuse or drop a system turn: there the user says it.
        text = _render(tokenizer, [{"role": "user", "content": f"{system_prompt}\n\n{query}"}], options)
    if text is None:
        raise TrainingError(f"the backbone's chat template refuses the query {query[:60]!r}")
    return text


def begun_text(tokenizer: Any, query: str, system_prompt: str | None, opening: str) -> str:
    """`chat_text` and the words that the answer begins with; after a base model's ``Answer:`` stands a space."""
    asked = chat_text(tokenizer, query, system_prompt)
    return f"{asked}{' ' * bool(opening and asked.endswith('Answer:'))}{opening}"


def continued(tokenizer: Any, opening: str, ids: Sequence[int]) -> str:
    """The text of tokens that follow an opening; decoded together, as many tokenizers drop a space at the beginning."""
    begun = tokenizer(opening, add_special_tokens=False)["input_ids"] if opening else []
    return tokenizer.decode([*begun, *ids], skip_special_tokens=True)


def _render(tokenizer: Any, messages: list[dict[str, str]], options: dict[str, Any]) -> str | None:
    from jinja2 import TemplateError

    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        options = options | {"chat_template": _on_that_day(template)}
    try:
        return tokenizer.apply_chat_template(messages, **options)
    except TemplateError:
        return None


def _on_that_day(template: str) -> str:
    """A chat template whose clock stands still; it takes data from outside, and no function."""
    day = "format" + "".join(f" | replace('%{code}', '{TODAY:%{code}}')" for code in "aAbBdejmyYHIMSpFT")
    return f"{{% macro strftime_now(format) %}}{{{{ {day} }}}}{{% endmacro %}}{template}"


def first_sentence(text: str, opening: str) -> tuple[str, bool]:
    """A text that begins with an opening, up to the end of that sentence, and whether it ends."""
    end = _SENTENCE_END.search(text, len(opening))
    return (text[: end.end()], True) if end else (text, False)


def make_response(query: Query, text: str, stopped: bool, n_tokens: int, opening: str = "") -> Response:
    """The record of an answer; whatever a base model asked next is cut off, and a given opening ends with its sentence."""
    if opening:
        text, is_over = first_sentence(text, opening)
        stopped = stopped or is_over
    answer, *asked = text.split(NEXT_QUESTION)
    return Response(query.id, query.text, answer.strip(), "stop" if stopped or asked else "length", n_tokens)


class TransformersEngine:
    """Batched generation with a KV cache, padded on the left.

    Args:
        model: Causal LM.
        tokenizer: Its tokenizer.
        options: Length, system prompt, sampling.
        opening: Words that every answer begins with; the LLM goes on from there to the end of the sentence.
    """

    def __init__(self, model: Any, tokenizer: Any, options: ResponseOptions, opening: str = "") -> None:
        self.model, self.tokenizer, self.options, self.opening = model, tokenizer, options, opening

    def answer(self, queries: Sequence[Query]) -> list[Response]:
        """One response per query, in their order."""
        import torch

        tokenizer, options = self.tokenizer, self.options
        tokenizer.padding_side = "left"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        texts = [begun_text(tokenizer, query.text, options.system_text, self.opening) for query in queries]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not tokenizer.chat_template)
        inputs = inputs.to(self.model.device)
        if options.temperature > 0:
            # By the texts, so that a run that was stopped draws the same again for the same batch.
            torch.manual_seed(int.from_bytes(hashlib.sha256("\0".join(texts).encode()).digest()[:6], "big"))
        with torch.inference_mode():
            made = generate(
                self.model,
                tokenizer,
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=options.max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                stop_strings=None if tokenizer.chat_template else [NEXT_QUESTION],
                stopping_criteria=[partial(self._are_finished, inputs["input_ids"].shape[1])] if self.opening else None,
                **self._sampling(),
            )
        # A row that has ended is padded until the others have, so padding ends it too: after a stop string nothing else does.
        stops = {*end_tokens(self.model.generation_config, tokenizer), tokenizer.pad_token_id}
        rows = []
        for query, ids in zip(queries, made[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            end = next((place for place, token in enumerate(ids) if token in stops), None)
            text = continued(tokenizer, self.opening, ids[:end])
            rows.append(make_response(query, text, end is not None, len(ids[:end]), self.opening))
        return rows

    def _are_finished(self, start: int, ids: Any, _scores: Any) -> Any:
        """Of each row, whether the sentence after the opening is over: what comes then is cut off by `make_response`."""
        import torch

        texts = [continued(self.tokenizer, self.opening, row[start:]) for row in ids.tolist()]
        over = [_SENTENCE_OVER.search(text, len(self.opening)) is not None for text in texts]
        return torch.tensor(over, device=ids.device)

    def _sampling(self) -> dict[str, Any]:
        options = self.options
        always = {"top_k": None, "repetition_penalty": options.repetition_penalty}
        if options.temperature <= 0:
            return always
        return {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p, **always}


class VllmEngine:
    """vLLM's continuous batching; it takes as many queries at once as it is given.

    Args:
        folder: Local folder of the backbone.
        tokenizer: Its tokenizer.
        options: Length, system prompt, sampling.
        opening: Words that every answer begins with; the LLM goes on from there to the end of the sentence.
    """

    def __init__(self, folder: Path, tokenizer: Any, options: ResponseOptions, opening: str = "") -> None:
        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise TrainingError(
                "response.engine is vllm, which is not installed here: pip install 'genzoo[vllm]' on a machine with a GPU, or "
                "leave it at transformers"
            ) from error
        self.tokenizer, self.options, self.opening = tokenizer, options, opening
        # vLLM otherwise starts from the folder's generation config; what ends a text is all that is taken from there
        self.model = LLM(model=str(folder), generation_config="vllm")
        self.sampling = SamplingParams(
            max_tokens=options.max_new_tokens,
            temperature=options.temperature,
            top_p=options.top_p if options.temperature > 0 else 1.0,
            repetition_penalty=options.repetition_penalty,
            stop_token_ids=end_tokens(shipped_config(folder), tokenizer),
            stop=None if tokenizer.chat_template else [NEXT_QUESTION],
        )

    def answer(self, queries: Sequence[Query]) -> list[Response]:
        """One response per query, in their order."""
        texts = [begun_text(self.tokenizer, query.text, self.options.system_text, self.opening) for query in queries]
        bare = not self.tokenizer.chat_template
        # Token ids, not texts: a chat template writes its own BOS, and vLLM would add a second one.
        prompts = [{"prompt_token_ids": self.tokenizer(text, add_special_tokens=bare)["input_ids"]} for text in texts]
        made = self.model.generate(prompts, self.sampling, use_tqdm=False)
        rows = zip(queries, (row.outputs[0] for row in made), strict=True)
        return [
            make_response(
                query,
                continued(self.tokenizer, self.opening, one.token_ids) if self.opening else one.text,
                one.finish_reason == "stop",
                len(one.token_ids),
                self.opening,
            )
            for query, one in rows
        ]


Engine = TransformersEngine | VllmEngine
"""What generates responses."""


def make_engine(
    options: ResponseOptions, folder: Callable[[], Path], causal_lm: Callable[[], tuple[Any, Any]], opening: str = ""
) -> Engine:
    """The engine that the options name; only what it needs is loaded. Every answer begins with the opening."""
    if options.engine == "vllm":
        return VllmEngine(folder(), open_tokenizer(folder()), options, opening)
    return TransformersEngine(*causal_lm(), options, opening)
