"""Text from result files made safe for each format: names and decoded texts are data, never markup."""

from __future__ import annotations

import html
import re

from genzoo.text import REPLACEMENT, clean, escape_inline_markdown, escape_markdown

__all__ = [
    "breakable_html",
    "clean",
    "escape_csv",
    "escape_html",
    "escape_latex",
    "escape_markdown",
    "prose_html",
    "prose_markdown",
    "shorten",
]

_CODE = re.compile(r"`([^`]+)`")
# A name may break after a separator, though not within a number, and before the next word of CamelCase.
_BREAKS = re.compile(r"(?<=[-_/])|(?<=\.)(?!\d)|(?<=[a-z0-9])(?=[A-Z][a-z])")
_LONGEST = 24  # characters without a place to break
# What a spreadsheet takes for the start of a formula, in either width.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
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
    "\0": "{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    "\u00a0": "~",
    REPLACEMENT: "?",
}


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


def escape_latex(text: str) -> str:
    """For the body of a LaTeX document."""
    text = re.sub("-(?=-)", "-\0", clean(text))  # hyphens in a row are no dash
    return "".join(_LATEX.get(char, char) for char in text)


def escape_csv(text: str) -> str:
    """For a CSV cell of text: what a spreadsheet would take for a formula gets an apostrophe in front."""
    text = clean(text)
    return f"'{text}" if text[:1] in _FORMULA else text


def prose_html(text: str) -> str:
    """A sentence in which `backticks` mark code."""
    return _CODE.sub(lambda match: f"<code>{match[1]}</code>", html.escape(clean(text), quote=True))


def prose_markdown(text: str) -> str:
    """A sentence in which `backticks` mark code, everything else escaped."""
    parts = _CODE.split(clean(text))
    return "".join(f"`{part}`" if place % 2 else escape_inline_markdown(part) for place, part in enumerate(parts))
