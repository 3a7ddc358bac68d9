"""Texts that are the same or nearly the same, found among a million of them without comparing every pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import pandas as pd

from genzoo.jobs import report

NEAR = 0.7
"""Texts of this resemblance or more are near-duplicates: of 40 words up to four are replaced, of ten words one."""

_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+"  # scripts that put no space between words: each character
_BANDS, _ROWS = 20, 4  # of the 80 minima: two texts of resemblance 0.7 share a band with probability 0.996
MOST_PLACES = 100
"""Texts in which a phrase is looked for further, after so many that hold it no more."""
_PHRASE = 4  # words, from which on a phrase is more than a keyword
_N_HASHES = 2**31 - 1
_CHUNK, _BLOCK = 2_000, 20_000  # texts and pairs that are worked on at a time
_SMALL_GROUP = 8  # texts that share a band: up to so many each is compared with all others, else with the next two
_ENOUGH = 8  # near-duplicates of a text, after which no more of them are looked for


class Texts(Protocol):
    """Texts in order, read in slices: a list, or a column of a data set on the disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: Any, /) -> Any: ...


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of texts that share most of their words.

    Attributes:
        pairs: Places of the two texts, the smaller one first, (n, 2).
        resemblance: Of each pair, (n,), at least `NEAR`.
    """

    pairs: np.ndarray
    resemblance: np.ndarray

    def groups(self, n_texts: int) -> np.ndarray:
        """For each text the number of its group: texts that a chain of pairs connects."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        links = coo_matrix((np.ones(len(self.pairs), bool), tuple(self.pairs.T)), shape=(n_texts, n_texts))
        return connected_components(links, directed=False)[1]


def same_texts(texts: Texts) -> np.ndarray:
    """The place of the first text that is the same apart from case and white space, for each text, (n,).

    Texts are told apart by 64 bits of a hash. Empty texts are the same as no other.

    >>> same_texts(["A  b", "c", "a b", "", ""]).tolist()
    [0, 1, 0, 3, 4]
    """
    hashes = [_hashes([" ".join(text.split()).casefold() for text in chunk]) for chunk in _chunks(texts)]
    found = np.concatenate([np.empty(0, np.uint64), *hashes])
    _, first, back = np.unique(found, return_index=True, return_inverse=True)
    empty = found == _hashes([""])
    return np.where(empty, np.arange(len(found)), first[back])


def resemblance(firsts: Sequence[str], seconds: Sequence[str]) -> np.ndarray:
    """How alike the texts of each pair are: the Jaccard index of their words and pairs of adjacent words, 0 to 1, (n,).

    Case and punctuation do not count. Two texts without a word have resemblance 0.

    >>> resemblance(["Reset your password."], ["reset your Password"]).tolist()
    [1.0]
    >>> resemblance(["Articles can be returned within thirty days, free of charge."],
    ...             ["Articles can be returned within fourteen days, free of charge."]).round(2).tolist()
    [0.73]
    """
    rows = _shingled([*firsts, *seconds])
    return _jaccard(rows[: len(firsts)], rows[len(firsts) :])


def near_duplicates(texts: Texts, places: np.ndarray | None = None) -> NearDuplicates:
    """Pairs of texts with a resemblance of at least `NEAR`.

    Candidates come from MinHash signatures in bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4); the
    resemblance of every candidate is then computed exactly, so that no pair is wrong. Of the pairs at `NEAR` 0.4 % are missed,
    of those above less. A text with very many near-duplicates is paired with some of them only.

    Args:
        texts: Of any number; a million of 40 words take about a minute on one core and 250 MB.
        places: Those of the texts that are compared, all by default; `same_texts` says which are repeated.
    """
    chosen = np.arange(len(texts)) if places is None else np.asarray(places)
    bands = np.zeros((len(chosen), _BANDS), np.uint32)
    for start, chunk in zip(range(0, len(chosen), _CHUNK), _taken(texts, chosen, _CHUNK), strict=True):
        bands[start : start + len(chunk)] = _band_keys(chunk)
        report("near-duplicates", start + len(chunk), len(chosen))
    known = np.empty(0, np.int64)
    degree = np.zeros(len(chosen), np.int64)
    pairs, scores = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for band in bands.T:
        found = _candidates(band)
        found = found[(degree[found] < _ENOUGH).any(axis=1)]
        codes = np.setdiff1d(found[:, 0] * len(chosen) + found[:, 1], known)
        known = np.union1d(known, codes)
        for start in range(0, len(codes), _BLOCK):
            block = np.column_stack(np.divmod(codes[start : start + _BLOCK], len(chosen)))
            score = _compare(texts, chosen, block)
            near = score >= NEAR
            degree += np.bincount(block[near].ravel(), minlength=len(chosen))
            pairs.append(chosen[block[near]])
            scores.append(score[near])
    order = np.lexsort(np.concatenate(pairs).T[::-1])
    return NearDuplicates(np.concatenate(pairs)[order], np.concatenate(scores)[order])


def plain_words(text: str) -> str:
    """The words of a text in lower case, one space apart; of scripts without spaces each character is a word.

    >>> plain_words("Where's my parcel?!")
    'where s my parcel'
    """
    return " ".join(re.findall(_WORD, text.lower()))


def occurrences(phrases: Sequence[str], texts: Texts) -> dict[int, list[int]]:
    """Where phrases occur in texts word for word, whatever their case and punctuation.

    A phrase of fewer than four words only counts where it is the whole text: as a part it is no more than a keyword.

    Args:
        phrases: What is looked for, such as queries.
        texts: Where, such as passages.

    Returns:
        Place of a phrase -> places of the texts that hold it, the first `MOST_PLACES` of them; phrases that occur nowhere are left out.

    >>> occurrences(["where is my parcel", "login"], ["FAQ: Where is my parcel? On its way.", "Login", "Login fails"])
    {0: [0], 1: [1]}
    """
    plain = [plain_words(phrase) for phrase in phrases]
    found: dict[int, list[int]] = {}
    wanted = _Beginnings(plain)
    for start, chunk in zip(range(0, len(texts), _CHUNK), _chunks(texts), strict=True):
        for phrase, place in wanted.candidates(chunk):
            known, text = found.setdefault(phrase, []), plain_words(chunk[place])
            is_there = plain[phrase] == text or (phrase in wanted.long and f" {plain[phrase]} " in f" {text} ")
            if is_there and len(known) < MOST_PLACES:
                known.append(start + place)
        report("phrases", start + len(chunk), len(texts))
    return {phrase: places for phrase, places in sorted(found.items()) if places}


class _Beginnings:
    """Finds texts that may hold a phrase by the hash of its first four words; a shorter phrase by the whole text.

    Attributes:
        long: Places of the phrases of four words or more.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        begins = _shingled([" ".join(words.split()[:_PHRASE]) for words in phrases], _PHRASE)
        self.long = set(np.flatnonzero(np.diff(begins.indptr)).tolist())
        self._by_hash: dict[int, list[int]] = {}
        self._whole: dict[str, list[int]] = {}
        for place, words in enumerate(phrases):
            if place in self.long:
                self._by_hash.setdefault(int(begins.indices[begins.indptr[place]]), []).append(place)
            elif words:
                self._whole.setdefault(words, []).append(place)
        self._hashes = np.array(sorted(self._by_hash), np.int32)

    def candidates(self, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Place of a phrase and place of a text, in the texts' order."""
        rows = _shingled(texts, _PHRASE)
        hits = np.flatnonzero(np.isin(rows.indices, self._hashes))
        holders = np.searchsorted(rows.indptr, hits, side="right") - 1
        for hit, place in zip(hits.tolist(), holders.tolist(), strict=True):
            yield from ((phrase, place) for phrase in self._by_hash[int(rows.indices[hit])])
        for place in np.flatnonzero(np.diff(rows.indptr) == 0).tolist() if self._whole else ():
            yield from ((phrase, place) for phrase in self._whole.get(plain_words(texts[place]), ()))


def _hashes(texts: Sequence[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(texts, object), categorize=False)


def _chunks(texts: Texts) -> Iterator[Sequence[str]]:
    return (texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK))


def _taken(texts: Texts, places: np.ndarray, size: int) -> Iterator[list[str]]:
    """The texts at these places, in their order, some at a time; adjacent ones are read together."""
    for start in range(0, len(places), size):
        part = places[start : start + size]
        first, last = int(part.min()), int(part.max())
        if last - first < 4 * size:
            window = texts[first : last + 1]
            yield [window[place - first] for place in part.tolist()]
        else:
            yield [texts[place] for place in part.tolist()]


def _shingled(texts: Sequence[str], n: int = 0) -> Any:
    """A sparse row of hashed words and pairs of adjacent words for each text, or of runs of n words."""
    from scipy.sparse import csr_matrix

    return _hasher(n).transform(texts) if len(texts) else csr_matrix((0, _N_HASHES), dtype=np.uint8)


@cache
def _hasher(n: int) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=_N_HASHES,
        ngram_range=(n or 1, n or 2),
        token_pattern=_WORD,
        binary=True,
        norm=None,
        alternate_sign=False,
        dtype=np.uint8,
    )


def _band_keys(texts: Sequence[str]) -> np.ndarray:
    """A key for each band of each text's MinHash signature, (n, bands)."""
    rows = _shingled(texts)
    filled = np.flatnonzero(np.diff(rows.indptr))
    keys = np.zeros((len(texts), _BANDS), np.uint32)
    if not len(filled):
        return keys
    shingles, starts = rows.indices.astype(np.uint64), rows.indptr[filled]
    factors = np.random.default_rng(0).integers(2**63, size=(_BANDS, _ROWS, 2), dtype=np.uint64) | np.uint64(1)
    for band in range(_BANDS):
        key = np.zeros(len(filled), np.uint64)
        for factor, mixer in factors[band]:
            minima = np.minimum.reduceat((shingles * factor) >> np.uint64(32), starts)  # multiply-shift hashing
            key = (key ^ minima) * mixer
        keys[filled, band] = key >> np.uint64(32)
    return keys


def _candidates(band: np.ndarray) -> np.ndarray:
    """Pairs of texts that have the same key in a band, the smaller place first, (n, 2)."""
    order = np.argsort(band, kind="stable")
    _, group, sizes = np.unique(band[order], return_inverse=True, return_counts=True)
    is_small = sizes[group] <= _SMALL_GROUP
    found = [np.empty((0, 2), np.int64)]
    for gap in range(1, _SMALL_GROUP):
        here = group[gap:] == group[:-gap]
        here &= is_small[gap:] if gap > 2 else True
        found.append(np.column_stack([order[:-gap][here], order[gap:][here]]))
    return np.concatenate(found)


def _compare(texts: Texts, chosen: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The resemblance of each pair of places in `chosen`."""
    needed, back = np.unique(pairs, return_inverse=True)
    (taken,) = _taken(texts, chosen[needed], len(needed))
    rows, back = _shingled(taken), back.reshape(pairs.shape)
    return _jaccard(rows[back[:, 0]], rows[back[:, 1]])


def _jaccard(firsts: Any, seconds: Any) -> np.ndarray:
    both = np.asarray(firsts.multiply(seconds).sum(axis=1)).ravel()
    either = np.asarray(firsts.sum(axis=1) + seconds.sum(axis=1)).ravel() - both
    return both / np.maximum(either, 1)
