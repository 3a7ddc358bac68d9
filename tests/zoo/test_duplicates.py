"""Near-duplicates against a comparison of every pair by Python sets."""

import doctest
import itertools
import re

import numpy as np
import pytest

import genzoo.duplicates
from genzoo.duplicates import NEAR, near_duplicates, occurrences, plain_words, resemblance, same_texts

RNG = np.random.default_rng(3)
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def _set(text):
    words = re.findall(r"[^\W_]+", text.lower())
    return {*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))}


def _by_sets(first, second):
    one, other = _set(first), _set(second)
    return len(one & other) / max(1, len(one | other))


def _corpus(n, changed):
    """Random texts of 12 to 60 words, and copies of some in which words were replaced."""
    texts = [list(RNG.choice(WORDS, RNG.integers(12, 61))) for _ in range(n)]
    for place in range(changed):
        words = list(texts[place])
        for spot in RNG.choice(len(words), RNG.integers(0, 7), replace=False):
            words[spot] = RNG.choice(WORDS)
        texts[n - 1 - place] = words
    return [" ".join(words) for words in texts]


def test_pairs_are_those_of_a_comparison_of_every_pair():
    texts = _corpus(400, 150)
    found = near_duplicates(texts)
    wanted = {
        pair: score
        for pair in itertools.combinations(range(len(texts)), 2)
        if (score := _by_sets(*(texts[place] for place in pair))) >= NEAR
    }
    made = dict(zip(map(tuple, found.pairs.tolist()), found.resemblance.tolist(), strict=True))
    assert len(wanted) > 50
    assert set(made) <= set(wanted)
    assert len(made) >= 0.98 * len(wanted)
    assert made == pytest.approx({pair: wanted[pair] for pair in made})
    assert found.pairs.tolist() == sorted(found.pairs.tolist())


def test_chunks_and_chosen_places_do_not_change_what_is_found(monkeypatch):
    texts = _corpus(300, 100)
    whole = near_duplicates(texts)
    monkeypatch.setattr("genzoo.duplicates._CHUNK", 7)
    monkeypatch.setattr("genzoo.duplicates._BLOCK", 3)
    again = near_duplicates(texts)
    assert again.pairs.tolist() == whole.pairs.tolist()
    assert again.resemblance.tolist() == whole.resemblance.tolist()
    some = np.arange(0, 300, 3)
    kept = [pair for pair in whole.pairs.tolist() if not any(place % 3 for place in pair)]
    assert near_duplicates(texts, some).pairs.tolist() == kept


def test_a_template_of_thousands_finds_each_text_a_partner_without_all_pairs():
    texts = [
        f"Your order {number} has left our warehouse and will arrive within three working days."
        for number in range(3000)
    ]
    found = near_duplicates(texts)
    assert set(found.pairs.ravel().tolist()) == set(range(3000))
    assert len(found.pairs) < 3000 * 40
    assert len(set(found.groups(3000).tolist())) == 1


def test_resemblance_counts_words_and_pairs_of_words():
    pairs = [("a b c", "a b d"), ("", "a"), ("!!!", "???"), ("Größe, M", "GRÖSSE M"), ("one two", "one two")]
    assert resemblance(*zip(*pairs, strict=True)).tolist() == pytest.approx([3 / 7, 0, 0, 1 / 5, 1])


def test_scripts_without_spaces_are_compared_by_character():
    first = "您可以在三十天内免费退货，无需说明理由"
    assert resemblance([first], [first.replace("三十", "十四")])[0] >= 0.6
    assert resemblance([first], ["忘记密码时请打开设置"])[0] < 0.1


def test_the_same_text_is_one_in_any_case_and_spacing():
    assert same_texts(["Hello  World", "other", "hello\nworld ", "", "  ", "other."]).tolist() == [0, 1, 0, 3, 4, 5]


@pytest.mark.parametrize("texts", [[], ["one text"], ["", "", "!!"]])
def test_few_or_no_texts(texts):
    found = near_duplicates(texts)
    assert found.pairs.shape == (0, 2)
    assert found.groups(len(texts)).tolist() == list(range(len(texts)))
    assert len(same_texts(texts)) == len(texts)


def test_examples_in_docstrings():
    failed, tried = doctest.testmod(genzoo.duplicates)
    assert tried
    assert not failed


def test_occurrences_are_those_of_a_search_through_every_text():
    texts = _corpus(300, 50)
    phrases = [
        " ".join(texts[place].split()[2 : 2 + length]) for place, length in zip(range(60), itertools.cycle(range(1, 9)))
    ]
    phrases += [texts[7], "no such words here at all", "", "!?", "bab"]
    texts += ["Bab!", "bab, bel", f"Prefix{phrases[5]}"]
    wanted = {}
    for place, phrase in enumerate(phrases):
        words = plain_words(phrase)
        is_long = len(words.split()) >= 4
        holders = [
            at
            for at, text in enumerate(texts)
            if words and (plain_words(text) == words or (is_long and f" {words} " in f" {plain_words(text)} "))
        ]
        if holders:
            wanted[place] = holders
    assert len(wanted) > 30
    assert occurrences(phrases, texts) == wanted
    assert occurrences([], texts) == {}
    assert occurrences(phrases, []) == {}
