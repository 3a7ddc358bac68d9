"""What makes responses: transformers everywhere, vLLM where it is installed; both give the same records."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genzoo.errors import TrainingError
from genzoo.generation import end_tokens, generate, shipped_config
from genzoo.options import ResponseOptions
from genzoo.training.queries import Query
from genzoo.training.responses import Engine, Response
from genzoo.whole import open_tokenizer

TODAY = dt.datetime(2024, 7, 26, 12)
"""The day that chat templates are told, the one that Llama's takes where it is told none: answers must not depend on the day."""
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


def make_response(query: Query, text: str, stopped: bool, n_tokens: int) -> Response:
    """The record of an answer; whatever a base model asked next is cut off."""
    stopped = stopped or NEXT_QUESTION in text
    return Response(
        query.id, query.text, text.split(NEXT_QUESTION)[0].strip(), "stop" if stopped else "length", n_tokens
    )


class TransformersEngine:
    """Batched generation with a KV cache, padded on the left.

    Args:
        model: Causal LM.
        tokenizer: Its tokenizer.
        options: Length, system prompt, sampling.
    """

    def __init__(self, model: Any, tokenizer: Any, options: ResponseOptions) -> None:
        self.model, self.tokenizer, self.options = model, tokenizer, options

    def answer(self, queries: Sequence[Query]) -> list[Response]:
        """One response per query."""
        import torch

        tokenizer, options = self.tokenizer, self.options
        tokenizer.padding_side = "left"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        texts = [chat_text(tokenizer, query.text, options.system_text) for query in queries]
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
                **self._sampling(),
            )
        # A row that has ended is padded until the others have, so padding ends it too: after a stop string nothing else does.
        stops = {*end_tokens(self.model.generation_config, tokenizer), tokenizer.pad_token_id}
        rows = []
        for query, ids in zip(queries, made[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            end = next((place for place, token in enumerate(ids) if token in stops), None)
            text = tokenizer.decode(ids[:end], skip_special_tokens=True)
            rows.append(make_response(query, text, end is not None, len(ids[:end])))
        return rows

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
    """

    def __init__(self, folder: Path, tokenizer: Any, options: ResponseOptions) -> None:
        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise TrainingError(
                "response.engine is vllm, which is not installed here: pip install 'genzoo[vllm]' on a machine with a GPU, or "
                "leave it at transformers"
            ) from error
        self.tokenizer, self.options = tokenizer, options
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
        """One response per query."""
        texts = [chat_text(self.tokenizer, query.text, self.options.system_text) for query in queries]
        bare = not self.tokenizer.chat_template
        # Token ids, not texts: a chat template writes its own BOS, and vLLM would add a second one.
        prompts = [{"prompt_token_ids": self.tokenizer(text, add_special_tokens=bare)["input_ids"]} for text in texts]
        made = self.model.generate(prompts, self.sampling, use_tqdm=False)
        rows = zip(queries, (row.outputs[0] for row in made), strict=True)
        return [make_response(query, one.text, one.finish_reason == "stop", len(one.token_ids)) for query, one in rows]


def make_engine(
    options: ResponseOptions, folder: Callable[[], Path], causal_lm: Callable[[], tuple[Any, Any]]
) -> Engine:
    """The engine that the options name; only what it needs is loaded."""
    if options.engine == "vllm":
        return VllmEngine(folder(), open_tokenizer(folder()), options)
    return TransformersEngine(*causal_lm(), options)
