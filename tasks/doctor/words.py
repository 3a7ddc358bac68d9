"""The findings of `genzoo doctor` in words: a sentence for each, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["fault", "caution", "fact"]

_SEND_PROMPT = "Put the model's own prompt before each text, its blank at the end included: {prompts}."
_ONE_PROMPT = "Let either the client or the server put the prompt, not both."
_OWN_MODULES = "Load the model's folder with sentence-transformers, which runs all its modules."
_COSINE = "Compare by cosine, or let the client normalise the embeddings."
_FAULTS: dict[str, tuple[str, str]] = {
    "prompt-lost": ("{Who} are embedded without their prompt.", _SEND_PROMPT),
    "other-prompt": ("{Who} are embedded with the prompt of the other side of the search.", _SEND_PROMPT),
    "prompt-blank-lost": ("The prompt of {who} lacks the blank at its end.", _SEND_PROMPT),
    "prompt-twice": ("The prompt of {who} is put before them twice.", _ONE_PROMPT),
    "other-prompt-added": (
        "The prompt of the other side is put before {who}, in addition to their own.",
        _ONE_PROMPT,
    ),
    "line-breaks-replaced": (
        "Line breaks in {who} are replaced by blanks.",
        "Use a client that sends texts as they are.",
    ),
    "cut-short": (
        "{Who} are cut after {limit} tokens, prompt and trained tokens included; the model reads {own}.",
        "Set the longest input of the client to {own} tokens.",
    ),
    "cut-late": (
        "{Who} are cut after {limit} tokens or not at all; the model reads no more than {own}.",
        "Set the longest input of the client to {own} tokens.",
    ),
    "cut-elsewhere": (
        (
            "{Who} are cut elsewhere than the model cuts them: those of at most {longest} tokens are embedded as the model embeds them, longer "
            "ones are not."
        ),
        "Set the longest input of the client to {own} tokens, and let it cut the text, not the trained tokens behind it.",
    ),
    "pooling-all-tokens": (
        "The embeddings of {who} are the mean of all tokens; the model takes the mean of its trained tokens alone.",
        _OWN_MODULES,
    ),
    "tokens-not-appended": (
        "The trained tokens are not appended to {who}, and the embedding is the mean of the text's own tokens.",
        "Use the tokenizer of the model's folder, with special tokens added.",
    ),
    "pooling-last-token": (
        "The embeddings of {who} are made of the last token alone; the model takes the mean of its trained tokens.",
        _OWN_MODULES,
    ),
    "pooling-last-text-token": (
        "The trained tokens are not appended to {who}, and the embedding is made of the last token of the text.",
        "Use the tokenizer of the model's folder, with special tokens added, and the model's own pooling.",
    ),
    "pooling-first-token": (
        "The embeddings of {who} are made of the first token alone; the model takes the mean of its trained tokens.",
        _OWN_MODULES,
    ),
    "pooling-thought-tokens": (
        "The embeddings of {who} are the mean of all trained tokens; the model leaves out the first ones, which are scratch space.",
        _OWN_MODULES,
    ),
    "states-normalised": (
        "The states of the trained tokens are divided by their lengths before the embeddings of {who} are made of them.",
        "Ask for the states as they are (in vLLM, use_activation: false).",
    ),
    "reconstruction-skipped": ("The reconstruction layer is not applied to {who}.", _OWN_MODULES),
    "alignment-skipped": ("The alignment layer is not applied to {who}.", _OWN_MODULES),
    "projections-skipped": (
        "Neither the reconstruction layer nor the alignment layer is applied to {who}.",
        _OWN_MODULES,
    ),
    "truncated": (
        "The embeddings of {who} are cut to the first {kept} of {width} numbers.",
        "Remove the option that cuts them (truncate_dim, dimensions).",
    ),
    "rounded": (
        "The embeddings of {who} are rounded to {precision} a number.",
        "Ask for float32, or rescore the first hits with the full embeddings.",
    ),
    "low-precision": (
        (
            "The embeddings of {who} are near to the model's, but not the same: its weights are rounded to 8 bits or fewer, or slightly "
            "changed."
        ),
        "Serve the weights in float32 or bfloat16.",
    ),
    "batch": (
        "A text alone and the same text in a batch get different embeddings (cosine {cosine:.3f}).",
        "Send one text a request, or use another client: this one pads wrongly.",
    ),
    "not-finite": (
        "The embeddings of {who} hold NaN, infinite numbers or zeros alone.",
        "Serve the weights in float32 or bfloat16 if they are in float16, which some LLMs overflow; otherwise use another backend.",
    ),
    "distance": (
        "The store ranks by {space}, and its vectors are not of unit length ({lengths}): it ranks otherwise than by cosine.",
        "Build the index with the distance cosine, or normalise the vectors that are stored and searched.",
    ),
    "known-model": ("{Who} are embedded by {named}.", "Embed them with {model}."),
    "another-revision": (
        (
            "{Who} are embedded by another revision of the model, or in a way that is not known here: no known way gives these embeddings, but "
            "each resembles the one of its text ({cosine})."
        ),
        "Embed them again with the revision that is used now, or name other revisions with -m.",
    ),
    "another-model": (
        (
            "{Who} are embedded by another model, or in a way that is not known here: no known way gives these embeddings, and they do not "
            "resemble those of their texts ({cosine})."
        ),
        "Embed them with {model}, or name other models with -m.",
    ),
}
_CAUTIONS = {
    "not-normalised": (
        "The embeddings are not of unit length ({lengths}); L2 and dot product rank otherwise.",
        _COSINE,
    ),
}
_FACTS = {
    "bfloat16": ("The embeddings of {who} differ from float32 as those of bfloat16 do, which is no fault.", ""),
    "long-text-refused": ("The client refuses {who} of {longest} tokens ({said}).", ""),
    "prompts-by-caller": (
        "Texts are embedded as they are sent: whoever asks puts the prompts before them, {prompts}.",
        "",
    ),
}
_ALL: tuple[tuple[Severity, Mapping[str, tuple[str, str]]], ...] = (
    ("fault", _FAULTS),
    ("caution", _CAUTIONS),
    ("fact", _FACTS),
)


@dataclass(frozen=True)
class Deviation:
    """One thing that a client or an index does otherwise than the model.

    Attributes:
        code: What it is, in one word for programs; it stays the same when the sentence changes.
        severity: ``fault`` (it changes rankings), ``caution`` (it may) or ``fact``.
        text: A sentence.
        advice: What to do about it; empty for a fact.
    """

    code: str
    severity: Severity
    text: str
    advice: str = ""

    @classmethod
    def of(cls, code: str, **facts: Any) -> Deviation:
        """The finding of this code, its sentence filled with facts."""
        severity, rows = next((severity, rows) for severity, rows in _ALL if code in rows)
        text, advice = (part.format(**facts) for part in rows[code])
        return cls(code, severity, text, advice)


def in_words(parts: Mapping[str, tuple[int, int]]) -> str:
    """Which texts are meant, by ``query`` and ``document``: how many of how many.

    >>> in_words({"query": (6, 6), "document": (6, 6)}), in_words({"document": (3, 24)})
    ('queries and documents', '3 of 24 documents')
    """
    nouns = {"query": "queries", "document": "documents"}
    return " and ".join(
        nouns[side] if count == total else f"{count} of {total} {nouns[side]}" for side, (count, total) in parts.items()
    )
