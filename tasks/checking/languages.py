"""In which languages texts are written, as far as a small classifier can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from genzoo.duplicates import Texts

SAMPLE = 2_000
"""Texts of a part that are looked at; of more, a random sample of so many."""
CONFIDENCE = 0.6
"""Probability from which on the classifier is believed of any text."""
_CERTAIN = 0.9  # from which on one or two texts are enough to name a language
_LIKELY = 0.1  # from which on a text is believed to be in the language that half of the others are in
_CODES = """af am ar az be bg bn ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko ky lo lt lv mk
    ml mn mr ms mt my ne nl no pa pl ps pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh zu"""
LANGUAGES = tuple(_CODES.split())
"""Those that are told apart (ISO 639-1); with the rare ones of the classifier's 139, short texts are mistaken more often."""
_CHARACTERS = 1_000  # of a text that are read
_FEWEST = 3  # texts in a language, before it is named without being certain


@dataclass(frozen=True)
class Languages:
    """Languages of the texts of one part.

    Attributes:
        part: ``passages``, ``queries`` or ``texts``.
        n_texts: How many were looked at: all of them, or a random sample. Empty texts are left out.
        counts: ISO 639 code -> texts, the most frequent first.
        n_undecided: Texts whose language cannot be told: short ones, mixed ones, numbers and code.
    """

    part: str
    n_texts: int
    counts: Mapping[str, int]
    n_undecided: int

    @property
    def main(self) -> str | None:
        """The most frequent language, None where none can be told."""
        return next(iter(self.counts), None)

    def as_row(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self)


def find_languages(texts: Texts, part: str) -> Languages:
    """The languages of texts, one for each text.

    The classifier (py3langid 0.4: naive Bayes over byte n-grams) is good for sentences and poor for a word or two; it does not see that a
    text is in two languages. So a text that it is not sure of counts as in the language of most others, if that is its best guess, and a
    language of a text or two counts if it is certain. `benchmarks/check_languages.py` says how often that is right.
    """
    places = np.arange(len(texts))
    if len(texts) > SAMPLE:
        places = np.sort(np.random.default_rng(0).choice(len(texts), SAMPLE, replace=False))
    chosen = [text for place in places.tolist() if (text := texts[place][:_CHARACTERS]).strip()]
    guesses = [_identifier().classify(text) for text in chosen]
    sure = Counter(code for code, share in guesses if share >= CONFIDENCE)
    most = next((code for code, n in sure.items() if n >= max(_FEWEST, sure.total() / 2)), None)

    def is_told(code: str, share: float) -> bool:
        return share >= (_LIKELY if code == most else CONFIDENCE if sure[code] >= _FEWEST else _CERTAIN)

    counts = Counter(code for code, share in guesses if is_told(code, share))
    found = dict(counts.most_common() or sure.most_common(1))
    return Languages(part, len(chosen), found, len(chosen) - sum(found.values()))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages(LANGUAGES)
    return made
