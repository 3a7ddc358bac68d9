"""Queries -> the backbone's own responses, batched, in a JSONL file that a stopped run goes on with (method step 1)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genzoo.errors import TrainingError
from genzoo.recipes import ResponseOptions
from genzoo.training.queries import Query


@dataclass(frozen=True)
class Response:
    """What the backbone answered; one line of ``responses.jsonl``."""

    id: str
    query: str
    response: str
    finish_reason: str
    n_tokens: int

    @property
    def finished(self) -> bool:
        """Whether the backbone ended the answer itself, rather than being cut off."""
        return self.finish_reason == "stop"


def read_responses(path: Path) -> list[Response]:
    """Read ``responses.jsonl``; a last line that was cut off by a kill is left out, any other damage is an error."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            facts = json.loads(line)
            rows.append(Response(**{name: facts[name] for name in Response.__dataclass_fields__}))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise TrainingError(
                f"{path}, line {number} is damaged ({error}): mend or delete that line and run again"
            ) from error
    return rows


def _drop_cut_line(path: Path) -> None:
    """Remove a last line without its line end, so that appending never joins two records."""
    if path.is_file():
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


def generate_responses(
    queries: Sequence[Query],
    path: Path,
    load: Callable[[], tuple[Any, Any]],
    options: ResponseOptions,
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Response]:
    """Answer every query that has no response yet, appending to ``path`` after each batch.

    Args:
        queries: The log; answers are matched to it by the text of the query.
        path: ``responses.jsonl``; made where missing, gone on with where not.
        load: Gives the causal LM and its tokenizer; not called when nothing is left to do.
        options: Length and system prompt.
        batch_size: Queries answered at once, sorted by length within blocks.
        on_progress: Called with queries answered and in all.

    Returns:
        One response per query, in the order of the log.
    """
    _drop_cut_line(path)
    known = {row.query: row for row in read_responses(path)}
    left = [query for query in queries if query.text not in known]
    on_progress(len(queries) - len(left), len(queries))
    if left:
        model, tokenizer = load()
        path.parent.mkdir(parents=True, exist_ok=True)
        block = batch_size * 4
        with path.open("a", encoding="utf-8") as file:
            for start in range(0, len(left), block):
                part = sorted(left[start : start + block], key=lambda query: len(query.text))
                for at in range(0, len(part), batch_size):
                    rows = _answer(model, tokenizer, part[at : at + batch_size], options)
                    file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
                    file.flush()
                    os.fsync(file.fileno())
                    known.update({row.query: row for row in rows})
                    on_progress(sum(query.text in known for query in queries), len(queries))
    return [known[query.text] for query in queries]


def chat_text(tokenizer: Any, query: str, system_prompt: str | None) -> str:
    """The query as the backbone wants to be asked: its chat template, thinking off, or a plain question without one."""
    if not tokenizer.chat_template:
        return f"Question: {query}\nAnswer:"
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages.append({"role": "user", "content": query})
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)


def _answer(model: Any, tokenizer: Any, queries: Sequence[Query], options: ResponseOptions) -> list[Response]:
    import torch

    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    texts = [chat_text(tokenizer, query.text, options.system_prompt) for query in queries]
    inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not tokenizer.chat_template)
    inputs = inputs.to(model.device)
    with torch.inference_mode():
        made = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=options.max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            stop_strings=None if tokenizer.chat_template else ["\nQuestion:"],
            tokenizer=tokenizer,
        )
    stops = model.generation_config.eos_token_id
    stops = set(stops) if isinstance(stops, list) else {stops}
    rows = []
    for query, ids in zip(queries, made[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
        end = next((i for i, token in enumerate(ids) if token in stops), None)
        text = tokenizer.decode(ids[:end], skip_special_tokens=True)
        stopped = end is not None or "\nQuestion:" in text
        text = text.split("\nQuestion:")[0].strip()
        rows.append(
            Response(
                query.id, query.text, text, "stop" if stopped else "length", len(ids if end is None else ids[:end])
            )
        )
    return rows
