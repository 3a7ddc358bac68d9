"""Text made safe for HTML, Markdown, LaTeX, CSV, terminals and file names, without access tokens; and the words that carry it.

Names, texts and decoded words from files are data, never markup or a path.
"""

from __future__ import annotations

import functools
import hashlib
import html
import os
import re
from collections.abc import Iterable, Sequence

# Control, surrogate and bidi-override characters hide or reorder the text around them, and XML forbids the
# noncharacters; letters of any script stay.
_NONCHARACTERS = "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
_HIDING = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\ufdd0-\ufdef"
    f"{_NONCHARACTERS}]"
)
REPLACEMENT = "\ufffd"
_SPACE = re.compile(r"[^\S\u00a0]+")  # a no-break space is meant
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
# At the start of a line these would begin a list, a heading or a rule; signed numbers stay as they are.
_MARKDOWN_START = re.compile(r"\A([-+](?=\s|$)|[-=](?=[-=\s]*$))")
_MARKDOWN_NUMBER = re.compile(r"\A(\d{1,9})([.)])(?=\s|$)")
_MARKDOWN_LINK = re.compile(r"(?i)(?<=http)(?=://)|(?<=https)(?=://)|(?<=ftp)(?=://)|(?<=\bwww)(?=\.)")
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
_NAME_LENGTH = 60  # characters of a file name that are readable


@functools.lru_cache(maxsize=4096)
def is_hiding(char: str) -> bool:
    """Whether a character is not part of a text, but hides, reorders or breaks what is shown around it."""
    return _HIDING.fullmatch(char) is not None


def clean(text: str) -> str:
    r"""The text in one line, without characters that hide, reorder or break what is shown.

    >>> clean("a\nb\x07")
    'a b\ufffd'
    """
    text = _SPACE.sub(" ", text).strip()
    return text if text.isascii() and text.isprintable() else _replaced(text, "")


def for_terminal(text: str) -> str:
    r"""The text with its lines and tabs, without anything that a terminal would take for a command.

    >>> for_terminal("one\n\x1b[31mtwo")
    'one\n\ufffd[31mtwo'
    """
    return text if text.isascii() and text.isprintable() else _replaced(text, "\n\t")


def _replaced(text: str, kept: str) -> str:
    return _HIDING.sub(lambda found: found[0] if found[0] in kept else REPLACEMENT, text)


def escape_markdown(text: str) -> str:
    r"""For running text and table cells: no markup, no HTML, no address that becomes a link by itself.

    >>> escape_markdown("a|b <c> *d*")
    'a\\|b \\<c\\> \\*d\\*'
    """
    text = escape_inline_markdown(clean(text))
    return _MARKDOWN_NUMBER.sub(r"\1\\\2", _MARKDOWN_START.sub(r"\\\1", text))


def escape_inline_markdown(text: str) -> str:
    """The same for a part of a line, whose blanks at the ends count."""
    return _MARKDOWN_LINK.sub(r"\\", _MARKDOWN.sub(r"\\\1", text))


def code_markdown(text: str) -> str:
    """The text as a code span, whatever backticks it holds.

    >>> code_markdown("a|b"), code_markdown("a`b``")
    ('`a|b`', '``` a`b`` ```')
    """
    text = clean(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if len(fence) > 1 else ""
    return f"{fence}{pad}{text}{pad}{fence}"


_PLURAL = re.compile("(?<![aeiou])y$")


def plural(n: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "model"), plural(2000, "task"), plural(2, "query")
    ('1 model', '2,000 tasks', '2 queries')
    """
    return f"{n:,} {noun if n == 1 else _PLURAL.sub('ie', noun) + 's'}"


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


def safe_name(name: str) -> str:
    """A part of a file name or an anchor: lower-case letters, digits and hyphens, on any system.

    Eight digits of a digest tell apart what lost characters on the way.

    >>> safe_name("mean-task"), safe_name("../A b")
    ('mean-task', 'a-b-e3f8e011')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_LENGTH].rstrip("-")
    if plain and plain == name.lower():
        return plain
    return f"{plain}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}".lstrip("-")


def safe_names(names: Iterable[str]) -> list[str]:
    """The safe name of each, in order; names that would share one, whatever they are, get one each.

    >>> safe_names(["abc", "ABC", "Abc"])
    ['abc', 'abc-2', 'abc-3']
    """
    return told_apart(map(safe_name, names), "{}-{}")


def some(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first few items and how many more there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return separator.join(items[:most]) + more


def told_apart(names: Iterable[str], numbered: str = "{} ({})") -> list[str]:
    """The names, in order, with a number where one looks the same as an earlier one.

    >>> told_apart(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    found: dict[str, str] = {}
    for name in names:
        own, number = name, 2
        while clean(own) in found:
            own, number = numbered.format(name, number), number + 1
        found[clean(own)] = own
    return list(found.values())


HIDDEN = "<TOKEN>"
_SHAPES = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?i:(?<=Bearer ))[^\s'\",}]+")
_NAMES = re.compile(r"HF_TOKEN|HUGGING_?FACE_HUB_TOKEN|(AZURE_)?OPENAI_API_KEY|GENZOO_API_KEY(_\w+)?")


def redact(text: str) -> str:
    """The text without anything that is, or looks like, a token of the Hub or a key of an endpoint.

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


def described(error: BaseException) -> str:
    r"""The kind of an error and the start of what it says, without any token.

    >>> described(ValueError("no\nmore")), described(TimeoutError())
    ('ValueError: no', 'TimeoutError')
    """
    return ": ".join(filter(None, (type(error).__name__, first_line(error))))


def _own_tokens() -> list[str]:
    """This user's tokens and keys, of whatever shape. A short one is no token: it would black out ordinary words."""
    found = [value for name, value in os.environ.items() if _NAMES.fullmatch(name)]
    try:
        from huggingface_hub import get_token

        found.append(get_token() or "")
    except (ImportError, OSError):
        pass
    return sorted({token.strip() for token in found if len(token.strip()) >= 8}, key=len, reverse=True)


_MARK = re.compile(r"<\|?[^<>]*\|?>")  # such as <|im_end|>
_WORD = re.compile(r"[^\W_]{2,}")
_LISTED = 4  # shared words named
_PLAIN_TEXT = (
    "the and for are was were with that this from have has had not but can will would should could may might you your "
    "they them their there here what when where which who why how its his her our out into than then also any all some "
    "one two been being does did doing done about over under only such more most other these those very just use used "
    "using need make made get let like way ways many much often usually help helps include includes including"
)
_PLAIN = frozenset(_PLAIN_TEXT.split())


def content_words(text: str) -> dict[str, str]:
    """Stem to word, in order; the stem is six letters without a plural s, so that "bears" meets "bear".

    Numbers and codes are words, and their own stems.

    >>> content_words("The polar bears, and the Arctic")
    {'polar': 'polar', 'bear': 'bears', 'arctic': 'arctic'}
    >>> list(content_words("Error F28 on 20 May 2026"))
    ['error', 'f28', '20', '2026']
    """
    found: dict[str, str] = {}
    for word in map(str.casefold, _WORD.findall(text)):
        if any(map(str.isdecimal, word)):
            found.setdefault(word, word)
        elif len(word) > 2 and word not in _PLAIN:
            found.setdefault(word.removesuffix("s")[:6], word)
    return found


def shared_words(first: str, second: str) -> tuple[str, ...]:
    """Content words of the first text that the second has too, each once, in the first text's order.

    >>> shared_words("polar bears live in the Arctic", "A bear of the Arctic sea")
    ('bears', 'arctic')
    >>> shared_words("what is f28", "Error F28: the boiler does not ignite")
    ('f28',)
    """
    there = content_words(second)
    return tuple(word for stem, word in content_words(first).items() if stem in there)


def listed_words(words: Sequence[str]) -> str:
    """What `shared_words` found, for a sentence; common words are not looked for, so it does not say that none is shared.

    >>> listed_words(("rent", "2026")), listed_words(())
    ('“rent”, “2026”', 'no word beyond common ones')
    """
    if not words:
        return "no word beyond common ones"
    return ", ".join(f"“{word}”" for word in words[:_LISTED]) + (" and more" if len(words) > _LISTED else "")


def telling(tokens: Iterable[str]) -> list[str]:
    """Tokens that say something: neither blanks, punctuation, nor a vocabulary's own marks.

    >>> telling([" polar", " ", "<|im_end|>", ":", "Arctic "])
    ['polar', 'Arctic']
    """
    stripped = (token.strip() for token in tokens)
    return [token for token in stripped if any(map(str.isalnum, token)) and not _MARK.fullmatch(token)]
