"""Every finding has a sentence and says what to do."""

import pytest

from genzoo.tasks.doctor.variants import POOLINGS, PROJECTIONS, PROMPTS, TEXTS
from genzoo.tasks.doctor.words import Deviation, in_words

FACTS = dict.fromkeys(
    (
        "who",
        "Who",
        "prompts",
        "limit",
        "own",
        "longest",
        "kept",
        "width",
        "precision",
        "space",
        "lengths",
        "named",
        "model",
        "said",
    ),
    "something",
)


@pytest.mark.parametrize("code", [code for table in (PROMPTS, TEXTS, POOLINGS, PROJECTIONS) for code in table if code])
def test_every_fault_of_a_variant_has_words(code):
    found = Deviation.of(code, **FACTS, cosine=0.5)
    assert found.severity == "fault"
    assert found.text.endswith(".")
    assert found.advice.endswith(".")
    assert "{" not in found.text + found.advice


def test_an_unknown_code_is_an_error():
    with pytest.raises(StopIteration):
        Deviation.of("nothing")


def test_sides_in_words():
    assert in_words({"query": (2, 6), "document": (6, 6)}) == "2 of 6 queries and documents"
