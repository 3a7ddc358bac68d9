"""The words that carry a text, for saying in a line what two texts have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARK = re.compile(r"<\|?[^<>]*\|?>")  # such as <|im_end|>
_WORD = re.compile(r"[^\W\d_]{3,}")
_PLAIN_TEXT = (
    "the and for are was were with that this from have has had not but can will would should could may might you your "
    "they them their there here what when where which who why how its his her our out into than then also any all some "
    "one two been being does did doing done about over under only such more most other these those very just use used "
    "using need make made get let like way ways many much often usually help helps include includes including"
)
_PLAIN = frozenset(_PLAIN_TEXT.split())


def content_words(text: str) -> dict[str, str]:
    """Stem to word, in order; the stem is six letters without a plural s, so that "bears" meets "bear".

    >>> content_words("The polar bears, and the Arctic")
    {'polar': 'polar', 'bear': 'bears', 'arctic': 'arctic'}
    """
    found: dict[str, str] = {}
    for word in map(str.casefold, _WORD.findall(text)):
        if word not in _PLAIN:
            found.setdefault(word.removesuffix("s")[:6], word)
    return found


def shared_words(first: str, second: str) -> tuple[str, ...]:
    """Content words of the first text that the second has too, each once, in the first text's order.

    >>> shared_words("polar bears live in the Arctic", "A bear of the Arctic sea")
    ('bears', 'arctic')
    """
    there = content_words(second)
    return tuple(word for stem, word in content_words(first).items() if stem in there)


def telling(tokens: Iterable[str]) -> list[str]:
    """Tokens that say something: neither blanks, punctuation, nor a vocabulary's own marks.

    >>> telling([" polar", " ", "<|im_end|>", ":", "Arctic "])
    ['polar', 'Arctic']
    """
    stripped = (token.strip() for token in tokens)
    return [token for token in stripped if any(map(str.isalnum, token)) and not _MARK.fullmatch(token)]
