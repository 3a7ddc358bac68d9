"""Text from result files made safe for each format: names and decoded texts are data, never markup."""

from __future__ import annotations

import html
import re
import unicodedata

# Control, surrogate and bidi-override characters hide or reorder what stands beside them; letters of any script stay.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REPLACEMENT = "\ufffd"
_CODE = re.compile(r"`([^`]+)`")
# A name may break after a separator, though not within a number, and before the next word of CamelCase.
_BREAKS = re.compile(r"(?<=[-_/])|(?<=\.)(?!\d)|(?<=[a-z0-9])(?=[A-Z][a-z])")
_LONGEST = 24  # characters without a place to break
_SPACE = re.compile(r"[^\S\u00a0]+")  # a no-break space is meant
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # after the \\ of the row before it would be its argument
    "]": "{]}",
    "*": "{*}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "–": "--",
    "Δ": r"$\Delta$",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    "\u00a0": "~",
    _REPLACEMENT: "?",
}


def clean(text: str) -> str:
    r"""The text in one line, without characters that hide, reorder or break what is shown.

    >>> clean("a\nb\x07")
    'a b\ufffd'
    """
    text = _SPACE.sub(" ", text).strip()
    return "".join(
        _REPLACEMENT if char in _BIDI_CONTROLS or unicodedata.category(char) in {"Cc", "Cs"} else char for char in text
    )


def shorten(text: str, length: int) -> str:
    """At most `length` characters; the middle goes, as model names differ at both ends.

    >>> shorten("SmolLM2-135M-Instruct-LLM2Vec-Gen", 20)
    'SmolLM2-13…LM2Vec-Gen'
    """
    text = clean(text)
    if len(text) <= length + 1:
        return text
    head = (length + 1) // 2
    return f"{text[:head].rstrip()}…{text[len(text) - (length - head) :].lstrip()}"


def escape_html(text: str) -> str:
    """For element content and for quoted attributes."""
    return html.escape(clean(text), quote=True)


def breakable_html(text: str) -> str:
    """A name that may break after its separators, isolated from the direction of the text around it."""
    parts = re.split(_BREAKS, clean(text))
    parts = [piece for part in parts for piece in _cut(part)]
    return f"<bdi>{'<wbr>'.join(html.escape(part, quote=True) for part in parts if part)}</bdi>"


def _cut(part: str) -> list[str]:
    """The text in pieces of `_LONGEST`, unless it can break between its words."""
    step = _LONGEST if max(map(len, part.split(" "))) > _LONGEST else max(1, len(part))
    return [part[start : start + step] for start in range(0, len(part), step)]


def escape_markdown(text: str) -> str:
    r"""For running text and table cells.

    >>> escape_markdown("a|b <c> *d*")
    'a\\|b \\<c\\> \\*d\\*'
    """
    return _MARKDOWN.sub(r"\\\1", clean(text))


def escape_latex(text: str) -> str:
    """For the body of a LaTeX document."""
    return "".join(_LATEX.get(char, char) for char in clean(text))


def escape_csv(text: str) -> str:
    """For a CSV cell: a leading =, +, -, @ would be a formula to a spreadsheet."""
    text = clean(text)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text


def prose_html(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return _CODE.sub(lambda match: f"<code>{match[1]}</code>", html.escape(clean(text), quote=True))


def prose_markdown(text: str) -> str:
    """A sentence in which `backticks` mark code, everything else escaped."""
    parts = _CODE.split(clean(text))
    return "".join(f"`{part}`" if place % 2 else _MARKDOWN.sub(r"\\\1", part) for place, part in enumerate(parts))
