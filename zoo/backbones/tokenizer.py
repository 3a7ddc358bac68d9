"""Where the trained tokens go: spare embedding rows that no text can reach, and a tokenizer that appends them to every text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

from genzoo.errors import BackboneError, CheckpointError, InputError

PROBE_TEXTS = (
    "",
    "hello world",
    " <|x|> [tag] <repo_name> \n\n\t 東京 🙂 café 1234567890 def f(x): return x",
    "<unused0>",
)

FIRST_WORDS = 4
"""Of the answer, with which the start of trained tokens ends at the earliest: "The answer is about"."""


def spare_rows(tokenizer: Any, vocab_size: int, known: Sequence[int] = (), count: int = 10) -> tuple[int, ...]:
    """Find embedding rows that no text and no chat template can produce.

    Rows named by the backbone's entry come first, then padding rows beyond the tokenizer, then reserved or unused special
    tokens (``<|reserved_special_token_0|>``, ``[control_8]``, ``<unused7>``).

    Args:
        tokenizer: The backbone's tokenizer.
        vocab_size: Rows of the embedding matrix.
        known: Rows that the backbone's entry names as spare.
        count: How many are needed.

    Returns:
        ``count`` rows, or an empty tuple where the backbone has not enough: then only the whole form can be exported.
    """
    words = ("reserved", "unused", "control_", "extra_")
    named = sorted(row for name, row in tokenizer.get_added_vocab().items() if any(word in name for word in words))
    beyond = list(range(len(tokenizer), vocab_size))
    for rows in (known, beyond, named):
        free = tuple(islice((row for row in rows if is_spare(tokenizer, row, vocab_size)), count))
        if len(free) == count:
            return free
    return ()


def is_spare(tokenizer: Any, row: int, vocab_size: int) -> bool:
    """Whether a row may carry a trained token: one of the embedding matrix that neither text nor chat can reach.

    Only special tokens are read as text when special tokens are split, so every other row of the vocabulary is what some text
    becomes; a special one must in addition not stand in the chat template or come out of any of the probe texts.
    """
    if row >= len(tokenizer) or row >= vocab_size:
        return row < vocab_size
    name, added = tokenizer.convert_ids_to_tokens(row), tokenizer.added_tokens_decoder.get(row)
    if added is None or not added.special:
        return False
    texts = [*PROBE_TEXTS, name, f"a {name} b", f"a{name}b"]
    is_reached = any(row in ids for ids in plain_ids(tokenizer, texts))
    return not is_reached and not (tokenizer.chat_template and _is_in_chat(tokenizer, name))


def _is_in_chat(tokenizer: Any, name: str) -> bool:
    templates = tokenizer.chat_template
    sources = templates.values() if isinstance(templates, dict) else [templates]
    asked = [{"role": "user", "content": "hello"}]
    chat = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    return name in chat or any(name in source for source in sources)


def check_texts(texts: object) -> list[str]:
    """Return the texts as a list, or raise `InputError` naming the first that is no string."""
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, Sequence):
        raise InputError(f"texts must be a string or a list of strings, not {type(texts).__name__}")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text number {place} is a {type(text).__name__}, not a string: {text!r:.60}")
    if not texts:
        raise InputError("the list of texts is empty: give at least one")
    return list(texts)


def plain_ids(tokenizer: Any, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
    """Token ids of plain texts: the backbone's own leading token (BOS) kept, special tokens in the text read as text."""
    options = {"truncation": True, "max_length": max_tokens} if max_tokens else {"truncation": False}
    return tokenizer(list(texts), split_special_tokens=True, **options)["input_ids"]


def template_limit(limit: int, added: int, times: int = 1, *, what: str = "max_tokens") -> int:
    """The limit that makes a tokenizer read at most `limit` tokens in all when a template gives it the text several times.

    tokenizers takes what the template adds off the limit, and then leaves each occurrence of the text as long as the rest; where
    the template alone is longer than the limit, it cuts nothing.

    Args:
        limit: Tokens that may be read, those of the template included.
        added: Tokens of the template.
        times: How often the template gives the text.
        what: What the error calls the limit.

    Raises:
        InputError: When not a single token of the text would be left.

    >>> template_limit(12, 2), template_limit(12, 2, times=2)
    (12, 7)
    """
    if limit < added + times:
        raise InputError(
            f"{what} is {limit}: {added} tokens are added to every text, so that nothing of it would be read; give at least "
            f"{added + times}"
        )
    return added + (limit - added) // times


def append_trained_tokens(
    tokenizer: Any, ids: Sequence[int], names: Sequence[str], max_tokens: int | None = None
) -> None:
    """Make the tokenizer append the trained tokens to every text, also under truncation, and read their names as text.

    Changes the tokenizer in place. Whatever the backbone puts around a text (BOS) is kept before the trained tokens. Where
    `max_tokens` is given, at least one token of a text must fit into it beside them.
    """
    from tokenizers.processors import TemplateProcessing

    around = tokenizer("", add_special_tokens=True)["input_ids"]
    probe = tokenizer("a", add_special_tokens=True)["input_ids"]
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next(i for i in range(len(probe)) if probe[i : i + len(inner)] == inner)
    leading, trailing = probe[:start], probe[start + len(inner) :]
    if leading + trailing != around:
        raise BackboneError(
            "the tokenizer adds different tokens around different texts: such a backbone is not supported"
        )
    if trailing:
        raise BackboneError(
            f"the tokenizer ends every text with {tokenizer.convert_ids_to_tokens(trailing)}: generative embeddings need a "
            "backbone whose tokenizer does not (set add_eos_token to false in its folder)"
        )
    if max_tokens is not None:
        template_limit(max_tokens, len(leading) + len(ids))
    own = [(str(tokenizer.convert_ids_to_tokens(i)), i) for i in leading]
    trained = list(zip(names, ids, strict=True))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=" ".join([*(f"{t}:0" for t, _ in own), "$A:0", *(f"{t}:0" for t, _ in trained)]),
        special_tokens=list({*own, *trained}),
    )
    read_plainly(tokenizer)


def read_plainly(tokenizer: Any) -> None:
    """Make the tokenizer read special tokens in a text as text, and pad and cut on the right, also once it is saved."""
    for key, value in {"split_special_tokens": True, "padding_side": "right", "truncation_side": "right"}.items():
        setattr(tokenizer, key, value)
        tokenizer.init_kwargs[key] = value  # what is only an attribute is not saved
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token


def opening_of_an_answer(tokenizer: Any) -> str:
    """What comes between a chat's question and its answer."""
    if not tokenizer.chat_template:
        return "\nAnswer:"
    asked = [{"role": "user", "content": "?"}]
    chat = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    return chat.rpartition("?")[2]


def start_rows(model: Any, tokenizer: Any, n: int) -> Any:
    """Where trained tokens start: embeddings of what comes between a chat's question and its answer, so that the LLM answers.

    Few tokens start as the last ones of that, the answer's first words: what a chat template puts there says the same after
    every text.

    Returns:
        ``(n, H)`` tensor.
    """
    opening = opening_of_an_answer(tokenizer)
    ids = tokenizer(opening + " The answer is about the following:", add_special_tokens=False)["input_ids"]
    end = max(n, len(tokenizer(opening, add_special_tokens=False)["input_ids"]) + FIRST_WORDS)
    ids = (ids * math.ceil(end / len(ids)))[max(0, end - n) : end]
    return model.get_input_embeddings().weight[ids].detach().float().clone()


def check_out_of_reach(tokenizer: Any, rows: Sequence[int]) -> None:
    """Refuse a tokenizer that can turn text into one of the rows of the trained tokens.

    A text that reaches such a row would be pooled as if it were a trained token.

    Raises:
        CheckpointError: Names the row and its string.
    """
    reached = reachable_rows(tokenizer, rows)
    if reached:
        row, token = next(iter(reached.items()))
        raise CheckpointError(
            f"the tokenizer can turn text into row {row} ({token!r}), which holds a trained token: the tokenizer was tampered with, or the "
            "tokens were trained on rows that are not spare"
        )


def reachable_rows(tokenizer: Any, rows: Sequence[int]) -> dict[int, str]:
    """The given rows that some text yields once special tokens in text are read as text, with their strings.

    A row is out of reach when it lies beyond the tokenizer, or is a special token that the model itself cannot build: for BPE
    that means no merge makes it, it is not a single symbol, and it does not stand for the unknown.
    """
    tables = json.loads(tokenizer.backend_tokenizer.to_str())
    wanted, model = set(rows), tables["model"]
    added = {token["id"]: token for token in tables.get("added_tokens", []) if token["id"] in wanted}
    found = {row: token["content"] for row, token in added.items() if not token["special"]}
    vocabulary = model.get("vocab") or {}
    pairs = (
        vocabulary.items() if isinstance(vocabulary, dict) else ((piece[0], i) for i, piece in enumerate(vocabulary))
    )
    inside = {row: token for token, row in pairs if row in wanted}
    if model.get("type") == "BPE" and not model.get("ignore_merges"):
        made = {"".join(merge) if isinstance(merge, list) else merge.replace(" ", "") for merge in model["merges"]}
        unknown = model.get("unk_token")
        inside = {row: token for row, token in inside.items() if token in made or len(token) == 1 or token == unknown}
    elif model.get("type") == "BPE":
        # Whole words of the vocabulary are taken as they are, but never a special token: those are split off as text before.
        inside = {row: token for row, token in inside.items() if row not in added}
    return found | inside
