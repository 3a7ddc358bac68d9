"""Keeping tokens out of everything that is printed: an error's text may hold whatever a server put into its answer."""

from __future__ import annotations

import os
import re

HIDDEN = "<TOKEN>"
_SHAPES = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?i:(?<=Bearer ))[^\s'\",}]+")
_NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")


def redact(text: str) -> str:
    """The text without anything that is, or looks like, a token of the Hub.

    >>> redact("refused: Authorization: bearer abc123, hf_AbCdEfGhIjKl; set HF_ENDPOINT")
    'refused: Authorization: bearer <TOKEN>, <TOKEN>; set HF_ENDPOINT'
    """
    for token in _own_tokens():
        text = text.replace(token, HIDDEN)
    return _SHAPES.sub(HIDDEN, text)


def first_line(error: BaseException) -> str:
    """The start of what an error says, without any token."""
    text = getattr(error, "server_message", None) or str(error)
    return redact((str(text).strip().splitlines() or [""])[0])[:160]


def _own_tokens() -> list[str]:
    """This user's tokens, of whatever shape. A short one is no token: it would black out ordinary words."""
    found = [os.environ.get(name, "") for name in _NAMES]
    try:
        from huggingface_hub import get_token

        found.append(get_token() or "")
    except (ImportError, OSError):
        pass
    return sorted({token.strip() for token in found if len(token.strip()) >= 8}, key=len, reverse=True)
